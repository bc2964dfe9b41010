/**
 * The callback form: services that the host calls itself.
 *
 * @module
 */
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { RuntimeEvent } from '../../src/kernel/events.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import type { ServiceCall } from '../../src/request/call-service.ts'
import type { Receipt } from '../../src/request/receipt.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import { testKey } from '../support/test-key.ts'

const SECRET = 'cartesia-tenant-0123456789-CANARY'

let tk: TenantKeys
let key: string
let storage: Storage
let receipts: Receipt[]
let events: RuntimeEvent[]

beforeEach(async () => {
  receipts = []
  events = []
  storage = memory()
  tk = await createTenantKeys({
    storage,
    keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: definePolicy({
      scopes: {
        'voice:synthesis': { providers: ['cartesia', 'elevenlabs'] },
        'document:ocr': { providers: ['google-vision', 'textract'] },
        'avatar:generation': { providers: ['tavus', 'heygen'] },
      },
    }),
    services: { heygen: { secret: ['apiKey'], public: ['region'] } },
    onEvent: (event) => events.push(event),
  })
  await tk.tenants.create({ id: 'acme' })
  await tk.secrets.put({
    tenantId: 'acme',
    provider: 'cartesia',
    value: { apiKey: SECRET, region: 'eu' },
  })
  await tk.budgets.set({ account: { tenantId: 'acme' }, window: 'month', limit: { usd: '0.05' } })
  key = (await tk.keys.issue({ tenantId: 'acme', name: 'voice', scopes: ['voice:synthesis'] })).key
})
afterEach(() => tk.close())

const ask = (over: Partial<ServiceCall> = {}): ServiceCall => ({
  key,
  provider: 'cartesia',
  estimate: { usd: '0.02' },
  onReceipt: (receipt) => receipts.push(receipt),
  ...over,
})
const money = async (): Promise<{ used: bigint; held: bigint }> => {
  const budget = await tk.budgets.get({ account: { tenantId: 'acme' }, window: 'month' })
  return { used: budget!.usedAmount, held: budget!.heldAmount }
}
const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  )
const boom = new Error('the service said no')

describe('S3.2 S3.19 a call in a callback', () => {
  test('gets the tenant credential, holds the estimate, and posts what was spent', async () => {
    let during = await money()
    const receipt = await tk.withTenantKey(ask({ tags: { feature: 'ivr' } }), async (call) => {
      during = await money()
      expect(call.credential.apiKey?.reveal()).toBe(SECRET)
      expect(call.settings).toEqual({ region: 'eu' })
      return call.spent({ usd: '0.013', counts: { characters: 412 } })
    })
    expect(during).toEqual({ used: 0n, held: 20_000_000n })
    expect(await money()).toEqual({ used: 13_000_000n, held: 0n })
    expect(receipt).toMatchObject({
      provider: 'cartesia',
      operation: 'callback',
      scope: 'voice:synthesis',
      outcome: 'completed',
      quality: 'measured',
      costUsd: '0.013',
      priceId: 'said',
      counts: { characters: 412 },
      credential: { origin: null },
    })
    expect(receipts).toEqual([receipt])
    const { events: sent } = await storage.outbox.lease({ limit: 10, leaseMs: 1 })
    const [usage] = sent.filter(({ kind }) => kind === 'usage')
    expect(JSON.parse(usage!.payload)).toMatchObject({
      tags: { feature: 'ivr' },
      operation: 'callback',
    })
  })

  test('returns what the callback returns, after the call is settled', async () => {
    const audio = await tk.withTenantKey(ask(), async (call) => {
      void call.credential
      await call.spent({ usd: '0.01' })
      return new Uint8Array([1])
    })
    expect(audio).toEqual(new Uint8Array([1]))
    expect((await money()).held).toBe(0n)
  })

  test('that says nothing is charged its estimate, marked as one', async () => {
    expect(await tk.withTenantKey(ask(), () => 7)).toBe(7)
    expect(receipts).toMatchObject([{ quality: 'estimated', costUsd: '0.02' }])
  })

  test('that cost more than it held is posted in full and flagged', async () => {
    await tk.withTenantKey(ask(), (call) => call.spent({ usd: '0.03' }))
    expect(receipts[0]).toMatchObject({ costUsd: '0.03', overageNanoUsd: 10_000_000n })
    expect(events.map(({ kind }) => kind)).toContain('budget.overage')
  })

  test('that says nothing was sent costs nothing', async () => {
    await tk.withTenantKey(ask(), (call) => call.unsent())
    expect(receipts).toMatchObject([{ outcome: 'voided', costUsd: '0.00' }])
    expect(await money()).toEqual({ used: 0n, held: 0n })
  })

  test('that throws after it had the credential is unknown, at its estimate, never zero', async () => {
    const work = tk.withTenantKey(ask(), (call) => {
      void call.credential
      throw boom
    })
    expect(await failure(work)).toBe(boom)
    expect(receipts).toMatchObject([{ outcome: 'broken', quality: 'unknown', costUsd: '0.02' }])
    expect((await money()).held).toBe(0n)
  })

  test('that throws before it had the credential costs nothing', async () => {
    const work = tk.withTenantKey(ask(), () => Promise.reject(boom))
    expect(await failure(work)).toBe(boom)
    expect(await money()).toEqual({ used: 0n, held: 0n })
  })

  test('that throws after it said what it cost is charged that', async () => {
    const work = tk.withTenantKey(ask(), async (call) => {
      await call.spent({ usd: '0.004' })
      throw boom
    })
    expect(await failure(work)).toBe(boom)
    expect(await money()).toEqual({ used: 4_000_000n, held: 0n })
  })

  test('says what it cost once', async () => {
    const work = tk.withTenantKey(ask(), async (call) => {
      await call.spent({ usd: '0.004' })
      await call.spent({ usd: '0.001' })
    })
    expect(await failure(work)).toMatchObject({ code: 'TK_INPUT_INVALID' })
    expect((await money()).used).toBe(4_000_000n)
  })

  test('is refused before it begins when it does not fit, or the scope forbids it', async () => {
    let ran = false
    const run = (over: Partial<ServiceCall>): Promise<unknown> =>
      failure(
        tk.withTenantKey(ask(over), () => {
          ran = true
        }),
      )
    expect(await run({ estimate: { usd: '0.06' } })).toMatchObject({ code: 'TK_BUDGET_EXHAUSTED' })
    expect(await run({ provider: 'tavus' })).toMatchObject({ code: 'TK_PROVIDER_DENIED' })
    expect(await run({ model: 'sonic-2' })).toMatchObject({ code: 'TK_MODEL_DENIED' })
    expect(await run({ provider: 'elevenlabs' })).toMatchObject({ code: 'TK_SECRET_NOT_FOUND' })
    expect(await run({ provider: 'nobody' })).toMatchObject({ code: 'TK_INPUT_INVALID' })
    expect(ran).toBe(false)
    expect(await money()).toEqual({ used: 0n, held: 0n })
  })

  test('ends with the signal of its caller', async () => {
    const abort = new AbortController()
    const work = tk.withTenantKey(ask({ signal: abort.signal }), async (call) => {
      void call.credential
      const ended = new Promise((_, reject) => {
        call.signal.addEventListener('abort', () => reject(call.signal.reason))
      })
      abort.abort(boom)
      return ended
    })
    expect(await failure(work)).toBe(boom)
    expect(receipts).toMatchObject([{ outcome: 'aborted', quality: 'unknown' }])
  })

  test('T-L1 shows no credential when it is printed', async () => {
    await tk.withTenantKey(ask(), (call) => {
      expect(inspect(call, { depth: 9, showHidden: true }) + JSON.stringify(call)).not.toContain(
        SECRET,
      )
      return call.unsent()
    })
  })
})

describe('S3.20 S3.22 services', () => {
  test.each([
    ['document:ocr', 'google-vision', { apiKey: 'k'.repeat(20) }],
    [
      'document:ocr',
      'textract',
      { accessKeyId: 'a'.repeat(20), secretAccessKey: 's'.repeat(40), region: 'eu-west-1' },
    ],
    ['avatar:generation', 'tavus', { apiKey: 'k'.repeat(20) }],
    ['avatar:generation', 'heygen', { apiKey: 'k'.repeat(20), region: 'us' }],
  ])('%s with %s, for a tenant that the host vouches for', async (scope, provider, value) => {
    await tk.secrets.put({ tenantId: 'acme', provider, value: value as Record<string, string> })
    const call = { tenantId: 'acme', scope, provider, estimate: { usd: '0.01' } }
    const receipt = await tk.withTenantKey(call, ({ credential, spent }) => {
      expect(Object.keys(credential)).not.toContain('region')
      return spent({ usd: '0.001' })
    })
    expect(receipt).toMatchObject({ keyId: null, tenantId: 'acme', provider, costUsd: '0.001' })
  })

  test('an unknown service or field is refused when it is stored', async () => {
    const put = (provider: string, value: Record<string, string>): Promise<unknown> =>
      failure(tk.secrets.put({ tenantId: 'acme', provider, value }))
    expect(await put('cartesiaa', { apiKey: 'k' })).toMatchObject({ code: 'TK_INPUT_INVALID' })
    expect(await put('heygen', { apiKey: 'k', endpoint: 'https://evil.example' })).toMatchObject({
      details: { field: 'value.endpoint' },
    })
  })

  test('a request through tk.fetch to a service is refused', async () => {
    const call = tk.fetch({ key })('https://cartesia.invalid/tts', { method: 'POST', body: '{}' })
    expect(await failure(call)).toMatchObject({ code: 'TK_OPERATION_NOT_SUPPORTED' })
  })
})

describe('bad input', () => {
  test.each<[string, object]>([
    ['call.key', { key: undefined }],
    ['call.tenantId', { tenantId: 'acme' }],
    ['call.scope', { key: undefined, tenantId: 'acme' }],
    ['call.estimate', { estimate: undefined }],
    ['call.estimate.usd', { estimate: { usd: 0.02 } }],
    ['call.provider', { provider: 7 }],
    ['call.signal', { signal: {} }],
    ['call.tags', { tags: { 'no spaces': 'x' } }],
    ['call.tags', { tags: { a: 'line\nbreak' } }],
    [
      'call.tags',
      { tags: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`t${i}`, 'x'])) },
    ],
    ['call.tags', { tags: JSON.parse('{"__proto__":"x"}') }],
    ['call.hold', { hold: 'grow' }],
  ])('%s %o is refused by name', async (field, over) => {
    const error = await failure(tk.withTenantKey({ ...ask(), ...over } as ServiceCall, () => 1))
    expect(TenantKeysError.isInstance(error) && error.details.field).toBe(field)
  })

  test.each<[string, object]>([
    ['spent.usd', { usd: -1 }],
    ['spent.usd', { usd: '-0.01' }],
    ['spent.usd', { usd: 'NaN' }],
    ['spent.counts', { usd: '0.01', counts: { Bad: 1 } }],
    ['spent.counts.seconds', { usd: '0.01', counts: { seconds: -1 } }],
  ])('%s %o posts nothing, and can be said again', async (field, spent) => {
    await tk.withTenantKey(ask(), async (call) => {
      const error = await failure(call.spent(spent as never))
      expect(TenantKeysError.isInstance(error) && error.details.field).toContain(field)
      return call.spent({ usd: '0.002' })
    })
    expect((await money()).used).toBe(2_000_000n)
  })
})
