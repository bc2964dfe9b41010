import '../support/same-draws.ts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { counterRepairs, findDrifts } from '../../src/budgets/reconcile.ts'
import type { LedgerSnapshot } from '../../src/storage/ledger-entries.ts'
import type { AccountRef, Window } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'
import { ask, settleOf, TTL_MS } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE, newCredit, newKey, tenants } from '../../src/testing/storage-conformance/samples.ts'

const GRACE_MS = 60_000
const ORG: AccountRef = { id: 'tenant:org', depth: 0 }
const ACME: AccountRef = { id: 'tenant:acme', depth: 1 }
const KEY: AccountRef = { id: 'key:key0000000000001', depth: 2 }
const POOL: AccountRef = { id: 'key:key0000000000002', depth: 1 }
const OWNER: Readonly<Record<string, string>> = {
  [ORG.id]: 'org',
  [ACME.id]: 'acme',
  [KEY.id]: 'acme',
  [POOL.id]: 'org',
}

const LIMITS: Readonly<Record<string, bigint>> = { [KEY.id]: 50n, [ACME.id]: 40n }

type Step =
  | { kind: 'reserve'; amount: number; units: 'usd' | 'both'; paidBy: 'tenant' | 'platform' }
  | { kind: 'settle' | 'void'; nth: number; amount: number }
  | { kind: 'time'; ms: number }
  | { kind: 'sweep' }
  | { kind: 'limit' | 'remove'; account: AccountRef; window: Window; pooled: boolean }
  | { kind: 'adjust'; account: AccountRef; window: Window; amount: number }

const account = fc.constantFrom(ORG, ACME, KEY, POOL)
const window = fc.constantFrom<Window>('day', 'month', 'lifetime', 'concurrent', 'rate_minute')
const amount = fc.nat({ max: 60 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('reserve' as const),
      amount,
      units: fc.constantFrom('usd' as const, 'both' as const),
      paidBy: fc.constantFrom('tenant' as const, 'platform' as const),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('settle' as const, 'void' as const),
      nth: fc.nat({ max: 9 }),
      amount,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(1, TTL_MS, 3_600_000, 86_400_000, 20 * 86_400_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('limit' as const, 'limit' as const, 'remove' as const),
      account,
      window,
      pooled: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('adjust' as const),
      account,
      window,
      amount: fc.integer({ min: -20, max: 20 }),
    }),
  },
)

async function ledger(): Promise<{ storage: Storage; clock: FakeClock }> {
  const clock = fakeClock()
  const storage = memory({ clock })
  await tenants(storage, 'org', 'acme<org')
  await storage.keys.create(newKey('acme', 1), NONE)
  await storage.keys.create(newKey('org', 2), NONE)
  for (const one of [ORG, ACME, KEY, POOL])
    await setLimit(storage, one, 'month', one === KEY || one === ACME)
  clock.advance(1)
  return { storage, clock }
}

async function setLimit(
  storage: Storage,
  account: AccountRef,
  window: Window,
  pooled: boolean,
): Promise<void> {
  await storage.ledger.setBudget(
    {
      tenantId: OWNER[account.id]!,
      account,
      unit: window === 'concurrent' ? 'calls' : 'usd',
      window,
      zone: 'UTC',
      limit: LIMITS[account.id] ?? 300n,
      overflow: pooled && account !== POOL ? POOL : null,
      source: 'explicit',
    },
    NONE,
  )
}

/** Runs the steps; every budget that is set or removed waits a moment, so that no hold shares its
 * millisecond. */
async function run(steps: readonly Step[]): Promise<LedgerSnapshot> {
  const { storage, clock } = await ledger()
  const holds: string[] = []
  for (const [index, one] of steps.entries()) {
    switch (one.kind) {
      case 'reserve': {
        const usd = BigInt(one.amount)
        const amounts = one.units === 'usd' ? { usd } : { usd, calls: 1n }
        const { paidBy } = one
        const item = ask('acme', usd, { accounts: [KEY, ACME, ORG], amounts, paidBy })
        const [result] = await storage.ledger.reserve([item])
        if (result?.ok) holds.push(item.holdId)
        break
      }
      case 'settle':
      case 'void': {
        const holdId = holds[one.nth % Math.max(holds.length, 1)]
        if (holdId === undefined) break
        if (one.kind === 'void') await storage.ledger.void([{ tenantId: 'acme', holdId }])
        else {
          const item = settleOf('acme', holdId, BigInt(one.amount))
          await storage.ledger.settle([{ ...item, actual: { ...item.actual, calls: 1n } }])
        }
        break
      }
      case 'time':
        clock.advance(one.ms)
        break
      case 'sweep':
        await storage.ledger.sweep(100)
        break
      case 'limit':
      case 'remove': {
        clock.advance(1)
        const { account, window } = one
        const unit = window === 'concurrent' ? 'calls' : 'usd'
        const at = { tenantId: OWNER[account.id]!, account, unit, window }
        if (one.kind === 'remove') await storage.ledger.removeBudget(at, NONE)
        else await setLimit(storage, account, window, one.pooled)
        clock.advance(1)
        break
      }
      case 'adjust': {
        const { account, window } = one
        const change = { account, window, kind: 'adjust', paid: 0n, note: 'x' } as const
        const entry = newCredit(OWNER[account.id]!, `a-${index}`, 0n, {
          ...change,
          postedChange: BigInt(one.amount),
        })
        // Refused ones (no such budget, below zero) change nothing.
        await storage.ledger.post(entry, NONE).catch(() => null)
      }
    }
  }
  await storage.ledger.sweep(1000)
  return (await storage.ledger.audit('org'))!
}

describe('reconciliation', () => {
  test('whatever callers and operators do, an honest ledger has no drift', async () => {
    const seen = { usage: 0, history: 0, entries: 0, overflows: 0, late: 0 }
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const snapshot = await run(steps)
        expect(findDrifts(snapshot, GRACE_MS)).toEqual([])
        expect(counterRepairs(snapshot)).toEqual([])
        seen.usage += snapshot.usage.length
        seen.history += snapshot.history.length
        seen.entries += snapshot.entries.length
        seen.overflows += snapshot.holds.filter((h) => h.overflows.length > 0).length
        seen.late += snapshot.usage.filter((row) => row.state === 'late_posted').length
      }),
      { numRuns: 1000 },
    )
    // What is never there is not tested.
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(100)
  })

  test('any change of any sum of any counter is named, with what it must be, and set back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 30 }),
        fc.nat(),
        fc.constantFrom('posted' as const, 'held' as const),
        fc.bigInt({ min: -1000n, max: 1000n }).filter((n) => n !== 0n),
        async (steps, nth, sum, change) => {
          const honest = await run(steps)
          const at = nth % Math.max(honest.counters.length, 1)
          const counter = honest.counters[at]
          fc.pre(counter !== undefined)
          const found = counter![sum] + change
          const counters = honest.counters.map((c, i) => (i === at ? { ...c, [sum]: found } : c))
          const { accountId, unit, window, periodStartMs } = counter!
          const line = { accountId, unit, window, periodStartMs }
          const expected = counter![sum]
          expect(findDrifts({ ...honest, counters }, GRACE_MS)).toContainEqual({
            kind: sum,
            tenantId: counter!.tenantId,
            line,
            expected,
            found,
          })
          const { posted, held, heldUntilMs } = counter!
          expect(counterRepairs({ ...honest, counters })).toEqual([
            {
              kind: 'counter',
              tenantId: counter!.tenantId,
              line,
              was: { posted, held, [sum]: found },
              becomes: { posted, held },
              heldUntilMs: expect.any(Number),
            },
          ])
          expect(heldUntilMs >= 0).toBe(true)
        },
      ),
      { numRuns: 100 },
    )
  })
})
