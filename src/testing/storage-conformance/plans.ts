/**
 * Plans: a tenant's plan and the budgets it makes, in one step; and limits that change together.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { LineState } from '../../storage/ledger-records.ts'
import type { PlanChange, Storage } from '../../storage/storage.ts'
import { atOnce, type ConformanceCase, rejects, winners } from './case.ts'
import { ask, codeOf, ledgerBench, tenantAccount } from './ledger-bench.ts'
import { ALL, badAlso, goodAlso, NONE, tenants } from './samples.ts'
import { allPages } from './tenants.ts'

const DAY_MS = 86_400_000

/** A plan with limits in nano-USD by window. */
const planOf = (
  name: string,
  version: number,
  limits: Readonly<Partial<Record<'day' | 'month' | 'lifetime', bigint>>>,
): PlanChange => ({
  plan: { name, version },
  budgets: Object.entries(limits).map(([window, limit]) => ({
    unit: 'usd',
    window: window as 'day' | 'month' | 'lifetime',
    zone: 'UTC',
    limit,
  })),
  credentials: null,
})

const put = (storage: Storage, tenantId: string, change: PlanChange, onlyIfOlder = false) =>
  storage.tenants.setPlan({ tenantId, onlyIfOlder, ...change }, NONE)

const limitsOf = (lines: readonly LineState[]): Record<string, bigint> =>
  Object.fromEntries(lines.map((line) => [line.window, line.limit]))

const explicit = (tenantId: string, limit: bigint) =>
  ({
    tenantId,
    account: tenantAccount(tenantId),
    unit: 'usd',
    window: 'month',
    zone: 'UTC',
    limit,
    source: 'explicit',
  }) as const

export const planCases: readonly ConformanceCase[] = [
  {
    title: 'ST-1 setPlan writes the plan, its budgets and the credential source, or nothing',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      const change = { ...planOf('pro', 3, { month: 20n }), credentials: 'platform' } as const
      const before = await storage.tenants.get('acme')
      const work = storage.tenants.setPlan(
        { tenantId: 'acme', onlyIfOlder: false, ...change },
        badAlso('acme', 'bad'),
      )
      await rejects(work, 'TK_INTERNAL')
      assert.deepEqual(await storage.tenants.get('acme'), before)
      assert.deepEqual(await storage.ledger.budgets('acme'), [])
      const { epoch } = await storage.epoch()
      const after = { ...before, plan: { name: 'pro', version: 3 }, credentials: 'platform' }
      assert.deepEqual(await put(storage, 'acme', change), after)
      assert.deepEqual(await storage.tenants.get('acme'), after)
      assert.deepEqual(limitsOf(await storage.ledger.budgets('acme')), { month: 20n })
      assert.ok((await storage.epoch()).epoch > epoch, 'ST-5')
    },
  },
  {
    title: 'ST-1 a tenant is created with its plan and its budgets, or not at all',
    run: async ({ storage }) => {
      const bare = { id: 'acme', parentId: null, credentials: 'tenant' } as const
      const tenant = { ...bare, plan: planOf('free', 1, { day: 1n, month: 5n }) }
      await rejects(storage.tenants.create(tenant, badAlso('acme', 'bad')), 'TK_INTERNAL')
      assert.equal(await storage.tenants.get('acme'), null)
      assert.deepEqual(await storage.ledger.budgets('acme'), [])
      const made = await storage.tenants.create(tenant, NONE)
      assert.deepEqual(made.plan, { name: 'free', version: 1 })
      assert.deepEqual(await storage.tenants.get('acme'), made)
      assert.deepEqual(limitsOf(await storage.ledger.budgets('acme')), { day: 1n, month: 5n })
    },
  },
  {
    title: 'ST-8 S0.15 another plan keeps the sums of budgets that stay and removes the others',
    run: async ({ storage, clock }) => {
      const start = planOf('free', 1, { day: 10n, month: 50n })
      await tenants(storage, 'acme')
      await put(storage, 'acme', start)
      clock.advance(5)
      const bench = await ledgerBench(storage, { limit: 100n, window: 'lifetime', ready: true })
      await bench.settle(await bench.hold(4n), 3n)
      const held = await bench.hold(5n)
      assert.equal(codeOf(await bench.reserve(9n)), 'TK_BUDGET_EXHAUSTED')
      await put(storage, 'acme', planOf('pro', 1, { month: 500n }))
      const lines = await storage.ledger.budgets('acme')
      assert.deepEqual(limitsOf(lines), { month: 500n, lifetime: 100n })
      const month = lines.find((line) => line.window === 'month')
      assert.deepEqual([month?.posted, month?.held], [3n, 5n])
      await bench.hold(9n)
      assert.equal(codeOf(await bench.settle(held, 5n)), 'ok')
      const settled = await storage.ledger.budgets('acme')
      assert.equal(settled.find((line) => line.window === 'month')?.posted, 8n)
    },
  },
  {
    title: 'ST-8 a budget that was set by itself stays as it is under every plan',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await storage.ledger.setBudget(explicit('acme', 7n), NONE)
      await put(storage, 'acme', planOf('pro', 1, { day: 2n, month: 20n }))
      assert.deepEqual(limitsOf(await storage.ledger.budgets('acme')), { day: 2n, month: 7n })
      await put(storage, 'acme', { plan: null, budgets: [], credentials: null })
      assert.deepEqual(limitsOf(await storage.ledger.budgets('acme')), { month: 7n })
      assert.equal((await storage.tenants.get('acme'))?.plan, null)
    },
  },
  {
    title: 'ST-8 a budget that a plan made and that is set later is explicit from then on',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await put(storage, 'acme', planOf('pro', 1, { month: 20n }))
      await storage.ledger.setBudget(explicit('acme', 30n), NONE)
      await put(storage, 'acme', planOf('pro', 2, { month: 25n }))
      assert.deepEqual(limitsOf(await storage.ledger.budgets('acme')), { month: 30n })
    },
  },
  {
    title: 'ST-7 of many movers to a later version exactly one moves a tenant, and none moves back',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      const v1 = planOf('pro', 1, { month: 10n })
      const v2 = planOf('pro', 2, { month: 20n })
      assert.equal(await put(storage, 'acme', v2, true), null)
      await put(storage, 'acme', v1)
      const movers = atOnce(16, (n) => {
        const also = goodAlso('acme', `m${n}`)
        return storage.tenants.setPlan({ tenantId: 'acme', onlyIfOlder: true, ...v2 }, also)
      })
      const moved = (await winners(movers)).filter((tenant) => tenant !== null)
      assert.equal(moved.length, 1)
      assert.equal((await storage.audit.list({ rootId: 'acme', ...ALL })).items.length, 1)
      assert.equal(await put(storage, 'acme', v1, true), null)
      assert.equal(await put(storage, 'acme', planOf('max', 3, {}), true), null)
      assert.deepEqual((await storage.tenants.get('acme'))?.plan, { name: 'pro', version: 2 })
      assert.deepEqual(limitsOf(await storage.ledger.budgets('acme')), { month: 20n })
    },
  },
  {
    title: 'ST-1 a plan that would change the zone of a budget that stays changes nothing',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await put(storage, 'acme', planOf('pro', 1, { month: 10n, day: 1n }))
      const { budgets, ...plan } = planOf('pro', 2, { lifetime: 5n, month: 20n })
      const moved = budgets.map((b) => (b.window === 'month' ? { ...b, zone: 'Asia/Tokyo' } : b))
      await rejects(put(storage, 'acme', { ...plan, budgets: moved }), 'TK_INPUT_INVALID')
      assert.deepEqual((await storage.tenants.get('acme'))?.plan, { name: 'pro', version: 1 })
      const limits = limitsOf(await storage.ledger.budgets('acme'))
      assert.deepEqual(limits, { month: 10n, day: 1n })
    },
  },
  {
    title: 'ST-2 setPlan for a tenant that is not there is refused by name of the condition',
    run: async ({ storage }) => {
      await rejects(put(storage, 'nobody', planOf('pro', 1, {})), 'TK_TENANT_NOT_FOUND')
    },
  },
  {
    title: 'ST-2 the tenants on a plan come in pages, of whatever version, and no others',
    run: async ({ storage }) => {
      await tenants(storage, 'a', 'b', 'c', 'd', 'e', 'f')
      for (const [id, version] of [
        ['e', 1],
        ['a', 2],
        ['c', 1],
      ] as const) {
        await put(storage, id, planOf('pro', version, {}))
      }
      await put(storage, 'b', planOf('free', 1, {}))
      const pages = await allPages(2, (q) => storage.tenants.listByPlan({ plan: 'pro', ...q }))
      const ids = pages.map((page) => page.map((tenant) => tenant.id))
      assert.deepEqual(ids, [['a', 'c'], ['e']])
      const none = await storage.tenants.listByPlan({ plan: 'constructor', ...ALL })
      assert.deepEqual(none, { items: [], next: null })
    },
  },
  {
    title: 'ST-1 limits change together, keep all else, and none when one of them cannot',
    run: async ({ storage }) => {
      await tenants(storage, 'org', 'a<org', 'b<org')
      for (const id of ['a', 'b']) {
        const budget = { ...explicit(id, 10n), account: tenantAccount(id, 1) }
        await storage.ledger.setBudget({ ...budget, counts: 'platform' }, NONE)
      }
      const bench = await ledgerBench(storage, { tenantId: 'org', limit: 100n, ready: true })
      const accounts = [tenantAccount('a', 1), tenantAccount('org')]
      const [held] = await storage.ledger.reserve([ask('a', 6n, { accounts })])
      assert.equal(held?.ok, true)
      const limit = (id: string, amount: bigint) => ({
        tenantId: id,
        account: tenantAccount(id, 1),
        unit: 'usd',
        window: 'month' as const,
        limit: amount,
      })
      const set = (...limits: readonly ReturnType<typeof limit>[]) =>
        storage.ledger.setLimits(limits, NONE)
      await rejects(set(limit('b', 15n), limit('a', 5n)), 'TK_STORE_CONFLICT')
      await rejects(set(limit('b', 15n), limit('c', 5n)), 'TK_BUDGET_NOT_FOUND')
      const other = { ...limit('a', 9n), tenantId: 'b' }
      await rejects(set(limit('b', 15n), other), 'TK_BUDGET_NOT_FOUND')
      assert.deepEqual(limitsOf(await storage.ledger.budgets('b')), { month: 10n })
      const [b, a] = await set(limit('b', 14n), limit('a', 6n))
      assert.deepEqual(
        [b?.limit, b?.posted, b?.counts, b?.source],
        [14n, 0n, 'platform', 'explicit'],
      )
      assert.deepEqual([a?.limit, a?.held, a?.counts], [6n, 6n, 'platform'])
      assert.deepEqual(limitsOf(await storage.ledger.budgets('b')), { month: 14n })
      await bench.expect(0n, 6n)
    },
  },
  {
    title: 'ST-2 ended periods come newest first, also before a call has rolled the counter',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n, window: 'day' })
      const key = { tenantId: 'acme', account: tenantAccount('acme'), unit: 'usd' } as const
      const used = async (limit: number): Promise<readonly bigint[] | undefined> => {
        const found = await storage.ledger.periods({ ...key, window: 'day', limit })
        return found?.ended.map((period) => period.posted)
      }
      assert.deepEqual(await used(10), [])
      for (const amount of [7n, 8n, 9n]) {
        await bench.settle(await bench.hold(10n), amount)
        clock.advance(DAY_MS)
      }
      assert.deepEqual(await used(10), [9n, 8n, 7n])
      assert.deepEqual(await used(2), [9n, 8n])
      await bench.hold(1n)
      assert.deepEqual(await used(10), [9n, 8n, 7n])
      assert.equal(await storage.ledger.periods({ ...key, window: 'month', limit: 1 }), null)
      await tenants(storage, 'other')
      const foreign = { ...key, tenantId: 'other', window: 'day', limit: 1 } as const
      assert.equal(await storage.ledger.periods(foreign), null)
    },
  },
]
