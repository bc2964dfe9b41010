/**
 * Costs that others assert for real calls, computed again from the same rates: given as prices of the
 * host, found in the table, charged as the corridor charges; and once more as the bundled table reads
 * them.
 *
 * @module
 */
import type { ModelPrice } from '@pydantic/genai-prices'
import { describe, expect, test } from 'vitest'
import type { TokenUsage } from '../../src/storage/ledger-records.ts'
import { chargeFor } from '../../src/usage/charge.ts'
import { readPrice } from '../../src/usage/genai-prices.ts'
import type { HostPrice, HostTier } from '../../src/usage/host-price.ts'
import { COUNTED_TOKENS, type PriceRow } from '../../src/usage/price.ts'
import { priceTable } from '../../src/usage/price-table.ts'
import { nanoUsdOf, ONE } from '../../src/usage/rate.ts'
import { priceRow, used } from '../support/prices.ts'
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

interface Reported {
  id: string
  provider: string
  model: string
  usage_raw: { cost?: number; cost_in_usd_ticks?: number }
  expected: { charged_by_gateway?: number; charged_by_provider?: string }
}

const RATES: Record<string, keyof HostPrice & keyof HostTier> = {
  input_mtok: 'inputUsdPerMTok',
  cache_read_mtok: 'cacheReadUsdPerMTok',
  cache_write_mtok: 'cacheWriteUsdPerMTok',
  cache_write_1h_mtok: 'cacheWrite1hUsdPerMTok',
  input_audio_mtok: 'inputAudioUsdPerMTok',
  cache_audio_read_mtok: 'cacheReadAudioUsdPerMTok',
  input_image_mtok: 'inputImageUsdPerMTok',
  cache_image_read_mtok: 'cacheReadImageUsdPerMTok',
  input_video_mtok: 'inputVideoUsdPerMTok',
  output_mtok: 'outputUsdPerMTok',
  output_audio_mtok: 'outputAudioUsdPerMTok',
  output_image_mtok: 'outputImageUsdPerMTok',
  output_video_mtok: 'outputVideoUsdPerMTok',
  output_reasoning_mtok: 'reasoningUsdPerMTok',
  output_citation_mtok: 'citationUsdPerMTok',
}

const TOKENS: Record<string, keyof TokenUsage> = {
  input_tokens: 'input',
  cache_read_tokens: 'cacheRead',
  cache_write_tokens: 'cacheWrite',
  cache_write_1h_tokens: 'cacheWrite1h',
  input_audio_tokens: 'inputAudio',
  output_tokens: 'output',
  output_reasoning_tokens: 'reasoning',
  output_audio_tokens: 'outputAudio',
}

const COUNTS: Record<string, string> = {
  cache_audio_read_tokens: COUNTED_TOKENS.cacheReadAudio,
  input_image_tokens: COUNTED_TOKENS.inputImage,
  cache_image_read_tokens: COUNTED_TOKENS.cacheReadImage,
  input_video_tokens: COUNTED_TOKENS.inputVideo,
  output_image_tokens: COUNTED_TOKENS.outputImage,
  output_video_tokens: COUNTED_TOKENS.outputVideo,
  output_citation_tokens: COUNTED_TOKENS.citation,
}

/** Usage that says nothing about the price beside what the others say: text is what is left over, a
 * cache of five minutes is the plain one, and tool prompts are input. */
const NEUTRAL =
  /^(input_text|output_text|cache_text_read|input_text_tool|input_tool|cache_write_5m)_tokens$/

/** Why our rows and usage cannot express a case; `null`: they can. */
function gap({ usage, rates_per_mtok: rates }: Case): string | null {
  for (const key of Object.keys(rates)) {
    if (!(key in RATES) && key !== 'web_searches_kcount') return `no rate for ${key}`
  }
  for (const name of Object.keys(usage)) {
    const isKnown = name in TOKENS || name in COUNTS || NEUTRAL.test(name)
    if (!isKnown && name !== 'web_searches') return `no count for ${name}`
  }
  return null
}

const baseOf = (rate: Rate): string => (typeof rate === 'string' ? rate : rate.base)
const tiersOf = (rate: Rate) => (typeof rate === 'string' ? [] : rate.tiers)

/** The rates of a case as the option `prices` takes them. */
function hostPriceOf({ rates_per_mtok: all }: Case): HostPrice {
  const rates = Object.entries(all).filter(([key]) => key in RATES)
  const starts = new Set(rates.flatMap(([, rate]) => tiersOf(rate).map((t) => t.above)))
  const tiers = [...starts]
    .sort((a, b) => a - b)
    .map((above) => ({
      aboveInputTokens: above,
      ...Object.fromEntries(
        rates.flatMap(([key, rate]) => {
          const tier = tiersOf(rate).findLast((t) => t.above <= above)
          return tier ? [[RATES[key], tier.price]] : []
        }),
      ),
    }))
  const named = Object.fromEntries(rates.map(([key, rate]) => [RATES[key], baseOf(rate)]))
  return {
    provider: 'vector',
    model: 'vector',
    inputUsdPerMTok: '0',
    // Models for embeddings: none comes out.
    outputUsdPerMTok: '0',
    ...named,
    tiers,
  }
}

/** The same as the bundled table would keep it. */
function bundledRowOf({ rates_per_mtok: rates }: Case): PriceRow {
  const price: ModelPrice = Object.fromEntries(
    Object.entries(rates).map(([key, rate]) => [
      key,
      typeof rate === 'string'
        ? Number(rate)
        : {
            base: Number(rate.base),
            tiers: rate.tiers.map((t) => ({ start: t.above, price: Number(t.price) })),
          },
    ]),
  )
  const priced = readPrice(price)
  if (priced === null) throw new Error('the rates of this case are no price')
  return priceRow(priced)
}

function chargedFor({ usage }: Case, row: PriceRow): bigint {
  const tokens = Object.entries(usage).flatMap(([name, n]) =>
    name in TOKENS ? [[TOKENS[name], n]] : [],
  )
  // The totals of the data set leave out what is charged by the search, and no other case has one.
  const counts = Object.entries(usage).flatMap(([name, n]) =>
    name in COUNTS ? [[COUNTS[name], n]] : [],
  )
  return chargeFor({
    row,
    tokens: used(Object.fromEntries(tokens)),
    counts: Object.fromEntries(counts),
    quality: 'measured',
    markup: { id: null, ratio: ONE },
    billable: true,
    endMs: 0,
  }).chargedNanoUsd
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
  const file = JSON.parse(text) as { asserted: Case[]; dataset: Case[]; reported: Reported[] }
  const cases = [...file.asserted, ...file.dataset]
  const left = cases.flatMap((c) => {
    const why = gap(c)
    return why === null ? [] : [`${c.id}: ${why}`]
  })

  describe('costs asserted elsewhere', () => {
    for (const c of cases.filter((own) => gap(own) === null)) {
      test(`T-B10 ${c.id} ${c.provider}/${c.model}: the exact figure, rounded up once`, async () => {
        const table = priceTable({ hostPrices: [hostPriceOf(c)] })
        const row = await table.find({ provider: 'vector', model: 'vector' })
        expect(chargedFor(c, row!)).toBe(nanoOf(c.expected.total))
        expect(chargedFor(c, bundledRowOf(c))).toBe(nanoOf(c.expected.total))
      })
    }

    test('every case is expressed; one that is not would be named here with its reason', () => {
      console.info(`prices.json: ${cases.length - left.length} of ${cases.length} compared`)
      expect(left).toEqual([])
      expect(cases).toHaveLength(91)
    })
  })

  describe('what providers say that they charged', () => {
    for (const { id, provider, model, usage_raw: usage, expected } of file.reported) {
      test(`${id} ${provider}/${model}: read exactly, in nano-USD`, () => {
        const read =
          usage.cost_in_usd_ticks === undefined
            ? nanoUsdOf(usage.cost)
            : nanoUsdOf(usage.cost_in_usd_ticks, 10_000_000_000)
        const said = expected.charged_by_provider ?? Number(expected.charged_by_gateway).toFixed(12)
        expect(read).toBe(nanoOf(said))
      })
    }
    test('all of them', () => {
      expect(file.reported).toHaveLength(12)
    })
  })
}
