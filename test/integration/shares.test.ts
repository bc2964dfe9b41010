import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import { call } from '../../src/testing/storage-conformance/samples.ts'
import { temporaryFiles } from '../support/sqlite.ts'
import { testKey } from '../support/test-key.ts'

const fileOf = temporaryFiles()
let serial = 0
const stores: Readonly<Record<string, () => Storage>> = {
  memory,
  sqlite: () => sqlite({ file: fileOf(`${++serial}.db`), synchronous: 'NORMAL' }),
}
const dollar = 1_000_000_000n

/** What a member must get, and what it was worth. */
const agent = (tenantId: string, guaranteed: string, observedValue: number) => ({
  account: { tenantId },
  guaranteed: { usd: guaranteed },
  observedValue,
})

describe.each(Object.entries(stores))('S0.24 over %s', (_, makeStore) => {
  let storage: Storage
  let tk: TenantKeys
  beforeEach(async () => {
    storage = makeStore()
    tk = await createTenantKeys({
      storage,
      keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
      peppers: [{ id: 'pep-1', key: testKey(2) }],
      policy: definePolicy({ scopes: { 'agent:work': { providers: ['openai'] } } }),
    })
    await tk.tenants.create({ id: 'crew' })
    await set('crew', '15.00')
    for (const id of ['code', 'chat', 'hopper']) {
      await tk.tenants.create({ id, parentId: 'crew' })
      await set(id, '5.00')
    }
  })
  afterEach(() => tk.close())

  const set = (tenantId: string, usd: string): Promise<unknown> =>
    tk.budgets.set({ account: { tenantId }, window: 'month', limit: { usd }, alerts: [80] })

  const limits = async (): Promise<(string | undefined)[]> => {
    const of = (tenantId: string) => tk.budgets.get({ account: { tenantId }, window: 'month' })
    const all = await Promise.all(['code', 'chat', 'hopper'].map(of))
    return all.map((budget) => budget?.limit)
  }

  const hold = (tenantId: string, usd: bigint) =>
    storage.ledger.reserve([
      {
        holdId: uuidv7(),
        tenantId,
        accounts: [
          { id: `tenant:${tenantId}`, depth: 1 },
          { id: 'tenant:crew', depth: 0 },
        ],
        amounts: { usd },
        ttlMs: 60_000,
        call: call(),
      },
    ])

  const crew = { parent: { tenantId: 'crew' }, window: 'month' } as const
  const members = [agent('code', '1.00', 3), agent('chat', '1.00', 1), agent('hopper', '1.00', 0)]

  test('the limit above is divided by guarantee and observed value, in one step', async () => {
    const done = await tk.budgets.rebalance({ ...crew, members, actor: 'nightly' })
    expect(done).toEqual({
      unit: 'usd',
      window: 'month',
      total: '15.00',
      applied: true,
      members: [
        {
          account: { tenantId: 'code' },
          before: '5.00',
          limit: '10.00',
          limitAmount: 10n * dollar,
        },
        { account: { tenantId: 'chat' }, before: '5.00', limit: '4.00', limitAmount: 4n * dollar },
        { account: { tenantId: 'hopper' }, before: '5.00', limit: '1.00', limitAmount: dollar },
      ],
    })
    expect(await limits()).toEqual(['10.00', '4.00', '1.00'])
    const { items } = await storage.audit.list({ rootId: 'crew', after: null, limit: 50 })
    const rows = items.filter(({ action }) => action === 'budget.rebalance')
    expect(rows.map(({ actor, target, detail }) => [actor, target, detail.limit])).toEqual([
      ['nightly', 'tenant:code', '10.00'],
      ['nightly', 'tenant:chat', '4.00'],
      ['nightly', 'tenant:hopper', '1.00'],
    ])
  })

  test('S0.35 a dry run reports and changes nothing', async () => {
    const report = await tk.budgets.rebalance({ ...crew, members, dryRun: true })
    expect(report).toMatchObject({ applied: false, members: [{ limit: '10.00' }, {}, {}] })
    expect(await limits()).toEqual(['5.00', '5.00', '5.00'])
  })

  test('nobody gets more than the most', async () => {
    await tk.budgets.rebalance({ ...crew, members, max: { usd: '7.00' } })
    expect(await limits()).toEqual(['7.00', '7.00', '1.00'])
  })

  test('what is used and held is guaranteed too', async () => {
    await hold('hopper', 4n * dollar)
    await tk.budgets.rebalance({ ...crew, members })
    expect(await limits()).toEqual(['7.75', '3.25', '4.00'])
  })

  test('calls that come in between are seen, and the division is made anew', async () => {
    const late = [4n * dollar, dollar]
    const racing: Storage = {
      ...storage,
      ledger: {
        ...storage.ledger,
        setLimits: async (...given) => {
          const usd = late.shift()
          if (usd !== undefined) await hold('hopper', usd)
          return storage.ledger.setLimits(...given)
        },
      },
    }
    const other = await createTenantKeys({
      storage: racing,
      keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
      peppers: [{ id: 'pep-1', key: testKey(2) }],
      policy: definePolicy({ scopes: { 'agent:work': { providers: ['openai'] } } }),
    })
    await other.budgets.rebalance({ ...crew, members })
    expect(late).toEqual([])
    expect(await limits()).toEqual(['7.00', '3.00', '5.00'])
  })

  test('an outsider, a missing budget and too much guaranteed are refused, and nothing changes', async () => {
    await tk.tenants.create({ id: 'outsider' })
    await set('outsider', '5.00')
    await tk.tenants.create({ id: 'bare', parentId: 'crew' })
    const refusal = async (...more: readonly ReturnType<typeof agent>[]): Promise<string> => {
      const work = tk.budgets.rebalance({ ...crew, members: [...members, ...more] })
      const error: unknown = await work.then(
        () => null,
        (reason: unknown) => reason,
      )
      if (!TenantKeysError.isInstance(error)) return 'taken'
      return `${error.code} ${error.details.field ?? ''}`.trim()
    }
    const field = 'TK_INPUT_INVALID members[3].account'
    expect(await refusal(agent('outsider', '1.00', 1))).toBe(field)
    expect(await refusal(agent('crew', '1.00', 1))).toBe(field)
    expect(await refusal(agent('bare', '1.00', 1))).toBe('TK_BUDGET_NOT_FOUND')
    expect(await refusal(agent('nobody', '1.00', 1))).toBe('TK_TENANT_NOT_FOUND')
    expect(await refusal(agent('code', '1.00', 1))).toBe('TK_INPUT_INVALID members[3].id')
    const tokens = { ...agent('code', '1.00', 1), guaranteed: { tokens: 1 } } as const
    expect(await refusal(tokens as never)).toBe('TK_INPUT_INVALID members[3].guaranteed')
    await set('crew', '2.00')
    expect(await refusal()).toBe('TK_INPUT_INVALID members')
    expect(await limits()).toEqual(['5.00', '5.00', '5.00'])
  })
})
