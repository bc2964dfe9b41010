/**
 * What holds for every client, each through its real package against a local server that speaks its
 * wire format.
 *
 * @module
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import type { Receipt } from '../../src/request/receipt.ts'
import {
  type ClientBench,
  COST_NANO,
  OTHER_MODEL,
  openClientBench,
  PLATFORM_CANARY,
  tenantSecret,
} from '../support/client-bench.ts'
import { CLIENT_CASES } from '../support/client-cases.ts'
import type { ClientCase, Options } from '../support/clients/client-case.ts'
import { holdTimers } from '../support/held-timers.ts'
import { HANG, paced } from '../support/paced.ts'
import { type Answer, json } from '../support/provider-server.ts'
import { until } from '../support/watched-clock.ts'
import { answering, modelOf, WORDS } from '../support/wire.ts'

/** Of a client's own; no other timer is this long. */
const TIMEOUT_MS = 1237

/** What the SDKs read from the environment when they are not told otherwise. */
const ENVIRONMENT = {
  ...Object.fromEntries(
    [
      'OPENAI_API_KEY',
      'OPENAI_ADMIN_KEY',
      'OPENAI_ORG_ID',
      'OPENAI_ORGANIZATION',
      'OPENAI_PROJECT_ID',
      'ANTHROPIC_API_KEY',
      'ANTHROPIC_AUTH_TOKEN',
      'GROQ_API_KEY',
      'GEMINI_API_KEY',
      'MISTRAL_API_KEY',
      'OPENROUTER_API_KEY',
      'OPENROUTER_APP_TITLE',
      'CO_API_KEY',
      'AZURE_OPENAI_API_KEY',
      'AWS_BEARER_TOKEN_BEDROCK',
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
    ].map((name) => [name, PLATFORM_CANARY]),
  ),
  ...Object.fromEntries(
    [
      'OPENAI_BASE_URL',
      'ANTHROPIC_BASE_URL',
      'GROQ_BASE_URL',
      'GOOGLE_GEMINI_BASE_URL',
      'OPENROUTER_BASE_URL',
      'AZURE_OPENAI_ENDPOINT',
      'AWS_ENDPOINT_URL',
    ].map((name) => [name, 'http://127.0.0.1:9/environment']),
  ),
  ...Object.fromEntries(
    ['OPENAI_CUSTOM_HEADERS', 'ANTHROPIC_CUSTOM_HEADERS', 'GROQ_CUSTOM_HEADERS'].map((name) => [
      name,
      `x-environment-token: ${PLATFORM_CANARY}`,
    ]),
  ),
  GOOGLE_GENAI_USE_VERTEXAI: 'true',
  OPENROUTER_HTTP_REFERER: `https://${PLATFORM_CANARY}.example`,
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  )

async function all(stream: AsyncIterable<string>): Promise<string[]> {
  const texts: string[] = []
  for await (const text of stream) texts.push(text)
  return texts
}

/** Ours, wherever the SDK put it. */
function denialIn(error: unknown): TenantKeysError | null {
  return TenantKeysError.find(error)
}

const CASES = CLIENT_CASES.filter(({ provider }) => PROVIDERS.has(provider))

beforeAll(() => {
  for (const [name, value] of Object.entries(ENVIRONMENT)) vi.stubEnv(name, value)
  // SDKs warn of two keys in the environment, and of experiments.
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})
afterAll(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

describe.each(CASES.map((c) => [c.name, c] as const))('%s', (_, client: ClientCase) => {
  let bench: ClientBench
  beforeEach(async () => {
    bench = await openClientBench()
    bench.server.answer = answering(client.wire)
  })
  afterEach(() => bench[Symbol.asyncDispose]())

  const bind = (change = {}, options: Options = { retries: 0 }) =>
    client.bind(bench.tk, bench.context(change), options)

  /** One call is on the books, once, with at least so much output, and nothing is held any more. */
  async function settledOnce(output: number): Promise<void> {
    await until(() => bench.receipts.length >= 1)
    expect(bench.receipts).toHaveLength(1)
    const [receipt] = bench.receipts
    expect(receipt!.tokens.output).toBeGreaterThanOrEqual(output)
    expect(receipt!.costNanoUsd).toBeGreaterThan(0n)
    expect(await bench.books()).toEqual({ calls: 1, output: receipt!.tokens.output, events: 1 })
    expect((await bench.budget()).held).toBe(0n)
  }

  test('a plain call goes out with the tenant credential, and is charged as the provider counted', async () => {
    expect(await bind().json()).toBe(WORDS.join(''))
    const [request] = bench.server.requests
    expect(request!.headers[client.header]).toContain(tenantSecret(client.provider))
    expect(bench.receipts).toMatchObject([
      {
        provider: client.provider,
        model: 'test-model',
        outcome: 'completed',
        quality: 'measured',
        tokens: { input: 100, output: 20 },
        costNanoUsd: COST_NANO,
        settled: true,
      },
    ])
    expect(await bench.budget()).toEqual({ used: COST_NANO, held: 0n })
  })

  test('T-S5 nothing of the platform client or of the environment reaches the provider', async () => {
    await bind().json()
    await all(bind().stream())
    expect(bench.server.requests).toHaveLength(2)
    for (const { url, headers, text } of bench.server.requests) {
      expect(JSON.stringify({ url, headers, text })).not.toContain(PLATFORM_CANARY)
    }
  })

  test('a stream arrives whole, and is charged as the provider counted', async () => {
    expect((await all(bind().stream())).join('')).toBe(WORDS.join(''))
    expect(bench.receipts).toMatchObject([
      { outcome: 'completed', quality: 'measured', costNanoUsd: COST_NANO },
    ])
    await settledOnce(20)
  })

  test('chunks arrive when the provider sent them: each is seen before the next is sent', async () => {
    const seen: string[] = []
    let next = (): void => {}
    bench.server.answer = async (request, response) => {
      const model = modelOf(request)
      response.writeHead(200, { 'content-type': client.wire.streamType })
      for (const piece of client.wire.head(model)) response.write(piece)
      for (const word of WORDS) {
        const arrived = new Promise<void>((resolve) => {
          next = resolve
        })
        response.write(client.wire.word(model, word))
        await arrived
      }
      for (const piece of client.wire.stop(model)) response.write(piece)
      for (const piece of client.wire.usage(model)) response.write(piece)
      for (const piece of client.wire.end()) response.write(piece)
      response.end()
    }
    for await (const text of bind().stream()) {
      seen.push(text)
      next()
    }
    expect(seen).toEqual(WORDS)
  })

  describe('T-U1 a stream that is left makes one usage row, with at least what was delivered', () => {
    /** Sends so many words, then waits for the client to leave. */
    const hanging =
      (count: number): Answer =>
      async (request, response) => {
        const model = modelOf(request)
        response.writeHead(200, { 'content-type': client.wire.streamType })
        for (const piece of client.wire.head(model)) response.write(piece)
        for (const word of WORDS.slice(0, count)) response.write(client.wire.word(model, word))
        response.flushHeaders()
        await left
        if (client.leaves === 'with the next piece') response.write(client.wire.word(model, 'more'))
        await request.closedEarly
      }
    let left = Promise.resolve()
    beforeEach(() => {
      left = Promise.resolve()
    })

    test.skipIf(client.leaves === 'when aborted').each([1, WORDS.length - 1])(
      'early break after chunk %i',
      async (count) => {
        let leave = (): void => {}
        left = new Promise((resolve) => {
          leave = resolve
        })
        bench.server.answer = hanging(count)
        let seen = 0
        for await (const _text of bind().stream()) {
          if (++seen < count) continue
          leave()
          break
        }
        await settledOnce(count)
        expect(bench.receipts[0]).toMatchObject({ outcome: 'aborted', quality: 'estimated' })
      },
    )

    test.each([0, 1, WORDS.length - 1])('abort by signal after chunk %i', async (count) => {
      const abort = new AbortController()
      bench.server.answer = async (request, response, calls) => {
        const answered = hanging(count)(request, response, calls)
        // What was written is on its way before the abort.
        if (count === 0) setImmediate(() => abort.abort())
        await answered
      }
      await failure(
        (async () => {
          let seen = 0
          for await (const _text of bind().stream({ signal: abort.signal }))
            if (++seen === count) abort.abort()
        })(),
      )
      await settledOnce(count)
      expect(bench.receipts[0]?.outcome).toBe('aborted')
    })

    test('abort between the usage and the end charges what the provider counted', async () => {
      const abort = new AbortController()
      const { wire } = client
      await using own = await openClientBench({
        fetch: paced(wire, function* (model) {
          yield* wire.head(model)
          for (const word of WORDS) yield wire.word(model, word)
          yield* [...wire.stop(model), ...wire.usage(model)]
          // Asked for more: the usage was read.
          abort.abort()
          return HANG
        }),
      })
      const bound = client.bind(own.tk, own.context(), { retries: 0 })
      await failure(all(bound.stream({ signal: abort.signal })))
      await until(() => own.receipts.length >= 1)
      expect(own.receipts).toMatchObject([
        { quality: 'measured', tokens: { input: 100, output: 20 }, costNanoUsd: COST_NANO },
      ])
      expect(await own.budget()).toEqual({ used: COST_NANO, held: 0n })
      expect(await own.books()).toEqual({ calls: 1, output: 20, events: 1 })
    })
  })

  test.skipIf(client.timeout === null)(
    'its own timeout ends an attempt; each is settled once, and one id joins them',
    async () => {
      using timers = holdTimers(TIMEOUT_MS)
      bench.server.answer = async ({ closedEarly }) => {
        timers.end()
        await closedEarly
      }
      const retries = client.timeout === 'repeats' ? 1 : 0
      const error = await failure(bind({}, { retries, timeoutMs: TIMEOUT_MS }).json())
      expect(error).toBeInstanceOf(Error)
      await until(() => bench.receipts.length > retries)
      expect(bench.receipts).toHaveLength(retries + 1)
      for (const receipt of bench.receipts) {
        expect(receipt).toMatchObject({ outcome: 'aborted', quality: 'estimated' })
        expect(receipt.costNanoUsd).toBeGreaterThan(0n)
      }
      expect(new Set(bench.receipts.map((r) => r.callId)).size).toBe(1)
      expect(new Set(bench.receipts.map((r) => r.attemptId)).size).toBe(retries + 1)
      expect((await bench.books()).events).toBe(retries + 1)
      expect((await bench.budget()).held).toBe(0n)
    },
  )

  test('a timeout by signal settles once', async () => {
    using timers = holdTimers(TIMEOUT_MS)
    bench.server.answer = async ({ closedEarly }) => {
      timers.end()
      await closedEarly
    }
    await failure(bind().json({ signal: AbortSignal.timeout(TIMEOUT_MS) }))
    await settledOnce(0)
    expect(bench.receipts[0]).toMatchObject({ outcome: 'aborted', quality: 'estimated' })
  })

  test.runIf(client.retries)(
    'its own retries are attempts of one call: each has its own hold, one id joins them',
    async () => {
      bench.server.answer = (request, response, count) =>
        count === 1
          ? json(response, { error: { message: 'busy' } }, 500, { 'retry-after-ms': '1' })
          : answering(client.wire)(request, response)
      expect(await bind({}, { retries: 1 }).json()).toBe(WORDS.join(''))
      expect(bench.receipts.map((r) => r.outcome)).toEqual(['voided', 'completed'])
      expect(new Set(bench.receipts.map((r) => r.callId)).size).toBe(1)
      expect(new Set(bench.receipts.map((r) => r.attemptId)).size).toBe(2)
      expect(await bench.budget()).toEqual({ used: COST_NANO, held: 0n })
    },
  )

  test('calls that are no retries have ids of their own, also side by side', async () => {
    const bound = bind()
    await Promise.all(Array.from({ length: 8 }, () => bound.json()))
    expect(new Set(bench.receipts.map((r) => r.callId)).size).toBe(8)
    expect(await bench.budget()).toEqual({ used: 8n * COST_NANO, held: 0n })
  })

  test('parallel calls of one client, each in a run of its own, keep their contexts apart', async () => {
    const bound = client.bind(bench.tk, undefined, { retries: 0 })
    const issued = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        bench.tk.keys.issue({ tenantId: 'acme', name, scopes: ['chat'] }),
      ),
    )
    const runs = [...issued, ...issued, ...issued].map(async ({ key, info }, n) => {
      const receipts: Receipt[] = []
      const onReceipt = (receipt: Receipt): void => void receipts.push(receipt)
      const context = { key, onReceipt, tags: { who: `${n}-${info.keyId}` } }
      await bench.tk.run(context, () => (n % 2 ? all(bound.stream()) : bound.json()))
      // How every client tells its receipt, whatever its answers can carry.
      expect(receipts).toMatchObject([{ keyId: info.keyId, costNanoUsd: COST_NANO }])
      return `${n}-${info.keyId} ${info.keyId}`
    })
    const expected = await Promise.all(runs)
    const { events } = await bench.storage.outbox.lease({ limit: 100, leaseMs: 1 })
    const rows = events
      .filter(({ kind }) => kind === 'usage')
      .map(({ payload }) => JSON.parse(payload) as { tags: { who: string }; keyId: string })
    expect(rows.map(({ tags, keyId }) => `${tags.who} ${keyId}`).sort()).toEqual(expected.sort())
  })

  test('a denial is our typed error, is not repeated, and nothing is sent', async () => {
    const error = await failure(bind({}, { retries: 2 }).json({ model: OTHER_MODEL }))
    expect(denialIn(error)).toMatchObject({ code: 'TK_MODEL_DENIED' })
    expect(TenantKeysError.isInstance(error)).toBe(client.denial === 'itself')
    const streamed = await failure(all(bind({}, { retries: 2 }).stream({ model: OTHER_MODEL })))
    expect(denialIn(streamed)).toMatchObject({ code: 'TK_MODEL_DENIED' })
    expect(bench.server.requests).toHaveLength(0)
    expect(bench.events.filter(({ kind }) => kind === 'call.denied')).toHaveLength(2)
  })

  test('an error of the provider reaches the caller and costs nothing', async () => {
    bench.server.answer = (_request, response) =>
      json(response, { error: { message: 'no such key', type: 'invalid_request_error' } }, 401)
    expect(await failure(bind().json())).toBeInstanceOf(Error)
    expect(bench.receipts).toMatchObject([{ outcome: 'voided', httpStatus: 401 }])
    expect(await bench.budget()).toEqual({ used: 0n, held: 0n })
  })

  test('S4.22 without a context it takes the one of the run it is used in', async () => {
    const bound = client.bind(bench.tk, undefined, { retries: 0 })
    expect(denialIn(await failure(bound.json()))).toMatchObject({ code: 'TK_CONTEXT_MISSING' })
    await bench.tk.run(bench.context({ tags: { feature: 'a' } }), () => bound.json())
    expect(bench.receipts).toHaveLength(1)
  })
})
