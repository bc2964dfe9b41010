import { describe, expect, test } from 'vitest'
import type { StreamReader } from '../../src/providers/provider.ts'
import { operationOf } from '../support/operations.ts'

type Event = string | object

function streamed(
  id: string,
  path: string,
  events: readonly Event[],
): StreamReader & { kinds: string[] } {
  const reader = operationOf(id, path).openStream()
  const kinds = events.map((event) => {
    const data = typeof event === 'string' ? event : JSON.stringify(event)
    const type = typeof event === 'object' ? (event as { type?: string }).type : undefined
    return reader.push({ event: type, data })
  })
  return { ...reader, kinds }
}

const MESSAGES = ['anthropic', '/v1/messages'] as const
const start = (usage: object) => ({ type: 'message_start', message: { model: 'claude-x', usage } })
const delta = (text: string) => ({
  type: 'content_block_delta',
  delta: { type: 'text_delta', text },
})
const end = (usage: object) => ({
  type: 'message_delta',
  delta: { stop_reason: 'end_turn' },
  usage,
})
const STOP = { type: 'message_stop' }

describe('Anthropic: the input comes first, the output last', () => {
  test('fields that are reported again replace those before; the others stay', () => {
    const { usage, kinds } = streamed(...MESSAGES, [
      start({
        input_tokens: 43,
        cache_read_input_tokens: 7,
        output_tokens: 1,
        service_tier: 'priority',
      }),
      delta('pong'),
      end({ input_tokens: 61, output_tokens: 2 }),
      STOP,
    ])
    expect(kinds).toEqual(['data', 'data', 'data', 'end'])
    expect(usage()).toMatchObject({
      tokens: { input: 68, cacheRead: 7, output: 2 },
      quality: 'measured',
      servedModel: 'claude-x',
      serviceTier: 'priority',
    })
  })

  test('cut in between: the input as reported, the output as delivered, and it says so', () => {
    const { usage } = streamed(...MESSAGES, [
      start({ input_tokens: 43, output_tokens: 1 }),
      delta('x'.repeat(90)),
    ])
    expect(usage()).toMatchObject({ tokens: { input: 43, output: 31 }, quality: 'estimated' })
  })

  test('cut after the start: one token of output, and not measured', () => {
    const { usage } = streamed(...MESSAGES, [start({ input_tokens: 43, output_tokens: 1 })])
    expect(usage()).toMatchObject({ tokens: { input: 43, output: 1 }, quality: 'estimated' })
  })

  test('an end without final figures is an estimate', () => {
    const { usage } = streamed(...MESSAGES, [
      start({ input_tokens: 43, output_tokens: 1 }),
      delta('a whole answer of some length'),
      STOP,
    ])
    expect(usage()?.quality).toBe('estimated')
    expect(usage()?.tokens.output).toBeGreaterThan(5)
  })

  test('T-B9 a lie at the end replaces the truth before: nothing is known', () => {
    const { usage } = streamed(...MESSAGES, [
      start({ input_tokens: 43, output_tokens: 1 }),
      end({ input_tokens: -1, output_tokens: 2 }),
    ])
    expect(usage()).toBeNull()
  })

  test('repeated figures are never added up', () => {
    const same = end({ output_tokens: 20 })
    const { usage } = streamed(...MESSAGES, [
      start({ input_tokens: 9, output_tokens: 1 }),
      same,
      same,
      same,
    ])
    expect(usage()?.tokens).toMatchObject({ input: 9, output: 20 })
  })

  test('signatures and encrypted thoughts are not what the model wrote', () => {
    const { deliveredEstimate } = streamed(...MESSAGES, [
      {
        type: 'content_block_delta',
        delta: { type: 'signature_delta', signature: 'x'.repeat(900) },
      },
    ])
    expect(deliveredEstimate()).toBe(0)
  })
})

const RESPONSES = ['openai', '/responses'] as const
const done = (type: string, usage: object | null) => ({ type, response: { model: 'gpt-5', usage } })

describe('Responses: usage stands in the event that ends them', () => {
  const USAGE = { input_tokens: 9, output_tokens: 4, total_tokens: 13 }
  test.each(['response.completed', 'response.incomplete', 'response.failed'])('%s', (type) => {
    const { kinds, usage } = streamed(...RESPONSES, [
      { type: 'response.output_text.delta', delta: 'Hello' },
      done(type, USAGE),
    ])
    expect(kinds).toEqual(['data', 'end'])
    expect(usage()).toMatchObject({ tokens: { input: 9, output: 4 }, quality: 'measured' })
  })

  test('named in the data alone, as gateways do', () => {
    const reader = operationOf(...RESPONSES).openStream()
    expect(reader.push({ data: JSON.stringify(done('response.completed', USAGE)) })).toBe('end')
    expect(reader.usage()?.quality).toBe('measured')
  })

  test('a model that writes the name of the end ends nothing', () => {
    const { kinds } = streamed(...RESPONSES, [
      { type: 'response.output_text.delta', delta: '"response.completed"' },
      { type: 'response.created', response: { metadata: { x: 'response.completed' } } },
    ])
    expect(kinds).toEqual(['data', 'data'])
  })

  test('a failure without usage leaves nothing known', () => {
    expect(streamed(...RESPONSES, [done('response.failed', null)]).usage()).toBeNull()
  })

  test('what repeats the deltas is not counted again', () => {
    const text = 'Hello world, how are you'
    const once = streamed(...RESPONSES, [{ type: 'response.output_text.delta', delta: text }])
    const twice = streamed(...RESPONSES, [
      { type: 'response.output_text.delta', delta: text },
      { type: 'response.output_text.done', text, name: text, delta: text },
    ])
    expect(twice.deliveredEstimate()).toBe(once.deliveredEstimate())
  })
})

describe('chat: usage that comes before the end', () => {
  const CHAT = ['vllm', '/chat/completions'] as const
  const chunk = (
    content: string,
    completion_tokens: number,
    finish_reason: string | null = null,
  ) => ({
    choices: [{ index: 0, delta: { content }, finish_reason }],
    usage: { prompt_tokens: 9, completion_tokens },
  })

  test('with every chunk: cut in between it is an estimate of at least as much as was reported', () => {
    const { usage } = streamed(...CHAT, [chunk('Hello', 30), chunk(' you', 31)])
    expect(usage()).toMatchObject({ tokens: { input: 9, output: 31 }, quality: 'estimated' })
  })

  test('with the finish reason, or before the end marker, it is final', () => {
    expect(streamed(...CHAT, [chunk('Hello', 1), chunk('', 2, 'stop')]).usage()?.quality).toBe(
      'measured',
    )
    expect(streamed(...CHAT, [chunk('Hello', 1), '[DONE]']).usage()?.quality).toBe('measured')
  })

  test('text after the last figure makes it an estimate, also at the end', () => {
    const { usage } = streamed(...CHAT, [
      chunk('Hello', 1),
      { choices: [{ index: 0, delta: { content: ' and a long tail of words' } }] },
      '[DONE]',
    ])
    expect(usage()?.quality).toBe('estimated')
    expect(usage()?.tokens.output).toBeGreaterThan(8)
  })

  test('T-I7 a key out of the prototype in a figure changes nothing', () => {
    const lie = '{"choices":[],"usage":{"__proto__":{"prompt_tokens":1,"completion_tokens":1}}}'
    expect(streamed(...CHAT, [lie]).usage()).toBeNull()
    const after = streamed(...CHAT, [chunk('Hello', 3, 'stop'), lie])
    expect(after.usage()?.tokens).toMatchObject({ input: 9, output: 3 })
  })
})

describe('images and speech: bytes that tell no tokens', () => {
  test('cut before the end, all that was held is charged', () => {
    const reader = streamed('openai', '/images/generations', [
      { type: 'image_generation.partial_image', b64_json: 'x' },
    ])
    expect(reader.usage()).toBeNull()
    expect(reader.deliveredEstimate()).toBe(1_000_000_000)
  })

  test('at the end it is what was reported', () => {
    const usage = { input_tokens: 5, output_tokens: 100, total_tokens: 105 }
    const { kinds, usage: read } = streamed('openai', '/audio/speech', [
      { type: 'speech.audio.delta', audio: 'x' },
      { type: 'speech.audio.done', usage },
    ])
    expect(kinds).toEqual(['data', 'end'])
    expect(read()).toMatchObject({ tokens: { output: 100, outputAudio: 100 }, quality: 'measured' })
  })
})
