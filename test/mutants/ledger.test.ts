import { expect, test } from 'vitest'
import type { WallClock } from '../../src/kernel/clock.ts'
import type { ReserveResult } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'
import { runSuite, type SuiteReport } from './recording-runner.ts'

const LEDGER = 'budgets/ledger.ts'
const LINES = 'budgets/ledger-lines.ts'
const REFUSED = `if (denial) return { ok: false, ...denial }

  const expiresAtMs = rows.nowMs + item.ttlMs`

interface MemoryModule {
  memory(options: { readonly clock: WallClock }): Storage
}

/** Runs the suite on the memory store over sabotaged rules. */
async function suiteOver(
  sabotage: Sabotage,
  wrap: (storage: Storage) => Storage = (storage) => storage,
): Promise<SuiteReport> {
  const mutant = new Mutant(sabotage, ['kernel', 'storage', 'budgets', 'audit', 'adapters'])
  try {
    const { memory } = await mutant.load<MemoryModule>('adapters/memory/index.ts')
    return await runSuite({
      capabilities: { name: 'memory', durable: false, multiProcess: false, multiHost: false },
      make: async ({ clock }) => ({ storage: wrap(memory({ clock })), dispose: async () => {} }),
    })
  } finally {
    mutant.dispose()
  }
}

/** Looks first and writes later, as if the answer could not have changed meanwhile. */
const checkThenWrite = (storage: Storage): Storage => ({
  ...storage,
  ledger: {
    ...storage.ledger,
    reserve: async (items) => {
      const results: ReserveResult[] = []
      for (const item of items) {
        const replay = await storage.ledger.hold(item)
        const seen = replay ? { ok: true } : await storage.ledger.preview(item)
        results.push(seen.ok ? (await storage.ledger.reserve([item]))[0]! : (seen as ReserveResult))
      }
      return results
    },
  },
})

/** Case that must notice, what is broken, and how. */
const MUTANTS: readonly (readonly [string, string, Sabotage])[] = [
  [
    'T-B4',
    'a settle that is sent twice counts twice',
    {
      file: LEDGER,
      from: "if (hold.state === 'posted' || hold.state === 'late_posted') {\n    if (!same(",
      to: 'if (rows.nowMs < 0) {\n    if (!same(',
    },
  ],
  [
    'T-B4',
    'another amount settles a hold again',
    {
      file: LEDGER,
      from: "if (!same(hold.actual, item.actual)) return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }",
      to: '',
    },
  ],
  [
    'T-B4',
    'a void after a settle is accepted',
    {
      file: LEDGER,
      from: "if (hold.state === 'voided') return { ok: true, replayed: true }",
      to: "if (hold.state !== 'held' && hold.state !== 'expired') return { ok: true, replayed: true }",
    },
  ],
  [
    'T-B4',
    'a settle after a void is accepted',
    {
      file: LEDGER,
      from: "if (hold.state === 'voided') return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }",
      to: '',
    },
  ],
  [
    'T-B4',
    'a void releases again what a sweep has released',
    {
      file: LEDGER,
      from: "if (hold.state === 'held') release(rows, hold)\n  rows.putHold({ ...hold, state: 'voided' })",
      to: "release(rows, hold)\n  rows.putHold({ ...hold, state: 'voided' })",
    },
  ],
  [
    'T-B4',
    'an extend may lower a hold',
    { file: LEDGER, from: ' || item.amounts.usd < hold.amounts.usd', to: '' },
  ],
  [
    'T-B4',
    'a reserve of a known id ignores what was asked first',
    { file: LEDGER, from: 'same(hold.asked, item.amounts) &&', to: '' },
  ],
  [
    'T-B6',
    'a late settle releases again what a sweep has released',
    {
      file: LEDGER,
      from: "hold.state === 'expired' ? 0n : -hold.amounts[line.unit]",
      to: '-hold.amounts[line.unit]',
    },
  ],
  [
    'T-B6',
    'a late settle is lost',
    {
      file: LEDGER,
      from: "if (hold.state === 'voided') return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }",
      to: "if (hold.state === 'voided' || hold.state === 'expired') return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }",
    },
  ],
  [
    'T-B6',
    'a late settle is not flagged',
    {
      file: LEDGER,
      from: "const state = late ? 'late_posted' : 'posted'",
      to: "const state = 'posted'",
    },
  ],
  [
    'T-B7',
    'an actual above its hold is clipped',
    {
      file: LEDGER,
      from: 'posted: item.actual[line.unit], untilMs: 0',
      to: 'posted: item.actual.usd > hold.amounts.usd ? hold.amounts.usd : item.actual.usd, untilMs: 0',
    },
  ],
  [
    'T-B7',
    'an overage is not flagged',
    { file: LEDGER, from: 'const overage = overageOf(settled)', to: 'const overage = NONE' },
  ],
  [
    'T-B9',
    'amounts are not looked at',
    {
      file: LEDGER,
      from: 'UNITS.every((unit) => isAmount(amounts[unit]))',
      to: 'amounts !== null',
    },
  ],
  [
    'T-B17',
    'a hold settles into the running month',
    {
      file: LINES,
      from: 'sameCounter(c, l) && c.periodStartMs === l.periodStartMs',
      to: 'sameCounter(c, l)',
    },
  ],
  [
    'T-B17',
    'a month never ends',
    {
      file: LINES,
      from: 'if (startMs <= counter.periodStartMs) return counter',
      to: 'if (startMs > 0) return counter',
    },
  ],
  [
    'T-B17',
    'what was spent is carried into the next month',
    { file: LINES, from: 'periodStartMs: startMs, posted: 0n,', to: 'periodStartMs: startMs,' },
  ],
  [
    'BG-1',
    'the accounts that admit hold what another of the path refuses',
    {
      file: LEDGER,
      from: REFUSED,
      to: `if (denial) {
    for (const c of counters) {
      if (item.amounts.usd <= c.limit - c.posted - c.held) rows.putCounter(withHeld(c, item.amounts.usd, rows.nowMs))
    }
    return { ok: false, ...denial }
  }

  const expiresAtMs = rows.nowMs + item.ttlMs`,
    },
  ],
  [
    'BG-1',
    'only the leaf of a path is asked',
    {
      file: LINES,
      from: 'const refusing = counters.filter(',
      to: 'const refusing = counters.slice(0, 1).filter(',
    },
  ],
  [
    'BG-7',
    'a refused caller consumes what it asked',
    {
      file: LEDGER,
      from: REFUSED,
      to: `if (denial) {
    for (const c of counters) rows.putCounter(withHeld(c, item.amounts.usd, rows.nowMs))
    return { ok: false, ...denial }
  }

  const expiresAtMs = rows.nowMs + item.ttlMs`,
    },
  ],
  [
    'BG-6',
    'an exhausted budget still admits calls that ask for nothing',
    {
      file: LINES,
      from: 'asked[c.unit] > room(c))',
      to: 'asked[c.unit] > 0n && asked[c.unit] > room(c))',
    },
  ],
  [
    'ST-8',
    'money that is held is called spent',
    {
      file: LINES,
      from: "code: spent ? 'TK_BUDGET_EXHAUSTED' : 'TK_BUDGET_CONTENDED'",
      to: "code: 'TK_BUDGET_EXHAUSTED'",
    },
  ],
  [
    'ST-8',
    'a denial says what fits the line that refuses, not the path',
    {
      file: LINES,
      from: 'if (c.unit === line.unit && room(c) < smallest) smallest = room(c)',
      to: 'if (c === line) smallest = room(c)',
    },
  ],
  [
    'ST-8',
    'a sweep is silent',
    { file: LEDGER, from: "kind: 'unknown_spend'", to: "kind: 'nothing'" },
  ],
  [
    'ST-8',
    'an extend asks for no room',
    {
      file: LEDGER,
      from: 'if (denial) return { ok: false, ...denial }\n\n  const expiresAtMs = Math.max',
      to: 'const expiresAtMs = Math.max',
    },
  ],
  [
    'ST-8',
    'expired holds stand in the way until somebody sweeps',
    {
      file: LEDGER,
      from: "if (denial?.code !== 'TK_BUDGET_CONTENDED' ||",
      to: 'if (rows.nowMs > 0 ||',
    },
  ],
  [
    'ST-8',
    'a budget that was set again takes the releases of the one before it',
    { file: LINES, from: 'c.createdAtMs <= hold.createdAtMs', to: 'c.createdAtMs <= Infinity' },
  ],
  [
    'ST-3',
    'a path may charge whomever it names',
    {
      file: LINES,
      from: 'if (above.length === 0) return true',
      to: 'if (above.length >= 0) return true',
    },
  ],
]

test('T-B2 is caught: callers that check first and write later spend more than the limit', async () => {
  const unguarded = {
    file: LEDGER,
    from: REFUSED,
    to: 'const expiresAtMs = rows.nowMs + item.ttlMs',
  }
  const { failed } = await suiteOver(unguarded, checkThenWrite)
  expect(failed.filter((title) => title.includes('T-B1 of 64 callers'))).toHaveLength(1)
  expect(failed.filter((title) => title.includes('BG-2 T-B1 over many rounds'))).toHaveLength(1)
})

test.each(MUTANTS)('%s is caught: %s', async (id, _, sabotage) => {
  const { failed, passed } = await suiteOver(sabotage)
  expect(failed.filter((title) => title.split(' ').includes(id))).not.toEqual([])
  expect(passed.length).toBeGreaterThan(failed.length)
})
