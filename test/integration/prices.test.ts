/**
 * Prices from the option to the receipt, the usage row, the event and the budget, through the real
 * OpenAI client.
 *
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { bearer } from '../../src/providers/authorize.ts'
import { defineProvider } from '../../src/providers/define-provider.ts'
import { openAiChat } from '../../src/providers/formats/openai-chat.ts'
import { openAiUsage } from '../../src/providers/formats/openai-usage.ts'
import type { Provider } from '../../src/providers/provider.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import type { HostPrice } from '../../src/usage/host-price.ts'
import { nanoUsdOf } from '../../src/usage/rate.ts'
import { acmeBudget, type Installation, install, PLATFORM_SECRET } from '../support/installation.ts'
import {
  type Answer,
  chatJson,
  json,
  type ProviderServer,
  startProvider,
  USAGE,
  USAGE_COST_NANO,
} from '../support/provider-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'
import { testKey } from '../support/test-key.ts'

const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }
const MINI: HostPrice = {
  provider: 'openai',
  model: 'gpt-4o-mini',
  inputUsdPerMTok: '1',
  outputUsdPerMTok: '10',
  version: '1',
}
/** USAGE at MINI: 100 and 200 millionths of a dollar. */
const MINI_COST = 300_000n

let server: ProviderServer
let opened: Installation[]

beforeEach(async () => {
  server = await startProvider(chatJson())
  opened = []
})
afterEach(async () => {
  for (const { tk } of opened) await tk.close()
  await server.close()
})

async function open(options: Parameters<typeof install>[1]): Promise<Installation> {
  const installation = await install(server.baseUrl, options)
  opened.push(installation)
  return installation
}

/** A chat completion with more fields beside its usage, and in it. */
const answering =
  (fields: object, usage: object = {}): Answer =>
  ({ body }, response) => {
    const message = { role: 'assistant', content: 'hello', refusal: null }
    const choices = [{ index: 0, finish_reason: 'stop', logprobs: null, message }]
    const base = { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: body.model }
    json(response, { ...base, choices, usage: { ...USAGE, ...usage }, ...fields })
  }

/** The same store, opened by a process that knows other prices. */
const reopened = (storage: Storage, prices: readonly HostPrice[]): Promise<TenantKeys> =>
  createTenantKeys({
    storage,
    keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: definePolicy({ scopes: { none: { providers: ['openai'], models: ['none'] } } }),
    prices,
  })

describe('the class of service that was served', () => {
  const prices = [{ ...MINI, serviceTiers: { flex: { ratio: [1, 2] as const } } }]

  test('decides the price; the call is held at the dearest, and asked for by name only if priced', async () => {
    const here = await open({ prices })
    server.answer = answering({ service_tier: 'flex' })
    await here.client().chat.completions.create({ ...ASK, service_tier: 'flex' })
    expect(here.receipts[0]).toMatchObject({
      costNanoUsd: MINI_COST / 2n,
      priceId: 'host:openai/gpt-4o-mini@1 tier:flex',
      quality: 'measured',
      overageNanoUsd: 0n,
    })
    expect(await acmeBudget(here.tk)).toEqual({ used: MINI_COST / 2n, held: 0n })
    await expect(
      here.client().chat.completions.create({ ...ASK, service_tier: 'priority' }),
    ).rejects.toMatchObject({ code: 'TK_PRICE_MISSING' })
    expect(server.requests).toHaveLength(1)
  })

  test('without a price it is charged as the standard one, estimated, and says so', async () => {
    const here = await open({ prices })
    server.answer = answering({ service_tier: 'priority' })
    await here.client().chat.completions.create(ASK)
    expect(here.receipts[0]).toMatchObject({
      costNanoUsd: MINI_COST,
      priceId: 'host:openai/gpt-4o-mini@1 tier:priority? counted',
      quality: 'estimated',
    })
  })
})

describe('a class of service that the answer does not name', () => {
  const prices = [{ ...MINI, serviceTiers: { priority: { ratio: [2, 1] as const } } }]

  test('is the one that was asked for by name, and only estimated', async () => {
    const here = await open({ prices })
    server.answer = answering({})
    await here.client().chat.completions.create({ ...ASK, service_tier: 'priority' })
    await here.client().chat.completions.create(ASK)
    expect(here.receipts).toMatchObject([
      {
        costNanoUsd: 2n * MINI_COST,
        priceId: 'host:openai/gpt-4o-mini@1 tier:priority',
        quality: 'estimated',
      },
      { costNanoUsd: MINI_COST, priceId: 'host:openai/gpt-4o-mini@1', quality: 'measured' },
    ])
  })

  test('a request that was served as a standard one is charged as that', async () => {
    const here = await open({ prices })
    server.answer = answering({ service_tier: 'default' })
    await here.client().chat.completions.create({ ...ASK, service_tier: 'priority' })
    expect(here.receipts[0]).toMatchObject({ costNanoUsd: MINI_COST, quality: 'measured' })
  })
})

describe('the model that an answer names', () => {
  test.each([
    ['gpt-4o-mini-2024-07-18', 'gpt-4o-mini-2024-07-18'],
    ['with a NUL, which PostgreSQL cannot keep: \u0000', null],
    ['with half of a character: \ud800', null],
    ['x'.repeat(201), null],
    ['', null],
  ])('is kept only when it is a name: %j', async (model, servedModel) => {
    const here = await open({ prices: [MINI] })
    server.answer = answering({ model })
    await here.client().chat.completions.create(ASK)
    expect(here.receipts[0]).toMatchObject({ servedModel, costNanoUsd: MINI_COST })
  })
})

describe('a call that nobody counted', () => {
  const prices = [{ ...MINI, serviceTiers: { priority: { ratio: [2, 1] as const } } }]

  test('is estimated at the class of service that it asked for', async () => {
    const here = await open({ prices })
    server.answer = chatJson({ usage: null })
    await here.client().chat.completions.create(ASK)
    await here.client().chat.completions.create({ ...ASK, service_tier: 'priority' })
    const [standard, priority] = here.receipts
    expect(standard).toMatchObject({ priceId: 'host:openai/gpt-4o-mini@1', quality: 'estimated' })
    expect(priority).toMatchObject({
      priceId: 'host:openai/gpt-4o-mini@1 tier:priority',
      quality: 'estimated',
      overageNanoUsd: 0n,
    })
    expect(priority!.costNanoUsd).toBeGreaterThan(standard!.costNanoUsd)
  })
})

describe('S4.42 markups', () => {
  const options = {
    prices: [MINI],
    markups: [{ id: 'standard', version: '7', ratio: [3, 2] as const }],
  }

  test('the tenant is billed the cost with its markup; the budget counts the cost', async () => {
    const here = await open({
      ...options,
      platformCredentials: { openai: { apiKey: PLATFORM_SECRET } },
    })
    await here.tk.tenants.create({ id: 'pooled', credentials: 'platform' })
    await here.tk.budgets.set({
      account: { tenantId: 'pooled' },
      window: 'month',
      limit: { usd: '1' },
    })
    const { key } = await here.tk.keys.issue({
      tenantId: 'pooled',
      name: 'test',
      scopes: ['support:chat'],
    })
    await here.client({ key }).chat.completions.create(ASK)
    expect(here.receipts[0]).toMatchObject({
      costNanoUsd: MINI_COST,
      chargedNanoUsd: 450_000n,
      chargedUsd: '0.00045',
      billable: true,
      priceId: 'host:openai/gpt-4o-mini@1 markup:standard@7',
    })
    const budget = await here.tk.budgets.get({ account: { tenantId: 'pooled' }, window: 'month' })
    expect(budget?.usedAmount).toBe(MINI_COST)
  })

  test('S4.41 a call on the tenant’s own credential is tracked and not billed', async () => {
    const here = await open(options)
    await here.client().chat.completions.create(ASK)
    expect(here.receipts[0]).toMatchObject({
      costNanoUsd: MINI_COST,
      chargedNanoUsd: 0n,
      billable: false,
    })
  })
})

describe('the provider’s own figure', () => {
  /** Chat completions whose usage names its cost in US dollars, as gateways do. */
  const gateway = (baseUrl: string): Provider =>
    defineProvider({
      id: 'gateway',
      baseUrl,
      credential: { apiKey: { kind: 'secret', required: true } },
      authorize: bearer('gateway'),
      operations: [
        openAiChat({
          provider: 'gateway',
          usage: {
            find: openAiUsage.find,
            read: (usage) => {
              const read = openAiUsage.read(usage)
              return read && { ...read, providerCostNanoUsd: nanoUsdOf(usage.cost) }
            },
          },
        }),
      ],
    })

  async function throughGateway(price: Partial<HostPrice>): Promise<Installation> {
    const here = await open({
      providers: { gateway: gateway(server.baseUrl) },
      policy: definePolicy({
        scopes: { 'support:chat': { providers: ['gateway'], models: ['gpt-4o-mini'] } },
      }),
      prices: [{ ...MINI, provider: 'gateway', ...price }],
    })
    await here.tk.secrets.put({
      tenantId: 'acme',
      provider: 'gateway',
      value: { apiKey: 'sk-gateway-0123456789' },
    })
    const client = here.client({ provider: 'gateway' }, { baseURL: server.baseUrl })
    await client.chat.completions.create(ASK)
    return here
  }

  test('that agrees is kept beside ours', async () => {
    server.answer = answering({}, { cost: 0.0003 })
    const { receipts, events } = await throughGateway({})
    expect(receipts[0]).toMatchObject({
      costNanoUsd: MINI_COST,
      providerCostNanoUsd: MINI_COST,
      providerCostDiffers: false,
    })
    expect(events.filter((e) => e.kind === 'price.differs')).toEqual([])
  })

  test('that differs is flagged on the receipt and by an event, and replaces nothing', async () => {
    server.answer = answering({}, { cost: 0.00045 })
    const { receipts, events, tk } = await throughGateway({})
    expect(receipts[0]).toMatchObject({
      costNanoUsd: MINI_COST,
      providerCostNanoUsd: 450_000n,
      providerCostDiffers: true,
    })
    expect(events.find((e) => e.kind === 'price.differs')).toEqual({
      kind: 'price.differs',
      tenantId: 'acme',
      holdId: receipts[0]?.attemptId,
      provider: 'gateway',
      model: 'gpt-4o-mini',
      priceId: 'host:gateway/gpt-4o-mini@1',
      costNanoUsd: MINI_COST,
      providerCostNanoUsd: 450_000n,
    })
    expect((await acmeBudget(tk)).used).toBe(MINI_COST)
  })

  test('counts where the row says so', async () => {
    server.answer = answering({}, { cost: 0.00045 })
    const { receipts, tk } = await throughGateway({ use: 'provider' })
    expect(receipts[0]).toMatchObject({
      costNanoUsd: 450_000n,
      priceId: 'host:gateway/gpt-4o-mini@1 use:provider',
      providerCostDiffers: false,
    })
    expect((await acmeBudget(tk)).used).toBe(450_000n)
  })
})

const file = temporaryFiles()
let files = 0

describe.each<[string, () => Storage]>([
  ['memory', () => memory()],
  ['SQLite', () => sqlite({ file: file(`prices-${files++}.db`) })],
])('models that nobody priced, in %s', (_, storage) => {
  const LOCAL = { ...ASK, model: 'local-model' }
  const unpriced = { maxUsdPerCall: '0.50' }

  test('T-B11 are refused without the option', async () => {
    const here = await open({ storage: storage() })
    await expect(here.client().chat.completions.create(LOCAL)).rejects.toMatchObject({
      code: 'TK_PRICE_MISSING',
    })
    expect(server.requests).toHaveLength(0)
  })

  test('are held and charged at the maximum, marked, and corrected when there is a price', async () => {
    const store = storage()
    const here = await open({ storage: store, unpriced })
    await here.client().chat.completions.create(LOCAL)
    const { attemptId: id } = here.receipts[0]!
    expect(here.receipts[0]).toMatchObject({
      costNanoUsd: 500_000_000n,
      priceId: 'unpriced:openai/local-model@0.50 counted',
      quality: 'estimated',
      overageNanoUsd: 0n,
    })
    expect(await acmeBudget(here.tk)).toEqual({ used: 500_000_000n, held: 0n })
    expect(await here.tk.usage.reprice({ tenantId: 'acme', id })).toMatchObject({
      repriced: false,
      reason: 'no_price',
    })

    const priced = await here.tk.prices.find({ provider: 'openai', model: 'local-model' })
    expect(priced).toMatchObject({ known: false })
    const later = await reopened(store, [{ ...MINI, model: 'local-model' }])
    const result = await later.usage.reprice({ tenantId: 'acme', id, actor: 'ops@example.com' })
    expect(result).toEqual({
      repriced: true,
      changeUsd: '-0.4997',
      usage: {
        id,
        tenantId: 'acme',
        priceId: 'host:openai/local-model@1',
        quality: 'measured',
        costNanoUsd: MINI_COST,
        chargedNanoUsd: 0n,
        costUsd: '0.0003',
        chargedUsd: '0.00',
      },
    })
    expect(await acmeBudget(later)).toEqual({ used: MINI_COST, held: 0n })
    expect(await later.budgets.check()).toEqual({ ok: true, drifts: [] })
    const [total] = await later.usage.query()
    expect(total?.costNanoUsd).toBe(MINI_COST)
    const { items } = await store.audit.list({ rootId: 'reseller', after: null, limit: 100 })
    expect(items.filter((row) => row.action === 'usage.reprice')).toMatchObject([
      { actor: 'ops@example.com', target: id },
    ])

    // Once: the same again, and at once from many, changes nothing.
    const again = await Promise.all(
      Array.from({ length: 8 }, () => later.usage.reprice({ tenantId: 'acme', id })),
    )
    expect(again.every((r) => r?.repriced === false && r.reason === 'priced')).toBe(true)
    expect(await later.usage.reprice({ tenantId: 'acme', id: 'none' })).toBeNull()
    expect(await later.usage.reprice({ tenantId: 'reseller', id })).toBeNull()
  })

  test('a call that nobody counted stays estimated when it is priced', async () => {
    const store = storage()
    const here = await open({ storage: store, unpriced })
    server.answer = chatJson({ usage: null })
    await here.client().chat.completions.create(LOCAL)
    const { attemptId: id, priceId } = here.receipts[0]!
    expect(priceId).toBe('unpriced:openai/local-model@0.50')
    const later = await reopened(store, [{ ...MINI, model: 'local-model' }])
    expect(await later.usage.reprice({ tenantId: 'acme', id })).toMatchObject({
      repriced: true,
      usage: { quality: 'estimated', priceId: 'host:openai/local-model@1' },
    })
  })
})

describe('the bundled table', () => {
  const DAY_MS = 86_400_000
  const RELEASED = Date.UTC(2026, 8, 23)

  test('is reported once when it is older than 90 days and used, and says its date', async () => {
    for (const [days, reports] of [
      [90, 0],
      [91, 1],
    ] as const) {
      const clock = fakeClock(RELEASED + days * DAY_MS)
      const here = await open({ clock, storage: memory({ clock }) })
      expect(here.tk.prices.bundled()).toEqual({
        source: '@pydantic/genai-prices',
        version: '0.1.8',
        date: '2026-09-23',
        ageDays: days,
        isStale: reports === 1,
      })
      await here.client().chat.completions.create(ASK)
      await here.client().chat.completions.create(ASK)
      expect(here.receipts[0]?.costNanoUsd).toBe(USAGE_COST_NANO)
      expect(here.events.filter((e) => e.kind === 'prices.stale')).toEqual(
        reports === 0 ? [] : [{ kind: 'prices.stale', date: '2026-09-23', ageDays: days }],
      )
    }
  })

  test('is not reported to a host whose own prices are used', async () => {
    const clock = fakeClock(RELEASED + 400 * DAY_MS)
    const here = await open({ clock, storage: memory({ clock }), prices: [MINI] })
    await here.client().chat.completions.create(ASK)
    expect(here.events.filter((e) => e.kind === 'prices.stale')).toEqual([])
  })
})
