import { gzipSync } from 'node:zlib'
import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { acmeBudget, type Installation, install } from '../support/installation.ts'
import {
  chat,
  chatJson,
  chunkOf,
  json,
  openStream,
  type ProviderServer,
  startProvider,
  USAGE,
  USAGE_COST_NANO,
  usageChunk,
} from '../support/provider-server.ts'

const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }
const URL_OF_CHAT = 'https://api.openai.com/v1/chat/completions'
const CANARY = 'platform-canary-0123456789abcdef'

let server: ProviderServer
let here: Installation

beforeEach(async () => {
  server = await startProvider(chat)
  here = await install(server.baseUrl)
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
const post = (init: RequestInit = {}): Promise<Response> =>
  here.tk.fetch({ key: here.key, onReceipt: (r) => here.receipts.push(r) })(URL_OF_CHAT, {
    method: 'POST',
    body: JSON.stringify(ASK),
    ...init,
  })
const measuredOnce = (): void => {
  expect(here.receipts).toMatchObject([{ quality: 'measured', costNanoUsd: USAGE_COST_NANO }])
}

describe('a JSON answer is charged as the provider counted, however its body is touched', () => {
  test('looking at response.body does not lock the answer', async () => {
    const response = await post()
    expect(response.body).not.toBeNull()
    expect(response.bodyUsed).toBe(false)
    expect(await response.json()).toMatchObject({ usage: USAGE })
    measuredOnce()
  })

  test('the body can be read raw after a clone was taken', async () => {
    const response = await post()
    const copy = response.clone()
    let size = 0
    for await (const part of response.body!) size += part.length
    expect(size).toBeGreaterThan(0)
    expect(await copy.json()).toMatchObject({ usage: USAGE })
    measuredOnce()
  })

  test('a clone that is thrown away does not end the call for the other reader', async () => {
    const response = await post()
    // As for every clone, this cancel waits for the other reader.
    const left = response.clone().body?.cancel()
    await response.json()
    await left
    measuredOnce()
  })

  test('a second reader that comes too late does not end the call for the first', async () => {
    const response = await post()
    const [first, second] = await Promise.allSettled([response.json(), response.json()])
    expect([first.status, second.status]).toEqual(['fulfilled', 'rejected'])
    measuredOnce()
  })

  test('formData() settles too', async () => {
    const response = await post()
    expect(await failure(response.formData())).toBeInstanceOf(TypeError)
    measuredOnce()
  })

  test('a compressed answer is read', async () => {
    server.answer = ({ body }, response) => {
      const value = {
        id: 'c',
        object: 'chat.completion',
        created: 1,
        model: body.model,
        choices: [],
      }
      const bytes = gzipSync(JSON.stringify({ ...value, usage: USAGE }))
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      response.end(bytes)
    }
    await here.client().chat.completions.create(ASK)
    measuredOnce()
  })

  test('an encoding that only the caller understands is not asked for', async () => {
    await post({ headers: { 'accept-encoding': 'x-own', 'content-encoding': 'x-own' } })
    expect(server.requests[0]?.headers['accept-encoding']).not.toContain('x-own')
    expect(server.requests[0]?.headers['content-encoding']).toBeUndefined()
  })

  test('T-U1 an abort in the middle of the raw body charges what was delivered', async () => {
    const sent = 'x'.repeat(3000)
    server.answer = async ({ closedEarly }, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write(`{"choices":[{"message":{"content":"${sent}`)
      await closedEarly
    }
    const abort = new AbortController()
    const response = await post({ signal: abort.signal })
    const reader = response.body!.getReader()
    let size = 0
    while (size < sent.length) size += (await reader.read()).value?.length ?? 0
    abort.abort()
    const receipt = await here.tk.receiptOf(response)
    expect(receipt).toMatchObject({ outcome: 'aborted', quality: 'estimated' })
    expect(receipt.tokens.output).toBeGreaterThanOrEqual(1000)
  })

  test('text without usage is estimated from its bytes, not from its characters', async () => {
    const content = '计'.repeat(900)
    server.answer = chatJson({ usage: null, content })
    await here.client().chat.completions.create(ASK)
    expect(here.receipts[0]?.tokens.output).toBeGreaterThanOrEqual(900)
  })
})

describe('an answer that no client reads leaves nothing held', () => {
  test.each([
    ['204', 204, {}],
    ['200 with content-length 0', 200, { 'content-length': '0' }],
  ])('%s', async (_, status, headers) => {
    server.answer = (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end()
    }
    await here.client().chat.completions.create(ASK)
    expect(here.receipts).toMatchObject([{ outcome: 'unreadable', quality: 'estimated' }])
    expect((await acmeBudget(here.tk)).held).toBe(0n)
  })

  test('a signal that was aborted before the answer came is noticed', async () => {
    const abort = new AbortController()
    const fetch: typeof globalThis.fetch = async (_url, init) => {
      const response = Response.json({ usage: USAGE })
      abort.abort()
      expect(init?.signal?.aborted).toBe(true)
      return response
    }
    const other = await install(server.baseUrl, { fetch })
    const call = other.tk.fetch({ key: other.key })
    const init = { method: 'POST', body: JSON.stringify(ASK), signal: abort.signal }
    const response = await call(URL_OF_CHAT, init)
    expect(await other.tk.receiptOf(response)).toMatchObject({ outcome: 'aborted' })
    expect((await acmeBudget(other.tk)).held).toBe(0n)
    await other.tk.close()
  })
})

describe('an error of the provider', () => {
  test('that reports usage is charged for it', async () => {
    server.answer = (_, response) =>
      json(response, { error: { message: 'cut off' }, usage: USAGE }, 422)
    const error = await failure(here.client().chat.completions.create(ASK))
    expect(error).toBeInstanceOf(OpenAI.UnprocessableEntityError)
    expect((error as Error).message).toContain('cut off')
    expect(here.receipts).toMatchObject([
      { quality: 'measured', httpStatus: 422, costNanoUsd: USAGE_COST_NANO },
    ])
  })

  test.each(['not JSON', '[]', '', 'null'])('without usage costs nothing: %s', async (text) => {
    server.answer = (_, response) => {
      response.writeHead(500, { 'content-type': 'application/json' })
      response.end(text)
    }
    await failure(here.client().chat.completions.create(ASK))
    expect(here.receipts).toMatchObject([{ outcome: 'voided', httpStatus: 500 }])
    expect(await acmeBudget(here.tk)).toEqual({ used: 0n, held: 0n })
  })

  test('whose body breaks costs nothing', async () => {
    server.answer = (_, response) => {
      response.writeHead(500, { 'content-type': 'application/json', 'content-length': '100' })
      response.write('{')
      setImmediate(() => response.destroy())
    }
    expect(await failure(here.client().chat.completions.create(ASK))).toBeInstanceOf(Error)
    expect(await acmeBudget(here.tk)).toEqual({ used: 0n, held: 0n })
  })
})

describe('sent or not sent', () => {
  const failing = (error: object): typeof globalThis.fetch => {
    return async () => {
      throw new TypeError('fetch failed', { cause: Object.assign(new Error('x'), error) })
    }
  }
  test.each([
    [{ code: 'EHOSTUNREACH', syscall: 'connect' }, 'not sent'],
    [{ code: 'ETIMEDOUT', syscall: 'connect' }, 'not sent'],
    [{ code: 'ENOTFOUND', syscall: 'getaddrinfo' }, 'not sent'],
    [{ code: 'CERT_HAS_EXPIRED' }, 'not sent'],
    [{ code: 'UND_ERR_INVALID_ARG' }, 'not sent'],
    [{ code: 'EHOSTUNREACH', syscall: 'read' }, 'unknown'],
    [{ code: 'ECONNRESET', syscall: 'read' }, 'unknown'],
    [{ code: 'UND_ERR_SOCKET' }, 'unknown'],
  ])('%o: %s', async (error, expected) => {
    const other = await install(server.baseUrl, { fetch: failing(error) })
    await failure(other.client().chat.completions.create(ASK))
    const { held } = await acmeBudget(other.tk)
    expect(held > 0n ? 'unknown' : 'not sent').toBe(expected)
    await other.tk.close()
  })

  test.each([
    ['expect', '100-continue'],
    ['transfer-encoding', 'chunked'],
    ['connection', 'keep-alive'],
    ['upgrade', 'websocket'],
    ['te', 'trailers'],
    ['keep-alive', 'timeout=5'],
  ])(
    'a header of the connection (%s) is not passed on and keeps nothing held',
    async (name, value) => {
      const response = await post({ headers: { [name]: value } })
      expect(response.status).toBe(200)
      await response.json()
      expect((await acmeBudget(here.tk)).held).toBe(0n)
    },
  )
})

describe('a stream', () => {
  test('is recognised by what was asked when the provider names no type', async () => {
    server.answer = async ({ body }, response) => {
      response.writeHead(200)
      response.write(`data: ${JSON.stringify(chunkOf(body.model, { content: 'a' }))}\n\n`)
      response.end(`data: ${JSON.stringify(usageChunk(body.model))}\n\ndata: [DONE]\n\n`)
    }
    const stream = await here.client().chat.completions.create({ ...ASK, stream: true })
    for await (const chunk of stream) expect(chunk.choices).toHaveLength(1)
    measuredOnce()
  })

  test('that answers a plain request is charged by its usage', async () => {
    server.answer = async ({ body }, response) => {
      const out = openStream(response)
      await out.send(chunkOf(body.model, { content: 'a' }))
      await out.send(usageChunk(body.model))
      await out.send('[DONE]')
      out.end()
    }
    await here.client().chat.completions.create(ASK)
    measuredOnce()
  })

  test('that was asked for and comes as JSON is charged by its usage', async () => {
    server.answer = chatJson()
    const stream = await here.client().chat.completions.create({ ...ASK, stream: true })
    await failure(
      (async () => {
        for await (const _ of stream);
      })(),
    )
    measuredOnce()
    expect((await here.tk.receiptOf(stream)).quality).toBe('measured')
  })

  test('read twice as text rejects the second time, as any Response', async () => {
    const response = await here
      .client()
      .chat.completions.create({ ...ASK, stream: true })
      .asResponse()
    await response.text()
    const again = response.text()
    expect(await failure(again)).toBeInstanceOf(TypeError)
  })

  test('left early stops the provider without waiting for the store', async () => {
    const inner = memory()
    let open = (): void => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const settle: Storage['ledger']['settle'] = async (items) => {
      await gate
      return inner.ledger.settle(items)
    }
    const storage = { ...inner, ledger: { ...inner.ledger, settle } }
    const other = await install(server.baseUrl, { storage, settleWaitMs: 60_000 })
    let stopped: Promise<void> | null = null
    server.answer = async ({ body, closedEarly }, response) => {
      stopped = closedEarly
      await openStream(response).send(chunkOf(body.model, { content: 'a' }))
      await closedEarly
    }
    const call = other.tk.fetch({ key: other.key })
    const body = JSON.stringify({ ...ASK, stream: true })
    const response = await call(URL_OF_CHAT, { method: 'POST', body })
    const reader = response.body!.getReader()
    await reader.read()
    const left = reader.cancel()
    await stopped!
    open()
    await left
    await other.tk.close()
  })
})

describe('T-U1 usage that was reported before the end', () => {
  test('does not stand for what was delivered after it', async () => {
    const words = Array.from({ length: 50 }, (_, i) => `word${i} `)
    server.answer = async ({ body, closedEarly }, response) => {
      const out = openStream(response)
      const none = { prompt_tokens: 9, completion_tokens: 0, total_tokens: 9 }
      await out.send({ ...chunkOf(body.model, { role: 'assistant', content: '' }), usage: none })
      for (const content of words) await out.send(chunkOf(body.model, { content }))
      await closedEarly
    }
    const stream = await here.client().chat.completions.create({ ...ASK, stream: true })
    let seen = 0
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) seen++
      if (seen === words.length) break
    }
    const receipt = await here.tk.receiptOf(stream)
    expect(receipt).toMatchObject({ outcome: 'aborted', quality: 'estimated' })
    expect(receipt.tokens.output).toBeGreaterThanOrEqual(words.length)
  })
})

describe('runners of the SDK', () => {
  const toolCall = {
    id: 'call-1',
    type: 'function',
    function: { name: 'weather', arguments: '{}' },
  }
  test('each call of a tool runner is a call of its own', async () => {
    server.answer = ({ body }, response, count) => {
      const base = {
        id: 'c',
        object: 'chat.completion',
        created: 1,
        model: body.model,
        usage: USAGE,
      }
      const message =
        count === 1
          ? { role: 'assistant', content: null, refusal: null, tool_calls: [toolCall] }
          : { role: 'assistant', content: 'sunny', refusal: null }
      const finish_reason = count === 1 ? 'tool_calls' : 'stop'
      json(response, { ...base, choices: [{ index: 0, finish_reason, logprobs: null, message }] })
    }
    const runner = here.client().chat.completions.runTools({
      ...ASK,
      tools: [
        {
          type: 'function',
          function: { name: 'weather', parameters: {}, function: () => 'sunny', description: 'w' },
        },
      ],
    })
    expect(await runner.finalContent()).toBe('sunny')
    expect(new Set(here.receipts.map((r) => r.callId)).size).toBe(2)
    expect(await acmeBudget(here.tk)).toEqual({ used: 2n * USAGE_COST_NANO, held: 0n })
  })
})

describe('binding an OpenAI client', () => {
  const bind = (client: object) => () => here.tk.withTenantKey(client, { key: here.key })
  const notBindable = expect.objectContaining({ code: 'TK_CLIENT_NOT_BINDABLE' })

  test('headers of OPENAI_CUSTOM_HEADERS stay behind, also after withOptions', async () => {
    const saved = process.env.OPENAI_CUSTOM_HEADERS
    process.env.OPENAI_CUSTOM_HEADERS = `x-gateway-token: ${CANARY}`
    try {
      const client = here.client()
      await client.chat.completions.create(ASK)
      await client.withOptions({ maxRetries: 0 }).chat.completions.create(ASK)
    } finally {
      if (saved === undefined) delete process.env.OPENAI_CUSTOM_HEADERS
      else process.env.OPENAI_CUSTOM_HEADERS = saved
    }
    expect(server.requests).toHaveLength(2)
    expect(JSON.stringify(server.requests.map((r) => r.headers))).not.toContain(CANARY)
  })

  test('headers in the fetchOptions of the platform client stay behind, its transport does not', async () => {
    const keepalive = false
    const fetchOptions = { headers: { 'x-gateway-token': CANARY }, keepalive }
    let seen: RequestInit | undefined
    const fetch: typeof globalThis.fetch = (url, init) => {
      seen = init
      return globalThis.fetch(url, init)
    }
    const other = await install(server.baseUrl, { fetch })
    await other.client({}, { fetchOptions }).chat.completions.create(ASK)
    expect(JSON.stringify(server.requests[0]?.headers)).not.toContain(CANARY)
    expect(server.requests[0]?.headers['content-type']).toBe('application/json')
    expect(seen?.keepalive).toBe(false)
    await other.tk.close()
  })

  test('what withOptions derives is bound as well', async () => {
    const derived = here.client({ scope: 'support:other' }).withOptions({ maxRetries: 3 })
    const error = await failure(derived.chat.completions.create(ASK))
    expect(TenantKeysError.isInstance(error) && error.code).toBe('TK_SCOPE_DENIED')
    const good = here.client().withOptions({ maxRetries: 0 })
    await good.chat.completions.create(ASK)
    measuredOnce()
  })

  test('withOptions cannot lead a bound client past the corridor', () => {
    const client = here.client()
    const fetch = globalThis.fetch
    expect(() => client.withOptions({ fetch })).toThrow(notBindable)
    expect(() => client.withOptions({ baseURL: server.baseUrl })).toThrow(notBindable)
  })

  test('an answer that the client parsed by itself, as from version 7 on, has a receipt', async () => {
    class Seven extends OpenAI {
      override request<R>(...args: Parameters<OpenAI['request']>) {
        return super.request<R>(...args)._thenUnwrap((answer) => structuredClone(answer))
      }
    }
    const seven = new Seven({ apiKey: 'unused', maxRetries: 0 })
    const client = here.tk.withTenantKey(seven, { key: here.key })
    const answer = await client.chat.completions.create(ASK)
    const { data, response } = await client.chat.completions.parse(ASK).withResponse()
    const receipt = await here.tk.receiptOf(data)
    expect((await here.tk.receiptOf(answer)).attemptId).not.toBe(receipt.attemptId)
    expect(await here.tk.receiptOf(response)).toBe(receipt)
  })

  test('a subclass that ignores what it is given is refused', () => {
    class Own extends OpenAI {
      constructor() {
        super({ apiKey: CANARY, baseURL: server.baseUrl })
      }
    }
    expect(bind(new Own())).toThrow(notBindable)
  })

  test('a subclass whose constructor throws is refused, without the text of its error', () => {
    class Own extends OpenAI {
      constructor(options: { apiKey: string; region?: string }) {
        super(options)
        if (options.apiKey !== CANARY) throw new Error(`expected ${CANARY}`)
      }
    }
    const refused = bind(new Own({ apiKey: CANARY }))
    expect(refused).toThrow(notBindable)
    try {
      refused()
    } catch (error) {
      expect(JSON.stringify(error) + String((error as Error).cause)).not.toContain(CANARY)
    }
  })

  test.each([null, undefined, 'text', 7, () => {}])('%s is refused', (client) => {
    expect(bind(client as unknown as object)).toThrow(notBindable)
  })

  test('debug logs of the client show no credential', async () => {
    const lines: string[] = []
    const log = (...args: unknown[]): void => {
      lines.push(JSON.stringify(args))
    }
    const logger = { debug: log, info: log, warn: log, error: log }
    await here.client({}, { logger, logLevel: 'debug' }).chat.completions.create(ASK)
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.join()).not.toContain('sk-tenant')
    expect(lines.join()).not.toContain(here.key)
  })
})

describe("the base URL of a tenant's own endpoint", () => {
  const apiKey = 'sk-tenant-0123456789abcdefghij'
  test.each(['?', '#', '/?', '?#'])('does not end in %s', async (end) => {
    const other = await install(server.baseUrl, { allowedEndpoints: [server.baseUrl] })
    const value = { apiKey, endpoint: server.baseUrl + end }
    const put = other.tk.secrets.put({ tenantId: 'acme', provider: 'openai', value })
    await expect(put).rejects.toMatchObject({
      code: 'TK_INPUT_INVALID',
      details: { field: 'value.endpoint' },
    })
    await expect(install(server.baseUrl + end)).rejects.toMatchObject({ code: 'TK_CONFIG_INVALID' })
    await other.tk.close()
  })

  test('may end in slashes', async () => {
    const other = await install('https://unused.example/v1', { allowedEndpoints: [server.baseUrl] })
    const value = { apiKey, endpoint: `${server.baseUrl}///` }
    await other.tk.secrets.put({ tenantId: 'acme', provider: 'openai', value })
    await other.client().chat.completions.create(ASK)
    expect(server.requests[0]?.url).toBe('/v1/chat/completions')
    await other.tk.close()
  })
})

describe('the door', () => {
  const call = (url: unknown, init: RequestInit = {}): Promise<unknown> =>
    failure(here.tk.fetch({ key: here.key })(url as string, { method: 'POST', ...init }))

  test.each(['not a url', '/v1/chat/completions', 7, {}, null])('%s is no URL', async (url) => {
    expect(await call(url)).toMatchObject({ code: 'TK_REQUEST_INVALID', details: { field: 'url' } })
  })

  test('a header that cannot be sent is not repeated', async () => {
    const error = await call(URL_OF_CHAT, { headers: { authorization: `Bearer ${CANARY}\n\0` } })
    expect(error).toMatchObject({ code: 'TK_REQUEST_INVALID', details: { field: 'headers' } })
    expect(String(error) + (error as Error).stack).not.toContain(CANARY)
  })

  test.each([
    'https://api.openai.com/v1/%2e%2e/v1/models/../chat/completions/x',
    'https://api.openai.com/v1/chat%2fcompletions',
    'https://api.openai.com/v1//chat/completions',
    'https://api.openai.com/v1/chat/completions/',
    'https://api.openai.com/v1x/chat/completions',
    'https://api.openai.com.evil.example/v1/chat/completions',
    'https://api.openai.com@evil.example/v1/chat/completions',
    'https://api.openai.com:444/v1/chat/completions',
    'http://api.openai.com/v1/chat/completions',
  ])('%s is refused', async (url) => {
    expect(await call(url, { body: JSON.stringify(ASK) })).toMatchObject({
      code: expect.stringMatching(/^TK_(ORIGIN_DENIED|OPERATION_NOT_SUPPORTED)$/),
    })
    expect(server.requests).toHaveLength(0)
  })

  test('user information in the URL goes nowhere', async () => {
    const url = `https://user:${CANARY}@api.openai.com/v1/../v1/chat/completions#${CANARY}`
    expect(await call(url, { body: JSON.stringify(ASK) })).toBeNull()
    expect(JSON.stringify(server.requests)).not.toContain(CANARY)
  })
})

test('a logger that throws breaks no call and leaves no rejection unhandled', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  const throwing = (): never => {
    throw new Error('logger is broken')
  }
  const logger = { debug: throwing, info: throwing, warn: throwing, error: throwing }
  const onEvent = (): never => {
    throw new Error('host')
  }
  const other = await install(server.baseUrl, { logger, onEvent })
  const answer = await other.client({ onReceipt: throwing }).chat.completions.create(ASK)
  expect(answer.choices).toHaveLength(1)
  server.answer = (_, response) => response.destroy()
  expect(await failure(other.client().chat.completions.create(ASK))).toBeInstanceOf(
    OpenAI.APIConnectionError,
  )
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
  await other.tk.close()
})

test('receipts, budgets and usage are JSON, with amounts as decimal strings', async () => {
  await here.client().chat.completions.create(ASK)
  server.answer = (_, response) => json(response, { error: {} }, 500)
  await failure(here.client().chat.completions.create(ASK))
  const budgets = await here.tk.budgets.list({ tenantId: 'acme' })
  const usage = await here.tk.usage.query({ by: ['tenant'] })
  const costNanoUsd = String(USAGE_COST_NANO)
  const printed = JSON.parse(JSON.stringify({ receipts: here.receipts, budgets, usage }))
  expect(printed).toMatchObject({
    receipts: [{ costNanoUsd, overageNanoUsd: '0', settled: true }, { costNanoUsd: '0' }],
    budgets: [{ usedAmount: costNanoUsd, account: { tenantId: 'acme' } }],
    usage: [{ costNanoUsd, costUsd: '0.000024' }],
  })
  expect(here.receipts.every(Object.isFrozen)).toBe(true)
  expect(Object.keys(here.receipts[0]!)).not.toContain('toJSON')
})

test('T-B5 a reserve whose reply was lost is asked again, and holds once', async () => {
  const inner = memory()
  let lost = 1
  const reserve: Storage['ledger']['reserve'] = async (items) => {
    const results = await inner.ledger.reserve(items)
    if (lost-- > 0) throw new TenantKeysError('TK_STORE_UNAVAILABLE', {}, { outcome: 'unknown' })
    return results
  }
  const storage = { ...inner, ledger: { ...inner.ledger, reserve } }
  const other = await install(server.baseUrl, { storage })
  await other.client().chat.completions.create(ASK)
  expect(await acmeBudget(other.tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  await other.tk.close()
})
