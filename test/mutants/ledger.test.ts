import { afterAll, expect, test } from 'vitest'
import { setBudget } from '../../src/budgets/counters.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import type { ReserveResult } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { ask } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { MapRows } from '../support/map-rows.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'
import { BANK, UNGUARDED } from './ledger-bank.ts'
import { runSuite, type SuiteReport } from './recording-runner.ts'

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

/** Rules that no store can show, since its clock never goes back. */
async function rollsBack(sabotage: Sabotage): Promise<boolean> {
  const mutant = new Mutant(sabotage, ['kernel', 'storage', 'budgets'])
  try {
    const rules =
      await mutant.load<typeof import('../../src/budgets/ledger.ts')>('budgets/ledger.ts')
    const rows = new MapRows(Date.UTC(2026, 1, 1))
    const account = { id: 'tenant:acme', depth: 0 }
    const where = { tenantId: 'acme', account, unit: 'usd', window: 'month', zone: 'UTC' } as const
    setBudget(rows, { ...where, limit: 100n, source: 'explicit' })
    rules.reserve(rows, ask('acme', 60n))
    rows.nowMs -= 1
    return rules.reserve(rows, ask('acme', 60n)).ok
  } finally {
    mutant.dispose()
  }
}

const table: string[] = []

const caught = (what: string, by: readonly string[]): void => {
  const [first = '-'] = by
  const more = by.length > 1 ? ` (and ${by.length - 1} more)` : ''
  table.push(`${what} | ${first}${more}`)
}

afterAll(() => {
  console.log(['sabotage | caught by', '--- | ---', ...table].join('\n'))
})

test('the bank holds no sabotage twice, and at least 20', () => {
  const changes = BANK.map(([, , { file, from, to }]) => `${file} ${from} ${to}`)
  expect(new Set(changes).size).toBe(changes.length)
  expect(changes.length).toBeGreaterThanOrEqual(20)
})

test('T-B2 is caught: callers that check first and write later spend more than the limit', async () => {
  const { failed } = await suiteOver(UNGUARDED, checkThenWrite)
  const races = failed.filter((title) => title.includes('T-B1 '))
  expect(races.filter((title) => title.includes('T-B1 of 64 callers'))).not.toEqual([])
  expect(races.filter((title) => title.includes('BG-2 T-B1 over many rounds'))).not.toEqual([])
  caught('check, then write', races)
})

test('T-B17 is caught: a counter rolls back with a clock that does', async () => {
  const from = 'if (startMs <= counter.periodStartMs) return counter'
  const file = 'budgets/ledger-lines.ts'
  expect(await rollsBack({ file, from, to: `${from} ` })).toBe(false)
  const to = 'if (startMs === counter.periodStartMs) return counter'
  expect(await rollsBack({ file, from, to })).toBe(true)
  caught('a roll back in time', ['T-B17 a counter rolls back with a clock that does'])
})

test.each(BANK)('%s is caught: %s', async (id, what, sabotage) => {
  const { failed, passed } = await suiteOver(sabotage)
  const noticed = failed.filter((title) => title.split(' ').includes(id))
  expect(noticed).not.toEqual([])
  expect(passed.length).toBeGreaterThan(failed.length)
  caught(what, noticed)
})
