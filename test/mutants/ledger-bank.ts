/**
 * The bank of sabotages of the ledger's rules, each with the case that must notice it: who is admitted,
 * rates, pools, alerts; and all of them together.
 *
 * @module
 */
import type { Sabotage } from '../support/mutant.ts'
import { type Entry, HOLDS, PERIODS } from './ledger-bank-holds.ts'

const LEDGER = 'budgets/ledger.ts'
const LINES = 'budgets/ledger-lines.ts'
const DECIDE = 'budgets/ledger-decide.ts'
const ALERTS = 'budgets/alerts.ts'
const RATE = 'budgets/rate.ts'
const COUNTERS = 'budgets/counters.ts'

const REFUSED = `const { counters, overflows, refusal } = decideOn(rows, item)
  if (refusal) return { ok: false, ...refusal }

  const expiresAtMs`
const DECIDED = 'const { counters, overflows, refusal } = decideOn(rows, item)'

/** What a refused reserve does before it answers. */
const onRefusal = (work: string): string => `${DECIDED}
  if (refusal) {
    ${work}
    return { ok: false, ...refusal }
  }

  const expiresAtMs`

/** Reserve no longer looks at its decision. */
export const UNGUARDED: Sabotage = {
  file: LEDGER,
  from: REFUSED,
  to: `${DECIDED}
  if (refusal && rows.nowMs < 0) return { ok: false, ...refusal }
  if (refusal) counters.push(...lockPath(rows, item.accounts))

  const expiresAtMs`,
}

const DECISIONS: readonly Entry[] = [
  [
    'BG-1',
    'the accounts that admit hold what another of the path refuses',
    LEDGER,
    REFUSED,
    onRefusal(
      'for (const c of counters) rows.putCounter(taken(c, amountOf(item.amounts, c.unit), rows.nowMs))',
    ),
  ],
  [
    'BG-1',
    'only the leaf of a path is asked',
    DECIDE,
    'for (const line of path) {',
    'for (const line of path.slice(0, 1)) {',
  ],
  [
    'BG-7',
    'a refused caller consumes what it asked',
    LEDGER,
    REFUSED,
    onRefusal(
      'for (const c of lockPath(rows, item.accounts)) rows.putCounter(taken(c, amountOf(item.amounts, c.unit), rows.nowMs))',
    ),
  ],
  [
    'T-B21',
    'a refused caller consumes its rates',
    LEDGER,
    REFUSED,
    onRefusal(
      'for (const c of counters) if (!holds(c)) rows.putCounter(taken(c, amountOf(item.amounts, c.unit), rows.nowMs))',
    ),
  ],
  [
    'ST-8',
    '< for <=: the last of a budget is never given',
    LINES,
    'asked <= roomOf(c)',
    'asked < roomOf(c)',
  ],
  ['ST-8', 'spent money stops calls that cost nothing', LINES, 'if (asked === 0n) return null', ''],
  [
    'ST-8',
    'money that is held is called spent',
    LINES,
    'c.posted + asked > c.limit ?',
    'c.posted + asked >= 0n ?',
  ],
  [
    'ST-8',
    'what passes soonest is named first',
    DECIDE,
    "  'TK_BUDGET_EXHAUSTED',\n  'TK_RATE_LIMITED',\n",
    "  'TK_RATE_LIMITED',\n  'TK_BUDGET_EXHAUSTED',\n",
  ],
  [
    'ST-8',
    'a denial says what fits the line that refuses, not the path',
    DECIDE,
    'path.filter((c) => c.unit === line.unit)',
    '[line]',
  ],
  [
    'ST-8',
    'limits on what the platform pays count what a tenant pays',
    LEDGER,
    "c.counts === 'all' || payer === 'platform'",
    "c.counts === 'all' || payer !== null",
  ],
  [
    'ST-8',
    'a limit of single calls adds them up',
    LEDGER,
    "if (counter.window === 'call') return counter\n",
    '',
  ],
  [
    'ST-8',
    'an extend asks for no room',
    LEDGER,
    'if (refusal) return { ok: false, ...refusal }\n\n  const expiresAtMs = Math.max',
    'const expiresAtMs = Math.max',
  ],
  [
    'ST-8',
    'an extend forgets what a call was given already',
    LEDGER,
    "c.window === 'call' ? amountOf(hold.amounts, c.unit) : c.posted",
    'c.posted',
  ],
  [
    'ST-3',
    'a path may charge whomever it names',
    LINES,
    'if (above.length === 0) return true',
    'if (above.length >= 0) return true',
  ],
]

const RATES: readonly Entry[] = [
  [
    'T-B20',
    'a rate is not consumed',
    LEDGER,
    'buckets: add(counter.buckets, amount)',
    'buckets: add(counter.buckets, 0n)',
  ],
  [
    'T-B20',
    'a window is a tenth too short',
    RATE,
    'const SUB_BUCKETS = 10',
    'const SUB_BUCKETS = 9',
  ],
  [
    'T-B20',
    'the whole rate comes back at once at the edge of a window',
    RATE,
    'const kept = buckets.counts.slice(0, Math.max(0, SUB_BUCKETS + 1 - passed))',
    'const kept = index % 10 === 0 ? [] : buckets.counts.slice(0, Math.max(0, SUB_BUCKETS + 1 - passed))',
  ],
  [
    'T-B20',
    'a refusal names a moment a tenth too early',
    RATE,
    '(newest - age + SUB_BUCKETS + 1) * lengthMs',
    '(newest - age + SUB_BUCKETS) * lengthMs',
  ],
  [
    'ST-8',
    'an extension is free for rates',
    LEDGER,
    'if (!holds(c)) rows.putCounter(',
    'if (rows.nowMs < 0) rows.putCounter(',
  ],
]

const POOLS: readonly Entry[] = [
  [
    'ST-8',
    'ancestors are charged twice on overflow',
    DECIDE,
    'counters.push(...pool.filter(',
    'counters.push(...path.filter((c) => c.depth < line.depth), ...pool.filter(',
  ],
  [
    'ST-8',
    'a pool is charged for each window that overflows',
    DECIDE,
    '...pool.filter((p) => !counters.some((c) => sameCounter(c, lineOf(p))))',
    '...pool',
  ],
  [
    'ST-8',
    'a pool hops to its own pool',
    DECIDE,
    'const pool = poolOf(line)',
    'const pool = poolOf(line).flatMap((p) => (refusalOf(p, amount) === null ? [p] : poolOf(p)))',
  ],
  [
    'ST-8',
    'a pool on the path takes over',
    DECIDE,
    'overflow === null || path.some((c) => c.accountId === overflow.id)',
    'overflow === null',
  ],
  [
    'ST-8',
    'a line that overflows is charged beside its pool',
    DECIDE,
    'overflows.push({ from: lineOf(line)',
    'counters.push(line)\n      overflows.push({ from: lineOf(line)',
  ],
  [
    'ST-8',
    'one line of a pool that admits is enough',
    DECIDE,
    'longest(refusingOf(pool, amount))',
    'longest(refusingOf(pool.slice(-1), amount))',
  ],
  ['ST-8', 'an overflow is silent', LEDGER, "kind: 'budget.overflow'", "kind: 'nothing'"],
  ['ST-8', 'two overflows of one call are told as one', LEDGER, 'from.accountId}', "''}"],
  [
    'ST-8',
    'an extension slips past its line because that has a pool',
    LEDGER,
    'return { ...c, posted, overflow: null }',
    'return { ...c, posted }',
  ],
  [
    'ST-8',
    'a pool on what the platform pays takes what a tenant pays',
    DECIDE,
    'c.unit === unit && counted(c)',
    'c.unit === unit',
  ],
  [
    'ST-3',
    'a pool may belong to anybody',
    DECIDE,
    'lines.every(isOwn) ? lines : []',
    'lines.filter((c) => isOwn(c) || c !== null)',
  ],
  [
    'ST-8',
    'a call moves to a pool while only expired holds stand in the way',
    DECIDE,
    "contended ||= code === 'TK_BUDGET_CONTENDED'",
    'contended ||= false',
  ],
]

const WARNINGS: readonly Entry[] = [
  ['ST-8', 'an alert is given twice', ALERTS, 'p > alertedPercent && ', ''],
  [
    'ST-8',
    'an alert waits for more than its threshold',
    ALERTS,
    'posted * 100n >= limit',
    'posted * 100n > limit',
  ],
  [
    'ST-8',
    'one step over several thresholds tells the highest alone',
    ALERTS,
    'for (const percent of reached)',
    'for (const percent of reached.slice(-1))',
  ],
  ['ST-8', 'a new period is as silent as the old one', LINES, '    alertedPercent: 0,\n', ''],
  ['ST-8', 'a budget that was set anew is taken for the old one', ALERTS, 'createdAtMs}', "''}"],
  [
    'ST-8',
    'a lowered limit tells nobody',
    COUNTERS,
    '? alerted(rows, {',
    '? ((_, c) => c)(rows, {',
  ],
  [
    'ST-8',
    'a forecast lies in the past',
    ALERTS,
    'nowMs + Number(leftMs)',
    'nowMs - Number(leftMs)',
  ],
  [
    'ST-8',
    'a forecast counts from before the budget was made',
    ALERTS,
    'Math.max(periodStartMs, createdAtMs)',
    'periodStartMs',
  ],
  [
    'ST-8',
    'a forecast reaches past its period',
    ALERTS,
    '(endMs === null || atMs < endMs)',
    'true',
  ],
]

export const BANK: readonly (readonly [id: string, what: string, Sabotage])[] = [
  ...[HOLDS, PERIODS, DECISIONS, RATES, POOLS, WARNINGS].flat(),
].map(([id, what, file, from, to]) => [id, what, { file, from, to }])
