import '../support/same-draws.ts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { uuidFromBytes } from '../../src/kernel/ids.ts'
import type { AccountRef, Amounts } from '../../src/storage/ledger-records.ts'
import type { LedgerCommands, Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import { drain, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import {
  call,
  keyIdOf,
  NONE,
  newKey,
  tenants,
} from '../../src/testing/storage-conformance/samples.ts'
import { reusedPostgres } from '../support/postgres-reused.ts'
import { POSTGRES_KINDS, skipsPostgres } from '../support/postgres-server.ts'

const KEY: AccountRef = { id: `key:${keyIdOf(1)}`, depth: 2 }
const OTHER_KEY: AccountRef = { id: `key:${keyIdOf(3)}`, depth: 2 }
const TEAM: AccountRef = { id: 'tenant:team', depth: 1 }
const MATE: AccountRef = { id: 'tenant:mate', depth: 1 }
const ORG: AccountRef = { id: 'tenant:org', depth: 0 }
const POOL: AccountRef = { id: `key:${keyIdOf(2)}`, depth: 1 }

const CALLERS: readonly (readonly [string, readonly AccountRef[]])[] = [
  ['team', [KEY, TEAM, ORG]],
  ['team', [OTHER_KEY, TEAM, ORG]],
  ['team', [TEAM, ORG]],
  ['mate', [MATE, ORG]],
  ['org', [ORG]],
  ['team', []],
  ['mate', [TEAM, ORG]],
  // Not leaf first: the answer is in lock order all the same.
  ['team', [ORG, KEY, TEAM]],
]

const BUDGETS = [
  ['team', KEY, 'usd', 'month', 60n, { overflow: POOL, alerts: [10, 50, 100] }],
  ['team', OTHER_KEY, 'usd', 'day', 40n, { overflow: POOL }],
  ['team', TEAM, 'usd', 'lifetime', 300n, { counts: 'platform', alerts: [20, 40, 60] }],
  ['team', TEAM, 'tokens', 'rate_minute', 90n, { overflow: POOL }],
  ['team', TEAM, 'tokens', 'call', 35n, {}],
  ['team', TEAM, 'calls', 'concurrent', 6n, {}],
  ['mate', MATE, 'usd', 'hour', 70n, { overflow: ORG }],
  ['org', ORG, 'usd', 'month', 250n, { alerts: [50, 80] }],
  ['org', ORG, 'calls', 'rate_second', 7n, {}],
  ['org', POOL, 'usd', 'month', 50n, { alerts: [50] }],
  ['org', POOL, 'tokens', 'rate_minute', 40n, {}],
] as const

/** The same ids in every store. */
function idOf(n: number): string {
  const bytes = new Uint8Array(16)
  bytes[0] = n
  bytes[6] = 0x70
  bytes[8] = 0x80
  return uuidFromBytes(bytes)
}

const slot = fc.nat({ max: 24 })
const some = fc.nat({ max: 30 })
const amounts = fc
  .record({ usd: some, tokens: some, calls: fc.constant(1) }, { requiredKeys: [] })
  .map((record): Amounts => {
    return Object.fromEntries(Object.entries(record).map(([unit, n]) => [unit, BigInt(n)]))
  })
/** One in twelve is no amount, so the item is refused and the others are not hurt. */
const asked = fc.oneof(
  { weight: 11, arbitrary: amounts },
  { weight: 1, arbitrary: fc.constant({ usd: -1n }) },
)
const caller = fc.nat({ max: CALLERS.length - 1 })
const ttlMs = fc.constantFrom(1, 1, 5000, 60_000)
const many = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 9 })
const tenant = fc.constantFrom('team', 'team', 'team', 'mate', 'org')

type Run = (ledger: LedgerCommands) => Promise<unknown>

const step: fc.Arbitrary<{ readonly ms: number } | Run> = fc.oneof(
  {
    weight: 8,
    arbitrary: many(fc.record({ slot, caller, asked, ttlMs, own: fc.boolean() })).map(
      (items): Run =>
        (ledger) =>
          ledger.reserve(
            items.map((item) => ({
              holdId: idOf(item.slot),
              tenantId: CALLERS[item.caller]![0],
              accounts: CALLERS[item.caller]![1],
              amounts: item.asked,
              paidBy: item.own ? 'tenant' : 'platform',
              ttlMs: item.ttlMs,
              call: call(),
            })),
          ),
    ),
  },
  {
    weight: 4,
    arbitrary: many(
      fc.record({ slot, tenant, asked, ttlMs, sequence: fc.integer({ min: 1, max: 3 }) }),
    ).map(
      (items): Run =>
        (ledger) =>
          ledger.extend(
            items.map((item) => ({
              holdId: idOf(item.slot),
              tenantId: item.tenant,
              sequence: item.sequence,
              amounts: item.asked,
              ttlMs: item.ttlMs,
            })),
          ),
    ),
  },
  {
    weight: 6,
    arbitrary: many(fc.record({ slot, tenant, asked })).map(
      (items): Run =>
        (ledger) =>
          ledger.settle(
            items.map((item) => ({
              ...settleOf(item.tenant, idOf(item.slot), 1n),
              actual: item.asked,
            })),
          ),
    ),
  },
  {
    weight: 3,
    arbitrary: many(fc.record({ slot, tenant })).map(
      (items): Run =>
        (ledger) =>
          ledger.void(items.map((item) => ({ holdId: idOf(item.slot), tenantId: item.tenant }))),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat({ max: 3 }).map(
      (n): Run =>
        (ledger) =>
          ledger.sweep(n),
    ),
  },
  { weight: 3, arbitrary: fc.constantFrom(1, 200, 5000, 70_000).map((ms) => ({ ms })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(3_600_000, 86_400_000, 2_700_000_000).map((ms) => ({ ms })),
  },
)

async function prepare(storage: Storage): Promise<Storage> {
  await storage.migrate()
  await tenants(storage, 'org', 'team<org', 'mate<org')
  await storage.keys.create(newKey('team', 1), NONE)
  await storage.keys.create(newKey('team', 3), NONE)
  await storage.keys.create(newKey('org', 2), NONE)
  for (const [tenantId, account, unit, window, limit, over] of BUDGETS) {
    const budget = { tenantId, account, unit, window, limit, zone: 'Europe/Berlin' }
    await storage.ledger.setBudget({ ...budget, ...over, source: 'explicit' }, NONE)
  }
  return storage
}

/** All that can be read of a store. When exactly a period was rolled is the store's own affair: ended
 * ones are read as they are told, those without a charge left out. */
async function books(storage: Storage): Promise<unknown> {
  const { ledger, usage } = storage
  const slots = Array.from({ length: 25 }, (_, n) => idOf(n))
  const ofEach = <T>(read: (at: { tenantId: string; id: string }) => Promise<T>): Promise<T[]> =>
    Promise.all(
      ['org', 'team', 'mate'].flatMap((tenantId) => slots.map((id) => read({ tenantId, id }))),
    )
  const periods = await Promise.all(
    BUDGETS.map(async ([tenantId, account, unit, window]) => {
      const found = await ledger.periods({ tenantId, account, unit, window, limit: 100 })
      return found?.ended.filter((period) => period.posted > 0n || period.held > 0n)
    }),
  )
  return {
    lines: await Promise.all(['org', 'team', 'mate'].map((id) => ledger.budgets(id))),
    periods,
    holds: await ofEach(({ tenantId, id }) => ledger.hold({ tenantId, holdId: id })),
    usage: await ofEach((at) => usage.get(at)),
    events: await drain(storage),
  }
}

type MakeStorage = (clock: FakeClock) => Storage | Promise<Storage>

async function sameAsMemory(
  steps: readonly ({ readonly ms: number } | Run)[],
  make: MakeStorage,
): Promise<void> {
  const clock = fakeClock(Date.UTC(2027, 2, 27, 22))
  const expected = await prepare(memory({ clock }))
  const store = await prepare(await make(clock))
  for (const run of steps) {
    if (typeof run === 'object') clock.advance(run.ms)
    else expect(await run(store.ledger)).toEqual(await run(expected.ledger))
  }
  expect(await books(store)).toEqual(await books(expected))
  await store.close()
}

const FORCED = process.env.TENANTKEYS_FORCE === '1' ? 3000 : 150
const RUNS = Number(process.env.TENANTKEYS_MODEL_RUNS ?? FORCED)
/** Over a connection a run takes twenty times as long. */
const SERVER_RUNS = Number(process.env.TENANTKEYS_SERVER_MODEL_RUNS ?? Math.ceil(FORCED / 10))

const alike = (numRuns: number, make: MakeStorage): Promise<void> =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), (steps) =>
      sameAsMemory(steps, make),
    ),
    { numRuns },
  )

test(
  'ST-8 SQLite answers batches item by item as memory does, and keeps the same books',
  () => alike(RUNS, (clock) => sqlite({ file: ':memory:', clock })),
  300_000 + RUNS * 2000,
)

for (const kind of POSTGRES_KINDS) {
  test.skipIf(skipsPostgres(kind))(
    `ST-8 PostgreSQL (${kind}) answers batches item by item as memory does, and keeps the same books`,
    async () => {
      const postgres = await reusedPostgres(kind)
      try {
        await alike(SERVER_RUNS, (clock) => postgres.fresh(clock))
      } finally {
        await postgres.close()
      }
    },
    300_000 + SERVER_RUNS * 20_000,
  )
}
