import { afterEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { definePlans, type PlanDefinitions } from '../../src/budgets/plans.ts'
import { presets } from '../../src/budgets/presets.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Amounts, ReserveResult } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { call, usage } from '../../src/testing/storage-conformance/samples.ts'
import { temporaryFiles } from '../support/sqlite.ts'
import { testKey } from '../support/test-key.ts'

const MID_MONTH = Date.parse('2026-11-14T10:00:00Z')
const fileOf = temporaryFiles()
let serial = 0
const stores: Readonly<Record<string, (clock: { nowMs(): number }) => Storage>> = {
  memory: (clock) => memory({ clock }),
  sqlite: (clock) => sqlite({ file: fileOf(`${++serial}.db`), synchronous: 'NORMAL', clock }),
}

const open: TenantKeys[] = []
afterEach(async () => {
  for (const tk of open.splice(0)) await tk.close()
})

/** An installation over a store that others may share. */
async function start(
  storage: Storage,
  options: Partial<TenantKeysOptions> = {},
): Promise<TenantKeys> {
  const tk = await createTenantKeys({
    storage,
    keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: definePolicy({ scopes: { 'support:chat': { providers: ['openai'] } } }),
    ...options,
  })
  open.push(tk)
  return tk
}

const monthly = (usd: string, version = 1) =>
  ({ version, budgets: [{ window: 'month', limit: { usd } }] }) as const

const plans = definePlans({
  free: { ...presets.traffic.free, credentials: 'platform' },
  pro: { ...presets.traffic.pro, credentials: 'tenant' },
  small: monthly('5.00'),
  large: monthly('20.00'),
})

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => {
      if (!TenantKeysError.isInstance(error)) throw error
      return error.code
    },
  )

async function reserve(
  storage: Storage,
  amounts: Amounts,
  tenantId = 'acme',
): Promise<ReserveResult & { holdId?: string }> {
  const accounts = [{ id: `tenant:${tenantId}`, depth: 0 }]
  const item = { holdId: uuidv7(), tenantId, accounts, amounts, ttlMs: 60_000, call: call() }
  const [result] = await storage.ledger.reserve([item])
  return result!
}

const settle = (storage: Storage, holdId: string, usd: bigint): Promise<unknown> =>
  storage.ledger.settle([{ holdId, tenantId: 'acme', actual: { usd }, usage: usage(usd) }])

/** The limits of a tenant as `window unit: limit`. */
async function limitsOf(tk: TenantKeys, tenantId: string): Promise<string[]> {
  const budgets = await tk.budgets.list({ tenantId })
  return budgets.map(({ window, unit, limit }) => `${window} ${unit}: ${limit}`)
}

describe.each(Object.entries(stores))('over %s', (_, makeStore) => {
  const clock = fakeClock(MID_MONTH)
  const dollar = 1_000_000_000n

  test('a plan becomes budgets, in the step that creates the tenant', async () => {
    const tk = await start(makeStore(clock), { plans })
    const tenant = await tk.tenants.create({ id: 'acme', plan: 'free' })
    expect(tenant).toMatchObject({ plan: { name: 'free', version: 1 }, credentials: 'platform' })
    expect(await limitsOf(tk, 'acme')).toEqual([
      'call bytes: 10485760',
      'concurrent calls: 5',
      'month requests: 10000',
      'rate_second requests: 10',
    ])
  })

  test('S2.29 S2.30 the limits of a plan refuse what is above them', async () => {
    const storage = makeStore(clock)
    const tk = await start(storage, { plans })
    await tk.tenants.create({ id: 'acme', plan: 'free' })
    const ask = { requests: 1n, calls: 1n, bytes: 10_485_760n }
    const large = await reserve(storage, { ...ask, bytes: 10_485_761n })
    expect(large).toMatchObject({ ok: false, code: 'TK_REQUEST_TOO_LARGE' })
    for (let n = 0; n < 5; n++) expect(await reserve(storage, ask)).toMatchObject({ ok: true })
    expect(await reserve(storage, ask)).toMatchObject({ ok: false, code: 'TK_BUDGET_CONTENDED' })
    const { calls, ...quick } = ask
    expect(calls).toBe(1n)
    for (let n = 0; n < 5; n++) expect(await reserve(storage, quick)).toMatchObject({ ok: true })
    expect(await reserve(storage, quick)).toMatchObject({ ok: false, code: 'TK_RATE_LIMITED' })
  })

  test('S0.5 S0.15 an upgrade in the middle of a month keeps what is spent and what is held', async () => {
    const storage = makeStore(clock)
    const tk = await start(storage, { plans })
    await tk.tenants.create({ id: 'acme', plan: 'small' })
    const first = await reserve(storage, { usd: 3n * dollar })
    await settle(storage, first.holdId!, 2n * dollar)
    const inFlight = await reserve(storage, { usd: 3n * dollar })
    expect(await reserve(storage, { usd: dollar })).toMatchObject({ code: 'TK_BUDGET_CONTENDED' })

    const assigned = await tk.plans.assign({ tenantId: 'acme', plan: 'large', actor: 'billing' })
    expect(assigned).toEqual({
      tenantId: 'acme',
      name: 'large',
      version: 1,
      installedVersion: 1,
      newerInstalled: false,
      defaulted: false,
    })
    const [month] = await tk.budgets.list({ tenantId: 'acme' })
    expect(month).toMatchObject({ limit: '20.00', used: '2.00', held: '3.00' })
    expect(await reserve(storage, { usd: 16n * dollar })).toMatchObject({ ok: false })
    expect(await reserve(storage, { usd: 15n * dollar })).toMatchObject({ ok: true })
    await settle(storage, inFlight.holdId!, 1n * dollar)
    const [after] = await tk.budgets.list({ tenantId: 'acme' })
    expect(after).toMatchObject({ used: '3.00', held: '15.00' })

    await tk.plans.assign({ tenantId: 'acme', plan: 'small' })
    const [lowered] = await tk.budgets.list({ tenantId: 'acme' })
    expect(lowered).toMatchObject({ limit: '5.00', used: '3.00', held: '15.00' })
    const audit = await storage.audit.list({ rootId: 'acme', after: null, limit: 10 })
    expect(audit.items.map(({ action, actor }) => [action, actor])).toEqual([
      ['tenant.create', 'system'],
      ['plan.assign', 'billing'],
      ['plan.assign', 'system'],
    ])
    expect(audit.items[1]).toMatchObject({ detail: { plan: 'large', version: '1' } })
  })

  test('the books are right after plans came and went with calls in flight', async () => {
    const storage = makeStore(clock)
    const tk = await start(storage, {
      plans: { ...plans, daily: { version: 1, budgets: [{ window: 'day', limit: { usd: '9' } }] } },
    })
    await tk.tenants.create({ id: 'acme', plan: 'small' })
    const holds: string[] = []
    for (const plan of ['daily', 'small', 'large', 'daily', 'large']) {
      clock.advance(1000)
      const held = await reserve(storage, { usd: dollar })
      expect(held).toMatchObject({ ok: true })
      holds.push(held.holdId!)
      await tk.plans.assign({ tenantId: 'acme', plan })
    }
    expect(await tk.budgets.check({ tenantId: 'acme' })).toEqual({ ok: true, drifts: [] })
    for (const holdId of holds) await settle(storage, holdId, dollar / 2n)
    expect(await tk.budgets.check({ tenantId: 'acme' })).toEqual({ ok: true, drifts: [] })
    const [month] = await tk.budgets.list({ tenantId: 'acme' })
    // Made anew by the last change, so none of these calls is its.
    expect(month).toMatchObject({ limit: '20.00', used: '0.00', held: '0.00' })
  })

  test('a budget that the host set itself wins over every plan, until it is removed', async () => {
    const tk = await start(makeStore(clock), { plans })
    await tk.tenants.create({ id: 'acme', plan: 'small' })
    const month = { account: { tenantId: 'acme' }, window: 'month' } as const
    await tk.budgets.set({ ...month, limit: { usd: '7.00' } })
    await tk.plans.assign({ tenantId: 'acme', plan: 'large' })
    expect(await limitsOf(tk, 'acme')).toEqual(['month usd: 7.00'])
    await tk.budgets.remove(month)
    await tk.plans.assign({ tenantId: 'acme', plan: 'large' })
    expect(await limitsOf(tk, 'acme')).toEqual(['month usd: 20.00'])
  })

  test('S2.18 a pooled free tier moves to a credential of its own with the plan', async () => {
    const tk = await start(makeStore(clock), { plans })
    await tk.tenants.create({ id: 'acme', plan: 'free' })
    await tk.plans.assign({ tenantId: 'acme', plan: 'pro' })
    expect(await tk.tenants.get('acme')).toMatchObject({ credentials: 'tenant' })
    await tk.plans.assign({ tenantId: 'acme', plan: 'small' })
    expect(await tk.tenants.get('acme')).toMatchObject({ credentials: 'tenant' })
    const both = tk.tenants.create({ id: 'other', plan: 'free', credentials: 'tenant' })
    expect(await codeOf(both)).toBe('TK_INPUT_INVALID')
    expect(await tk.tenants.get('other')).toBeNull()
  })

  test('no plan: what the plan had made goes, the rest stays', async () => {
    const tk = await start(makeStore(clock), { plans })
    await tk.tenants.create({ id: 'acme', plan: 'small' })
    await tk.budgets.set({ account: { tenantId: 'acme' }, window: 'day', limit: { usd: '1' } })
    expect(await tk.plans.assign({ tenantId: 'acme', plan: null })).toBeNull()
    expect(await limitsOf(tk, 'acme')).toEqual(['day usd: 1.00'])
    expect(await tk.plans.of('acme')).toBeNull()
    expect(await codeOf(tk.plans.of('nobody'))).toBe('TK_TENANT_NOT_FOUND')
  })

  test.each(['unknown', 'constructor', '__proto__', 'toString', 'Pro Plan', 'PRO'])(
    'T-I7 S2.15 the plan %s is an error, and nothing is written',
    async (plan) => {
      const tk = await start(makeStore(clock), { plans })
      await tk.tenants.create({ id: 'acme', plan: 'small' })
      expect(await codeOf(tk.plans.assign({ tenantId: 'acme', plan }))).toBe('TK_PLAN_UNKNOWN')
      expect(await codeOf(tk.tenants.create({ id: 'other', plan }))).toBe('TK_PLAN_UNKNOWN')
      expect(await codeOf(tk.plans.apply({ plan }))).toBe('TK_PLAN_UNKNOWN')
      expect(await tk.tenants.get('other')).toBeNull()
      expect(await limitsOf(tk, 'acme')).toEqual(['month usd: 5.00'])
    },
  )

  test('S2.15 with a default plan an unknown name gives that one, and says so', async () => {
    const storage = makeStore(clock)
    const tk = await start(storage, { plans, defaultPlan: 'small' })
    await tk.tenants.create({ id: 'acme', plan: 'large' })
    const assigned = await tk.plans.assign({ tenantId: 'acme', plan: 'constructor' })
    expect(assigned).toMatchObject({ name: 'small', defaulted: true })
    expect(await limitsOf(tk, 'acme')).toEqual(['month usd: 5.00'])
    const { items } = await storage.audit.list({ rootId: 'acme', after: null, limit: 10 })
    expect(items.at(-1)).toMatchObject({ detail: { plan: 'small', defaulted: 'true' } })
    const named = await tk.plans.assign({ tenantId: 'acme', plan: 'small' })
    expect(named).toMatchObject({ defaulted: false })
    expect(await tk.tenants.create({ id: 'b' })).toMatchObject({ plan: { name: 'small' } })
    expect(await tk.tenants.create({ id: 'c', plan: null })).toMatchObject({ plan: null })
  })

  test('editing a plan changes nobody until it is applied, page by page', async () => {
    const storage = makeStore(clock)
    const before = await start(storage, { plans })
    for (const id of ['a', 'b', 'c', 'd']) await before.tenants.create({ id, plan: 'small' })
    await before.tenants.create({ id: 'bystander', plan: 'large' })
    await before.budgets.set({
      account: { tenantId: 'c' },
      window: 'month',
      limit: { usd: '1.00' },
    })

    const after = await start(storage, { plans: { ...plans, small: monthly('6.00', 2) } })
    expect(await limitsOf(after, 'a')).toEqual(['month usd: 5.00'])
    expect(await after.plans.of('a')).toMatchObject({
      version: 1,
      installedVersion: 2,
      newerInstalled: true,
    })
    await after.plans.assign({ tenantId: 'b', plan: 'small' })

    const first = await after.plans.apply({ plan: 'small', limit: 3 })
    expect(first).toEqual({ moved: 2, unchanged: 1, refused: [], next: 'c' })
    expect(await limitsOf(after, 'd')).toEqual(['month usd: 5.00'])
    const second = await after.plans.apply({ plan: 'small', limit: 3, after: first.next })
    expect(second).toEqual({ moved: 1, unchanged: 0, refused: [], next: null })
    const limits = await Promise.all(['a', 'b', 'c', 'd'].map((id) => limitsOf(after, id)))
    expect(limits.flat()).toEqual([
      'month usd: 6.00',
      'month usd: 6.00',
      'month usd: 1.00',
      'month usd: 6.00',
    ])
    expect(await limitsOf(after, 'bystander')).toEqual(['month usd: 20.00'])
    const again = await after.plans.apply({ plan: 'small' })
    expect(again).toEqual({ moved: 0, unchanged: 4, refused: [], next: null })

    // A process of the release before must not take it back.
    expect(await before.plans.apply({ plan: 'small' })).toMatchObject({ moved: 0, unchanged: 4 })
    expect(await before.plans.of('a')).toMatchObject({ version: 2, newerInstalled: false })
  })

  test('a tenant that cannot be moved is named, and the others are moved', async () => {
    const storage = makeStore(clock)
    const one = await start(storage, { plans })
    const two = await start(storage, { plans: { small: monthly('6.00', 2) }, zone: 'Asia/Tokyo' })
    await one.tenants.create({ id: 'a', plan: 'small' })
    await one.tenants.create({ id: 'b', plan: 'small' })
    await one.budgets.remove({ account: { tenantId: 'b' }, window: 'month' })
    expect(await two.plans.apply({ plan: 'small' })).toEqual({
      moved: 1,
      unchanged: 0,
      refused: [{ tenantId: 'a', code: 'TK_INPUT_INVALID' }],
      next: null,
    })
    expect(await limitsOf(two, 'a')).toEqual(['month usd: 5.00'])
  })

  test('one version means one thing, in every process', async () => {
    const storage = makeStore(clock)
    const one = await start(storage, { plans })
    const two = await start(storage, { plans: { ...plans, small: monthly('6.00', 1) } })
    await one.tenants.create({ id: 'acme', plan: 'small' })
    for (const work of [
      () => two.plans.assign({ tenantId: 'acme', plan: 'small' }),
      () => two.plans.apply({ plan: 'small' }),
      () => two.tenants.create({ id: 'other', plan: 'small' }),
    ]) {
      expect(await codeOf(work())).toBe('TK_CONFIG_INVALID')
    }
    expect(await limitsOf(two, 'acme')).toEqual(['month usd: 5.00'])
    expect(await codeOf(two.plans.assign({ tenantId: 'acme', plan: 'large' }))).toBe('done')
  })

  test('plans are listed as this process has them', async () => {
    const tk = await start(makeStore(clock), { plans: { small: plans.small } })
    expect(await tk.plans.list()).toEqual([
      {
        name: 'small',
        version: 1,
        credentials: null,
        budgets: [{ window: 'month', unit: 'usd', limit: '5.00', zone: 'UTC' }],
      },
    ])
    const none: PlanDefinitions = {}
    expect(await (await start(makeStore(clock), { plans: none })).plans.list()).toEqual([])
  })

  test.each<[string, object, string]>([
    ['assign without a tenant', { plan: 'small' }, 'tenantId'],
    ['assign without a plan', { tenantId: 'acme' }, 'plan'],
    ['assign to a number', { tenantId: 'acme', plan: 3 }, 'plan'],
    ['assign with a version', { tenantId: 'acme', plan: 'small', version: 1 }, 'version'],
  ])('%s is refused by its field', async (_what, input, field) => {
    const tk = await start(makeStore(clock), { plans })
    const work = tk.plans.assign(input as Parameters<typeof tk.plans.assign>[0])
    await expect(work).rejects.toMatchObject({ code: 'TK_INPUT_INVALID', details: { field } })
    const unknown = tk.plans.assign({ tenantId: 'nobody', plan: 'small' })
    expect(await codeOf(unknown)).toBe('TK_TENANT_NOT_FOUND')
  })
})
