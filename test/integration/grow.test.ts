import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { openaiChat } from '../../src/providers/openai.ts'
import type { CallContext } from '../../src/request/parts.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FaultPlan, withFaults } from '../../src/testing/faults.ts'
import { acmeBudget, type Installation, install } from '../support/installation.ts'
import {
  type Answer,
  chat,
  chunkOf,
  openStream,
  type ProviderServer,
  startProvider,
  USAGE_COST_NANO,
  usageChunk,
} from '../support/provider-server.ts'
import { until } from '../support/watched-clock.ts'

const messages = [{ role: 'user' as const, content: 'Hello' }]
const STREAM = { model: 'gpt-4o-mini', messages, stream: true as const }
const GROW: Partial<CallContext> = { hold: 'grow' }
/** Of gpt-4o-mini, in the bundled prices: 0.60 USD per million tokens of output. */
const OUTPUT_NANO = 600n

let server: ProviderServer
let opened: Installation[]
/** Tokens that the reserve asked for, then each extension. */
let asked: bigint[]

beforeEach(async () => {
  server = await startProvider(chat)
  opened = []
  asked = []
})
afterEach(async () => {
  for (const { tk } of opened) await tk.close()
  await server.close()
})

async function open(
  options: Partial<TenantKeysOptions> & { monthlyUsd?: string } = {},
  faults: FaultPlan = () => null,
): Promise<Installation> {
  const inner = memory()
  const ledger: Storage['ledger'] = {
    ...inner.ledger,
    reserve: (items) => {
      asked.push(...items.map((item) => item.amounts.tokens!))
      return inner.ledger.reserve(items)
    },
    extend: (items) => {
      asked.push(...items.map((item) => item.amounts.tokens!))
      return inner.ledger.extend(items)
    },
  }
  const storage = withFaults({ ...inner, ledger }, faults)
  const installation = await install(server.baseUrl, { storage, ...options })
  opened.push(installation)
  return installation
}

interface Source {
  count: number
  /** How many were read. */
  produced?: number
  /** On an abort the body fails with an error of its own. */
  readonly breaks?: boolean
}

/** A `fetch` whose stream brings one delta of one token each time it is read, then the usage. */
function paced(source: Source): typeof fetch {
  const encoder = new TextEncoder()
  const model = STREAM.model
  return async (_, init) => {
    let next = 0
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      const data =
        next < source.count
          ? chunkOf(model, { content: 'ab ' })
          : next === source.count
            ? usageChunk(model)
            : '[DONE]'
      source.produced = ++next
      const text = typeof data === 'string' ? data : JSON.stringify(data)
      controller.enqueue(encoder.encode(`data: ${text}\n\n`))
      if (data === '[DONE]') controller.close()
    }
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      const abort = (): void =>
        controller.error(source.breaks ? new Error('other side closed') : init?.signal?.reason)
      init?.signal?.addEventListener('abort', abort)
    }
    const body = new ReadableStream({ start, pull }, { highWaterMark: 0 })
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }
}

/** Streams so many deltas of one token each, as fast as they go, then the usage. */
function tokens(count: number, end: 'usage' | 'silence' = 'usage'): Answer {
  return async ({ body }, response) => {
    const out = openStream(response)
    for (let n = 0; n < count; n++) await out.send(chunkOf(body.model, { content: 'ab ' }))
    if (end === 'silence') return
    await out.send(chunkOf(body.model, {}, 'stop'))
    await out.send(usageChunk(body.model))
    await out.send('[DONE]')
    out.end()
  }
}

interface Read {
  readonly pieces: number
  readonly error: unknown
}

async function readAll(at: Installation, ask: object = {}): Promise<Read> {
  let pieces = 0
  try {
    const stream = await at.client(GROW).chat.completions.create({ ...STREAM, ...ask })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) pieces++
    return { pieces, error: null }
  } catch (error) {
    return { pieces, error }
  }
}

const codeOf = (error: unknown): string =>
  TenantKeysError.isInstance(error) ? error.code : String(error)

/** How much output each request was for, once what the input takes is known. */
function outputs(): number[] {
  const input = asked[0]! - 256n
  return asked.map((amount) => Number(amount - input))
}

describe('a hold that grows', () => {
  test('begins with 256 tokens of output, where a bound one holds all 4,096', async () => {
    const at = await open()
    server.answer = tokens(3)
    expect(await readAll(at)).toEqual({ pieces: 3, error: null })
    const [growing] = asked
    await at.client().chat.completions.create(STREAM).then(drainStream)
    expect(asked).toEqual([growing, growing! - 256n + 4096n])
    expect(await acmeBudget(at.tk)).toEqual({ used: 2n * USAGE_COST_NANO, held: 0n })
  })

  test('doubles when 90 % of it was delivered, and not a token before', async () => {
    const source = { count: 229 }
    const at = await open({ fetch: paced(source) })
    // One token ends the answer, so 229 deltas count 230: 90 % of 256 is 230.4.
    await readAll(at)
    expect(outputs()).toEqual([256])
    asked.length = 0
    source.count = 230
    await readAll(at)
    expect(outputs()).toEqual([256, 512])
    asked.length = 0
    source.count = 1000
    expect(await readAll(at)).toEqual({ pieces: 1000, error: null })
    expect(outputs()).toEqual([256, 512, 1024, 2048])
  })

  test('never holds more than the request can come to', async () => {
    const at = await open({ fetch: paced({ count: 350 }) })
    await readAll(at, { max_completion_tokens: 300 })
    expect(outputs()).toEqual([256, 300])
    asked.length = 0
    await readAll(at, { max_completion_tokens: 100 })
    expect(asked).toHaveLength(1)
  })

  test('T-B8 a request for a billion tokens holds a slice, and its sibling is served', async () => {
    const at = await open({ monthlyUsd: '0.002' })
    let go = (): void => {}
    const gone = new Promise<void>((resolve) => {
      go = resolve
    })
    server.answer = async (request, response, count) => {
      if (count === 1) await gone
      return tokens(3)(request, response, count)
    }
    const large = readAll(at, { max_completion_tokens: 1_000_000_000 })
    while (server.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(await readAll(at)).toEqual({ pieces: 3, error: null })
    go()
    expect(await large).toEqual({ pieces: 3, error: null })
  })

  test('a small step is taken where doubling does not fit', async () => {
    // 256 tokens cost 0.0001536 USD: there is room for three times as much, not for four times.
    const at = await open({ monthlyUsd: '0.0006', fetch: paced({ count: 500 }) })
    expect(await readAll(at)).toEqual({ pieces: 500, error: null })
    expect(outputs()).toEqual([256, 512, 1024, 768])
  })
})

describe('an extension that is refused', () => {
  test('ends the stream with the typed denial, after what was delivered is settled', async () => {
    // There is room for twice 256 tokens, not for three times as much.
    const source = { count: 2000, produced: 0 }
    const at = await open({ monthlyUsd: '0.0004', fetch: paced(source) })
    const { pieces, error } = await readAll(at)
    expect(codeOf(error)).toBe('TK_BUDGET_CONTENDED')
    expect(error).toMatchObject({
      details: { tenantId: 'acme', denial: { account: 'tenant:acme', limit: '0.0004' } },
    })
    // 90 % of 512 tokens: the piece that reached them is handed on, and is the last one.
    expect(pieces).toBe(460)
    expect(source.produced).toBe(460)
    const [receipt] = at.receipts
    expect(receipt).toMatchObject({ outcome: 'aborted', quality: 'estimated', httpStatus: 200 })
    expect(receipt!.tokens.output).toBe(461)
    const { used, held } = await acmeBudget(at.tk)
    expect(used).toBeGreaterThanOrEqual(461n * OUTPUT_NANO)
    expect(used).toBeLessThanOrEqual(400_000n)
    expect(held).toBe(0n)
    expect(at.events.filter((e) => e.kind === 'call.stopped')).toMatchObject([
      { code: 'TK_BUDGET_CONTENDED', tenantId: 'acme', holdId: receipt!.attemptId },
    ])
  })

  test('cuts the provider off, and what a fetch brings in spite of it is not handed on', async () => {
    const at = await open({ monthlyUsd: '0.0004' })
    server.answer = tokens(5000, 'silence')
    expect(codeOf((await readAll(at)).error)).toBe('TK_BUDGET_CONTENDED')
    await server.requests[0]!.closedEarly
    const deaf = paced({ count: 2000 })
    const second = await open({
      monthlyUsd: '0.0004',
      fetch: (input, { signal: _, ...init } = {}) => deaf(input, init),
    })
    const { pieces, error } = await readAll(second)
    expect({ pieces, code: codeOf(error) }).toEqual({ pieces: 460, code: 'TK_BUDGET_CONTENDED' })
  })

  test('hands the last piece on only when what was delivered is settled', async () => {
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const at = await open(
      { monthlyUsd: '0.0004', fetch: paced({ count: 2000 }), settleWaitMs: 60_000 },
      ({ command }) => (command === 'ledger.settle' ? gate : null),
    )
    const stream = await at.client(GROW).chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    for (let n = 0; n < 459; n++) await reader.next()
    const last = reader.next()
    const first = await Promise.race([last, until(() => asked.length === 4).then(() => 'waits')])
    expect(first).toBe('waits')
    release()
    expect((await last).done).toBe(false)
    expect(at.receipts).toHaveLength(1)
    await reader.next().catch(() => {})
  })

  test('is what the caller is told, whatever the runtime makes of the abort', async () => {
    const at = await open({ monthlyUsd: '0.0004', fetch: paced({ count: 2000, breaks: true }) })
    expect(codeOf((await readAll(at)).error)).toBe('TK_BUDGET_CONTENDED')
  })

  test('by calls in flight is told as contended, and is not waited for', async () => {
    const at = await open({ monthlyUsd: '0.0006', waitMs: 600_000 })
    let first = true
    server.answer = (request, response, count) => {
      if (!first) return tokens(2000, 'silence')(request, response, count)
      first = false
      return tokens(1, 'silence')(request, response, count)
    }
    const idle = await at.client(GROW).chat.completions.create(STREAM)
    const { error } = await readAll(at)
    expect(codeOf(error)).toBe('TK_BUDGET_CONTENDED')
    idle.controller.abort()
  })

  test('a store that fails is no refusal while what is held covers what came', async () => {
    const at = await open({ fetch: paced({ count: 600 }) }, ({ command, count }) =>
      command === 'ledger.extend' && count <= 5 ? 'lost-request' : null,
    )
    expect(await readAll(at)).toEqual({ pieces: 600, error: null })
  })

  test('a store that goes on failing ends the stream before it brings more than is held', async () => {
    const at = await open({ fetch: paced({ count: 2000 }) }, ({ command }) =>
      command === 'ledger.extend' ? 'lost-request' : null,
    )
    const { pieces, error } = await readAll(at)
    expect(codeOf(error)).toBe('TK_STORE_UNAVAILABLE')
    // With the token that ends an answer, 255 pieces make 256.
    expect(pieces).toBe(255)
    expect(at.receipts[0]!.overageNanoUsd).toBe(0n)
  })
})

describe('where a hold cannot grow', () => {
  const HIDING = ['o1', 'o3-mini', 'o4-mini-2025-04-16', 'gpt-5', 'gpt-5.1-mini', 'ft:o4-mini:x']
  const SHOWING = ['gpt-4o', 'gpt-4o-mini', 'gpt-4.1-nano', 'gpt-3.5-turbo', 'local-model']

  test('models that reason out of sight are known by their names', () => {
    expect(HIDING.map(openaiChat.hidesReasoning)).toEqual(HIDING.map(() => true))
    expect(SHOWING.map(openaiChat.hidesReasoning)).toEqual(SHOWING.map(() => false))
  })

  test('a stream of such a model is refused, before anything is held or sent', async () => {
    const policy = definePolicy({
      scopes: { 'support:chat': { providers: ['openai'], models: ['o3-mini'] } },
    })
    const at = await open({ policy, hold: 'grow' })
    const error = await at
      .client()
      .chat.completions.create({ ...STREAM, model: 'o3-mini' })
      .then(
        () => null,
        (thrown: unknown) => thrown,
      )
    expect(error).toMatchObject({
      code: 'TK_BUDGET_UNBOUNDED',
      details: { model: 'o3-mini', reason: expect.stringContaining('out of sight') },
    })
    expect(asked).toEqual([])
    expect(server.requests).toEqual([])
  })

  test('an answer that is no stream holds its bound, also of such a model', async () => {
    const policy = definePolicy({
      scopes: { 'support:chat': { providers: ['openai'], models: ['o3-mini', 'gpt-4o-mini'] } },
    })
    const at = await open({ policy, hold: 'grow' })
    await at.client().chat.completions.create({ model: 'o3-mini', messages })
    await at.client().chat.completions.create({ model: 'gpt-4o-mini', messages })
    expect(asked.map((amount) => amount > 4096n)).toEqual([true, true])
  })

  test('a context overrides the option', async () => {
    const at = await open({ hold: 'grow' })
    server.answer = tokens(3)
    await at.client({ hold: 'bound' }).chat.completions.create(STREAM).then(drainStream)
    expect(asked[0]).toBeGreaterThan(4096n)
  })
})

async function drainStream(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}
