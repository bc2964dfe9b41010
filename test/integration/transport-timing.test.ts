import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ClientBench, COST_NANO, MODEL, openClientBench } from '../support/client-bench.ts'
import type { Answer } from '../support/provider-server.ts'
import {
  anthropicMessages,
  bedrockConverse,
  cohereChat,
  gemini,
  openaiChat,
  openaiChatInline,
  openaiResponses,
  type Piece,
  type Wire,
  WORDS,
} from '../support/wire.ts'

interface Format {
  readonly name: string
  readonly wire: Wire
  /** Where to ask, without and with a stream. */
  readonly paths: readonly [json: string, stream: string]
  readonly ask: object
  /** What a stream is asked for with. */
  readonly asStream: object
}

const messages = [{ role: 'user', content: 'Hello' }]
const chat = (name: string, path: string, wire: Wire, more: object = {}): Format => ({
  name,
  wire,
  paths: [path, path],
  ask: { model: MODEL, messages, ...more },
  asStream: { stream: true },
})
const openAi = (name: string, wire: Wire): Format => ({
  ...chat(name, '/v1/chat/completions', wire),
  asStream: { stream: true, stream_options: { include_usage: true } },
})
const GEMINI = `/v1beta/models/${MODEL}`
const geminiAsks = { contents: [{ role: 'user', parts: [{ text: 'Hello' }] }] }

const GEMINI_FORMAT: Format = {
  name: 'Gemini',
  wire: gemini,
  paths: [`${GEMINI}:generateContent`, `${GEMINI}:streamGenerateContent?alt=sse`],
  ask: geminiAsks,
  asStream: {},
}

const FORMATS: readonly Format[] = [
  openAi('OpenAI chat', openaiChat),
  openAi('OpenAI chat, usage in the last choice', openaiChatInline),
  {
    ...chat('OpenAI Responses', '/v1/responses', openaiResponses),
    ask: { model: MODEL, input: 'Hello' },
  },
  chat('Anthropic', '/v1/messages', anthropicMessages, { max_tokens: 64 }),
  GEMINI_FORMAT,
  chat('Cohere', '/v2/chat', cohereChat),
  {
    name: 'Bedrock',
    wire: bedrockConverse,
    paths: [`/model/${MODEL}/converse`, `/model/${MODEL}/converse-stream`],
    ask: { messages: [{ role: 'user', content: [{ text: 'Hello' }] }] },
    asStream: {},
  },
]

/** Gemini without `alt=sse`: a JSON list, each element of it an event. */
const geminiList: Wire = {
  ...gemini,
  word: (model, text) => element(gemini.word(model, text), ','),
  usage: (model) => gemini.usage(model).map((piece) => element(piece, '')),
  head: () => ['['],
  end: () => [']'],
  streamType: 'application/json',
}
const element = (piece: Piece, behind: string): string =>
  String(piece)
    .replace(/^data: /, '')
    .trim() + behind
const LIST: Format = {
  ...GEMINI_FORMAT,
  name: 'Gemini as a list',
  wire: geminiList,
  paths: [`${GEMINI}:generateContent`, `${GEMINI}:streamGenerateContent`],
}

let bench: ClientBench
beforeEach(async () => {
  bench = await openClientBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

/** Each piece is sent when all before it were seen: whatever is kept back stops the answer for good. */
function stepwise(type: string, pieces: readonly Uint8Array[], rest: readonly Uint8Array[] = []) {
  let seen = 0
  let sent = 0
  let wake = (): void => {}
  const answer: Answer = async (_, response) => {
    response.writeHead(200, { 'content-type': type })
    response.flushHeaders()
    for (const piece of pieces) {
      sent += piece.length
      const arrived = new Promise<void>((resolve) => {
        wake = resolve
      })
      response.write(piece)
      await arrived
    }
    for (const piece of rest) response.write(piece)
    response.end()
  }
  const saw = (bytes: number): void => {
    seen += bytes
    if (seen === sent) wake()
  }
  return { answer, saw, seen: () => seen }
}

const toBytes = (piece: Piece): Uint8Array => new Uint8Array(Buffer.from(piece))
const halves = (piece: Uint8Array): Uint8Array[] => {
  const middle = Math.ceil(piece.length / 2)
  return [piece.slice(0, middle), piece.slice(middle)].filter(({ length }) => length > 0)
}

type Saw = (bytes: number) => void
const READERS: readonly (readonly [
  string,
  (body: ReadableStream<Uint8Array>, saw: Saw) => Promise<void>,
])[] = [
  [
    'in a loop',
    async (body, saw) => {
      for await (const piece of body) saw(piece.length)
    },
  ],
  [
    'by a reader',
    async (body, saw) => {
      const reader = body.getReader()
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        saw(value.length)
      }
    },
  ],
]

async function ask(path: string, body: object): Promise<ReadableStream<Uint8Array>> {
  const url = new URL(path, bench.server.baseUrl)
  const fetcher = bench.tk.fetch(bench.context())
  const response = await fetcher(url, { method: 'POST', body: JSON.stringify(body) })
  if (response.body === null) throw new Error('no body')
  return response.body
}

async function expectMeasured(responseBytes: number): Promise<void> {
  const { items } = await bench.tk.usage.list({ tenantId: 'acme' })
  expect(items).toMatchObject([
    { outcome: 'completed', quality: 'measured', costNanoUsd: COST_NANO, responseBytes },
  ])
}

describe.each(READERS)('nothing is kept back from who reads %s', (_, readAll) => {
  test.each([...FORMATS, LIST])('$name, a stream, in halves of events', async (format) => {
    const { wire, paths, ask: body, asStream } = format
    const all = [
      ...wire.head(MODEL),
      ...WORDS.map((word) => wire.word(MODEL, word)),
      ...wire.stop(MODEL),
      ...wire.usage(MODEL),
      ...wire.end(),
    ].map(toBytes)
    const steps = stepwise(wire.streamType, all.flatMap(halves))
    bench.server.answer = steps.answer
    await readAll(await ask(paths[1], { ...body, ...asStream }), steps.saw)
    await expectMeasured(all.reduce((sum, { length }) => sum + length, 0))
  })

  test.each(FORMATS)('$name, JSON, in halves of halves', async ({ wire, paths, ask: body }) => {
    const whole = toBytes(JSON.stringify(wire.json(MODEL, WORDS.join(''))))
    const steps = stepwise('application/json', halves(whole).flatMap(halves))
    bench.server.answer = steps.answer
    await readAll(await ask(paths[0], body), steps.saw)
    await expectMeasured(whole.length)
  })

  test('OpenAI chat where the usage has to stay hidden, event by event', async () => {
    const wire = openaiChat
    const visible = [
      ...wire.head(MODEL),
      ...WORDS.map((word) => wire.word(MODEL, word)),
      ...wire.stop(MODEL),
    ].map(toBytes)
    const rest = [...wire.usage(MODEL), ...wire.end()].map(toBytes)
    const steps = stepwise(wire.streamType, visible, rest)
    bench.server.answer = steps.answer
    const body = await ask('/v1/chat/completions', { model: MODEL, messages, stream: true })
    await readAll(body, steps.saw)
    await expectMeasured(steps.seen())
  })
})
