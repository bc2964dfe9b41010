import { expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { FULL, printFigures } from '../support/figures.ts'
import { reusedPostgres } from '../support/postgres-reused.ts'
import { POSTGRES_KINDS, skipsPostgres } from '../support/postgres-server.ts'
import { addReport, type MakeStorage, NO_HISTORIES, type Report, simulate } from './run.ts'

const RUNS = Number(process.env.TENANTKEYS_SIMULATIONS ?? (FULL ? 100_000 : 2000))
/** On SQLite a history takes three times as long, */
const FILE_RUNS = FULL ? 10_000 : 50
/** and on a server fifty times. */
const SERVER_RUNS = Number(process.env.TENANTKEYS_SERVER_SIMULATIONS ?? (FULL ? 500 : 25))

const onMemory = (clock: WallClock): Storage => memory({ clock })
const onSqlite = (clock: WallClock): Storage => sqlite({ file: ':memory:', clock })

async function firstBroken(make: MakeStorage, runs: number, store = ''): Promise<Report | null> {
  let sums = NO_HISTORIES
  let broken: Report | null = null
  const startedMs = performance.now()
  for (let seed = 1; seed <= runs && broken === null; seed++) {
    const report = await simulate(seed, make)
    sums = addReport(sums, report)
    if (report.broken.length > 0) broken = report
  }
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  if (store !== '') printFigures({ store, ...sums, seconds })
  return broken
}

test(
  `T-B3 T-B5 T-U3 in ${RUNS} simulated histories nothing is overspent, lost, doubled or left held`,
  async () => {
    const broken = await firstBroken(onMemory, RUNS, 'memory')
    const how = broken && {
      broken: broken.broken,
      replay: `npm run simulate -- --seed ${broken.seed}`,
    }
    expect(how).toBeNull()
  },
  600_000 + RUNS * 500,
)

test(
  `the same histories on SQLite (${FILE_RUNS})`,
  async () => {
    expect(await firstBroken(onSqlite, FILE_RUNS, 'SQLite')).toBeNull()
  },
  600_000 + FILE_RUNS * 2000,
)

for (const kind of POSTGRES_KINDS) {
  test.skipIf(skipsPostgres(kind))(
    `the same histories on PostgreSQL (${kind}, ${SERVER_RUNS})`,
    async () => {
      const postgres = await reusedPostgres(kind)
      try {
        const make: MakeStorage = (clock) => postgres.fresh(clock)
        expect(await firstBroken(make, SERVER_RUNS, kind)).toBeNull()
      } finally {
        await postgres.close()
      }
    },
    300_000 + SERVER_RUNS * 20_000,
  )
}

test('a seed gives the same history again', async () => {
  const [first, second] = [await simulate(7, onMemory), await simulate(7, onMemory)]
  expect(second).toEqual(first)
  expect(first.trace.length).toBeGreaterThan(20)
})

const sabotages: Record<string, (storage: Storage) => Storage> = {
  'a settle that is counted again when it is repeated': (storage) => ({
    ...storage,
    ledger: {
      ...storage.ledger,
      settle: async (items) => {
        const results = await storage.ledger.settle(items)
        const [line] = await storage.ledger.budgets('acme')
        for (const [i, result] of results.entries()) {
          if (!result.ok || !result.replayed || !line) continue
          const item = items[i]!
          const again = { ...item, holdId: item.holdId.replace(/^01/, '02') }
          const { usd = 0n } = item.actual
          await storage.ledger.reserve([
            {
              holdId: again.holdId,
              tenantId: 'acme',
              accounts: [{ id: 'tenant:acme', depth: 1 }],
              amounts: { usd },
              ttlMs: 1000,
              call: again.usage,
            },
          ])
          await storage.ledger.settle([again])
        }
        return results
      },
    },
  }),
  'a reserve that admits whatever is asked': (storage) => ({
    ...storage,
    ledger: {
      ...storage.ledger,
      reserve: async (items) =>
        storage.ledger.reserve(items.map((item) => ({ ...item, accounts: [] }))),
    },
  }),
  'an outbox that forgets what it has leased': (storage) => ({
    ...storage,
    outbox: {
      ...storage.outbox,
      lease: async (query) => {
        const leased = await storage.outbox.lease(query)
        await storage.outbox.ack({ leaseId: leased.leaseId, ids: leased.events.map((e) => e.id) })
        return { ...leased, events: leased.events.slice(1) }
      },
    },
  }),
  'a sweep that throws what nobody expects': (storage) => ({
    ...storage,
    ledger: {
      ...storage.ledger,
      sweep: async () => {
        throw new TypeError('of the store')
      },
    },
  }),
  'a revocation that is undone by the next look': (storage) => ({
    ...storage,
    keys: {
      ...storage.keys,
      setState: async (at, also) => {
        const key = await storage.keys.get(at)
        return key && { ...key, state: at.state, ...(also ? {} : {}) }
      },
    },
  }),
}

test.each(Object.entries(sabotages))(
  'caught: %s',
  async (_, sabotage) => {
    expect(await firstBroken((clock) => sabotage(onMemory(clock)), 300)).not.toBeNull()
  },
  120_000,
)
