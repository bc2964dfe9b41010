/**
 * Prices from @pydantic/genai-prices: its floats become integers here, and its choice among prices by
 * date and time is asked, not repeated. The package (831 KB) is loaded when the first price is asked
 * for.
 *
 * @module
 */
import type { ModelInfo, ModelPrice, Provider } from '@pydantic/genai-prices'
import { TenantKeysError } from '../kernel/errors.ts'
import { isExactly, isNamed } from './genai-names.ts'
import { type TableEntry, tableEntries } from './genai-providers.ts'
import { NO_RATES, type PriceRow, type TokenRates } from './price.ts'
import { ONE, rateFromNumber, unitRateFromNumber } from './rate.ts'

/** The release whose table is bundled, and the day it came out; a test compares the version with what
 * is installed. */
export const GENAI_PRICES_VERSION = '0.1.8'
export const GENAI_PRICES_DATE = '2026-09-23'

type Genai = Pick<typeof import('@pydantic/genai-prices'), 'calcPrice' | 'findProvider'>

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

export interface BundledAsk {
  /** As we name it. */
  readonly provider: string
  readonly model: string
  readonly atMs: number
}

/** `null`: the table does not name this model, or not with prices that its counts decide alone. */
export async function bundledPrice(ask: BundledAsk): Promise<PriceRow | null> {
  const entries = tableEntries(ask.provider, ask.model)
  if (entries.length === 0) return null
  const genai = await load()
  for (const entry of entries) {
    const source = listed(genai, entry, ask.atMs)
    if (source !== null) return pricedAt(genai, source, ask)
  }
  return null
}

/** One model of the table, in a provider of its own so that no other can be matched instead. */
interface Source {
  readonly table: string
  readonly asked: string
  readonly model: ModelInfo
  readonly only: Provider
}

/** The model that has this id; else the first that it is a known form of. The table's own matching has
 * to agree with either. */
function listed(genai: Genai, { table, model: asked }: TableEntry, atMs: number): Source | null {
  const provider = genai.findProvider({ providerId: table })
  if (provider?.id !== table) return null
  for (const fits of [isExactly, isNamed]) {
    for (const model of provider.models) {
      if (!fits({ model, table }, asked)) continue
      const source = { table, asked, model, only: { ...provider, models: [model] } }
      if (priceAtTime(genai, source, atMs) !== null) return source
    }
  }
  return null
}

const DAY_MS = 86_400_000

/** The price of a moment, and those it changes to within a day. */
function pricedAt(genai: Genai, source: Source, ask: BundledAsk): PriceRow | null {
  const row = rowAtTime(genai, source, ask)
  if (row === null) return null
  const next: { fromMs: number; row: PriceRow }[] = []
  let last = row
  for (const fromMs of changes(source.model, ask.atMs)) {
    const later = rowAtTime(genai, source, { ...ask, atMs: fromMs })
    // A time at which the table has no price that we can read: nothing would bound the call.
    if (later === null) return null
    if (later.id !== last.id) next.push({ fromMs, row: later })
    last = later
  }
  return { ...row, next }
}

/** When the price of a model may change within a day from `atMs`, ascending. */
function changes({ prices }: ModelInfo, atMs: number): readonly number[] {
  if (!Array.isArray(prices)) return []
  const midnight = Math.floor(atMs / DAY_MS) * DAY_MS
  const times = prices.flatMap(({ constraint }) => {
    if (constraint === undefined) return []
    if (constraint.type === 'start_date') return [Date.parse(constraint.start_date)]
    return [constraint.start_time, constraint.end_time].flatMap((time) => {
      const ofDay = Date.parse(`1970-01-01T${time}`)
      return [midnight + ofDay, midnight + DAY_MS + ofDay]
    })
  })
  const coming = times.filter((ms) => ms > atMs && ms <= atMs + DAY_MS)
  return [...new Set(coming)].sort((a, b) => a - b)
}

function rowAtTime(genai: Genai, source: Source, { provider, atMs }: BundledAsk): PriceRow | null {
  const { table, model } = source
  const price = priceAtTime(genai, source, atMs)
  const priced = price === null ? null : readPrice(price)
  if (price === null || priced === null) return null
  // Groq bills at least ten seconds of every file; no rate per second says that.
  if (table === 'groq' && Object.hasOwn(priced.units, 'seconds')) return null
  return {
    id: `genai-prices@${GENAI_PRICES_VERSION}:${provider}/${model.id}${since(model, price)}`,
    version: GENAI_PRICES_VERSION,
    provider,
    model: model.id,
    currency: 'USD',
    ...priced,
    ratio: ONE,
    serviceTiers: {},
    next: [],
    contextWindow: model.context_window ?? null,
    maxOutput: null,
    use: 'table',
    known: true,
  }
}

/** It throws for times that are none and for prices it finds inconsistent: neither is a price. */
function priceAtTime(genai: Genai, { asked, only }: Source, atMs: number): ModelPrice | null {
  try {
    const usage = { input_tokens: 0, output_tokens: 0 }
    const options = { provider: only, timestamp: new Date(atMs) }
    return genai.calcPrice(usage, asked, options)?.model_price ?? null
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
  ['cache_write_1h_mtok', 'cacheWrite1h'],
  ['input_audio_mtok', 'inputAudio'],
  ['cache_audio_read_mtok', 'cacheReadAudio'],
  ['input_image_mtok', 'inputImage'],
  ['cache_image_read_mtok', 'cacheReadImage'],
  ['input_video_mtok', 'inputVideo'],
  ['output_mtok', 'output'],
  ['output_audio_mtok', 'outputAudio'],
  ['output_image_mtok', 'outputImage'],
  ['output_video_mtok', 'outputVideo'],
  ['output_reasoning_mtok', 'reasoning'],
  ['output_citation_mtok', 'citation'],
])

/** What is counted beside tokens: our name of it, and how many of it the table's price is for. */
const UNIT_OF: ReadonlyMap<string, { readonly unit: string; readonly per: number }> = new Map([
  ['requests_kcount', { unit: 'requests', per: 1000 }],
  ['web_searches_kcount', { unit: 'web_search_requests', per: 1000 }],
  ['storage_searches_kcount', { unit: 'file_search_requests', per: 1000 }],
  ['audio_hours', { unit: 'seconds', per: 3600 }],
  ['input_audio_hours', { unit: 'seconds', per: 3600 }],
  ['input_document_kpages', { unit: 'pages', per: 1000 }],
  ['input_annotated_document_kpages', { unit: 'annotated_pages', per: 1000 }],
])

/** Units that alone make a price: models without token prices that are not free. */
const SUFFICIENT = new Set(['seconds', 'pages'])

/** Charged on every call and not among the counts we know: without them a price is wrong. */
const UNAVOIDABLE = new Set(['input_text_messages_kcount'])

type ReadPrice = Pick<PriceRow, 'rates' | 'tiers' | 'units' | 'roundedUp' | 'unpriced'>

/**
 * The rates of one price entry. Keys that are neither our classes nor our units are named in
 * `unpriced`.
 *
 * @returns `null` without a price for input: free models and unpriced ones look the same there.
 */
export function readPrice(price: ModelPrice): ReadPrice | null {
  const entries = Object.entries(price).filter(([, value]) => value !== undefined)
  if (entries.some(([key]) => UNAVOIDABLE.has(key))) return null
  const units = readUnits(entries)
  const known = entries.flatMap(([key, value]) => {
    const own = CLASS_OF.get(key)
    return own === undefined ? [] : [{ own, ...steps(value) }]
  })
  const hasInput = known.some(({ own }) => own === 'input')
  if (units === null || !(hasInput || Object.keys(units.units).some((u) => SUFFICIENT.has(u))))
    return null

  let { roundedUp } = units
  const at = (inputTokens: number): TokenRates | null => {
    const rates: Record<keyof TokenRates, bigint | null> = { ...NO_RATES }
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
  const unpriced = entries
    .map(([key]) => key)
    .filter((key) => !CLASS_OF.has(key) && !UNIT_OF.has(key))
  return { rates, tiers, units: units.units, roundedUp, unpriced }
}

/** `null`: one of them is no price. Of two that are the same unit the dearer counts. */
function readUnits(
  entries: readonly (readonly [string, ModelPrice[string]])[],
): Pick<ReadPrice, 'units' | 'roundedUp'> | null {
  const units: Record<string, bigint> = {}
  let roundedUp = false
  for (const [key, value] of entries) {
    const own = UNIT_OF.get(key)
    if (own === undefined) continue
    const parsed = unitRateFromNumber(value, own.per)
    if (parsed === null) return null
    roundedUp ||= parsed.roundedUp
    const known = units[own.unit] ?? 0n
    units[own.unit] = parsed.rate > known ? parsed.rate : known
  }
  return { units, roundedUp }
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
