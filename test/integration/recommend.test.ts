import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { recommend } from '../../src/budgets/recommend.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { call, usage } from '../../src/testing/storage-conformance/samples.ts'
import { temporaryFiles } from '../support/sqlite.ts'
import { testKey } from '../support/test-key.ts'

const fileOf = temporaryFiles()
let serial = 0
const stores: Readonly<Record<string, (clock: WallClock) => Storage>> = {
  memory: (clock) => memory({ clock }),
  sqlite: (clock) => sqlite({ file: fileOf(`${++serial}.db`), synchronous: 'NORMAL', clock }),
}

describe.each(Object.entries(stores))('S0.35 over %s', (_, makeStore) => {
  let storage: Storage
  let tk: TenantKeys
  let clock = fakeClock()
  const account = { tenantId: 'acme' }
  beforeEach(async () => {
    clock = fakeClock()
    storage = makeStore(clock)
    tk = await createTenantKeys({
      storage,
      keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
      peppers: [{ id: 'pep-1', key: testKey(2) }],
      policy: definePolicy({ scopes: { 'agent:work': { providers: ['openai'] } } }),
    })
    await tk.tenants.create({ id: 'acme' })
    await tk.budgets.set({ account, window: 'day', limit: { usd: '1.00' } })
  })
  afterEach(() => tk.close())

  /** Spends so much today, and lets the day end. */
  const day = async (usd: bigint): Promise<void> => {
    const holdId = uuidv7()
    const accounts = [{ id: 'tenant:acme', depth: 0 }]
    const ask = { holdId, tenantId: 'acme', accounts, amounts: { usd }, ttlMs: 1000, call: call() }
    await storage.ledger.reserve([ask])
    await storage.ledger.settle([{ holdId, tenantId: 'acme', actual: { usd }, usage: usage(usd) }])
    clock.advance(86_400_000)
  }

  test('while no period has ended there is nothing to go by', async () => {
    const report = await tk.budgets.recommend({ account, window: 'day' })
    expect(report).toMatchObject({
      action: 'observe',
      limit: '1.00',
      recommended: '1.00',
      used: [],
    })
  })

  test('the highest use and a quarter of it, in whole cents; the limit stays as it is', async () => {
    for (const usd of [300_000_000n, 912_345_678n, 100_000_000n]) await day(usd)
    const report = await tk.budgets.recommend({ account, window: 'day' })
    expect(report).toMatchObject({ action: 'raise', limit: '1.00', recommended: '1.15' })
    expect(report.used.map(({ used }) => used)).toEqual(['0.10', '0.912345678', '0.30'])
    const recent = { account, window: 'day', periods: 1, marginPercent: 400 } as const
    expect(await tk.budgets.recommend(recent)).toMatchObject({
      action: 'lower',
      recommended: '0.50',
    })
    expect(await tk.budgets.get({ account, window: 'day' })).toMatchObject({ limit: '1.00' })
  })

  test.each<[string, object, string, string | undefined]>([
    ['a window without periods', { window: 'lifetime' }, 'TK_INPUT_INVALID', 'window'],
    ['no period', { periods: 0 }, 'TK_INPUT_INVALID', 'periods'],
    ['a margin in a float', { marginPercent: 0.5 }, 'TK_INPUT_INVALID', 'marginPercent'],
    ['an unknown field', { apply: true }, 'TK_INPUT_INVALID', 'apply'],
    ['a budget that is not there', { unit: 'tokens' }, 'TK_BUDGET_NOT_FOUND', undefined],
    ['a unit that every object has', { unit: 'constructor' }, 'TK_BUDGET_NOT_FOUND', undefined],
  ])('refuses %s', async (_what, over, code, field) => {
    const work = tk.budgets.recommend({ account, window: 'day', ...over })
    await expect(work).rejects.toMatchObject({ code, details: field ? { field } : {} })
  })
})

test.each([
  ['keep', 100n, [80n, 10n], 100n],
  ['raise', 100n, [81n], 102n],
  ['lower', 100n, [40n, 1n], 50n],
  ['lower', 100n, [0n], 0n],
  ['keep', 100n, [41n], 52n],
] as const)('S0.35 %s: of a limit of %s with %s used', (action, limit, used, recommended) => {
  expect(recommend({ limit, used, marginPercent: 25, step: 1n })).toEqual({ action, recommended })
})
