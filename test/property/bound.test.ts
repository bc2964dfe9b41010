import '../support/same-draws.ts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { openaiChat } from '../../src/providers/openai.ts'

/** A property that is no promise is checked at once and throws here; the linter takes it for one. */
function holds<T>(property: fc.IProperty<T>, numRuns = 1000): void {
  void fc.assert(property, { numRuns })
}

const UNKNOWN = { contextWindow: null, maxOutput: null }
const KNOWN = { contextWindow: 128_000, maxOutput: 16_384 }

/** Text of every kind, lone surrogates included. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constantFrom('', '\ud800', '日本語', '"usage":{', '\u0000'),
)

const message = fc.record({
  role: fc.constantFrom('system', 'user', 'assistant', 'tool', 'developer'),
  content: fc.oneof(
    text,
    fc.array(fc.record({ type: fc.constant('text'), text }), { maxLength: 4 }),
  ),
})

const tool = fc.record({
  type: fc.constant('function'),
  function: fc.record({
    name: text,
    description: text,
    parameters: fc.dictionary(text, text, { maxKeys: 5 }),
  }),
})

const chat = fc.record(
  {
    model: fc.constantFrom('gpt-4o', 'gpt-4o-mini'),
    messages: fc.array(message, { minLength: 1, maxLength: 8 }),
    tools: fc.array(tool, { maxLength: 3 }),
    max_tokens: fc.integer({ min: 1, max: 1_000_000 }),
    n: fc.integer({ min: 1, max: 128 }),
    stream: fc.boolean(),
  },
  { requiredKeys: ['model', 'messages'] },
)

/** The worst tokenizer there is, one token a byte, with the frame that OpenAI documents. */
function mostTokens({
  messages,
  tools = [],
}: {
  messages: { content: unknown }[]
  tools?: unknown[]
}): number {
  const contents = messages.map(({ content }) =>
    typeof content === 'string'
      ? content
      : (content as { text: string }[]).map((p) => p.text).join(''),
  )
  const bytes = [...contents, ...tools.map((t) => JSON.stringify(t))].map((t) =>
    Buffer.byteLength(t),
  )
  return bytes.reduce((a, b) => a + b, 0) + 4 * messages.length + 12 * tools.length + 3
}

describe('the bound of a request', () => {
  test('no tokenizer makes more of a text request than its bound', () => {
    holds(
      fc.property(chat, (request) => {
        const { bound, inputEstimate } = openaiChat.read(JSON.stringify(request)).bound(UNKNOWN)
        expect(bound.input).toBeGreaterThanOrEqual(mostTokens(request))
        expect(inputEstimate).toBeGreaterThan(0)
        expect(inputEstimate).toBeLessThanOrEqual(bound.input)
        expect(bound.output).toBe((request.n ?? 1) * (request.max_tokens ?? 4096))
      }),
      1000,
    )
  })

  test('what is sent is the request with at most two fields added, and reads the same again', () => {
    holds(
      fc.property(chat, (request) => {
        const asked = JSON.stringify(request)
        const { body, hidesUsageChunk } = openaiChat.read(asked).bound(KNOWN)
        const { max_completion_tokens, stream_options, ...rest } = JSON.parse(body)
        expect(rest).toEqual(JSON.parse(asked))
        expect(max_completion_tokens).toBe(request.max_tokens === undefined ? 4096 : undefined)
        expect(stream_options).toEqual(request.stream ? { include_usage: true } : undefined)
        expect(hidesUsageChunk).toBe(request.stream === true)
        const again = openaiChat.read(body).bound(KNOWN)
        expect(again.body).toBe(body)
        expect(again.hidesUsageChunk).toBe(false)
      }),
      500,
    )
  })

  test('T-I7 any JSON is bounded in whole numbers or refused with a code, never a crash', () => {
    const anything = fc.dictionary(
      fc.oneof(
        fc.constantFrom(
          'model',
          'messages',
          'tools',
          'n',
          'max_tokens',
          'stream',
          'stream_options',
          'modalities',
          'audio',
          'prediction',
          'service_tier',
          '__proto__',
          'constructor',
        ),
        text,
      ),
      fc.oneof(fc.jsonValue(), fc.constant(HELLO), fc.constantFrom(1, 7, -1, 1e9, 'gpt-4o', true)),
    )
    holds(
      fc.property(anything, fc.constantFrom(KNOWN, UNKNOWN), (own, limits) => {
        try {
          const { bound, body } = openaiChat
            .read(JSON.stringify({ model: 'm', messages: HELLO, ...own }))
            .bound(limits)
          expect(Number.isSafeInteger(bound.input) && bound.input > 0).toBe(true)
          expect(Number.isSafeInteger(bound.output) && bound.output > 0).toBe(true)
          expect(JSON.parse(body)).toBeTypeOf('object')
        } catch (error) {
          if (!TenantKeysError.isInstance(error)) throw error
          expect(['TK_REQUEST_INVALID', 'TK_BUDGET_UNBOUNDED', 'TK_PRICE_MISSING']).toContain(
            error.code,
          )
        }
      }),
      3000,
    )
  })
})

describe('a stream', () => {
  test('any text as an event is read without a throw, and the estimate never falls', () => {
    const events = fc.array(
      fc.oneof(
        text,
        fc.json(),
        text.map((content) => JSON.stringify({ choices: [{ delta: { content } }] })),
        text.map((content) => `{"choices":[{"delta":{"content":${JSON.stringify(content)}`),
        fc.jsonValue().map((usage) => JSON.stringify({ choices: [], usage })),
      ),
      { maxLength: 20 },
    )
    holds(
      fc.property(events, (all) => {
        const reader = openaiChat.openStream()
        let before = 0
        for (const data of all) {
          expect(['data', 'usage-only', 'end']).toContain(reader.push({ event: undefined, data }))
          const now = reader.deliveredEstimate()
          expect(Number.isSafeInteger(now) && now >= before).toBe(true)
          before = now
        }
      }),
      3000,
    )
  })

  test('the estimate is at least a third of the bytes and the number of deltas that hold text', () => {
    holds(
      fc.property(fc.array(text, { maxLength: 30 }), (pieces) => {
        const reader = openaiChat.openStream()
        for (const content of pieces) {
          reader.push({
            event: undefined,
            data: JSON.stringify({ choices: [{ index: 0, delta: { content } }] }),
          })
        }
        const bytes = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0)
        const filled = pieces.filter((piece) => piece !== '').length
        expect(reader.deliveredEstimate()).toBeGreaterThanOrEqual(Math.max(filled, bytes / 3))
      }),
      1000,
    )
  })
})

const HELLO = [{ role: 'user', content: 'Hello' }]
