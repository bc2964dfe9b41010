import type { ServerResponse } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  DONE,
  JSON_TYPE,
  lastOf,
  MODEL,
  openTransport,
  SSE_TYPE,
  STOP,
  type Transport,
  usageEvent,
  whole,
  word,
} from '../support/bad-input/transport.ts'
import { acmeBudget } from '../support/installation.ts'
import { USAGE_COST_NANO } from '../support/provider-server.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'
const MB = 1024 * 1024
/** What is sent: a body that was kept as a whole would show. */
const SIZE = (FULL ? 1024 : 160) * MB
/** What usage may be looked for in is kept up to 64 MB; the rest is on its way. */
const MOST = 96 * MB

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

let transport: Transport
beforeEach(async () => {
  transport = await openTransport()
})
afterEach(() => transport[Symbol.asyncDispose]())

/** Writes as fast as the caller reads. */
async function write(response: ServerResponse, piece: string | Uint8Array): Promise<void> {
  if (!response.write(piece)) await new Promise((drained) => response.once('drain', drained))
}

interface Large {
  readonly type: string
  readonly head?: string
  /** Sent again and again, until it is SIZE. */
  readonly piece: string
  readonly tail?: string
}

function serve({ type, head = '', piece, tail = '' }: Large): { total: number } {
  const block = Buffer.from(piece.repeat(Math.ceil((256 * 1024) / piece.length)))
  const blocks = Math.ceil(SIZE / block.length)
  transport.server.answer = async (_, response) => {
    response.writeHead(200, { 'content-type': type })
    await write(response, head)
    for (let n = 0; n < blocks && !response.destroyed; n++) await write(response, block)
    response.end(tail)
  }
  return { total: head.length + blocks * block.length + tail.length }
}

/** What is in use, less garbage. */
const memory = (): number => {
  // Buffers found by the first are given back beside us; the second waits for that.
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Reads an answer piece by piece. @returns its length, and by how much memory grew at most. */
async function read(ask: object): Promise<{ length: number; grown: number; status: number }> {
  const { made, server } = transport
  const before = memory()
  let grown = 0
  let length = 0
  let next = 16 * MB
  const body = { model: MODEL, messages: [{ role: 'user', content: 'Hello' }], ...ask }
  const url = `${server.baseUrl}/chat/completions`
  const init = { method: 'POST', body: JSON.stringify(body) }
  const response = await made.tk.fetch({ key: made.key })(url, init)
  for await (const piece of response.body ?? []) {
    length += piece.length
    if (length < next) continue
    grown = Math.max(grown, memory() - before)
    next += 16 * MB
  }
  if (FULL) {
    const rss = Math.round(process.memoryUsage().rss / MB)
    console.log(
      `${length / MB} MB read, memory grew by ${Math.round(grown / MB)} MB, rss ${rss} MB`,
    )
  }
  return { length, grown, status: response.status }
}

const STREAM = { stream: true, stream_options: { include_usage: true } }

describe(`an answer of ${SIZE / MB} MB passes, and is not kept`, () => {
  const JSON_PARTS = whole().split('héllo')
  test.each<[string, object, Large, object]>([
    [
      'JSON',
      {},
      { type: JSON_TYPE, head: JSON_PARTS[0]!, piece: 'x', tail: JSON_PARTS[1]! },
      { outcome: 'unreadable', quality: 'estimated', outputTokens: 4096 },
    ],
    [
      'events',
      STREAM,
      { type: SSE_TYPE, piece: word('x'.repeat(10_000)), tail: STOP + usageEvent() + DONE },
      { outcome: 'completed', quality: 'measured', costNanoUsd: USAGE_COST_NANO },
    ],
    [
      'a line without an end',
      STREAM,
      { type: SSE_TYPE, head: 'data: ', piece: 'x' },
      { outcome: 'broken', quality: 'estimated', outputTokens: 4096 },
    ],
    [
      'a line without an end, where something may have to stay hidden',
      { stream: true },
      { type: SSE_TYPE, head: 'data: ', piece: 'x' },
      { outcome: 'broken', quality: 'estimated', outputTokens: 4096 },
    ],
    [
      'an event without an end',
      STREAM,
      { type: SSE_TYPE, piece: `data: ${'x'.repeat(100)}\n` },
      { outcome: 'broken', quality: 'estimated', outputTokens: 4096 },
    ],
    [
      'an event that is too long, and usage behind it',
      { stream: true, stream_options: { include_usage: true } },
      {
        type: SSE_TYPE,
        head: 'data: ',
        piece: 'x',
        tail: `\n\n${usageEvent()}${DONE}`,
      },
      { outcome: 'completed', quality: 'estimated', outputTokens: 4096 },
    ],
  ])('%s', async (_, ask, large, expected) => {
    const { total } = serve(large)
    const { length, grown } = await read(ask)
    expect(length).toBe(total)
    expect(grown).toBeLessThan(MOST)
    const { outputTokens, ...row } = expected as { outputTokens?: number }
    const charged = await lastOf(1, transport)
    expect(charged).toMatchObject({ ...row, responseBytes: total })
    if (outputTokens !== undefined) expect(charged.tokens.output).toBe(outputTokens)
  })

  const bomb = (status: number): void => {
    // Members of gzip in a row are one body (RFC 1952, 2.2).
    const member = gzipSync(Buffer.alloc(16 * MB))
    transport.server.answer = async (_, response) => {
      response.writeHead(status, { 'content-type': JSON_TYPE, 'content-encoding': 'gzip' })
      for (let sent = 0; sent < SIZE && !response.destroyed; sent += 16 * MB) {
        await write(response, member)
      }
      response.end()
    }
  }

  test('a body that was packed into a thousandth', async () => {
    bomb(200)
    const { length, grown } = await read({})
    expect(length).toBe(SIZE)
    expect(grown).toBeLessThan(MOST)
    expect(await lastOf(1, transport)).toMatchObject({
      outcome: 'unreadable',
      quality: 'estimated',
      responseBytes: SIZE,
    })
  })

  test('an error: its usage is not looked for, and nothing is charged', async () => {
    bomb(500)
    const { length, grown, status } = await read({})
    expect([length, status]).toEqual([SIZE, 500])
    expect(grown).toBeLessThan(MOST)
    const { tk } = transport.made
    expect(await acmeBudget(tk)).toEqual({ used: 0n, held: 0n })
    expect((await tk.usage.list({ tenantId: 'acme' })).items).toEqual([])
  })
})

test.runIf(FULL)('an answer longer than a text can be is charged by its bytes', async () => {
  serve({ type: JSON_TYPE, piece: 'x' })
  const { made, server } = transport
  const body = { model: MODEL, messages: [{ role: 'user', content: 'Hello' }] }
  const init = { method: 'POST', body: JSON.stringify(body) }
  const response = await made.tk.fetch({ key: made.key })(
    `${server.baseUrl}/chat/completions`,
    init,
  )
  await expect(response.text()).rejects.toThrow(TypeError)
  const charged = await lastOf(1, transport)
  expect(charged).toMatchObject({ outcome: 'broken', quality: 'estimated', responseBytes: SIZE })
  expect(charged.tokens.output).toBe(4096)
})

test('100,000 tiny events reach the real client one by one, and are measured', async () => {
  const events = 100_000
  transport.server.answer = async (_, response) => {
    response.writeHead(200, { 'content-type': SSE_TYPE })
    const block = word('x').repeat(1000)
    for (let sent = 0; sent < events; sent += 1000) await write(response, block)
    response.end(STOP + usageEvent() + DONE)
  }
  let seen = 0
  const ask = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hello' }] }
  const client = transport.made.client()
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
    if (chunk.choices[0]?.delta.content === 'x') seen++
  }
  expect(seen).toBe(events)
  expect(await lastOf(1, transport)).toMatchObject({
    outcome: 'completed',
    quality: 'measured',
    costNanoUsd: USAGE_COST_NANO,
  })
})

describe('a request that is too large is refused before anything is held or sent', () => {
  const refused = async (body: string | Uint8Array): Promise<unknown> => {
    const { made, server } = transport
    const url = `${server.baseUrl}/chat/completions`
    const error = await made.tk
      .fetch({ key: made.key })(url, { method: 'POST', body: body as string })
      .catch((thrown: unknown) => thrown)
    expect(server.requests).toHaveLength(0)
    expect(await acmeBudget(made.tk)).toEqual({ used: 0n, held: 0n })
    return error
  }

  test('when its budget cannot cover so many bytes', async () => {
    const content = 'x'.repeat(8 * MB)
    const ask = { model: MODEL, messages: [{ role: 'user', content }] }
    const error = await refused(JSON.stringify(ask))
    expect(error).toMatchObject({ code: 'TK_BUDGET_EXHAUSTED' })
  })

  test.runIf(FULL)('when it is longer than a text can be', async () => {
    const error = await refused(new Uint8Array(2 ** 29 + MB).fill(0x20))
    expect(error).toMatchObject({ code: 'TK_REQUEST_INVALID', details: { field: 'body' } })
  })
})
