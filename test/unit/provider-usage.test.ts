import { describe, expect, test } from 'vitest'
import type { ResponseUsage } from '../../src/providers/provider.ts'
import { every, operationOf } from '../support/operations.ts'

/** An answer of each format with every count that its reader knows, and some that it does not. */
const ANSWERS: readonly (readonly [string, string, object])[] = [
  [
    'openai',
    '/chat/completions',
    {
      usage: {
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_tokens_details: { cached_tokens: 40, audio_tokens: 10, cache_write_tokens: 60 },
        completion_tokens_details: { reasoning_tokens: 20, audio_tokens: 5 },
        queue_time: 12,
      },
    },
  ],
  [
    'openai',
    '/responses',
    {
      usage: {
        input_tokens: 100,
        output_tokens: 50,
        total_tokens: 150,
        input_tokens_details: { cached_tokens: 40, cache_write_tokens: 60 },
        output_tokens_details: { reasoning_tokens: 20 },
      },
    },
  ],
  ['openai', '/embeddings', { usage: { prompt_tokens: 8, total_tokens: 8 } }],
  [
    'openai',
    '/images/generations',
    {
      usage: {
        input_tokens: 50,
        output_tokens: 4160,
        total_tokens: 4210,
        input_tokens_details: { text_tokens: 10, image_tokens: 40 },
        output_tokens_details: { text_tokens: 0, image_tokens: 4160 },
      },
    },
  ],
  ['openai', '/audio/speech', { usage: { input_tokens: 12, output_tokens: 90 } }],
  [
    'anthropic',
    '/v1/messages',
    {
      usage: {
        input_tokens: 10,
        cache_read_input_tokens: 100,
        cache_creation_input_tokens: 70,
        cache_creation: { ephemeral_5m_input_tokens: 40, ephemeral_1h_input_tokens: 30 },
        output_tokens: 50,
        output_tokens_details: { thinking_tokens: 20 },
        server_tool_use: { web_search_requests: 3, web_fetch_requests: 2 },
        iterations: [
          { type: 'message', input_tokens: 10, output_tokens: 50 },
          { type: 'compaction', input_tokens: 1000, output_tokens: 200 },
          { type: 'advisor_message', model: 'claude-other', input_tokens: 7, output_tokens: 8 },
        ],
      },
    },
  ],
  [
    'google',
    '/v1beta/models/{model}:generateContent',
    {
      usageMetadata: {
        promptTokenCount: 100,
        cachedContentTokenCount: 40,
        toolUsePromptTokenCount: 30,
        candidatesTokenCount: 50,
        thoughtsTokenCount: 20,
        totalTokenCount: 200,
        promptTokensDetails: [
          { modality: 'TEXT', tokenCount: 60 },
          { modality: 'AUDIO', tokenCount: 25 },
          { modality: 'IMAGE', tokenCount: 15 },
        ],
        cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: 5 }],
        candidatesTokensDetails: [{ modality: 'AUDIO', tokenCount: 11 }],
      },
    },
  ],
  [
    'google',
    '/v1beta/interactions',
    {
      usage: {
        total_input_tokens: 100,
        total_cached_tokens: 40,
        total_tool_use_tokens: 30,
        total_output_tokens: 50,
        total_thought_tokens: 20,
        total_tokens: 200,
      },
    },
  ],
  [
    'cohere',
    '/v2/chat',
    {
      usage: {
        tokens: { input_tokens: 542, output_tokens: 63 },
        billed_units: { input_tokens: 13, output_tokens: 61 },
        cached_tokens: 448,
      },
    },
  ],
  ['cohere', '/v2/embed', { meta: { billed_units: { input_tokens: 12, images: 2 } } }],
  [
    'bedrock',
    '/model/{model}/converse',
    {
      usage: {
        inputTokens: 10,
        outputTokens: 50,
        totalTokens: 230,
        cacheReadInputTokens: 100,
        cacheWriteInputTokens: 70,
        cacheDetails: [
          { ttl: '5m', inputTokens: 40 },
          { ttl: '1h', inputTokens: 30 },
        ],
      },
    },
  ],
]

const read = (id: string, path: string, json: unknown): ResponseUsage | null =>
  operationOf(id, path).readJson(json)

describe('every class that is reported is read', () => {
  const expected: readonly (readonly [string, string, object, object])[] = [
    [
      'anthropic',
      '/v1/messages',
      { input: 1180, cacheRead: 100, cacheWrite: 70, cacheWrite1h: 30, output: 250, reasoning: 20 },
      {
        web_search_requests: 3,
        compaction_input_tokens: 1000,
        compaction_output_tokens: 200,
        other_model_input_tokens: 7,
        other_model_output_tokens: 8,
      },
    ],
    [
      'google',
      '/v1beta/models/{model}:generateContent',
      { input: 130, cacheRead: 40, inputAudio: 25, output: 70, reasoning: 20, outputAudio: 11 },
      { cache_read_audio_tokens: 5, input_image_tokens: 15 },
    ],
    [
      'google',
      '/v1beta/interactions',
      { input: 130, cacheRead: 40, output: 70, reasoning: 20 },
      {},
    ],
    [
      'cohere',
      '/v2/chat',
      { input: 542, cacheRead: 448, output: 63 },
      { billed_input: 13, billed_output: 61 },
    ],
    ['cohere', '/v2/embed', { input: 12, output: 0 }, { billed_input: 12, images: 2 }],
    [
      'bedrock',
      '/model/{model}/converse',
      { input: 180, cacheRead: 100, cacheWrite: 70, cacheWrite1h: 30, output: 50 },
      {},
    ],
    [
      'openai',
      '/images/generations',
      { input: 50, output: 4160 },
      { input_image_tokens: 40, output_image_tokens: 4160 },
    ],
    ['openai', '/audio/speech', { input: 12, output: 90, outputAudio: 90 }, {}],
    ['openai', '/embeddings', { input: 8, output: 0 }, {}],
  ]
  test.each(expected)('%s %s', (id, path, tokens, counts) => {
    const answer = ANSWERS.find(([i, p]) => i === id && p === path)?.[2]
    const usage = read(id, path, answer)
    expect(usage?.tokens).toMatchObject(tokens)
    expect(usage?.counts).toEqual(counts)
  })
})

const LIES: readonly unknown[] = [
  -1,
  -0.001,
  0.5,
  '100',
  '',
  1e9 + 1,
  2 ** 53,
  1e300,
  true,
  [],
  {},
  [5],
  { __proto__: null, valueOf: 5 },
]

/** The paths of all numbers in a value. */
function* numbersIn(value: unknown, at: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value === 'number') yield at
  if (typeof value !== 'object' || value === null) return
  for (const [name, inside] of Object.entries(value)) yield* numbersIn(inside, [...at, name])
}

function replaced(value: unknown, [name, ...rest]: readonly string[], lie: unknown): unknown {
  if (name === undefined) return lie
  const copy = structuredClone(value) as Record<string, unknown>
  copy[name] = replaced(copy[name], rest, lie)
  return copy
}

describe('usage that cannot be true is no usage', () => {
  const rows = ANSWERS.flatMap(([id, path, answer]) =>
    [...numbersIn(answer)].map(
      (at) => [`${id} ${path}`, at.join('.'), id, path, answer, at] as const,
    ),
  )
  test.each(rows)(
    'T-B9 %s: a lie in %s leaves nothing known, or is not looked at',
    (_, __, id, path, answer, at) => {
      const truth = read(id, path, answer)
      for (const lie of LIES) {
        const usage = read(id, path, replaced(answer, at, lie))
        if (usage !== null) expect({ at, lie, usage }).toEqual({ at, lie, usage: truth })
      }
    },
  )

  test.each(rows)(
    'T-B9 %s: %s above what holds it is refused, or is itself a total',
    (_, __, id, path, answer, at) => {
      const usage = read(id, path, replaced(answer, at, 999_999))
      if (usage === null) return
      const { input, output, ...parts } = usage.tokens
      expect((parts.cacheRead ?? 0) + (parts.cacheWrite ?? 0)).toBeLessThanOrEqual(input)
      expect(parts.cacheWrite1h ?? 0).toBeLessThanOrEqual(parts.cacheWrite ?? 0)
      expect(parts.inputAudio ?? 0).toBeLessThanOrEqual(input)
      expect(parts.reasoning ?? 0).toBeLessThanOrEqual(output)
      expect(parts.outputAudio ?? 0).toBeLessThanOrEqual(output)
    },
  )

  test('T-I7 usage in a prototype is not usage, in any format', () => {
    for (const { operation } of every) {
      for (const [, , answer] of ANSWERS) {
        const json = JSON.parse(`{"__proto__":${JSON.stringify(answer)}}`)
        expect(operation.readJson(json)).toBeNull()
      }
    }
  })

  test('T-I7 a name out of the prototype of objects is not a count', () => {
    const details = JSON.parse(
      '[{"modality":"__proto__","tokenCount":5},{"modality":"TEXT","tokenCount":5}]',
    )
    const usage = read('google', '/v1beta/models/{model}:generateContent', {
      usageMetadata: {
        promptTokenCount: 10,
        candidatesTokenCount: 1,
        promptTokensDetails: details,
      },
    })
    expect(usage?.counts).toEqual({})
    expect(usage?.tokens.inputAudio).toBeNull()
  })
})

describe('tokens that no field explains', () => {
  test('are counted by name and make the figure an estimate', () => {
    const usage = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 170 }
    expect(read('openai', '/chat/completions', { usage })).toMatchObject({
      tokens: { input: 100, output: 50 },
      counts: { unattributed_tokens: 20 },
      quality: 'estimated',
    })
  })

  test('reasoning that the total shows beside the output is added to it', () => {
    const usage = {
      prompt_tokens: 12,
      completion_tokens: 1,
      total_tokens: 241,
      completion_tokens_details: { reasoning_tokens: 228 },
    }
    expect(read('openai', '/chat/completions', { usage })).toMatchObject({
      tokens: { input: 12, output: 229, reasoning: 228 },
      counts: {},
      quality: 'measured',
    })
  })

  test('a total below its parts explains nothing: the parts count', () => {
    const usage = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 3 }
    expect(read('openai', '/chat/completions', { usage })).toMatchObject({
      tokens: { input: 100, output: 50 },
      counts: {},
    })
  })

  test('Gemini: what the total holds beside prompt, tools, candidates and thoughts', () => {
    const usageMetadata = { promptTokenCount: 9, candidatesTokenCount: 9, totalTokenCount: 60 }
    expect(
      read(
        'vertex',
        '/v1/projects/{project}/locations/{location}/publishers/google/models/{model}:generateContent',
        { usageMetadata },
      ),
    ).toMatchObject({
      tokens: { input: 9, output: 9 },
      counts: { unattributed_tokens: 42 },
      quality: 'estimated',
    })
  })
})

describe('what providers report in a way of their own', () => {
  const CHAT = '/chat/completions'
  const usage = { prompt_tokens: 57, completion_tokens: 17, total_tokens: 74 }

  test('Groq: in x_groq alone, where a stream was not asked for more', () => {
    expect(read('groq', CHAT, { x_groq: { id: 'req_1', usage } })?.tokens).toMatchObject({
      input: 57,
      output: 17,
    })
  })

  test('xAI: without a total reasoning still stands beside the output', () => {
    const own = {
      prompt_tokens: 12,
      completion_tokens: 1,
      completion_tokens_details: { reasoning_tokens: 228 },
      cost_in_usd_ticks: 1_176_505,
    }
    expect(read('xai', CHAT, { usage: own })).toMatchObject({
      tokens: { output: 229, reasoning: 228 },
      providerCostNanoUsd: 117_651n,
    })
  })

  test('OpenRouter: with a key of the customer its fee and the price behind it are one figure', () => {
    const cost_details = { upstream_inference_cost: 0.000637029 }
    const ask = (own: object) =>
      read('openrouter', CHAT, { usage: { ...usage, ...own } })?.providerCostNanoUsd
    expect(ask({ cost: 0.95e-6, is_byok: true, cost_details })).toBe(637_979n)
    expect(ask({ cost: 7.159e-5, is_byok: false, cost_details })).toBe(71_590n)
    expect(
      ask({ cost: 7.159e-5, is_byok: true, cost_details: { upstream_inference_cost: null } }),
    ).toBe(71_590n)
    expect(
      ask({ cost: 7.159e-5, is_byok: true, cost_details: { upstream_inference_cost: -1 } }),
    ).toBeNull()
    expect(ask({})).toBeNull()
  })

  test('OpenRouter: searches are counted, and a lie about them leaves nothing known', () => {
    const ask = (count: unknown) =>
      read('openrouter', CHAT, {
        usage: { ...usage, server_tool_use_details: { web_search_requests: count } },
      })
    expect(ask(2)?.counts).toEqual({ web_search_requests: 2 })
    expect(ask(-2)).toBeNull()
  })

  test('Perplexity: what it charged', () => {
    const cost = { input_tokens_cost: 0, request_cost: 0.005, total_cost: 0.005251 }
    expect(read('perplexity', CHAT, { usage: { ...usage, cost } })?.providerCostNanoUsd).toBe(
      5_251_000n,
    )
  })

  test('DeepSeek and others: cached tokens outside the breakdown', () => {
    expect(
      read('deepseek', CHAT, { usage: { ...usage, prompt_cache_hit_tokens: 50 } })?.tokens
        .cacheRead,
    ).toBe(50)
    expect(
      read('together', CHAT, { usage: { ...usage, cached_tokens: 40 } })?.tokens.cacheRead,
    ).toBe(40)
  })

  test('Anthropic: fast, priority and regional serving are classes of service', () => {
    const ask = (own: object) =>
      read('anthropic', '/v1/messages', { usage: { input_tokens: 1, output_tokens: 1, ...own } })
        ?.serviceTier
    expect(ask({ service_tier: 'standard', speed: 'standard', inference_geo: 'global' })).toBeNull()
    expect(ask({ service_tier: 'standard', speed: 'fast' })).toBe('fast')
    expect(ask({ service_tier: 'priority' })).toBe('priority')
    expect(ask({ service_tier: 'standard', inference_geo: 'us' })).toBe('us')
  })

  test('Anthropic: an answer by a fallback model is an estimate, as its price is another', () => {
    const own = {
      input_tokens: 1,
      output_tokens: 1,
      iterations: [{ type: 'fallback_message', model: 'x', input_tokens: 1, output_tokens: 1 }],
    }
    expect(read('anthropic', '/v1/messages', { usage: own })).toMatchObject({
      quality: 'estimated',
      tokens: { input: 1, output: 1 },
    })
  })

  test('Gemini without alt=sse: of a list of chunks the last one counts', () => {
    const chunk = (candidatesTokenCount: number, finishReason?: string) => ({
      candidates: [{ content: { parts: [{ text: 'x' }] }, finishReason }],
      usageMetadata: { promptTokenCount: 3, candidatesTokenCount },
    })
    const path = '/v1beta/models/{model}:streamGenerateContent'
    expect(read('google', path, [chunk(1), chunk(2, 'STOP')])).toMatchObject({
      tokens: { output: 2 },
      quality: 'measured',
    })
    expect(read('google', path, [chunk(1), chunk(2)])).toMatchObject({ quality: 'estimated' })
  })

  test('Responses: searches are counted, pages that were opened are not', () => {
    const output = [
      { type: 'web_search_call', action: { type: 'search' } },
      { type: 'web_search_call', action: { type: 'open_page' } },
      { type: 'web_search_call' },
      { type: 'message' },
    ]
    const own = { input_tokens: 1, output_tokens: 1 }
    expect(read('openai', '/responses', { output, usage: own })?.counts).toEqual({
      web_search_requests: 2,
    })
  })
})
