import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { Secret } from '../../src/kernel/secret.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { acmeBudget, type Installation, install, TENANT_SECRET } from '../support/installation.ts'
import {
  chat,
  chatJson,
  chatStream,
  chunkOf,
  json,
  openStream,
  type ProviderServer,
  startProvider,
  USAGE_COST_NANO,
  usageChunk,
  WORDS,
} from '../support/provider-server.ts'

const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }

let server: ProviderServer
let here: Installation
let storage: Storage

beforeEach(async () => {
  server = await startProvider(chat)
  storage = memory()
  here = await install(server.baseUrl, { storage })
})
afterEach(async () => {
  await here.tk.close()
  await server.close()
})

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  )
const codeOf = async (work: Promise<unknown>): Promise<string | null> => {
  const error = await failure(work)
  return TenantKeysError.isInstance(error) ? error.code : `not ours: ${String(error)}`
}

describe('a plain call', () => {
  test('goes out with the tenant credential and comes back with a receipt that says who paid and why', async () => {
    const answer = await here.client().chat.completions.create(ASK)
    const receipt = await here.tk.receiptOf(answer)

    expect(answer.choices[0]?.message.content).toBe('hello')
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${TENANT_SECRET}`)
    expect(receipt).toMatchObject({
      tenantId: 'acme',
      keyId: here.keyId,
      scope: 'support:chat',
      paidBy: 'tenant',
      outcome: 'completed',
      quality: 'measured',
      costNanoUsd: USAGE_COST_NANO,
      costUsd: '0.000024',
      settled: true,
      late: false,
    })
    expect(receipt.tokens).toMatchObject({ input: 100, cacheRead: 40, output: 20, reasoning: 5 })
    expect(receipt.credential.masked).not.toContain('0123456789')
    expect(here.receipts).toEqual([receipt])
  })

  test('posts to the budget, once, and frees the hold before the answer is delivered', async () => {
    await here.client().chat.completions.create(ASK)
    expect(await acmeBudget(here.tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  })

  test('holds an upper bound while the call is under way', async () => {
    let during = { used: -1n, held: -1n }
    server.answer = async (request, response, count) => {
      during = await acmeBudget(here.tk)
      return chatJson()(request, response, count)
    }
    await here.client().chat.completions.create(ASK)
    expect(during.used).toBe(0n)
    expect(during.held).toBeGreaterThanOrEqual(USAGE_COST_NANO)
  })

  test('writes a maximum of output into the request that names none', async () => {
    await here.client().chat.completions.create(ASK)
    expect(server.requests[0]?.body.max_completion_tokens).toBe(4096)
    await here.client().chat.completions.create({ ...ASK, max_completion_tokens: 7 })
    expect(server.requests[1]?.body.max_completion_tokens).toBe(7)
  })

  test('parse() works and its result has a receipt', async () => {
    server.answer = chatJson({ content: '{"city":"Basel"}' })
    const answer = await here.client().chat.completions.parse({
      ...ASK,
      response_format: zodResponseFormat(z.object({ city: z.string() }), 'place'),
    })
    expect(answer.choices[0]?.message.parsed).toEqual({ city: 'Basel' })
    expect((await here.tk.receiptOf(answer)).costNanoUsd).toBe(USAGE_COST_NANO)
  })

  test('asResponse() gives the provider response, whose json() settles', async () => {
    const response = await here.client().chat.completions.create(ASK).asResponse()
    const body = (await response.json()) as { choices: unknown[] }
    expect(body.choices).toHaveLength(1)
    expect((await here.tk.receiptOf(response)).outcome).toBe('completed')
    expect(here.receipts).toHaveLength(1)
  })

  test.each(['text', 'arrayBuffer', 'blob'] as const)(
    'a response read by %s() settles',
    async (how) => {
      const response = await here.client().chat.completions.create(ASK).asResponse()
      await response[how]()
      expect(here.receipts.map((r) => r.costNanoUsd)).toEqual([USAGE_COST_NANO])
    },
  )

  test('a response read through its body, or through two clones, settles once', async () => {
    const raw = await here.client().chat.completions.create(ASK).asResponse()
    for await (const part of raw.body!) expect(part.length).toBeGreaterThan(0)
    const cloned = await here.client().chat.completions.create(ASK).asResponse()
    const copy = cloned.clone()
    await Promise.all([cloned.text(), copy.json()])
    expect(here.receipts).toHaveLength(2)
    expect((await acmeBudget(here.tk)).used).toBe(2n * USAGE_COST_NANO)
  })

  test('withResponse() gives both, and each has the receipt', async () => {
    const { data, response } = await here.client().chat.completions.create(ASK).withResponse()
    expect(await here.tk.receiptOf(data)).toBe(await here.tk.receiptOf(response))
  })

  test('parallel calls on one wrapped client keep apart', async () => {
    const client = here.client()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.chat.completions.create(ASK)),
    )
    const receipts = await Promise.all(answers.map((a) => here.tk.receiptOf(a)))
    expect(new Set(receipts.map((r) => r.attemptId)).size).toBe(20)
    expect(new Set(receipts.map((r) => r.callId)).size).toBe(20)
    expect(await acmeBudget(here.tk)).toEqual({ used: 20n * USAGE_COST_NANO, held: 0n })
  })

  test('receiptOf refuses what no wrapped client returned', async () => {
    expect(await codeOf(here.tk.receiptOf({}))).toBe('TK_RECEIPT_UNKNOWN')
    expect(await codeOf(here.tk.receiptOf('text'))).toBe('TK_RECEIPT_UNKNOWN')
  })

  test('an answer without usage is charged by estimate, never zero', async () => {
    server.answer = chatJson({ usage: null, content: 'x'.repeat(300) })
    await here.client().chat.completions.create(ASK)
    expect(here.receipts[0]).toMatchObject({ quality: 'estimated', outcome: 'unreadable' })
    expect(here.receipts[0]?.tokens.output).toBeGreaterThanOrEqual(100)
    expect(here.receipts[0]?.costNanoUsd).toBeGreaterThan(0n)
  })

  test.each([
    ['negative', { ...{ prompt_tokens: -5, completion_tokens: 20, total_tokens: 15 } }],
    ['fractional', { prompt_tokens: 1.5, completion_tokens: 20, total_tokens: 21.5 }],
    ['text', { prompt_tokens: '100', completion_tokens: '20', total_tokens: '120' }],
    ['huge', { prompt_tokens: 1e300, completion_tokens: 20, total_tokens: 1e300 }],
  ])('usage that lies (%s) is not believed', async (_, usage) => {
    server.answer = chatJson({ usage })
    await here.client().chat.completions.create(ASK)
    expect(here.receipts[0]?.quality).toBe('estimated')
    expect(here.receipts[0]?.costNanoUsd).toBeGreaterThan(0n)
  })
})

describe('a stream', () => {
  test('arrives whole, with its usage chunk hidden from a caller who did not ask', async () => {
    const stream = await here.client().chat.completions.create({ ...ASK, stream: true })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    expect(chunks.map((c) => c.choices[0]!.delta.content ?? '').join('')).toBe(WORDS.join(''))
    expect(chunks.every((c) => c.choices.length === 1)).toBe(true)
    expect(server.requests[0]?.body.stream_options).toEqual({ include_usage: true })
    expect(await here.tk.receiptOf(stream)).toMatchObject({
      quality: 'measured',
      costNanoUsd: USAGE_COST_NANO,
    })
  })

  test('shows the usage chunk to a caller who asked', async () => {
    const stream = await here
      .client()
      .chat.completions.create({ ...ASK, stream: true, stream_options: { include_usage: true } })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    expect(chunks.at(-1)?.usage?.total_tokens).toBe(120)
    expect((await here.tk.receiptOf(stream)).costNanoUsd).toBe(USAGE_COST_NANO)
  })

  test.each([false, true])(
    'chunks arrive when the provider sent them (usage asked for: %s)',
    async (include_usage) => {
      const received: string[] = []
      let next = (): void => {}
      server.answer = async ({ body }, response) => {
        const out = openStream(response)
        for (const content of WORDS) {
          // The next word leaves only after the last one was seen by the caller.
          const seen = new Promise<void>((resolve) => {
            next = resolve
          })
          await out.send(chunkOf(body.model, { content }))
          await seen
        }
        await out.send(usageChunk(body.model))
        await out.send('[DONE]')
        out.end()
      }
      const stream = await here
        .client()
        .chat.completions.create({ ...ASK, stream: true, stream_options: { include_usage } })
      for await (const chunk of stream) {
        received.push(chunk.choices[0]?.delta.content ?? '')
        next()
      }
      expect(received.slice(0, WORDS.length)).toEqual(WORDS)
    },
  )

  test('the stream helper works', async () => {
    const runner = here.client().chat.completions.stream(ASK)
    const final = await runner.finalContent()
    expect(final).toBe(WORDS.join(''))
    expect(here.receipts).toHaveLength(1)
  })

  test('asResponse() on a stream gives an event stream that settles when it is read', async () => {
    const response = await here
      .client()
      .chat.completions.create({ ...ASK, stream: true })
      .asResponse()
    const text = await response.text()
    expect(text).toContain('data: [DONE]')
    expect(text).not.toContain('prompt_tokens')
    expect(here.receipts[0]?.quality).toBe('measured')
    expect(() => response.clone()).toThrow(TypeError)
  })

  test('comments and event names survive where a chunk is hidden', async () => {
    server.answer = async ({ body }, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(': keep-alive\n\n')
      response.write(
        `event: delta\nid: 7\ndata: ${JSON.stringify(chunkOf(body.model, { content: 'a' }))}\n\n`,
      )
      response.write(`data: ${JSON.stringify(usageChunk(body.model))}\n\ndata: [DONE]\n\n`)
      response.end()
    }
    const response = await here
      .client()
      .chat.completions.create({ ...ASK, stream: true })
      .asResponse()
    const text = await response.text()
    expect(text).toContain(': keep-alive\n')
    expect(text).toContain('event: delta\nid: 7\ndata: {')
    expect(text).not.toContain('prompt_tokens')
  })
})

describe('T-U1 a stream that does not end as planned makes one usage row, with at least what was delivered', () => {
  const plan = ['one ', 'two ', 'three ', 'four ']

  /** Sends the first `count` words, optionally the usage chunk, then waits for the client to leave. */
  function hanging(count: number, withUsage = false): void {
    server.answer = async ({ body, closedEarly }, response) => {
      const out = openStream(response)
      for (const content of plan.slice(0, count)) await out.send(chunkOf(body.model, { content }))
      if (withUsage) await out.send(usageChunk(body.model))
      await closedEarly
    }
  }

  /** What usage rows say, each of which has exactly one event. */
  async function books(): Promise<{ calls: number; output: number }> {
    const [total] = await here.tk.usage.query()
    const calls = total?.calls ?? 0
    const { events } = await storage.outbox.lease({ limit: 100, leaseMs: 1 })
    expect(events.filter(({ kind }) => kind === 'usage')).toHaveLength(calls)
    return { calls, output: total?.outputTokens ?? 0 }
  }

  test.each([1, 2, 3, 4])('early break after chunk %i', async (count) => {
    hanging(count)
    const stream = await here.client().chat.completions.create({ ...ASK, stream: true })
    let seen = 0
    for await (const _ of stream) if (++seen === count) break
    const receipt = await here.tk.receiptOf(stream)
    expect(receipt).toMatchObject({ outcome: 'aborted', quality: 'estimated', settled: true })
    expect(receipt.tokens.output).toBeGreaterThanOrEqual(count)
    expect(await books()).toMatchObject({ calls: 1, output: receipt.tokens.output })
    expect((await acmeBudget(here.tk)).held).toBe(0n)
  })

  test.each([0, 1, 3, 4])('abort by signal after chunk %i', async (count) => {
    hanging(count)
    const abort = new AbortController()
    const stream = await here
      .client()
      .chat.completions.create({ ...ASK, stream: true }, { signal: abort.signal })
    let seen = 0
    if (count === 0) abort.abort()
    for await (const _ of stream) if (++seen === count) abort.abort()
    const receipt = await here.tk.receiptOf(stream)
    expect(receipt).toMatchObject({ outcome: 'aborted', quality: 'estimated' })
    expect(receipt.tokens.output).toBeGreaterThanOrEqual(count)
    expect(receipt.costNanoUsd).toBeGreaterThan(0n)
    expect((await books()).calls).toBe(1)
    expect((await acmeBudget(here.tk)).held).toBe(0n)
  })

  test('abort between the usage chunk and the end marker charges what the provider counted', async () => {
    hanging(4, true)
    const abort = new AbortController()
    const stream = await here
      .client()
      .chat.completions.create(
        { ...ASK, stream: true, stream_options: { include_usage: true } },
        { signal: abort.signal },
      )
    for await (const chunk of stream) if (chunk.usage) abort.abort()
    expect(await here.tk.receiptOf(stream)).toMatchObject({
      outcome: 'aborted',
      quality: 'measured',
      costNanoUsd: USAGE_COST_NANO,
    })
    expect((await books()).calls).toBe(1)
  })

  test('the provider breaks the connection in the middle', async () => {
    server.answer = async ({ body }, response) => {
      const out = openStream(response)
      for (const content of plan) await out.send(chunkOf(body.model, { content }))
      out.destroy()
    }
    const stream = await here.client().chat.completions.create({ ...ASK, stream: true })
    const broken = await failure(
      (async () => {
        for await (const _ of stream);
      })(),
    )
    expect(broken).not.toBeNull()
    const receipt = await here.tk.receiptOf(stream)
    expect(receipt).toMatchObject({ outcome: 'broken', quality: 'estimated' })
    expect(receipt.tokens.output).toBeGreaterThanOrEqual(plan.length)
    expect((await books()).calls).toBe(1)
    expect((await acmeBudget(here.tk)).held).toBe(0n)
  })

  test('the provider closes without an end marker and without usage', async () => {
    server.answer = async ({ body }, response) => {
      const out = openStream(response)
      for (const content of plan) await out.send(chunkOf(body.model, { content }))
      out.end()
    }
    const stream = await here.client().chat.completions.create({ ...ASK, stream: true })
    for await (const _ of stream);
    expect(await here.tk.receiptOf(stream)).toMatchObject({
      outcome: 'broken',
      quality: 'estimated',
    })
    expect((await books()).calls).toBe(1)
  })

  test('the caller aborts before any answer came', async () => {
    let arrived = (): void => {}
    const reached = new Promise<void>((resolve) => {
      arrived = resolve
    })
    server.answer = async ({ closedEarly }) => {
      arrived()
      await closedEarly
    }
    const abort = new AbortController()
    const call = failure(here.client().chat.completions.create(ASK, { signal: abort.signal }))
    await reached
    abort.abort()
    expect(await call).toBeInstanceOf(OpenAI.APIUserAbortError)
    expect(here.receipts[0]).toMatchObject({ outcome: 'aborted', quality: 'estimated' })
    expect(here.receipts[0]?.costNanoUsd).toBeGreaterThan(0n)
    expect((await acmeBudget(here.tk)).held).toBe(0n)
  })
})

describe('attempts', () => {
  test('SDK retries are attempts of one call: each has its own hold, one call id joins them', async () => {
    server.answer = (request, response, count) =>
      count < 3
        ? json(response, { error: { message: 'busy' } }, 500, { 'retry-after-ms': '1' })
        : chatJson()(request, response, count)
    await here.client({}, { maxRetries: 2 }).chat.completions.create(ASK)
    expect(here.receipts.map((r) => r.outcome)).toEqual(['voided', 'voided', 'completed'])
    expect(new Set(here.receipts.map((r) => r.callId)).size).toBe(1)
    expect(new Set(here.receipts.map((r) => r.attemptId)).size).toBe(3)
    expect(await acmeBudget(here.tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  })

  test('an error of the provider is passed on as it is and costs nothing', async () => {
    server.answer = (_, response) => json(response, { error: { message: 'no', code: 'nope' } }, 401)
    const error = await failure(here.client().chat.completions.create(ASK))
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError)
    expect(await acmeBudget(here.tk)).toEqual({ used: 0n, held: 0n })
  })

  test('a redirect is not followed', async () => {
    server.answer = (_, response) => {
      response.writeHead(307, { location: 'http://127.0.0.1:9/v1/chat/completions' })
      response.end()
    }
    expect(await failure(here.client().chat.completions.create(ASK))).toBeInstanceOf(
      OpenAI.APIError,
    )
    expect(server.requests).toHaveLength(1)
    expect((await acmeBudget(here.tk)).held).toBe(0n)
  })

  test('a provider that cannot be reached costs nothing', async () => {
    await server.close()
    expect(await failure(here.client().chat.completions.create(ASK))).toBeInstanceOf(
      OpenAI.APIConnectionError,
    )
    expect(await acmeBudget(here.tk)).toEqual({ used: 0n, held: 0n })
  })

  test('a connection that breaks before any status keeps its hold and is reported', async () => {
    server.answer = (_, response) => response.destroy()
    expect(await failure(here.client().chat.completions.create(ASK))).toBeInstanceOf(
      OpenAI.APIConnectionError,
    )
    expect((await acmeBudget(here.tk)).held).toBeGreaterThan(0n)
    expect(here.events.map((e) => e.kind)).toContain('call.outcome_unknown')
  })
})

describe('denials stop the call at once, as our typed error, before anything is sent', () => {
  const cases: [string, () => Promise<unknown>][] = [
    ['TK_MODEL_DENIED', () => here.client().chat.completions.create({ ...ASK, model: 'gpt-4o' })],
    ['TK_SCOPE_DENIED', () => here.client({ scope: 'support:other' }).chat.completions.create(ASK)],
    ['TK_KEY_MALFORMED', () => here.client({ key: 'nonsense' }).chat.completions.create(ASK)],
    [
      'TK_PRICE_MISSING',
      () => here.client().chat.completions.create({ ...ASK, model: 'local-model' }),
    ],
    ['TK_OPERATION_NOT_SUPPORTED', () => here.client().models.list()],
    [
      'TK_BUDGET_EXHAUSTED',
      () =>
        here.client().chat.completions.create({ ...ASK, n: 100, max_completion_tokens: 100_000 }),
    ],
  ]
  test.each(cases)('%s', async (code, call) => {
    expect(await codeOf(call())).toBe(code)
    expect(server.requests).toHaveLength(0)
    expect(await acmeBudget(here.tk)).toEqual({ used: 0n, held: 0n })
  })

  test('a denial is not retried by the SDK', async () => {
    const client = here.client({ scope: 'support:other' }, { maxRetries: 5 })
    expect(await codeOf(client.chat.completions.create(ASK))).toBe('TK_SCOPE_DENIED')
    expect(here.events.filter((e) => e.kind === 'call.denied')).toHaveLength(1)
  })

  test('a budget denial names account, limit, use, what would fit, and when it resets', async () => {
    const error = await failure(
      here.client().chat.completions.create({ ...ASK, n: 100, max_completion_tokens: 100_000 }),
    )
    const { denial } = (error as TenantKeysError).details
    expect(denial).toMatchObject({
      account: 'tenant:acme',
      window: 'month',
      limit: '1.00',
      used: '0.00',
    })
    expect(denial?.wouldFit).toBe('1.00')
    expect(Date.parse(denial?.resetsAt ?? '')).toBeGreaterThan(Date.now())
  })

  test('tk.fetch throws the same error itself', async () => {
    const fetch = here.tk.fetch({ key: here.key, scope: 'support:other' })
    const call = fetch('https://api.openai.com/v1/chat/completions', {
      method: 'POST',
      body: JSON.stringify(ASK),
    })
    expect(await codeOf(call)).toBe('TK_SCOPE_DENIED')
  })

  test('tk.fetch refuses hosts that are no provider', async () => {
    const fetch = here.tk.fetch({ key: here.key })
    const call = fetch('https://evil.example/v1/chat/completions', { method: 'POST', body: '{}' })
    expect(await codeOf(call)).toBe('TK_ORIGIN_DENIED')
  })

  test('S2.25 authorize previews the decision and consumes nothing', async () => {
    const ask = { key: here.key, model: 'gpt-4o-mini', estimate: { usd: '0.50' } }
    expect(await here.tk.authorize(ask)).toMatchObject({
      ok: true,
      paidBy: 'tenant',
      scope: 'support:chat',
    })
    expect(await here.tk.authorize({ ...ask, estimate: { usd: '2.00' } })).toMatchObject({
      ok: false,
      code: 'TK_BUDGET_EXHAUSTED',
    })
    expect(await here.tk.authorize({ ...ask, model: 'gpt-4o' })).toMatchObject({
      ok: false,
      code: 'TK_MODEL_DENIED',
    })
    expect(await acmeBudget(here.tk)).toEqual({ used: 0n, held: 0n })
  })

  test('S2.25 authorize does not promise a call that would be refused for want of a price', async () => {
    const ask = { key: here.key, scope: 'support:chat', model: 'local-model' }
    expect(await here.tk.authorize(ask)).toMatchObject({
      ok: false,
      code: 'TK_PRICE_MISSING',
      details: { provider: 'openai', model: 'local-model' },
    })
  })

  test('keys.verify and authorize take the key as Secret too, as a context does', async () => {
    const key = new Secret(here.key)
    expect(await here.tk.keys.verify(key)).toMatchObject({ ok: true })
    expect(await here.tk.authorize({ key, model: 'gpt-4o-mini' })).toMatchObject({ ok: true })
  })
})

test('a client that cannot be bound safely is refused with a hint', () => {
  const refuse = (client: object) => () => here.tk.withTenantKey(client, { key: here.key })
  expect(refuse({})).toThrow(expect.objectContaining({ code: 'TK_CLIENT_NOT_BINDABLE' }))
  const azure = new OpenAI({ apiKey: 'x' })
  Object.assign(azure, { apiVersion: '2024-02-15-preview' })
  const elsewhere = () => here.tk.withTenantKey(azure, { key: here.key, provider: 'openai' })
  expect(elsewhere).toThrow(expect.objectContaining({ code: 'TK_CLIENT_NOT_BINDABLE' }))
})

test('the given client is not changed by binding', async () => {
  const given = new OpenAI({ apiKey: 'sk-platform', baseURL: server.baseUrl, maxRetries: 0 })
  here.tk.withTenantKey(given, { key: here.key })
  server.answer = chatStream()
  await given.chat.completions.create({ ...ASK, stream: true })
  expect(server.requests[0]?.headers.authorization).toBe('Bearer sk-platform')
  expect(here.receipts).toHaveLength(0)
})

test('T-K3 a failed verification is reported, in a call and by tk.keys.verify, without the text', async () => {
  await here.tk.keys.verify('tk_live_nonsense')
  await codeOf(here.client({ key: 'tk_live_nonsense' }).chat.completions.create(ASK))
  const failed = { kind: 'key.verify_failed', code: 'TK_KEY_MALFORMED', keyId: null }
  expect(here.events).toEqual([failed, failed])
})
