import { expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { reusedPostgres } from '../support/postgres-reused.ts'
import { POSTGRES_KINDS, skipsPostgres } from '../support/postgres-server.ts'
import { type MakeStorage, type Report, simulate } from './run.ts'

const RUNS = Number(process.env.TENANTKEYS_SIMULATIONS ?? 2000)

/** On a server a history takes fifty times as long. */
const SERVER_RUNS = Number(process.env.TENANTKEYS_SERVER_SIMULATIONS ?? 25)

const onMemory = (clock: WallClock): Storage => memory({ clock })
const onSqlite = (clock: WallClock): Storage => sqlite({ file: ':memory:', clock })

async function firstBroken(make: MakeStorage, runs: number): Promise<Report | null> {
  for (let seed = 1; seed <= runs; seed++) {
    const report = await simulate(seed, make)
    if (report.broken.length > 0) return report
  }
  return null
}

test(`T-B3 T-B5 T-U3 in ${RUNS} simulated histories nothing is overspent, lost, doubled or left held`, async () => {
  const broken = await firstBroken(onMemory, RUNS)
  const how = broken && {
    broken: broken.broken,
    replay: `npm run simulate -- --seed ${broken.seed}`,
  }
  expect(how).toBeNull()
}, 600_000)

test('the same histories on SQLite', async () => {
  expect(await firstBroken(onSqlite, 50)).toBeNull()
}, 120_000)

for (const kind of POSTGRES_KINDS) {
  test.skipIf(skipsPostgres(kind))(
    `the same histories on PostgreSQL (${kind})`,
    async () => {
      const postgres = await reusedPostgres(kind)
      try {
        expect(await firstBroken((clock) => postgres.fresh(clock), SERVER_RUNS)).toBeNull()
      } finally {
        await postgres.close()
      }
    },
    120_000 + SERVER_RUNS * 3000,
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
