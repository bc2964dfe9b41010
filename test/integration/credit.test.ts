import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type Installation, install } from '../support/installation.ts'
import { chat, chatJson, type ProviderServer, startProvider } from '../support/provider-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()
let files = 0
const STORES: readonly [string, () => Storage][] = [
  ['memory', memory],
  ['sqlite', () => sqlite({ file: fileOf(`credit-${files++}.db`), synchronous: 'NORMAL' })],
]
const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }
const ACME = { tenantId: 'acme' }

let server: ProviderServer
let storage: Storage
let here: Installation

const open = async (make: () => Storage, options: object = {}): Promise<void> => {
  server = await startProvider(chat)
  storage = make()
  here = await install(server.baseUrl, { storage, ...options })
}
afterEach(async () => {
  await here.tk.close()
  await server.close()
})

const auditOf = async (): Promise<readonly object[]> => {
  const { items } = await storage.audit.list({ rootId: 'reseller', after: null, limit: 100 })
  return items.filter((row) => ['budget.credit', 'budget.adjust'].includes(row.action))
}

describe.each(STORES)('prepaid over %s', (_, make) => {
  beforeEach(() => open(make))

  test('S0.25 S0.26 the first payment makes the budget, the margin comes off first', async () => {
    const { budgets } = here.tk
    const credit = { account: ACME, amount: { usd: '50.00' }, marginPercent: '20' }
    const first = await budgets.credit({ ...credit, idempotencyKey: 'pay-1', actor: 'billing' })
    expect(first).toMatchObject({
      paid: '50.00',
      credited: '40.00',
      margin: '10.00',
      replayed: false,
      budget: { account: { ...ACME, keyId: null }, window: 'lifetime', limit: '40.00' },
    })
    const second = await budgets.credit({ ...credit, idempotencyKey: 'pay-2' })
    expect(second.budget?.limit).toBe('80.00')
    expect(await budgets.credit({ ...credit, idempotencyKey: 'pay-2' })).toEqual({
      ...second,
      replayed: true,
    })
    expect(await auditOf()).toMatchObject([
      {
        actor: 'billing',
        target: 'tenant:acme',
        detail: { paid: '50.00', credited: '40.00', margin: '10.00', idempotencyKey: 'pay-1' },
      },
      { actor: 'system', detail: { idempotencyKey: 'pay-2' } },
    ])
  })

  test('S0.26 what cannot be divided is margin', async () => {
    const paid = { account: ACME, amount: { usd: '0.000000003' }, idempotencyKey: 'pay-1' }
    expect(await here.tk.budgets.credit({ ...paid, marginPercent: '33.33' })).toMatchObject({
      credited: '0.000000002',
      margin: '0.000000001',
    })
  })

  test('S0.25 a key of its own is credited too, in any unit', async () => {
    const { keyId, tk } = here
    const account = { ...ACME, keyId }
    const credit = { account, amount: { tokens: 1000 }, idempotencyKey: 'pay-1' }
    const { budget } = await tk.budgets.credit(credit)
    expect(budget).toMatchObject({ account, unit: 'tokens', limit: '1000' })
  })

  test('S0.27 a prepaid budget stops hard, and a recharge opens it at once', async () => {
    const { budgets } = here.tk
    const credit = (usd: string, idempotencyKey: string) =>
      budgets.credit({ account: ACME, amount: { usd }, idempotencyKey })
    await credit('0.000001', 'pay-1')
    const call = () => here.client().chat.completions.create(ASK)
    await expect(call()).rejects.toMatchObject({ code: 'TK_BUDGET_EXHAUSTED' })
    await credit('1.00', 'pay-2')
    await call()
    const status = await budgets.get({ account: ACME, window: 'lifetime' })
    expect(status).toMatchObject({ limit: '1.000001', used: '0.000024', held: '0.00' })
  })

  test('an adjustment gives back and charges, once per key, and never goes below zero', async () => {
    const { budgets } = here.tk
    await here.client().chat.completions.create(ASK)
    const adjust = (usd: string, idempotencyKey: string) =>
      budgets.adjust({
        account: ACME,
        window: 'month',
        amount: { usd },
        reason: 'provider invoice',
        idempotencyKey,
      })
    expect(await adjust('-0.000004', 'note-1')).toMatchObject({
      replayed: false,
      budget: { used: '0.00002' },
    })
    expect(await adjust('-0.000004', 'note-1')).toMatchObject({ replayed: true })
    await expect(adjust('-0.000005', 'note-1')).rejects.toMatchObject({
      code: 'TK_BUDGET_ENTRY_MISMATCH',
    })
    await expect(adjust('-1.25', 'note-2')).rejects.toMatchObject({
      code: 'TK_INPUT_INVALID',
      details: { field: 'amount' },
    })
    expect((await adjust('0.99998', 'note-3')).budget?.used).toBe('1.00')
    await expect(here.client().chat.completions.create(ASK)).rejects.toMatchObject({
      code: 'TK_BUDGET_EXHAUSTED',
    })
    expect(await auditOf()).toMatchObject([
      { action: 'budget.adjust', detail: { change: '-0.000004', reason: 'provider invoice' } },
      { action: 'budget.adjust', detail: { change: '0.99998' } },
    ])
    expect(await here.tk.budgets.check()).toEqual({ ok: true, drifts: [] })
  })

  const GOOD = { account: ACME, amount: { usd: '1' }, idempotencyKey: 'pay-1' }
  test.each([
    ['amount.usd', { ...GOOD, amount: { usd: '-1' } }],
    ['amount.usd', { ...GOOD, amount: { usd: 1 } }],
    ['amount', { ...GOOD, amount: { usd: '0' } }],
    ['amount', { ...GOOD, amount: { usd: '1', tokens: 1 } }],
    ['amount', { ...GOOD, amount: { usd: '0.000000001' }, marginPercent: '1' }],
    ['marginPercent', { ...GOOD, marginPercent: '100' }],
    ['marginPercent', { ...GOOD, marginPercent: '-1' }],
    ['marginPercent', { ...GOOD, marginPercent: '1.234' }],
    ['marginPercent', { ...GOOD, marginPercent: 20 as unknown as string }],
    ['idempotencyKey', { ...GOOD, idempotencyKey: '' }],
    ['idempotencyKey', { ...GOOD, idempotencyKey: 'a b' }],
    ['alerts[0]', { ...GOOD, alerts: [0] }],
    ['account.tenantId', { ...GOOD, account: { tenantId: 'a/b' } }],
    ['margin', { ...GOOD, margin: '20' }],
  ])(
    'a credit with a bad %s is refused by its name, and nothing is written',
    async (field, input) => {
      await expect(here.tk.budgets.credit(input)).rejects.toMatchObject({
        code: 'TK_INPUT_INVALID',
        details: { field },
      })
      expect(await here.tk.budgets.get({ account: ACME, window: 'lifetime' })).toBeNull()
      expect(await auditOf()).toEqual([])
    },
  )

  test('a credit needs its tenant and key', async () => {
    const { budgets } = here.tk
    await expect(budgets.credit({ ...GOOD, account: { tenantId: 'no' } })).rejects.toMatchObject({
      code: 'TK_TENANT_NOT_FOUND',
    })
    const account = { ...ACME, keyId: '0000000000000000' }
    await expect(budgets.credit({ ...GOOD, account })).rejects.toMatchObject({
      code: 'TK_KEY_NOT_FOUND',
    })
    const adjust = { ...GOOD, window: 'lifetime', reason: 'x' } as const
    await expect(budgets.adjust(adjust)).rejects.toMatchObject({ code: 'TK_BUDGET_NOT_FOUND' })
  })
})

describe('S2.35 credits of the host', () => {
  const credits = { perCall: '1', perInputToken: '0.01', perOutputToken: '0.1' }

  test('are held as an upper bound and charged exactly, beside the money', async () => {
    await open(memory, { credits })
    const { budgets } = here.tk
    await budgets.set({ account: ACME, window: 'month', limit: { credits: '1000' } })
    const of = { account: ACME, window: 'month', unit: 'credits' } as const
    let held = 0n
    server.answer = async (request, response, count) => {
      held = (await budgets.get(of))!.heldAmount
      return chatJson()(request, response, count)
    }
    const answer = await here.client().chat.completions.create(ASK)
    // 100 tokens in and 20 out, as the answer says; up to 4,096 out by our default.
    expect(await budgets.get(of)).toMatchObject({ used: '4', held: '0', limit: '1000' })
    expect(held).toBeGreaterThan(1_000_000n + 4096n * 100_000n)
    const receipt = await here.tk.receiptOf(answer)
    expect(receipt.budgets).toContainEqual(
      expect.objectContaining({ unit: 'credits', used: '4', left: '996' }),
    )
    expect((await budgets.get({ account: ACME, window: 'month' }))!.used).toBe('0.000024')
  })

  test('that are spent refuse the call, also in advance', async () => {
    await open(memory, { credits })
    await here.tk.budgets.set({ account: ACME, window: 'month', limit: { credits: '1' } })
    const refusal = {
      code: 'TK_BUDGET_EXHAUSTED',
      details: { denial: { unit: 'credits', limit: '1', used: '0' } },
    }
    await expect(here.client().chat.completions.create(ASK)).rejects.toMatchObject(refusal)
    const ask = { key: here.key, model: ASK.model }
    expect(await here.tk.authorize(ask)).toMatchObject({ ok: false, ...refusal })
    expect(server.requests).toEqual([])
  })

  test('with a bad price are refused when the installation starts', async () => {
    await open(memory)
    const bad = install(server.baseUrl, { credits: { perCall: '-1' } })
    await expect(bad).rejects.toMatchObject({
      code: 'TK_CONFIG_INVALID',
      details: { field: 'options.credits.perCall' },
    })
  })
})
