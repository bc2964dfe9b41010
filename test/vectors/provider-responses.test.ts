/**
 * Recorded answers of 17 providers: every one gives exactly the counts of the index, however its bytes
 * arrive; cut anywhere before its end it gives what was reported so far, or an estimate, and says so.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { nanoUsdOf } from '../../src/providers/reading/figure.ts'
import type { CallEnd } from '../../src/request/receipt.ts'
import { observed, pieces, READING } from '../support/observed-answer.ts'
import {
  type Expected,
  eventsOf,
  type Item,
  items,
  operationOf,
  textOf,
} from './recorded-answers.ts'

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

const encoder = new TextEncoder()
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

describe.runIf(items.length > 0)('recorded answers', () => {
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

describe.runIf(items.length > 0)('recorded streams, cut', () => {
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
})
