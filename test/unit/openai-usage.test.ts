import { describe, expect, test } from 'vitest'
import { openaiChat } from '../../src/providers/openai.ts'

const USAGE = {
  prompt_tokens: 100,
  completion_tokens: 50,
  total_tokens: 150,
  prompt_tokens_details: { cached_tokens: 40, audio_tokens: 10, cache_write_tokens: 60 },
  completion_tokens_details: { reasoning_tokens: 20, audio_tokens: 5 },
}

const read = (usage: unknown, rest: object = {}) =>
  openaiChat.readJson({ model: 'gpt-4o-2024-08-06', usage, ...rest })

describe('usage of a response', () => {
  test('every class that is reported is read', () => {
    expect(read(USAGE, { service_tier: 'default' })).toEqual({
      tokens: {
        input: 100,
        cacheRead: 40,
        cacheWrite: 60,
        cacheWrite1h: null,
        inputAudio: 10,
        output: 50,
        reasoning: 20,
        outputAudio: 5,
      },
      counts: {},
      providerCostNanoUsd: null,
      quality: 'measured',
      servedModel: 'gpt-4o-2024-08-06',
      serviceTier: null,
    })
  })

  test.each([
    {},
    { prompt_tokens_details: null, completion_tokens_details: null },
    { prompt_tokens_details: {} },
  ])('a class that is not reported is null, not zero: %j', (details) => {
    expect(read({ prompt_tokens: 3, completion_tokens: 0, ...details })?.tokens).toEqual({
      input: 3,
      cacheRead: null,
      cacheWrite: null,
      cacheWrite1h: null,
      inputAudio: null,
      output: 0,
      reasoning: null,
      outputAudio: null,
    })
  })

  test.each(['flex', 'priority', 'scale', 'something new'])(
    'a tier with another price is passed on: %s',
    (tier) => {
      expect(read(USAGE, { service_tier: tier })?.serviceTier).toBe(tier)
    },
  )

  test.each(['default', 'auto', 'Standard'])('the standard tier is null: %s', (tier) => {
    expect(read(USAGE, { service_tier: tier })?.serviceTier).toBeNull()
  })

  test.each([undefined, null, 4, {}])('a tier that is no text is not reported: %j', (tier) => {
    expect(read(USAGE, { service_tier: tier })?.serviceTier).toBeUndefined()
  })

  test('a served model that is no text is not known', () => {
    expect(read(USAGE, { model: { id: 'x' } })?.servedModel).toBeNull()
  })
})

const LIES: unknown[] = [
  -1,
  -0.001,
  0.5,
  '100',
  '',
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1e9 + 1,
  2 ** 53,
  true,
  [],
  {},
  [5],
  5n,
]

describe('usage that cannot be true is no usage', () => {
  test.each(LIES.map((lie, i) => [i, lie] as const))('T-B9 lie %i in any field', (_, lie) => {
    expect(read({ ...USAGE, prompt_tokens: lie })).toBeNull()
    expect(read({ ...USAGE, completion_tokens: lie })).toBeNull()
    for (const field of ['cached_tokens', 'audio_tokens', 'cache_write_tokens']) {
      expect(read({ ...USAGE, prompt_tokens_details: { [field]: lie } })).toBeNull()
    }
    for (const field of ['reasoning_tokens', 'audio_tokens']) {
      expect(read({ ...USAGE, completion_tokens_details: { [field]: lie } })).toBeNull()
    }
  })

  test.each<[string, object]>([
    ['cached above the input', { prompt_tokens_details: { cached_tokens: 101 } }],
    [
      'cached and written above the input',
      { prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 41 } },
    ],
    ['audio above the input', { prompt_tokens_details: { audio_tokens: 101 } }],
    ['reasoning above the output', { completion_tokens_details: { reasoning_tokens: 51 } }],
    ['audio above the output', { completion_tokens_details: { audio_tokens: 51 } }],
    ['details that are a list', { prompt_tokens_details: [] }],
    ['details that are text', { completion_tokens_details: 'none' }],
    ['no prompt_tokens', { prompt_tokens: undefined }],
    ['completion_tokens null', { completion_tokens: null }],
  ])('%s', (_, lie) => {
    expect(read({ ...USAGE, ...lie })).toBeNull()
  })

  test.each([undefined, null, [], 'usage', 5, true, {}])('no usage at all: %j', (usage) => {
    expect(read(usage)).toBeNull()
    expect(openaiChat.readJson(usage)).toBeNull()
  })

  test('T-I7 usage in the prototype is not usage', () => {
    expect(
      openaiChat.readJson(JSON.parse(`{"__proto__":{"usage":${JSON.stringify(USAGE)}}}`)),
    ).toBeNull()
  })
})
