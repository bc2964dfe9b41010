import { describe, expect, test } from 'vitest'
import { openaiChat } from '../../src/providers/openai.ts'
import type { StreamReader } from '../../src/providers/provider.ts'

const USAGE = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 }

const chunk = (deltas: readonly object[], rest: object = {}): string =>
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    model: 'gpt-4o-2024-08-06',
    choices: deltas.map((delta, index) => ({ index, delta, logprobs: null, finish_reason: null })),
    usage: null,
    ...rest,
  })

const text = (content: string): string => chunk([{ content }])

function streamed(...events: string[]): StreamReader & { kinds: string[] } {
  const reader = openaiChat.openStream()
  const kinds = events.map((data) => reader.push({ event: undefined, data }))
  return { ...reader, kinds }
}

describe('what an event is', () => {
  test('text, the usage chunk, the end', () => {
    const { kinds, usage } = streamed(
      text('Hello'),
      chunk([], { usage: USAGE, service_tier: 'flex' }),
      '[DONE]',
    )
    expect(kinds).toEqual(['data', 'usage-only', 'end'])
    expect(usage()).toMatchObject({
      tokens: { input: 9, output: 4 },
      servedModel: 'gpt-4o-2024-08-06',
      serviceTier: 'flex',
    })
  })

  test('a chunk without choices and without usage is data: others send one first', () => {
    expect(streamed(chunk([], { prompt_filter_results: [] })).kinds).toEqual(['data'])
  })

  test('usage on every chunk: the last one counts, and none of them is hidden', () => {
    const at = (n: number): string =>
      chunk([{ content: 'x' }], { usage: { ...USAGE, completion_tokens: n } })
    const { kinds, usage } = streamed(at(1), at(2), at(3), '[DONE]')
    expect(kinds).toEqual(['data', 'data', 'data', 'end'])
    expect(usage()?.tokens.output).toBe(3)
  })

  test('a last usage that cannot be true leaves nothing known', () => {
    const { usage } = streamed(
      chunk([], { usage: USAGE }),
      chunk([], { usage: { ...USAGE, prompt_tokens: -1 } }),
    )
    expect(usage()).toBeNull()
  })

  test('blanks between the tokens of JSON change nothing', () => {
    const spaced = (one: string): string => JSON.stringify(JSON.parse(one), null, 2)
    const reader = streamed(spaced(text('Hello')), spaced(chunk([], { usage: USAGE })))
    expect(reader.kinds).toEqual(['data', 'usage-only'])
    expect(reader.usage()?.tokens.output).toBe(4)
    expect(reader.deliveredEstimate()).toBe(streamed(text('Hello')).deliveredEstimate())
  })

  test.each([
    'usage',
    '"usage":{"prompt_tokens":1,"completion_tokens":1}',
    '\\',
    '"',
    '{"usage":{',
    '[DONE]',
  ])('a model that writes %j reports nothing and ends nothing', (content) => {
    const { kinds, usage } = streamed(
      text(content),
      chunk([{ tool_calls: [{ function: { arguments: content } }] }]),
    )
    expect(kinds).toEqual(['data', 'data'])
    expect(usage()).toBeNull()
  })

  test('usage elsewhere in a chunk is not its usage', () => {
    expect(streamed(chunk([{ content: 'x' }], { x_vendor: { usage: USAGE } })).usage()).toBeNull()
  })

  test.each([
    '',
    ' ',
    '{',
    '"usage":{',
    '{"usage":{"prompt_tokens":1}',
    'null',
    '{"usage":{}}x',
    '\u0000',
    '[]',
    '{"delta":',
    '"delta":{"a',
    '{"delta":{"content":"\\',
  ])('a broken event %j is data and throws nothing', (data) => {
    const { kinds, usage } = streamed(data)
    expect(kinds).toEqual(['data'])
    expect(usage()).toBeNull()
  })
})

describe('the estimate of what was delivered', () => {
  const estimate = (...events: string[]): number => streamed(...events).deliveredEstimate()

  test('nothing delivered is nothing', () => {
    expect(estimate()).toBe(0)
    expect(
      estimate(chunk([{ role: 'assistant', content: '', refusal: null }]), chunk([{}]), '[DONE]'),
    ).toBe(0)
  })

  test('never below the number of deltas', () => {
    expect(estimate(...Array.from({ length: 500 }, () => text('a')))).toBe(501)
  })

  test('a long delta counts by its UTF-8 bytes, three a token', () => {
    expect(estimate(text('a'.repeat(300)))).toBe(101)
    expect(estimate(text('日'.repeat(100)))).toBe(101)
    expect(estimate(text('é'.repeat(150)))).toBe(101)
    expect(estimate(text('🙂'.repeat(75)))).toBe(101)
    expect(estimate(text('\n'.repeat(300)))).toBe(101)
  })

  test('escaped letters count at most three bytes', () => {
    expect(estimate('{"choices":[{"delta":{"content":"\\u65e5\\u672c\\u8a9e"}}]}')).toBe(4)
  })

  test.each(['content', 'refusal', 'reasoning_content', 'reasoning'])('%s counts', (field) => {
    expect(estimate(chunk([{ [field]: 'a'.repeat(30) }]))).toBe(11)
  })

  test('all choices of a chunk count', () => {
    expect(estimate(chunk([{ content: 'abc' }, { content: 'abc' }, { content: 'abc' }]))).toBe(4)
  })

  test('a tool call counts its name, its arguments and its frame; ids and types are not output', () => {
    const call = {
      index: 0,
      id: `call_${'x'.repeat(90)}`,
      type: 'function',
      function: { name: 'abc', arguments: '' },
    }
    const rest = { index: 0, function: { arguments: '{"a":1}' } }
    expect(estimate(chunk([{ role: 'assistant', content: null, tool_calls: [call] }]))).toBe(
      1 + 16 + 1,
    )
    expect(estimate(chunk([{ tool_calls: [call] }]), chunk([{ tool_calls: [rest] }]))).toBe(
      1 + 16 + 3 + 1,
    )
  })

  test('quotes and braces in the text do not end it early', () => {
    const content = '"}]}, {"delta":{"content":"x"}} \\" \\\\'
    expect(estimate(text(content))).toBe(Math.ceil(Buffer.byteLength(content) / 3) + 1)
  })

  test('fields beside the deltas do not count', () => {
    const rest = { obfuscation: 'x'.repeat(500), vendor_delta: { content: 'x'.repeat(500) } }
    expect(estimate(chunk([{ content: 'abc' }], rest))).toBe(2)
  })
})
