/**
 * Prices from @pydantic/genai-prices: its floats become integers here, and its matching of models and
 * dates is asked, not repeated. The package (466 KB) is loaded when the first price is asked for.
 *
 * @module
 */
import type { ModelInfo, ModelPrice, PriceCalculation } from '@pydantic/genai-prices'
import { TenantKeysError } from '../kernel/errors.ts'
import { isNamed } from './genai-names.ts'
import { type PriceRow, rateFromNumber, type TokenRates } from './price.ts'

/** The release whose table is bundled; a test compares it with what is installed. */
export const GENAI_PRICES_VERSION = '0.1.8'

type Genai = Pick<typeof import('@pydantic/genai-prices'), 'calcPrice'>

let loading: Promise<Genai> | null = null

function load(): Promise<Genai> {
  loading ??= import('@pydantic/genai-prices').catch((error: unknown) => {
    loading = null
    throw new TenantKeysError(
      'TK_INTERNAL',
      { reason: 'the price table cannot be loaded' },
      { cause: error },
    )
  })
  return loading
}

/** `null`: the table does not name this model, or not with prices that its tokens decide alone. */
export async function bundledPrice(ask: {
  readonly provider: string
  readonly model: string
  readonly atMs: number
}): Promise<PriceRow | null> {
  const found = lookUp(await load(), ask)
  // Providers are matched loosely there: `my-openai-proxy` would get OpenAI's prices.
  if (found?.provider.id !== ask.provider || !isNamed(found.model, ask.model)) return null
  const priced = tokenPrices(found.model_price)
  if (priced === null) return null
  return {
    id: `genai-prices@${GENAI_PRICES_VERSION}:${ask.provider}/${found.model.id}${since(found.model, found.model_price)}`,
    version: GENAI_PRICES_VERSION,
    provider: ask.provider,
    model: found.model.id,
    currency: 'USD',
    ...priced,
    contextWindow: found.model.context_window ?? null,
    maxOutput: null,
  }
}

/** It throws for times that are none and for prices it finds inconsistent: neither is a price. */
function lookUp(
  genai: Genai,
  { provider, model, atMs }: Parameters<typeof bundledPrice>[0],
): PriceCalculation | null {
  try {
    const usage = { input_tokens: 0, output_tokens: 0 }
    return genai.calcPrice(usage, model, { providerId: provider, timestamp: new Date(atMs) })
  } catch {
    return null
  }
}

/** From when, or at what time of day, a price holds, where that changes. */
function since({ prices }: ModelInfo, price: ModelPrice): string {
  const constraint = Array.isArray(prices)
    ? prices.find((p) => p.prices === price)?.constraint
    : undefined
  if (constraint === undefined) return ''
  return constraint.type === 'start_date'
    ? `@${constraint.start_date}`
    : `@${constraint.start_time}-${constraint.end_time}`
}

const CLASS_OF: ReadonlyMap<string, keyof TokenRates> = new Map([
  ['input_mtok', 'input'],
  ['cache_read_mtok', 'cacheRead'],
  ['cache_write_mtok', 'cacheWrite'],
  ['input_audio_mtok', 'inputAudio'],
  ['cache_audio_read_mtok', 'cacheReadAudio'],
  ['output_mtok', 'output'],
  ['output_audio_mtok', 'outputAudio'],
])

/** Charged on every call, or on tokens that no request can rule out: without them a price is wrong. */
const UNAVOIDABLE = new Set([
  'requests_kcount',
  'input_text_messages_kcount',
  'output_reasoning_mtok',
  'output_citation_mtok',
  'output_image_mtok',
  'output_video_mtok',
])

/**
 * The rates of one price entry. Keys outside our classes that only special requests reach (web
 * searches, one-hour cache writes, images sent along) are named in `unpriced`.
 *
 * @returns `null` without a price for input: free models and unpriced ones look the same there.
 */
export function tokenPrices(
  price: ModelPrice,
): Pick<PriceRow, 'rates' | 'tiers' | 'roundedUp' | 'unpriced'> | null {
  const entries = Object.entries(price).filter(([, value]) => value !== undefined)
  if (entries.some(([key]) => UNAVOIDABLE.has(key))) return null
  const known = entries.flatMap(([key, value]) => {
    const own = CLASS_OF.get(key)
    return own === undefined ? [] : [{ own, ...steps(value) }]
  })
  if (!known.some(({ own }) => own === 'input')) return null

  let roundedUp = false
  const at = (inputTokens: number): TokenRates | null => {
    const rates: Record<keyof TokenRates, bigint | null> = { ...NOTHING }
    for (const { own, base, tiers } of known) {
      const reached = tiers.findLast((tier) => tier.start <= inputTokens)
      const parsed = rateFromNumber(reached ? reached.price : base)
      if (parsed === null) return null
      roundedUp ||= parsed.roundedUp
      rates[own] = parsed.rate
    }
    return { ...rates, input: rates.input ?? 0n }
  }
  const rates = at(-1)
  const starts = [...new Set(known.flatMap(({ tiers }) => tiers.map((t) => t.start)))]
  const tiers = starts
    .sort((a, b) => a - b)
    .map((start) => ({ aboveInputTokens: start, rates: at(start) }))
  if (rates === null || !tiers.every(hasRates)) return null
  const unpriced = entries.map(([key]) => key).filter((key) => !CLASS_OF.has(key))
  return { rates, tiers, roundedUp, unpriced }
}

function steps(value: ModelPrice[string]): {
  base: unknown
  tiers: readonly { start: number; price: unknown }[]
} {
  if (typeof value !== 'object') return { base: value, tiers: [] }
  return { base: value.base, tiers: [...value.tiers].sort((a, b) => a.start - b.start) }
}

function hasRates<T extends { readonly rates: TokenRates | null }>(
  tier: T,
): tier is T & { rates: TokenRates } {
  return tier.rates !== null
}

const NOTHING: Record<keyof TokenRates, null> = {
  input: null,
  cacheRead: null,
  cacheWrite: null,
  inputAudio: null,
  cacheReadAudio: null,
  output: null,
  outputAudio: null,
}
