import '../support/same-draws.ts'
import {
  BedrockRuntimeClient,
  type BedrockRuntimeClientConfig,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { awsEventStream, type FrameEvent } from '../../src/providers/reading/aws-event-stream.ts'
import { EventBlocks, MAX_EVENT_BYTES } from '../../src/providers/reading/event-blocks.ts'
import { jsonArrayStream } from '../../src/providers/reading/json-array-stream.ts'
import { awsChunk, awsFrame } from '../support/aws-frames.ts'
import { observed, pieces, READING } from '../support/observed-answer.ts'
import { operationOf } from '../support/operations.ts'

const USAGE = { inputTokens: 22, outputTokens: 3, totalTokens: 25, cacheReadInputTokens: 0 }
const EVENTS: readonly (readonly [string, object])[] = [
  ['messageStart', { role: 'assistant' }],
  ['contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Hellö' } }],
  ['contentBlockDelta', { contentBlockIndex: 0, delta: { text: ' world' } }],
  ['contentBlockStop', { contentBlockIndex: 0 }],
  ['messageStop', { stopReason: 'end_turn' }],
  ['metadata', { usage: USAGE, metrics: { latencyMs: 5 } }],
]
const FRAMES = Buffer.concat(EVENTS.map(([type, payload]) => awsFrame(type, payload)))
const AWS = 'application/vnd.amazon.eventstream'

function parsed(chunks: readonly Uint8Array[]): FrameEvent[] {
  const events: FrameEvent[] = []
  const { feed } = awsEventStream((event) => events.push(event))
  for (const chunk of chunks) feed(chunk)
  return events
}

describe('AWS event streams', () => {
  const whole = EVENTS.map(([event, payload]) => ({ event, data: JSON.stringify(payload) }))

  test('the frames of these tests are what the real client reads', async () => {
    const client = new BedrockRuntimeClient({
      region: 'eu-central-1',
      credentials: { accessKeyId: 'unused', secretAccessKey: 'unused' },
      requestHandler: {
        handle: async () => ({
          response: {
            statusCode: 200,
            headers: { 'content-type': AWS },
            body: new ReadableStream({
              start(controller) {
                controller.enqueue(new Uint8Array(FRAMES))
                controller.close()
              },
            }),
          },
        }),
      },
    } as unknown as BedrockRuntimeClientConfig)
    const messages = [{ role: 'user' as const, content: [{ text: 'Hello' }] }]
    const { stream } = await client.send(new ConverseStreamCommand({ modelId: 'm', messages }))
    const seen: string[] = []
    for await (const event of stream ?? []) seen.push(Object.keys(event)[0] ?? '')
    expect(seen).toEqual(EVENTS.map(([type]) => type))
  })

  test.each([Number.POSITIVE_INFINITY, 97, 1])('%d bytes at a time: the same events', (size) => {
    expect(parsed(pieces(new Uint8Array(FRAMES), Math.min(size, FRAMES.length)))).toEqual(whole)
  })

  test.each([FRAMES.length, 97, 1])(
    '%d bytes at a time: ConverseStream is measured, its bytes as they were',
    async (size) => {
      const { end, out } = await observed(
        operationOf('bedrock', '/model/{model}/converse-stream'),
        pieces(new Uint8Array(FRAMES), size),
        { type: AWS },
      )
      expect(end).toMatchObject({
        outcome: 'completed',
        quality: 'measured',
        tokens: { input: 22, output: 3 },
      })
      expect(Buffer.from(out).equals(FRAMES)).toBe(true)
    },
  )

  test('cut after every byte: an estimate of what was delivered, never nothing', async () => {
    const operation = operationOf('bedrock', '/model/{model}/converse-stream')
    for (let length = 0; length < FRAMES.length; length += 13) {
      const { end } = await observed(operation, [new Uint8Array(FRAMES.subarray(0, length))], {
        type: AWS,
      })
      expect(end).toMatchObject({
        outcome: 'broken',
        quality: 'estimated',
        tokens: { input: READING.inputEstimate },
      })
    }
  })

  test('left inside of a frame: what came of its text is counted, also in its wrapping', async () => {
    const delta = {
      type: 'content_block_delta',
      delta: { type: 'text_delta', text: 'one two three' },
    }
    const cases = [
      ['converse-stream', awsFrame('contentBlockDelta', { delta: { text: 'one two three' } })],
      ['invoke-with-response-stream', awsChunk(delta)],
    ] as const
    for (const [path, frame] of cases) {
      const operation = operationOf('bedrock', `/model/{model}/${path}`)
      const cut = [new Uint8Array(frame.subarray(0, -8))]
      const { end } = await observed(operation, cut, { type: AWS, leaves: true })
      expect(end).toMatchObject({ outcome: 'aborted', quality: 'estimated' })
      expect(end.tokens.output).toBeGreaterThan(3)
    }
  })

  test("InvokeModel with a stream: the events of the model's maker, out of their wrapping", async () => {
    const events = [
      {
        type: 'message_start',
        message: { model: 'claude', usage: { input_tokens: 43, output_tokens: 1 } },
      },
      { type: 'content_block_delta', delta: { type: 'text_delta', text: 'pong' } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } },
      { type: 'message_stop', 'amazon-bedrock-invocationMetrics': { inputTokenCount: 43 } },
    ]
    const bytes = new Uint8Array(Buffer.concat(events.map(awsChunk)))
    const operation = operationOf('bedrock', '/model/{model}/invoke-with-response-stream')
    const { end } = await observed(operation, pieces(bytes, 50), { type: AWS })
    expect(end).toMatchObject({
      outcome: 'completed',
      quality: 'measured',
      servedModel: 'claude',
      tokens: { input: 43, output: 2 },
    })
  })

  test('T-B9 bytes that are no frames end the reading, and are never an error', () => {
    void fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 12 }), (chunks) => {
        expect(() => parsed(chunks)).not.toThrow()
      }),
    )
    const broken = new Uint8Array(FRAMES)
    broken.set([0xff, 0xff, 0xff, 0xff], 0)
    expect(parsed([broken, new Uint8Array(FRAMES)])).toEqual([])
  })

  test('a large frame in small pieces comes out whole, in time that grows with its size', () => {
    const text = 'x'.repeat(16 * 1024 * 1024)
    const frame = new Uint8Array(awsFrame('contentBlockDelta', { delta: { text } }))
    const [event, ...others] = parsed(pieces(frame, 64))
    expect(others).toEqual([])
    expect(event?.data.length).toBe(JSON.stringify({ delta: { text } }).length)
  })

  test('what comes behind bytes that are no frame counts as delivered text', async () => {
    const bytes = new Uint8Array(3000).fill(0xff)
    const operation = operationOf('bedrock', '/model/{model}/converse-stream')
    const { end } = await observed(operation, pieces(bytes, 500), { type: AWS })
    expect(end).toMatchObject({ outcome: 'broken', quality: 'estimated', tokens: { output: 1000 } })
  })

  test('a frame whose headers reach beyond it is no frame', () => {
    const broken = new Uint8Array(FRAMES)
    broken.set([0x7f, 0xff, 0xff, 0xff], 4)
    expect(parsed([broken])).toEqual([])
  })
})

/** The blocks of a text, cut in two at every place. */
function blocksOf(text: string, at: number): string[] {
  const found: string[] = []
  const blocks = new EventBlocks((block) =>
    found.push(new TextDecoder().decode(block ?? undefined)),
  )
  const bytes = new TextEncoder().encode(text)
  blocks.feed(bytes.subarray(0, at))
  blocks.feed(bytes.subarray(at))
  return [...found, new TextDecoder().decode(blocks.end())]
}

describe('blocks of server-sent events', () => {
  test.each(['\n', '\r\n', '\r'])('end with an empty line of %j, and lose no byte', (line) => {
    const blocks = [`data: a${line}${line}`, `: é${line}data:b${line}${line}`, 'data: c']
    const text = blocks.join('')
    for (let at = 0; at <= Buffer.byteLength(text); at++) {
      // Cut inside an empty line, its second half stands alone.
      const found = blocksOf(text, at).filter((block) => block !== '\n')
      expect(found.map((one) => one.replaceAll('\r\n', '\r'))).toEqual(
        line === '\r\n' ? blocks.map((one) => one.replaceAll('\r\n', '\r')) : blocks,
      )
    }
  })

  test('that are too long are not kept, and their bytes are told', () => {
    const seen: (number | null)[] = []
    const blocks = new EventBlocks((block) => seen.push(block?.length ?? null))
    const piece = new Uint8Array(MAX_EVENT_BYTES / 4).fill(0x78)
    for (let n = 0; n < 5; n++) blocks.feed(piece)
    blocks.feed(new TextEncoder().encode('\n\ndata: b\n\n'))
    expect(seen).toEqual([null, 9])
    expect(blocks.unread).toBe(5 * piece.length + 2)
  })
})

describe('what is no event stream', () => {
  const chat = operationOf('openai', '/chat/completions')
  const json = '{"choices":[{"message":{"content":"one two three"}}]}'

  test.each([
    ['JSON', json],
    ['a line of JSON each', `${json}\n${json}\n`],
    ['HTML, with empty lines', '<!doctype html>\r\n\r\n<html>\r\n\r\n</html>'],
  ])('counts as delivered text: %s', async (_, text) => {
    const bytes = new TextEncoder().encode(text)
    const { end, out } = await observed(chat, pieces(bytes, 7))
    expect(out).toEqual(bytes)
    expect(end).toMatchObject({
      outcome: 'broken',
      quality: 'estimated',
      tokens: { output: Math.ceil(bytes.length / 3) },
    })
  })

  test.each([
    ['JSON', json],
    ['a line of JSON each', `${json}\n${json}\n`],
    ['HTML without an empty line', '<!doctype html>\n<html>\n<p>Something is wrong</p>'],
    ['a single byte', '<'],
  ])(
    'counts as delivered text also where it is left before any empty line: %s',
    async (_, text) => {
      const bytes = new TextEncoder().encode(text)
      for (const type of ['text/event-stream', 'application/x-ndjson', 'text/plain']) {
        const { end } = await observed(chat, pieces(bytes, 7), { type, leaves: true })
        expect(end).toMatchObject({
          outcome: 'aborted',
          quality: 'estimated',
          tokens: { output: Math.ceil(bytes.length / 3) },
        })
      }
    },
  )

  test('an event that was cut counts as far as it came, and its frame does not', async () => {
    const whole = 'data: {"choices":[{"index":0,"delta":{"content":"one two three"}}]}\n\n'
    for (let length = 1; length < whole.length; length++) {
      const bytes = new TextEncoder().encode(whole.slice(0, length))
      const { end } = await observed(chat, [bytes], { leaves: true })
      expect(end).toMatchObject({ outcome: 'aborted', quality: 'estimated' })
      // Thirteen bytes, and the token that ends an answer.
      expect(end.tokens.output).toBeLessThanOrEqual(6)
      if (whole.slice(0, length).includes('three')) expect(end.tokens.output).toBe(6)
    }
  })

  test('is not a stream with a line in it that nobody knows: that one is measured', async () => {
    const usage = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 }
    const events = [`data: {"choices":[],"usage":${JSON.stringify(usage)}}`, 'data: [DONE]']
    const text = `hello\n\n${events.join('\n\nretry: soon\n\n')}\n\n`
    const { end } = await observed(chat, pieces(new TextEncoder().encode(text), 7))
    expect(end).toMatchObject({ outcome: 'completed', quality: 'measured', tokens: { output: 2 } })
  })
})

function elements(chunks: readonly string[]): string[] {
  const found: string[] = []
  const { feed } = jsonArrayStream(({ data }) => found.push(data))
  for (const chunk of chunks) feed(chunk)
  return found
}

describe('streams that are a JSON list', () => {
  const list = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 })

  test('however it is cut, its elements come out whole', () => {
    void fc.assert(
      fc.property(list, fc.boolean(), fc.integer({ min: 1, max: 40 }), (values, pretty, size) => {
        const text = JSON.stringify(values, null, pretty ? 2 : 0)
        const chunks = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
        // Not the values themselves: a text has no -0.
        expect(elements(chunks).map((one) => JSON.parse(one))).toEqual(JSON.parse(text))
      }),
    )
  })

  test('what is no list has no elements, and is never an error', () => {
    void fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 9 }), (chunks) => {
        expect(() => elements(chunks)).not.toThrow()
      }),
    )
  })

  const chunk = (text: string, usage: object, finishReason?: string) => ({
    candidates: [{ content: { parts: [{ text }] }, ...(finishReason ? { finishReason } : {}) }],
    usageMetadata: usage,
  })
  const answer = [
    chunk('Hello', { promptTokenCount: 9, candidatesTokenCount: 1, thoughtsTokenCount: 4 }),
    chunk(' you', { promptTokenCount: 9, candidatesTokenCount: 2, thoughtsTokenCount: 4 }, 'STOP'),
  ]
  const operation = operationOf('google', '/v1beta/models/{model}:streamGenerateContent')
  const read = (text: string, size: number) =>
    observed(operation, pieces(new TextEncoder().encode(text), size), { type: 'application/json' })

  test.each([1, 97, 4000])(
    '%d bytes at a time: Gemini without alt=sse is measured',
    async (size) => {
      const { end } = await read(JSON.stringify(answer, null, 2), size)
      expect(end).toMatchObject({
        outcome: 'completed',
        quality: 'measured',
        tokens: { input: 9, output: 6, reasoning: 4 },
      })
    },
  )

  test.each([1, 97, 4000])('%d bytes at a time: a single object is an answer too', async (size) => {
    const { end } = await read(JSON.stringify(answer[1], null, 2), size)
    expect(end).toMatchObject({
      outcome: 'completed',
      quality: 'measured',
      tokens: { input: 9, output: 6, reasoning: 4 },
    })
  })

  test.each([
    ['a list', (text: string) => `[${text}`],
    ['an object alone', (text: string) => text],
  ])('left inside of an element: what came of it is counted, of %s', async (_, shape) => {
    const text = shape(JSON.stringify(chunk('one two three four', {})))
    const cut = text.slice(0, text.indexOf('four'))
    const { end } = await observed(operation, pieces(new TextEncoder().encode(cut), 7), {
      type: 'application/json',
      leaves: true,
    })
    // Fourteen bytes, and the token that ends an answer.
    expect(end).toMatchObject({ outcome: 'aborted', quality: 'estimated', tokens: { output: 6 } })
  })

  test.each(['<html><p>Something is wrong</p></html>', '"a text {with} [brackets]"', '] nothing'])(
    'what is neither list nor object counts as delivered text: %s',
    async (text) => {
      const { end } = await read(text, 7)
      expect(end).toMatchObject({ outcome: 'broken', quality: 'estimated' })
      expect(end.tokens.output).toBeGreaterThanOrEqual(Math.floor((text.length - 6) / 3))
    },
  )

  test('cut after its first element: what it reported, and that it is an estimate', async () => {
    const { end } = await read(JSON.stringify(answer).slice(0, -60), 97)
    expect(end).toMatchObject({ outcome: 'broken', quality: 'estimated', tokens: { input: 9 } })
    expect(end.tokens.output).toBeGreaterThanOrEqual(5)
  })
})
