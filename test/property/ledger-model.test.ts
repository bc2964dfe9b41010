import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import type { AccountRef, Window } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import { drain, one, settleOf, usd } from '../../src/testing/storage-conformance/ledger-bench.ts'
import {
  call,
  keyIdOf,
  NONE,
  newKey,
  tenants,
} from '../../src/testing/storage-conformance/samples.ts'
import { LedgerModel } from '../support/ledger-model.ts'

/** Accounts of the world: two tenants below one, one beside them. Leaf first. */
const KEY: AccountRef = { id: `key:${keyIdOf(1)}`, depth: 2 }
const TEAM: AccountRef = { id: 'tenant:team', depth: 1 }
const MATE: AccountRef = { id: 'tenant:mate', depth: 1 }
const ORG: AccountRef = { id: 'tenant:org', depth: 0 }

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
  ['mate', [MATE, ORG]],
  ['org', [ORG]],
  ['team', []],
  ['mate', [TEAM, ORG]],
  ['stranger', [ORG]],
]

const BUDGETS: readonly (readonly [string, AccountRef, Window, string])[] = [
  ['team', KEY, 'month', 'UTC'],
  ['team', TEAM, 'month', 'Europe/Berlin'],
  ['team', TEAM, 'lifetime', 'UTC'],
  ['mate', MATE, 'month', 'UTC'],
  ['org', ORG, 'month', 'UTC'],
  ['org', ORG, 'lifetime', 'UTC'],
]

const amount = fc.integer({ min: 0, max: 40 })
const slot = fc.nat({ max: 30 })
const caller = fc.nat({ max: CALLERS.length - 1 })
const budget = fc.nat({ max: BUDGETS.length - 1 })
const ttl = fc.constantFrom(1, 1000, 60_000)

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('reserve'), caller, amount, ttl }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('again'), slot, caller, amount, ttl }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('preview'), caller, amount }) },
  {
    weight: 4,
    arbitrary: fc.record({
      ...{ do: fc.constant('extend'), slot, amount, ttl },
      ...{ by: fc.constantFrom('more', 'same', 'less'), sequence: fc.integer({ min: 1, max: 4 }) },
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('settle'), slot, amount }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('settle exactly'), slot }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('void'), slot }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('theft'), slot, amount }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sweep'), limit: fc.nat({ max: 3 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ do: fc.constant('set'), budget },
      limit: fc.integer({ min: 0, max: 120 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove'), budget }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('advance'),
      ms: fc.constantFrom(1, 500, 1000, 60_000, 3_600_000, 20 * 86_400_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('back'), ms: fc.constantFrom(1, 86_400_000) }),
  },
)

type Step = Partial<Record<'caller' | 'amount' | 'ttl' | 'slot' | 'sequence', number>> &
  Partial<Record<'limit' | 'budget' | 'ms', number>> & { readonly do: string; readonly by?: string }

/** One command, as the model and as a store answer it. */
interface Asked {
  readonly model: () => unknown
  readonly store: (storage: Storage) => Promise<unknown>
}

/** @returns `null` for steps that only move the clock. */
function plan(world: LedgerModel, clock: FakeClock, s: Step): Asked | null {
  const [tenantId, accounts] = CALLERS[s.caller ?? 0]!
  const [owner, account, window, zone] = BUDGETS[s.budget ?? 0]!
  const hold = world.holds.length > 0 ? world.holds[(s.slot ?? 0) % world.holds.length] : undefined
  const holdId = hold?.id ?? 'no-hold'
  const holder = hold?.tenantId ?? 'team'
  const value = BigInt(s.amount ?? 0)
  const ttlMs = s.ttl ?? 1000
  const reserve = (id: string): Asked => {
    const item = { holdId: id, tenantId, accounts, amounts: usd(value), ttlMs, call: call() }
    return {
      model: () => world.reserve(id, tenantId, accounts, value, ttlMs),
      store: async ({ ledger }) => one(await ledger.reserve([item])),
    }
  }
  const settle = (by: string, actual: bigint): Asked => ({
    model: () => world.settle(holdId, by, actual),
    store: async ({ ledger }) => one(await ledger.settle([settleOf(by, holdId, actual)])),
  })
  switch (s.do) {
    case 'reserve':
      return reserve(uuidv7())
    case 'again':
      return reserve(holdId)
    case 'preview':
      return {
        model: () => world.preview(tenantId, accounts, value),
        store: ({ ledger }) => ledger.preview({ tenantId, accounts, amounts: usd(value) }),
      }
    case 'extend': {
      const now = hold?.amount ?? 0n
      const total = s.by === 'same' ? now : s.by === 'more' ? now + value : now / 2n
      const item = {
        holdId,
        tenantId: holder,
        sequence: s.sequence ?? 1,
        amounts: usd(total),
        ttlMs,
      }
      return {
        model: () => world.extend(holdId, holder, item.sequence, total, ttlMs),
        store: async ({ ledger }) => one(await ledger.extend([item])),
      }
    }
    case 'settle':
      return settle(holder, value)
    case 'settle exactly':
      return settle(holder, hold?.amount ?? 0n)
    case 'theft':
      return settle('stranger', value)
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
      const row = { tenantId: owner, account, unit: 'usd', window, zone, limit } as const
      return {
        model: () => world.setBudget({ tenantId: owner, account, window, zone, limit }),
        store: async ({ ledger }) => {
          await ledger.setBudget({ ...row, source: 'explicit' }, NONE)
        },
      }
    }
    case 'remove': {
      const key = { tenantId: owner, account, unit: 'usd', window } as const
      // What is set in the same millisecond again cannot be told from what was removed.
      clock.set(Math.max(clock.nowMs(), world.nowMs) + 1)
      return {
        model: () => world.removeBudget(account.id, window),
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
  return storage
}

async function run(steps: readonly Step[]): Promise<void> {
  const clock = fakeClock(Date.UTC(2026, 0, 31, 20))
  const stores = [
    await prepare(memory({ clock })),
    await prepare(sqlite({ file: ':memory:', clock })),
  ]
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
    expect(rest).toEqual(expected)
    const denial = (expected as { denial?: { accountId: string; window: Window; held: bigint } })
      ?.denial
    if (denial && untilMs !== undefined) {
      if (denial.held === 0n) expect(untilMs).toBeNull()
      else expect(untilMs).toBeGreaterThanOrEqual(world.latestEnd(denial.accountId, denial.window))
    }
  }
  world.nowMs = Math.max(world.nowMs, clock.nowMs())
  for (const storage of stores) await compareAll(storage, world)
}

/** All that can be read of a store in the end. */
async function compareAll(storage: Storage, world: LedgerModel): Promise<void> {
  for (const tenantId of Object.keys(PATHS)) {
    const lines = world.budgets.filter((b) => b.tenantId === tenantId).map((b) => world.state(b))
    const order = (l: { accountId: string; window: string }): string => `${l.accountId} ${l.window}`
    lines.sort((a, b) => (order(a) < order(b) ? -1 : 1))
    expect(await storage.ledger.budgets(tenantId)).toEqual(lines)
  }
  for (const hold of world.holds) {
    const found = await storage.ledger.hold({ tenantId: hold.tenantId, holdId: hold.id })
    expect(found).toMatchObject({
      state: hold.state,
      amounts: usd(hold.amount),
      asked: usd(hold.asked),
      actual: usd(hold.actual),
      extendSequence: hold.sequence,
      expiresAtMs: hold.expiresAtMs,
    })
  }
  const query = { tenantId: null, fromMs: null, untilMs: null, by: [] }
  const [total] = await storage.usage.totals(query)
  const posted = world.holds.filter((h) => h.state === 'posted' || h.state === 'late_posted')
  expect(total?.calls ?? 0).toBe(posted.length)
  expect(total?.costNanoUsd ?? 0n).toBe(posted.reduce((sum, h) => sum + h.actual, 0n))
  expect((await drain(storage)).map((e) => e.id).sort()).toEqual([...world.events].sort())
  await storage.close()
}

test(
  'memory and SQLite answer as the model does, whatever is asked in whatever order',
  async () => {
    const sets = BUDGETS.map((_, n) => ({ do: 'set', budget: n, limit: 100 }))
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) =>
        run([...sets, ...(steps as Step[])]),
      ),
      { numRuns: process.env.TENANTKEYS_FORCE === '1' ? 10_000 : 300 },
    )
  },
  process.env.TENANTKEYS_FORCE === '1' ? 3_600_000 : 120_000,
)
