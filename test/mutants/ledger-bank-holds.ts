/**
 * The bank of sabotages, first part: what becomes of a hold, and which period it is charged to.
 *
 * @module
 */

const LEDGER = 'budgets/ledger.ts'
const LINES = 'budgets/ledger-lines.ts'
const WINDOWS = 'budgets/windows.ts'
const CHECKS = 'budgets/item-checks.ts'
const COUNTERS = 'budgets/counters.ts'

/** Case that must notice, what is broken, file, and the change. */
export type Entry = readonly [id: string, what: string, file: string, from: string, to: string]

export const HOLDS: readonly Entry[] = [
  [
    'T-B4',
    'a settle that is sent twice counts twice',
    LEDGER,
    "if (hold.state === 'posted' || hold.state === 'late_posted') {\n    if (!sameAmounts(",
    'if (rows.nowMs < 0) {\n    if (!sameAmounts(',
  ],
  [
    'T-B4',
    'another amount settles a hold again',
    LEDGER,
    'if (!sameAmounts(hold.actual, item.actual))',
    'if (rows.nowMs < 0)',
  ],
  [
    'T-B4',
    'a void after a settle is accepted',
    LEDGER,
    "if (hold.state === 'voided') return { ok: true, replayed: true }",
    "if (hold.state !== 'held' && hold.state !== 'expired') return { ok: true, replayed: true }",
  ],
  [
    'T-B4',
    'a settle after a void is accepted',
    LEDGER,
    "if (hold.state === 'voided') return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }",
    '',
  ],
  [
    'T-B4',
    'a void releases again what a sweep has released',
    LEDGER,
    "if (hold.state === 'held') release(rows, hold)",
    'release(rows, hold)',
  ],
  ['T-B4', 'a void releases nothing', LEDGER, "if (hold.state === 'held') release(rows, hold)", ''],
  [
    'T-B4',
    'an extend may lower a hold',
    LEDGER,
    'return entries.every(([, change]) => change >= 0n) ? Object.fromEntries(entries) : null',
    'return Object.fromEntries(entries)',
  ],
  [
    'T-B4',
    'a reserve of a known id ignores what was asked first',
    LEDGER,
    'sameAmounts(hold.asked, item.amounts) &&',
    '',
  ],
  [
    'T-B4',
    'a reserve of a known id ignores who pays',
    LEDGER,
    'hold.paidBy === payerOf(item) &&',
    '',
  ],
  [
    'T-B6',
    'a late settle releases again what a sweep has released',
    LEDGER,
    "hold.state === 'expired' ? 0n : -amountOf(hold.amounts, line.unit)",
    '-amountOf(hold.amounts, line.unit)',
  ],
  [
    'T-B6',
    'a sweep without late post: a settle after it is lost',
    LEDGER,
    "if (hold.state === 'voided') return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }",
    "if (hold.state === 'voided' || hold.state === 'expired') return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }",
  ],
  [
    'T-B6',
    'a late settle is not flagged',
    LEDGER,
    "const state = late ? 'late_posted' : 'posted'",
    "const state = 'posted'",
  ],
  [
    'T-B7',
    'an actual above its hold is clipped',
    LEDGER,
    ': amountOf(item.actual, line.unit)\n  if',
    ': amountOf(item.actual, line.unit) > amountOf(hold.amounts, line.unit) ? amountOf(hold.amounts, line.unit) : amountOf(item.actual, line.unit)\n  if',
  ],
  [
    'T-B7',
    'an overage is not flagged',
    LEDGER,
    'const overage = overageOf(settled)',
    'const overage = NONE',
  ],
  [
    'ST-9',
    'what was held is posted, not what it cost',
    LEDGER,
    ': amountOf(item.actual, line.unit)\n  if',
    ': amountOf(hold.amounts, line.unit)\n  if',
  ],
  [
    'T-B9',
    'amounts are not looked at',
    CHECKS,
    '!isUnit(unit) || !isAmount(amounts[unit])',
    '!isUnit(unit)',
  ],
  ['T-B9', 'counts of tokens are not looked at', CHECKS, '  areTokens(usage.tokens) &&\n', ''],
  [
    'T-B9',
    'a draft says whose its row is',
    CHECKS,
    '  NOT_OF_A_DRAFT.every((field) => !(field in usage)) &&\n',
    '',
  ],
  [
    'T-B9',
    'ids are not looked at',
    CHECKS,
    'isText(value) && value.length > 0 && value.length <= MAX_ID',
    'value !== null',
  ],
  [
    'T-B10',
    'sums are floats',
    LINES,
    'posted: counter.posted + posted }',
    'posted: BigInt(Number(counter.posted) + Number(posted)) }',
  ],
  ['ST-8', 'a sweep is silent', LEDGER, "kind: 'unknown_spend'", "kind: 'nothing'"],
  [
    'ST-8',
    'an expiry releases nothing',
    LEDGER,
    "release(rows, hold)\n    rows.putHold({ ...hold, state: 'expired' })",
    "rows.putHold({ ...hold, state: 'expired' })",
  ],
  [
    'ST-8',
    'expired holds stand in the way until somebody sweeps',
    LEDGER,
    'if (!first.contended ||',
    'if (rows.nowMs > 0 ||',
  ],
  [
    'ST-8',
    'concurrency is leaked by a void',
    LEDGER,
    'for (const line of hold.lines) {\n    changeLine(rows, hold, line, {\n      held: -amount',
    "for (const line of hold.lines.filter((l) => l.window !== 'concurrent')) {\n    changeLine(rows, hold, line, {\n      held: -amount",
  ],
  [
    'ST-8',
    'a call that has ended still counts as live',
    LEDGER,
    "line.window === 'concurrent' ? 0n : amountOf(",
    'amountOf(',
  ],
  [
    'ST-8',
    'what is held last is taken to end last',
    LINES,
    'Math.max(counter.heldUntilMs, untilMs)',
    'untilMs',
  ],
  [
    'ST-8',
    'a budget that was set again takes the releases of the one before it',
    LINES,
    'c.createdAtMs <= hold.createdAtMs',
    'c.createdAtMs <= Infinity',
  ],
]

export const PERIODS: readonly Entry[] = [
  [
    'T-B17',
    'a hold settles into the running month',
    LINES,
    'sameCounter(c, l) && c.periodStartMs === l.periodStartMs',
    'sameCounter(c, l)',
  ],
  [
    'T-B17',
    'a period never ends',
    LINES,
    'if (startMs <= counter.periodStartMs) return counter',
    'if (startMs > 0) return counter',
  ],
  [
    'T-B17',
    'what was spent is carried into the next period',
    LINES,
    '    posted: 0n,\n    held: 0n,\n    heldUntilMs: 0,',
    '    held: 0n,\n    heldUntilMs: 0,',
  ],
  [
    'T-B17',
    'an ended period is not charged what its holds cost',
    LINES,
    'rows.putHistory({ ...past, held: positive(past.held + held), posted: past.posted + posted })',
    '',
  ],
  [
    'T-B17',
    'an ended period is charged for a hold that it never had',
    LINES,
    'if (counter && !knows(counter, hold) && reaches(counter, line)) return',
    'if (counter && !knows(counter, hold) && isLine(counter, line)) return',
  ],
  [
    'T-B17',
    'an ended period forgets its holds when the budget is set anew',
    LINES,
    ' && reaches(counter, line)) return',
    ') return',
  ],
  [
    'T-B17',
    'days begin at midnight in Greenwich',
    WINDOWS,
    'const { year, month, day } = localDate(zone, nowMs)',
    "const { year, month, day } = localDate('UTC', nowMs)",
  ],
  [
    'T-B17',
    'weeks begin on Sunday',
    WINDOWS,
    '(new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7',
    'new Date(Date.UTC(year, month - 1, day)).getUTCDay()',
  ],
  [
    'T-B17',
    'hours are those of Greenwich',
    WINDOWS,
    'const startMs = dayMs + Math.floor((nowMs - dayMs) / HOUR_MS) * HOUR_MS',
    'const startMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS',
  ],
  [
    'T-B17',
    'every day has 24 hours',
    WINDOWS,
    'endMs: startOfDay(zone, to),',
    'endMs: startOfDay(zone, from) + (Date.UTC(to[0], to[1] - 1, to[2]) - Date.UTC(from[0], from[1] - 1, from[2])),',
  ],
  [
    'T-B19',
    'a changed limit starts the sums anew',
    COUNTERS,
    '{ ...known, depth: account.depth,',
    '{ ...known, posted: 0n, depth: account.depth,',
  ],
  [
    'T-B19',
    'a changed limit is forgotten',
    COUNTERS,
    'depth: account.depth, limit, counts',
    'depth: account.depth, counts',
  ],
]
