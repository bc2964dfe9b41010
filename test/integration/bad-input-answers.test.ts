import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Receipt } from '../../src/request/receipt.ts'
import { acmeBudget, type Installation, install, TENANT_SECRET } from '../support/installation.ts'
import {
  type Answer,
  chat,
  chatJson,
  chunkOf,
  type ProviderServer,
  startProvider,
  USAGE,
  USAGE_COST_NANO,
} from '../support/provider-server.ts'

const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }
const MODEL = ASK.model

let server: ProviderServer
let made: Installation
beforeEach(async () => {
  server = await startProvider(chat)
  made = await install(server.baseUrl)
})
afterEach(async () => {
  await made.tk.close()
  await server.close()
})

const send =
  (type: string | null, body: string | Uint8Array, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(200, { ...(type === null ? {} : { 'content-type': type }), ...headers })
    response.end(body)
  }
const cutOff =
  (type: string, body: string): Answer =>
  (_, response: ServerResponse) =>
    new Promise<void>((resolve) => {
      response.writeHead(200, { 'content-type': type, 'content-length': String(body.length + 100) })
      response.write(body, () => {
        response.destroy()
        resolve()
      })
    })

const JSON_TYPE = 'application/json'
const SSE_TYPE = 'text/event-stream'
const HTML = '<!doctype html><html><body>502 Bad Gateway</body></html>'
const whole = (usage: unknown): string =>
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: MODEL,
    choices: [
      { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'hello' } },
    ],
    usage,
  })
const event = (data: object | string): string =>
  `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
const words = event(chunkOf(MODEL, { content: 'one two three' }))
const stop = event(chunkOf(MODEL, {}, 'stop'))
const usageOf = (usage: unknown): string =>
  event({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: MODEL,
    choices: [],
    usage,
  })
const DONE = event('[DONE]')

/** Usage that no provider means. */
const BAD_USAGE: Readonly<Record<string, unknown>> = {
  missing: undefined,
  null: null,
  'a text': '120 tokens',
  'a list': [100, 20],
  'no totals': {},
  'negative counts': { ...USAGE, prompt_tokens: -100 },
  'a fraction': { ...USAGE, completion_tokens: 0.5 },
  'counts as text': { ...USAGE, prompt_tokens: '100' },
  'counts above a billion': { ...USAGE, completion_tokens: 2 ** 53 },
  'a part above its total': { ...USAGE, prompt_tokens_details: { cached_tokens: 101 } },
  'details that are none': { ...USAGE, completion_tokens_details: 'many' },
}

type Case = readonly [what: string, answer: Answer, outcomes: readonly Receipt['outcome'][]]

const answers: readonly Case[] = [
  ['JSON that breaks off', send(JSON_TYPE, whole(USAGE).slice(0, -20)), ['unreadable', 'broken']],
  ['JSON cut off by the connection', cutOff(JSON_TYPE, whole(USAGE).slice(0, 40)), ['broken']],
  ['two JSON values', send(JSON_TYPE, whole(USAGE) + whole(USAGE)), ['unreadable', 'broken']],
  ['HTML', send('text/html', HTML), ['unreadable']],
  ['HTML that says it is JSON', send(JSON_TYPE, HTML), ['unreadable', 'broken']],
  ['HTML without a type', send(null, HTML), ['unreadable', 'broken']],
  ['nothing', send(JSON_TYPE, ''), ['unreadable', 'broken']],
  ['null', send(JSON_TYPE, 'null'), ['unreadable']],
  ['a number', send(JSON_TYPE, '7'), ['unreadable']],
  ['a list', send(JSON_TYPE, '[{}]'), ['unreadable']],
  [
    'bytes that are no UTF-8',
    send(JSON_TYPE, Uint8Array.of(0x7b, 0xff, 0xfe)),
    ['unreadable', 'broken'],
  ],
  ['bytes that are no gzip', send(JSON_TYPE, 'plain', { 'content-encoding': 'gzip' }), ['broken']],
  ...Object.entries(BAD_USAGE).map(
    ([what, usage]): Case => [`usage: ${what}`, send(JSON_TYPE, whole(usage)), ['unreadable']],
  ),
  [
    'T-I7 usage with __proto__',
    send(
      JSON_TYPE,
      whole(null).replace(
        '"usage":null',
        '"usage":{"__proto__":{"prompt_tokens":1,"completion_tokens":1,"polluted":1}}',
      ),
    ),
    ['unreadable'],
  ],
]

const streams: readonly Case[] = [
  ['a stream cut off by the connection', cutOff(SSE_TYPE, words), ['broken']],
  ['a stream cut inside an event', cutOff(SSE_TYPE, words + words.slice(0, 30)), ['broken']],
  ['a stream that ends without its end', send(SSE_TYPE, words + stop), ['broken']],
  ['a stream of nothing', send(SSE_TYPE, ''), ['broken', 'unreadable']],
  ['a stream of comments', send(SSE_TYPE, ': wait\n\n: wait\n\n'), ['broken']],
  [
    'an event that is no JSON',
    send(SSE_TYPE, words + event('{"choices":[') + DONE),
    ['completed', 'aborted', 'broken'],
  ],
  ['an event that is HTML', send(SSE_TYPE, event(HTML) + DONE), ['completed', 'aborted', 'broken']],
  [
    'an event with an error',
    send(SSE_TYPE, words + event({ error: { message: 'overloaded' } })),
    ['broken', 'aborted'],
  ],
  ['a stream without usage', send(SSE_TYPE, words + stop + DONE), ['completed']],
  ['HTML', send('text/html', HTML), ['unreadable', 'broken']],
  ['HTML that says it is a stream', send(SSE_TYPE, HTML), ['broken']],
  ['bytes that are no UTF-8', send(SSE_TYPE, Uint8Array.of(0x64, 0xff, 0x0a, 0x0a)), ['broken']],
  ...Object.entries(BAD_USAGE).map(
    ([what, usage]): Case => [
      `usage: ${what}`,
      send(SSE_TYPE, words + stop + usageOf(usage) + DONE),
      ['completed'],
    ],
  ),
]

/** Reads the whole answer as an application does; what it throws is the client's own. */
async function ask(stream: boolean): Promise<unknown> {
  try {
    if (!stream) return await made.client().chat.completions.create(ASK)
    for await (const _ of await made.client().chat.completions.create({ ...ASK, stream: true })) {
      // Only the end matters here.
    }
    return null
  } catch (error) {
    return error
  }
}

async function expectEstimate(stream: boolean, outcomes: Case[2]): Promise<void> {
  const result = await ask(stream)
  await made.tk.flush()
  expect(made.receipts).toHaveLength(1)
  const [receipt] = made.receipts
  expect(outcomes).toContain(receipt?.outcome)
  expect(receipt).toMatchObject({ quality: 'estimated', settled: true, httpStatus: 200 })
  // Never zero, never above what was held.
  expect(receipt!.costNanoUsd).toBeGreaterThan(0n)
  expect(receipt!.overageNanoUsd).toBe(0n)
  expect(await acmeBudget(made.tk)).toEqual({ used: receipt!.costNanoUsd, held: 0n })
  const [total] = await made.tk.usage.query()
  expect(total).toMatchObject({ calls: 1, costNanoUsd: receipt!.costNanoUsd })
  expect(String((result as Error | null)?.stack) + JSON.stringify(result)).not.toContain(
    TENANT_SECRET,
  )
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
}

describe('an answer that cannot be read is charged by estimate, once', () => {
  test.each(answers)('%s', (_, answer, outcomes) => {
    server.answer = answer
    return expectEstimate(false, outcomes)
  })
  test.each(streams)('a stream with %s', (_, answer, outcomes) => {
    server.answer = answer
    return expectEstimate(true, outcomes)
  })
})

describe('an answer in an unusual dress is measured all the same', () => {
  test.each<[string, Answer]>([
    ['JSON that says it is text', send('text/plain', whole(USAGE))],
    ['JSON with a byte order mark', send(JSON_TYPE, `\ufeff${whole(USAGE)}`)],
    ['JSON with a charset', send('application/json; charset=utf-8', whole(USAGE))],
    ['JSON of another name', send('application/vnd.api+json', whole(USAGE))],
    ['JSON with blanks around', send(JSON_TYPE, ` \n${whole(USAGE)}\n `)],
    ['what the provider says', chatJson()],
  ])('%s', async (_, answer) => {
    server.answer = answer
    await ask(false)
    expect(made.receipts).toMatchObject([
      { outcome: 'completed', quality: 'measured', costNanoUsd: USAGE_COST_NANO },
    ])
    expect(await acmeBudget(made.tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  })
})

describe('an answer that refuses is charged nothing', () => {
  test.each<[string, number, string, string]>([
    ['an error of the provider', 400, JSON_TYPE, '{"error":{"message":"no"}}'],
    ['an error that is HTML', 502, 'text/html', HTML],
    ['an error that breaks off', 500, JSON_TYPE, '{"error":'],
    ['an error without a body', 503, JSON_TYPE, ''],
    ['a redirect', 302, 'text/html', HTML],
  ])('%s', async (_, status, type, body) => {
    server.answer = (_request, response) => {
      response.writeHead(status, { 'content-type': type, location: 'https://elsewhere.example/' })
      response.end(body)
    }
    const error = await ask(false)
    expect(error).toBeInstanceOf(Error)
    expect(String((error as Error).stack) + JSON.stringify(error)).not.toContain(TENANT_SECRET)
    expect(made.receipts).toMatchObject([{ outcome: 'voided', costNanoUsd: 0n }])
    expect(await acmeBudget(made.tk)).toEqual({ used: 0n, held: 0n })
    expect(server.requests).toHaveLength(1)
  })
})
