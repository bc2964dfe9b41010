/**
 * Recorded answers of 17 providers: every one gives exactly the counts of the index, however its bytes
 * arrive; cut anywhere before its end it gives what was reported so far, or an estimate, and says so.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import type { Operation } from '../../src/providers/provider.ts'
import { nanoUsdOf } from '../../src/providers/reading/figure.ts'
import type { CallEnd } from '../../src/request/receipt.ts'
import { observed, pieces, READING } from '../support/observed-answer.ts'
import { readVectors } from './read-vectors.ts'

interface Expected {
  input_total: number
  input_uncached: number
  cached_read: number | null
  cache_write: number | null
  cache_write_5m?: number
  cache_write_1h?: number
  output_total: number
  reasoning: number | null
  input_audio?: number
  billed_input?: number
  billed_output?: number
  web_search_requests?: number
  unattributed?: number
  other_model_usage?: readonly { input_total: number; output_total: number }[]
}

interface Item {
  file: string
  provider: string
  api: string
  model: string | null
  requested_model: string | null
  stream: boolean
  http_status: number
  expected: Expected | null
  reported_cost_usd: number | null
}

/** Path of the operation, by the name that the index gives the API. */
const PATHS: Readonly<Record<string, RegExp>> = {
  'openai-chat': /chat\/completions$/,
  'openrouter-chat': /^\/chat\/completions$/,
  groq: /^\/chat\/completions$/,
  deepseek: /^\/chat\/completions$/,
  mistral: /^\/chat\/completions$/,
  xai: /^\/chat\/completions$/,
  perplexity: /^\/chat\/completions$/,
  'openai-responses': /responses$/,
  'openai-embeddings': /embeddings$/,
  'cohere-v2': /\/chat$/,
  'gemini-interactions': /interactions$/,
}

function operationOf({ provider, api, stream, file }: Item): Operation {
  const id = file.startsWith('google/vertex') ? 'vertex' : provider
  const path =
    PATHS[api] ??
    {
      anthropic: provider === 'bedrock' ? /\/invoke$/ : /messages$/,
      gemini: stream ? /:streamGenerateContent$/ : /:generateContent$/,
      'bedrock-converse': stream ? /converse-stream$/ : /converse$/,
    }[api]
  const found = PROVIDERS.get(id)?.operations.find((o) => path?.test(o.path))
  if (found === undefined) throw new Error(`no operation for ${file}`)
  return found
}

/** What was settled, in the words of the index. */
function inItsWords({ tokens, counts }: CallEnd, expected: Expected): Expected {
  const { input, cacheRead, cacheWrite, cacheWrite1h, output, reasoning, inputAudio } = tokens
  const asked = (name: keyof Expected, value: unknown) =>
    expected[name] === undefined ? {} : { [name]: value }
  return {
    input_total: input,
    input_uncached: input - (cacheRead ?? 0) - (cacheWrite ?? 0),
    cached_read: cacheRead,
    cache_write: cacheWrite,
    output_total: output,
    reasoning,
    ...asked('cache_write_1h', cacheWrite1h),
    ...asked('input_audio', inputAudio),
    ...asked('billed_input', counts.billed_input),
    ...asked('billed_output', counts.billed_output),
    ...asked('web_search_requests', counts.web_search_requests),
    ...asked('unattributed', counts.unattributed_tokens),
    ...asked('other_model_usage', [
      {
        input_total: counts.other_model_input_tokens,
        output_total: counts.other_model_output_tokens,
      },
    ]),
  }
}

/** Less what the index says twice: what was not written for an hour was written for five minutes. */
function expectedOf(expected: Expected): object {
  const { other_model_usage: others, cache_write_5m: _, ...rest } = expected
  const sums = others?.map(({ input_total, output_total }) => ({ input_total, output_total }))
  return { ...rest, ...(sums ? { other_model_usage: sums } : {}) }
}

/** Whole events; the blank lines between them belong to the one before. */
const eventsOf = (text: string): string[] => text.split(/(?<=\n\n)(?=[^\n])/)

/**
 * Where the estimate is below the truth: a frame around an answer of a word or two, which no delta
 * shows, is counted as some tokens (Claude, gpt-5); and Gemini counts every digit of `1\n2\n3`.
 */
const FRAMED = /anthropic\/stream-short|openrouter\/stream-cache|azure\/|google\/stream-usage-live/

const encoder = new TextEncoder()
const index = readVectors('provider-responses/index.json')
const items = index === null ? [] : (JSON.parse(index) as { items: Item[] }).items
const textOf = (item: Item): string => readVectors(`provider-responses/${item.file}`) ?? ''

/** What the index calls reported is what can be trusted: nothing was for an error. */
function settledAsExpected(end: CallEnd, { expected, file }: Item): void {
  if (expected === null) {
    expect(end).toMatchObject({ quality: 'estimated', counts: {} })
    return
  }
  expect(inItsWords(end, expected)).toEqual(expectedOf(expected))
  const isSubCall = expected.other_model_usage !== undefined || expected.unattributed !== undefined
  expect(end.quality, file).toBe(isSubCall ? 'estimated' : 'measured')
}

describe.runIf(index !== null)('recorded answers', () => {
  test('all of them are there', () => {
    expect(items.length).toBeGreaterThanOrEqual(64)
    expect(items.filter((i) => i.stream).length).toBeGreaterThanOrEqual(27)
  })

  for (const item of items) {
    const operation = operationOf(item)
    const type = item.stream ? 'text/event-stream' : 'application/json'
    const reading = { ...READING, stream: item.stream }
    const read = (bytes: Uint8Array, size: number) =>
      observed(operation, pieces(bytes, size), { type, reading })

    test.each([
      ['whole', Number.POSITIVE_INFINITY],
      ['97 bytes at a time', 97],
      ['byte by byte', 1],
    ])(
      `${item.file}, %s: its counts, class by class, and its bytes as they were`,
      async (_, size) => {
        const bytes = encoder.encode(textOf(item))
        const { end, out } = await read(bytes, Math.min(size, bytes.length))
        settledAsExpected(end, item)
        expect(out).toEqual(bytes)
      },
    )

    test(`${item.file}: the figure of the provider, to the nano-dollar`, async () => {
      const bytes = encoder.encode(textOf(item))
      const { end } = await read(bytes, bytes.length)
      expect(end.providerCostNanoUsd).toBe(nanoUsdOf(item.reported_cost_usd))
    })
  }
})

describe.runIf(index !== null)('recorded streams, cut', () => {
  const streams = items.filter((item) => item.stream)

  test.each(streams.map((item) => [item.file, item] as const))(
    '%s, after every event: reported counts or an estimate, and it says so',
    async (_, item) => {
      const events = eventsOf(textOf(item))
      const operation = operationOf(item)
      for (let n = 0; n < events.length; n++) {
        const { end } = await observed(operation, [encoder.encode(events.slice(0, n).join(''))])
        const { input, output } = end.tokens
        expect(input + output).toBeGreaterThan(0)
        if (end.quality === 'measured') settledAsExpected(end, item)
        else expect(end.outcome).toBe('broken')
        // What was reported of the input is kept, not estimated anew.
        if (item.expected && end.servedModel !== null)
          expect(input).toBeLessThanOrEqual(item.expected.input_total)
      }
    },
  )

  test.each(streams.map((item) => [item.file, item] as const))(
    '%s, within every event: never an error, never nothing',
    async (_, item) => {
      const bytes = encoder.encode(textOf(item))
      const step = Math.max(7, Math.floor(bytes.length / 61))
      for (let length = 0; length < bytes.length; length += step) {
        const { end } = await observed(operationOf(item), [bytes.slice(0, length)])
        expect(end.tokens.input + end.tokens.output).toBeGreaterThan(0)
        if (end.quality === 'measured') settledAsExpected(end, item)
      }
    },
  )

  test('the estimate of what was delivered is not below the truth, nor far above it', async () => {
    const measured = []
    for (const item of streams.filter(({ expected }) => expected !== null)) {
      const operation = operationOf(item)
      // All that it writes, and nothing of what it reports: usage is renamed on the way.
      const text = textOf(item).replaceAll(/"(usage|usageMetadata)":/g, '"unread":')
      const { end } = await observed(operation, [encoder.encode(text)])
      const truth = (item.expected?.output_total ?? 0) - (item.expected?.reasoning ?? 0)
      measured.push({ file: item.file, truth, estimate: end.tokens.output })
    }
    console.table(measured)
    for (const { file, truth, estimate } of measured) {
      expect(estimate, file).toBeLessThanOrEqual(3 * truth + 32)
      if (!FRAMED.test(file)) expect(estimate, file).toBeGreaterThanOrEqual(truth)
    }
  })
})
