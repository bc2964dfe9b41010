import '../support/same-draws.ts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { findDrifts } from '../../src/budgets/reconcile.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import type { AccountRef, Amounts, LineState, Window } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import {
  type DrainedEvent,
  drain,
  one,
  settleOf,
} from '../../src/testing/storage-conformance/ledger-bench.ts'
import {
  call,
  keyIdOf,
  NONE,
  newKey,
  tenants,
} from '../../src/testing/storage-conformance/samples.ts'
import { FULL, printFigures } from '../support/figures.ts'
import { type BudgetSetting, LedgerModel, type Question } from '../support/ledger-model.ts'
import { reusedPostgres } from '../support/postgres-reused.ts'
import { POSTGRES_KINDS, skipsPostgres } from '../support/postgres-server.ts'

/** Accounts of the world: two tenants below one, one beside them. Leaf first. */
const KEY: AccountRef = { id: `key:${keyIdOf(1)}`, depth: 2 }
const TEAM: AccountRef = { id: 'tenant:team', depth: 1 }
const MATE: AccountRef = { id: 'tenant:mate', depth: 1 }
const ORG: AccountRef = { id: 'tenant:org', depth: 0 }
/** A key of the organisation that nobody calls with: its budgets are a pool. */
const POOL: AccountRef = { id: `key:${keyIdOf(2)}`, depth: 1 }

const PATHS: Readonly<Record<string, readonly string[]>> = {
  org: ['org'],
  team: ['org', 'team'],
  mate: ['org', 'mate'],
  stranger: ['stranger'],
}

/** Who asks, for which accounts; the last two have no right to all of them. */
const CALLERS: readonly (readonly [string, readonly AccountRef[]])[] = [
  ['team', [KEY, TEAM, ORG]],
  ['team', [TEAM, ORG]],
  ['team', [TEAM]],
  ['mate', [MATE, ORG]],
  ['org', [ORG]],
  ['team', []],
  ['mate', [TEAM, ORG]],
  ['stranger', [ORG]],
]

const BUDGETS: readonly (readonly [string, AccountRef, string, Window, string])[] = [
  ['team', KEY, 'usd', 'month', 'UTC'],
  ['team', KEY, 'usd', 'day', 'Asia/Kolkata'],
  ['team', KEY, 'calls', 'concurrent', 'UTC'],
  ['team', TEAM, 'usd', 'month', 'Europe/Berlin'],
  ['team', TEAM, 'usd', 'week', 'America/New_York'],
  ['team', TEAM, 'usd', 'lifetime', 'UTC'],
  ['team', TEAM, 'tokens', 'rate_minute', 'UTC'],
  ['team', TEAM, 'tokens', 'call', 'UTC'],
  ['team', TEAM, 'calls', 'rate_second', 'UTC'],
  ['mate', MATE, 'usd', 'month', 'UTC'],
  ['mate', MATE, 'tokens', 'minute', 'Asia/Kathmandu'],
  ['org', ORG, 'usd', 'month', 'UTC'],
  ['org', ORG, 'usd', 'lifetime', 'UTC'],
  ['org', ORG, 'calls', 'hour', 'Australia/Lord_Howe'],
  ['org', POOL, 'usd', 'month', 'UTC'],
  ['org', POOL, 'usd', 'lifetime', 'UTC'],
  ['org', POOL, 'tokens', 'rate_minute', 'UTC'],
]

const POOLS: readonly (AccountRef | null)[] = [null, null, POOL, ORG, MATE]
const ALERTS: readonly (readonly number[])[] = [[], [50, 80, 100], [10], [150]]

const some = fc.integer({ min: 0, max: 40 })
const amounts = fc.record(
  { usd: some, tokens: some, calls: fc.constant(1) },
  { requiredKeys: ['usd'] },
)
const slot = fc.nat({ max: 30 })
const caller = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 3 }) },
  { weight: 1, arbitrary: fc.nat({ max: CALLERS.length - 1 }) },
)
const budget = fc.nat({ max: BUDGETS.length - 1 })
const ttl = fc.constantFrom(1, 1000, 60_000)
const tenantPays = fc.boolean()

const step = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({ do: fc.constant('reserve'), caller, amounts, ttl, tenantPays }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('again'), slot, caller, amounts, ttl, tenantPays }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('the same again'), slot, ttl, tenantPays }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('preview'), caller, amounts, tenantPays }) },
  {
    weight: 4,
    arbitrary: fc.record({
      ...{ do: fc.constant('extend'), slot, amounts, ttl },
      ...{ by: fc.constantFrom('more', 'same', 'less'), sequence: fc.integer({ min: 1, max: 4 }) },
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle'), slot, amounts }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle exactly'), slot }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('void'), slot }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('theft'), slot, amounts }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sweep'), limit: fc.nat({ max: 3 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      ...{ do: fc.constant('set'), budget, tenantPays },
      limit: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 120 })),
      pool: fc.nat({ max: POOLS.length - 1 }),
      alerts: fc.nat({ max: ALERTS.length - 1 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove'), budget }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('advance'),
      ms: fc.constantFrom(1, 99, 500, 1000, 7000, 60_000, 3_600_000, 86_400_000, 20 * 86_400_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('back'), ms: fc.constantFrom(1, 86_400_000) }),
  },
)

type Step = Partial<Record<'caller' | 'ttl' | 'slot' | 'sequence', number>> &
  Partial<Record<'limit' | 'budget' | 'ms' | 'pool' | 'alerts', number>> & {
    readonly do: string
    readonly by?: string
    readonly tenantPays?: boolean
    readonly amounts?: Readonly<Partial<Record<string, number>>>
  }

/** One command, as the model and as a store answer it. */
interface Asked {
  readonly model: () => unknown
  readonly store: (storage: Storage) => Promise<unknown>
}

const exact = (numbers: Step['amounts'] = {}): Amounts =>
  Object.fromEntries(Object.entries(numbers).map(([unit, n]) => [unit, BigInt(n ?? 0)]))

const changed = (held: Amounts, by: string | undefined, change: Amounts): Amounts => {
  if (by === 'same') return held
  const units = Object.keys(by === 'more' ? { ...held, ...change } : held)
  const value = (u: string): bigint =>
    by === 'more' ? (held[u] ?? 0n) + (change[u] ?? 0n) : (held[u] ?? 0n) / 2n
  return Object.fromEntries(units.map((u) => [u, value(u)]))
}

/** @returns `null` for steps that only move the clock. */
function plan(world: LedgerModel, clock: FakeClock, s: Step): Asked | null {
  const [tenantId, accounts] = CALLERS[s.caller ?? 0]!
  const [owner, account, unit, window, zone] = BUDGETS[s.budget ?? 0]!
  const hold = world.holds.length > 0 ? world.holds[(s.slot ?? 0) % world.holds.length] : undefined
  const holdId = hold?.id ?? 'no-hold'
  const holder = hold?.tenantId ?? 'team'
  const ttlMs = s.ttl ?? 1000
  const paidBy = s.tenantPays ? 'tenant' : 'platform'
  const asked: Question = { tenantId, accounts, amounts: exact(s.amounts), paidBy }
  const reserve = (id: string, question: Question): Asked => ({
    model: () => world.reserve(id, question, ttlMs),
    store: async ({ ledger }) =>
      one(await ledger.reserve([{ ...question, holdId: id, ttlMs, call: call() }])),
  })
  const settle = (by: string, actual: Amounts): Asked => {
    const cost = settleOf(by, holdId, actual.usd ?? 0n)
    return {
      model: () => world.settle(holdId, by, actual),
      store: async ({ ledger }) => one(await ledger.settle([{ ...cost, actual }])),
    }
  }
  switch (s.do) {
    case 'reserve':
      return reserve(uuidv7(), asked)
    case 'again':
      return reserve(holdId, asked)
    case 'the same again':
      // Now and then with another payer, which is another request.
      return hold
        ? reserve(holdId, {
            ...{ ...hold, amounts: hold.asked },
            paidBy: s.tenantPays ? 'tenant' : hold.paidBy,
          })
        : null
    case 'preview':
      return {
        model: () => world.preview(asked),
        store: ({ ledger }) => ledger.preview(asked),
      }
    case 'extend': {
      const totals = changed(hold?.amounts ?? {}, s.by, exact(s.amounts))
      const at = { holdId, tenantId: holder, sequence: s.sequence ?? 1 }
      return {
        model: () => world.extend(holdId, holder, at.sequence, totals, ttlMs),
        store: async ({ ledger }) => one(await ledger.extend([{ ...at, amounts: totals, ttlMs }])),
      }
    }
    case 'settle':
      return settle(holder, exact(s.amounts))
    case 'settle exactly':
      return settle(holder, hold?.amounts ?? {})
    case 'theft':
      return settle('stranger', exact(s.amounts))
    case 'void':
      return {
        model: () => world.void(holdId, holder),
        store: async ({ ledger }) => one(await ledger.void([{ holdId, tenantId: holder }])),
      }
    case 'sweep':
      return {
        model: () => world.sweep(s.limit ?? 0),
        store: ({ ledger }) => ledger.sweep(s.limit ?? 0),
      }
    case 'set': {
      const limit = BigInt(s.limit ?? 0)
      const key = { tenantId: owner, account, unit, window, zone }
      const setting: BudgetSetting = {
        limit,
        counts: s.tenantPays ? 'platform' : 'all',
        overflow: POOLS[s.pool ?? 0]!,
        alerts: ALERTS[s.alerts ?? 0]!,
      }
      return {
        model: () => world.setBudget(key, setting),
        store: async ({ ledger }) => {
          await ledger.setBudget({ ...key, ...setting, source: 'explicit' }, NONE)
        },
      }
    }
    case 'remove': {
      const key = { tenantId: owner, account, unit, window }
      // What is set in the same millisecond again cannot be told from what was removed.
      clock.set(Math.max(clock.nowMs(), world.nowMs) + 1)
      return {
        model: () => world.removeBudget(account.id, unit, window),
        store: ({ ledger }) => ledger.removeBudget(key, NONE),
      }
    }
    case 'advance':
      clock.set(Math.max(clock.nowMs(), world.nowMs) + s.ms!)
      break
    default:
      clock.set(clock.nowMs() - s.ms!)
  }
  return null
}

/** Takes `heldUntilMs` out of an answer; the port bounds it only from below. */
function split(answer: unknown): { rest: unknown; untilMs: number | null | undefined } {
  const denial = (answer as { denial?: { heldUntilMs: number | null } } | null)?.denial
  if (!denial) return { rest: answer, untilMs: undefined }
  const { heldUntilMs, ...others } = denial
  return { rest: { ...(answer as object), denial: others }, untilMs: heldUntilMs }
}

async function prepare(storage: Storage): Promise<Storage> {
  await storage.migrate()
  await tenants(storage, 'org', 'team<org', 'mate<org', 'stranger')
  await storage.keys.create(newKey('team', 1), NONE)
  await storage.keys.create(newKey('org', 2), NONE)
  return storage
}

type MakeStorage = (clock: FakeClock) => Storage | Promise<Storage>

const onMemory: MakeStorage = (clock) => memory({ clock })
const onSqlite: MakeStorage = (clock) => sqlite({ file: ':memory:', clock })

/** Answers that were compared, by what they were. */
interface Compared {
  readonly kinds: Map<string, number>
  sequences: number
}

async function run(steps: readonly Step[], second: MakeStorage, compared: Compared): Promise<void> {
  compared.sequences++
  const clock = fakeClock(Date.UTC(2026, 0, 31, 20))
  const stores = [await prepare(await onMemory(clock)), await prepare(await second(clock))]
  const world = new LedgerModel(PATHS)
  world.nowMs = clock.nowMs()
  for (const s of steps) {
    const asked = plan(world, clock, s)
    if (!asked) continue
    const { model, store } = asked
    // A store sees the clock when it is asked, and never goes back behind what it has seen.
    world.nowMs = Math.max(world.nowMs, clock.nowMs())
    const expected = model() ?? null
    const raw: unknown[] = []
    for (const storage of stores) raw.push((await store(storage)) ?? null)
    expect(raw[1]).toEqual(raw[0])
    const { rest, untilMs } = split(raw[0])
    const { code = 'done' } = (rest ?? {}) as { code?: string }
    compared.kinds.set(code, (compared.kinds.get(code) ?? 0) + 1)
    expect(rest).toEqual(expected)
    const denial = (expected as { denial?: LineState } | null)?.denial
    if (denial && untilMs !== undefined) {
      if (denial.held === 0n) expect(untilMs).toBeNull()
      else {
        const { accountId, unit, window } = denial
        expect(untilMs).toBeGreaterThanOrEqual(world.latestEnd(accountId, unit, window))
      }
    }
  }
  world.nowMs = Math.max(world.nowMs, clock.nowMs())
  for (const storage of stores) await compareAll(storage, world)
}

/** An event in the words of the model. */
function named({ id, kind, payload: p }: DrainedEvent): string {
  const line = `${p.accountId} ${p.unit} ${p.window}`
  if (kind === 'budget.overflow') return `overflow ${p.holdId} ${line} ${p.pool} ${p.amount}`
  if (kind !== 'budget.threshold') return id
  return `threshold ${line} ${p.percent} ${p.limit} ${p.posted} ${p.exhaustedAtMs}`
}

/** All that can be read of a store in the end. */
async function compareAll(storage: Storage, world: LedgerModel): Promise<void> {
  for (const tenantId of Object.keys(PATHS)) {
    const lines = world.budgets.filter((b) => b.tenantId === tenantId).map((b) => world.state(b))
    const order = (l: LineState): string => `${l.accountId} ${l.unit} ${l.window}`
    lines.sort((a, b) => (order(a) < order(b) ? -1 : 1))
    expect(await storage.ledger.budgets(tenantId)).toEqual(lines)
  }
  for (const hold of world.holds) {
    const found = await storage.ledger.hold({ tenantId: hold.tenantId, holdId: hold.id })
    expect(found).toMatchObject({
      state: hold.state,
      amounts: hold.amounts,
      asked: hold.asked,
      actual: hold.actual,
      overflows: hold.overflows,
      extendSequence: hold.sequence,
      expiresAtMs: hold.expiresAtMs,
    })
  }
  const query = { tenantId: null, fromMs: null, untilMs: null, by: [] }
  const [total] = await storage.usage.totals(query)
  const posted = world.holds.filter((h) => h.state === 'posted' || h.state === 'late_posted')
  expect(total?.calls ?? 0).toBe(posted.length)
  expect(total?.costNanoUsd ?? 0n).toBe(posted.reduce((sum, h) => sum + (h.actual.usd ?? 0n), 0n))
  // The books agree with themselves, ended periods included. Callers here may leave out accounts that
  // lie above them, so parents may see less than their children.
  for (const root of ['org', 'stranger']) {
    const snapshot = await storage.ledger.audit(root)
    const drifts = findDrifts(snapshot!, Number.MAX_SAFE_INTEGER)
    expect(drifts.filter((d) => d.kind !== 'parent_below_children')).toEqual([])
  }
  expect((await drain(storage)).map(named).sort()).toEqual([...world.events].sort())
  await storage.close()
}

const RUNS = Number(process.env.TENANTKEYS_MODEL_RUNS ?? (FULL ? 10_000 : 300))
/** PostgreSQL answers over a connection, twenty times slower. */
const SERVER_RUNS = Number(process.env.TENANTKEYS_SERVER_MODEL_RUNS ?? (FULL ? 2000 : 20))

const sets = BUDGETS.map((_, n) => ({
  ...{ do: 'set', budget: n, limit: BUDGETS[n]![2] === 'calls' ? 4 : 50 + n },
  ...{ pool: n % POOLS.length, alerts: n % ALERTS.length },
}))

async function answersAlike(store: string, numRuns: number, second: MakeStorage): Promise<void> {
  const compared: Compared = { kinds: new Map(), sequences: 0 }
  const startedMs = performance.now()
  const steps = fc.array(step, { minLength: 20, maxLength: 80, size: 'max' })
  await fc.assert(
    fc.asyncProperty(steps, (some) => run([...sets, ...(some as Step[])], second, compared)),
    { numRuns },
  )
  const byCode = [...compared.kinds].sort(([, a], [, b]) => b - a)
  printFigures({
    'model, memory and': store,
    sequences: compared.sequences,
    'answers alike': byCode.reduce((sum, [, n]) => sum + n, 0),
    ...Object.fromEntries(byCode.map(([code, n]) => [code.replace('TK_', ''), n])),
    seconds: Math.round((performance.now() - startedMs) / 1000),
  })
}

test(
  'memory and SQLite answer as the model does, whatever is asked in whatever order',
  () => answersAlike('SQLite', RUNS, onSqlite),
  300_000 + RUNS * 2000,
)

for (const kind of POSTGRES_KINDS) {
  test.skipIf(skipsPostgres(kind))(
    `PostgreSQL (${kind}) answers as the model does, whatever is asked in whatever order`,
    async () => {
      const postgres = await reusedPostgres(kind)
      try {
        await answersAlike(kind, SERVER_RUNS, (clock) => postgres.fresh(clock))
      } finally {
        await postgres.close()
      }
    },
    300_000 + SERVER_RUNS * 20_000,
  )
}
