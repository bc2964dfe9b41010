import '../support/same-draws.ts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { ResponseUsage } from '../../src/providers/provider.ts'
import { nanoUsdOf } from '../../src/providers/reading/figure.ts'
import { every, KNOWN, UNKNOWN, valuesOf } from '../support/operations.ts'

/** Names that formats look for, so that random JSON reaches their readers. */
const NAMES = [
  ...`usage usageMetadata message response delta meta metadata choices candidates model messages content
  parts text role input output prompt contents tools type image_url n max_tokens stream generationConfig
  maxOutputTokens inferenceConfig maxTokens prompt_tokens completion_tokens input_tokens output_tokens
  total_tokens promptTokenCount candidatesTokenCount thoughtsTokenCount inputTokens outputTokens tokens
  billed_units iterations cache_creation prompt_tokens_details __proto__ constructor`.split(/\s+/),
]
const name = fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 6 }))
const leaf = fc.oneof(
  fc.constantFrom(
    null,
    true,
    false,
    '',
    'x',
    0,
    1,
    7,
    -1,
    1.5,
    1e9,
    1e300,
    'user',
    'text',
    'function',
  ),
  fc.integer(),
  fc.double(),
  fc.string({ maxLength: 8 }),
)
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    leaf,
    fc.array(tie('json'), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie('json')), { maxLength: 6 }).map(fromEntries),
  ),
}))

/** As JSON.parse makes it: `__proto__` is a field like any other. */
function fromEntries(fields: readonly (readonly [string, unknown])[]): unknown {
  const text = fields.map(([n, value]) => `${JSON.stringify(n)}:${JSON.stringify(value) ?? 'null'}`)
  return JSON.parse(`{${text.join(',')}}`)
}

function isPlausible(usage: ResponseUsage | null): void {
  if (usage === null) return
  const { input, output, cacheRead, cacheWrite, reasoning } = usage.tokens
  for (const count of [...Object.values(usage.tokens), ...Object.values(usage.counts)]) {
    if (count === null) continue
    expect(Number.isSafeInteger(count) && count >= 0).toBe(true)
  }
  expect((cacheRead ?? 0) + (cacheWrite ?? 0)).toBeLessThanOrEqual(input)
  expect(reasoning ?? 0).toBeLessThanOrEqual(output)
  expect(usage.providerCostNanoUsd ?? 0n).toBeGreaterThanOrEqual(0n)
}

const RUNS = { numRuns: 40 }

describe('whatever a provider answers', () => {
  test('T-B9 JSON is unknown or plausible, and never an error', () => {
    for (const { operation } of every) {
      void fc.assert(
        fc.property(json, (value) => {
          isPlausible(operation.readJson(value))
        }),
        RUNS,
      )
    }
  })

  test('T-B9 a stream is unknown or plausible at every event, and its estimate never falls', () => {
    const event = fc.record({
      event: fc.option(fc.constantFrom('message_delta', 'metadata', 'message-end', 'x'), {
        nil: undefined,
      }),
      data: fc.oneof(
        json.map((value) => JSON.stringify(value) ?? ''),
        fc.string(),
        fc.constantFrom('[DONE]', '{"usage":{', '"delta":"', '{"delta":{"a":"\\', '\\', '"'),
      ),
    })
    for (const { operation } of every) {
      void fc.assert(
        fc.property(fc.array(event, { maxLength: 6 }), (events) => {
          const reader = operation.openStream()
          let before = 0
          for (const one of events) {
            expect(['data', 'usage-only', 'end']).toContain(reader.push(one))
            isPlausible(reader.usage())
            expect(reader.deliveredEstimate()).toBeGreaterThanOrEqual(before)
            before = reader.deliveredEstimate()
          }
        }),
        RUNS,
      )
    }
  })
})

describe('whatever a caller asks', () => {
  test('T-B9 a request is bounded, or refused with a code', () => {
    for (const { operation } of every) {
      void fc.assert(
        fc.property(json, fc.boolean(), (value, known) => {
          try {
            const text = JSON.stringify(value) ?? ''
            const { bound, body, inputEstimate } = operation
              .read(text, valuesOf(operation))
              .bound(known ? KNOWN : UNKNOWN)
            JSON.parse(body)
            for (const tokens of [bound.input, bound.output, inputEstimate]) {
              expect(Number.isSafeInteger(tokens) && tokens >= 0).toBe(true)
            }
            expect(inputEstimate).toBeLessThanOrEqual(bound.input)
          } catch (error) {
            expect(TenantKeysError.isInstance(error)).toBe(true)
          }
        }),
        RUNS,
      )
    }
  })
})

describe('a figure in US dollars', () => {
  test('is read by its decimals, and rounded up once', () => {
    void fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 15n }),
        fc.integer({ min: 0, max: 18 }),
        (digits, places) => {
          const text = digits.toString().padStart(places + 1, '0')
          const decimal = places === 0 ? text : `${text.slice(0, -places)}.${text.slice(-places)}`
          const unit = 10n ** BigInt(Math.abs(9 - places))
          const exact = places <= 9 ? digits * unit : (digits + unit - 1n) / unit
          expect(nanoUsdOf(decimal.replace(/^0+(?=\d)/, ''))).toBe(
            exact > 10n ** 15n ? null : exact,
          )
        },
      ),
    )
  })

  test.each<[unknown, number, bigint | null]>([
    [7.159e-5, 0, 71_590n],
    [1.13e-5, 0, 11_300n],
    [0.007637029, 0, 7_637_029n],
    [1e-10, 0, 1n],
    [5e-324, 0, 1n],
    [0.1 + 0.2, 0, 300_000_001n],
    [1_176_500, 10, 117_650n],
    [1_176_501, 10, 117_651n],
    [0, 0, 0n],
    [1e6, 0, 10n ** 15n],
    [1e6 + 1, 0, null],
    [1e21, 0, null],
    [-1, 0, null],
    [Number.NaN, 0, null],
    [Number.POSITIVE_INFINITY, 0, null],
    ['1e999', 0, null],
    ['0x10', 0, null],
    ['', 0, null],
    [null, 0, null],
    [undefined, 0, null],
    [{}, 0, null],
    [[1], 0, null],
    [true, 0, null],
  ])('%s of 10^-%i dollars is %s nano-dollars', (value, scale, nano) => {
    expect(nanoUsdOf(value, scale)).toBe(nano)
  })
})
