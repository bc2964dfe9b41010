/**
 * Costs that others assert for real calls, computed again from the same rates.
 *
 * @module
 */
import type { ModelPrice } from '@pydantic/genai-prices'
import { describe, expect, test } from 'vitest'
import { costNanoUsd } from '../../src/usage/cost.ts'
import { tokenPrices } from '../../src/usage/genai-prices.ts'
import type { PriceRow } from '../../src/usage/price.ts'
import { readVectors } from './read-vectors.ts'

type Rate = string | { base: string; tiers: { above: number; price: string }[] }

interface Case {
  id: string
  provider: string
  model: string
  usage: Record<string, number>
  expected: { input: string; output: string; total: string }
  rates_per_mtok: Record<string, Rate>
}

/** Usage that changes nothing about the price beside the classes we know. */
const NEUTRAL =
  /^(output_reasoning|input_text|output_text|cache_text_read|input_text_tool|input_tool|cache_write_5m)_tokens$/

/** Usage with a class of its own, and the rate that prices it. */
const CLASSES = new Map([
  ['input_tokens', 'input_mtok'],
  ['output_tokens', 'output_mtok'],
  ['cache_read_tokens', 'cache_read_mtok'],
  ['cache_write_tokens', 'cache_write_mtok'],
  ['input_audio_tokens', 'input_audio_mtok'],
  ['output_audio_tokens', 'output_audio_mtok'],
])

/** Why our row and usage cannot express a case; `null`: they can. */
function gap({ usage, rates_per_mtok: rates }: Case): string | null {
  for (const [name, count] of Object.entries(usage)) {
    if (CLASSES.has(name) || count === 0) continue
    const rate = name.replace('_tokens', '_mtok')
    if (rate === 'output_reasoning_mtok' && rates[rate]) return 'reasoning has a rate of its own'
    if (NEUTRAL.test(name)) continue
    if (name === 'web_searches') continue // not in the totals of the dataset
    if (name === 'cache_audio_read_tokens') {
      if (usage.cache_read_tokens === usage.input_tokens) continue // then the overlap is certain
      return 'how much audio was cached is not in our usage'
    }
    if (rates[rate]) return `${name} has a rate of its own`
  }
  return null
}

function rowOf(rates: Record<string, Rate>): PriceRow {
  const price: ModelPrice = Object.fromEntries(
    Object.entries(rates)
      .filter(([key]) => key !== 'output_reasoning_mtok')
      .map(([key, rate]) => [
        key,
        typeof rate === 'string'
          ? Number(rate)
          : {
              base: Number(rate.base),
              tiers: rate.tiers.map((t) => ({ start: t.above, price: Number(t.price) })),
            },
      ]),
  )
  const priced = tokenPrices(price)
  if (priced === null) throw new Error('the rates of this case are no price')
  return {
    id: 'vector',
    version: '1',
    provider: 'vector',
    model: 'vector',
    currency: 'USD',
    contextWindow: null,
    maxOutput: null,
    ...priced,
  }
}

/** An exact decimal of US dollars as nano-USD, rounded up once. */
function nanoOf(usd: string): bigint {
  const [whole = '', fraction = ''] = usd.split('.')
  const unit = 10n ** BigInt(Math.max(fraction.length - 9, 0))
  const digits = BigInt(whole + fraction.padEnd(9, '0'))
  return (digits + unit - 1n) / unit
}

const text = readVectors('prices.json')
if (text !== null) {
  const file = JSON.parse(text) as { asserted: Case[]; dataset: Case[]; reported: unknown[] }
  const cases = [...file.asserted, ...file.dataset]
  const skipped = new Map<string, string[]>()
  const covered = cases.filter((c) => {
    const why = gap(c)
    if (why !== null) skipped.set(why, [...(skipped.get(why) ?? []), c.id])
    return why === null
  })

  describe('costs asserted elsewhere', () => {
    for (const c of covered) {
      test(`${c.id} ${c.provider}/${c.model}: the exact figure, rounded up once`, () => {
        const { usage } = c
        const cost = costNanoUsd(
          {
            input: usage.input_tokens ?? 0,
            cacheRead: usage.cache_read_tokens ?? null,
            cacheWrite: usage.cache_write_tokens ?? null,
            cacheWrite1h: null,
            inputAudio: usage.input_audio_tokens ?? null,
            output: usage.output_tokens ?? 0,
            reasoning: usage.output_reasoning_tokens ?? null,
            outputAudio: usage.output_audio_tokens ?? null,
          },
          rowOf(c.rates_per_mtok),
        )
        expect(cost).toBe(nanoOf(c.expected.total))
      })
    }

    test('most cases are covered, and each that is not has a reason', () => {
      const left = [...skipped].map(([why, ids]) => `  ${ids.length} ${why}: ${ids.join(' ')}`)
      console.info(
        [
          `prices.json: ${covered.length} of ${cases.length} compared; not expressible:`,
          ...left,
          `  ${file.reported.length} reported by providers themselves: they need no table`,
        ].join('\n'),
      )
      const leftOut = [...skipped.values()].flat().length
      expect(covered.length + leftOut).toBe(cases.length)
      expect(covered.length).toBeGreaterThanOrEqual(70)
    })
  })
}
