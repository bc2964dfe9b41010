/**
 * `tk.prices`: what a model costs by the table that calls are charged by, and how old that table is.
 *
 * @module
 */
import * as z from 'zod'
import { parse, timeSchema } from '../kernel/validate.ts'
import { GENAI_PRICES_DATE, GENAI_PRICES_VERSION } from './genai-prices.ts'
import type { PriceRow, PriceTable, TokenPrices, TokenRates } from './price.ts'
import { bundledAgeDays, STALE_AFTER_DAYS } from './price-table.ts'
import type { Ratio } from './rate.ts'

export interface PriceAsk {
  readonly provider: string
  /** As requests name it. */
  readonly model: string
  /** For when, in ms since the epoch; default now. */
  readonly atMs?: number | undefined
}

/** US dollars per 1M tokens, as exact decimal strings; a class without a rate is priced as the class it
 * is part of. */
export type UsdPerMTok = { readonly [K in keyof TokenRates]?: string }

export interface TokenPriceInfo {
  readonly usdPerMTok: UsdPerMTok
  /** For requests whose total input is above a threshold. */
  readonly tiers: readonly {
    readonly aboveInputTokens: number
    readonly usdPerMTok: UsdPerMTok
  }[]
  readonly ratio: Ratio
}

export interface PriceInfo
  extends TokenPriceInfo,
    Pick<
      PriceRow,
      | 'id'
      | 'version'
      | 'provider'
      | 'model'
      | 'contextWindow'
      | 'maxOutput'
      | 'roundedUp'
      | 'unpriced'
      | 'use'
      | 'known'
    > {
  /** US dollars for each of what is counted beside tokens. */
  readonly unitsUsd: Readonly<Record<string, string>>
  readonly serviceTiers: Readonly<Record<string, TokenPriceInfo>>
  /** What it changes to within a day. */
  readonly next: readonly { readonly from: string; readonly price: PriceInfo }[]
}

export interface BundledTable {
  /** The package that it comes from. */
  readonly source: '@pydantic/genai-prices'
  readonly version: string
  /** The day it came out, such as `2026-09-23`. */
  readonly date: string
  readonly ageDays: number
  /** Older than 90 days: prices have changed since. Also reported by the event `prices.stale`. */
  readonly isStale: boolean
}

export interface PricesApi {
  /**
   * What a call would be charged by. Consumes nothing.
   *
   * @returns `null`: nothing is known, and such calls are refused.
   * @throws TenantKeysError TK_INPUT_INVALID
   */
  find(ask: PriceAsk): Promise<PriceInfo | null>
  /** The bundled table; loads nothing. */
  bundled(): BundledTable
}

const schema = z.strictObject({
  provider: z.string().min(1).max(64),
  model: z.string().min(1).max(256),
  atMs: timeSchema.optional(),
})

export function pricesApi(prices: PriceTable, now: () => number): PricesApi {
  return {
    find: async (input) => {
      const { provider, model, atMs = now() } = parse(schema, input)
      const row = await prices.find({ provider, model, atMs })
      return row && priceInfo(row)
    },
    bundled: () => {
      const ageDays = bundledAgeDays(now())
      return {
        source: '@pydantic/genai-prices',
        version: GENAI_PRICES_VERSION,
        date: GENAI_PRICES_DATE,
        ageDays,
        isStale: ageDays > STALE_AFTER_DAYS,
      }
    },
  }
}

function priceInfo(row: PriceRow): PriceInfo {
  const { id, version, provider, model, contextWindow, maxOutput } = row
  const { roundedUp, unpriced, use, known } = row
  return {
    id,
    version,
    provider,
    model,
    ...tokenPrices(row),
    unitsUsd: mapped(row.units, (pico) => decimal(pico, 12)),
    serviceTiers: mapped(row.serviceTiers, tokenPrices),
    next: row.next.map((later) => ({
      from: new Date(later.fromMs).toISOString(),
      price: priceInfo(later.row),
    })),
    contextWindow,
    maxOutput,
    roundedUp,
    unpriced,
    use,
    known,
  }
}

const tokenPrices = ({ rates, tiers, ratio }: TokenPrices): TokenPriceInfo => ({
  usdPerMTok: perMTok(rates),
  tiers: tiers.map((tier) => ({
    aboveInputTokens: tier.aboveInputTokens,
    usdPerMTok: perMTok(tier.rates),
  })),
  ratio,
})

/** 1 pUSD per token is 1e-6 USD per 1M tokens. */
function perMTok(rates: TokenRates): UsdPerMTok {
  const given = Object.entries(rates).flatMap(([name, rate]) =>
    rate === null ? [] : [[name, decimal(rate, 6)]],
  )
  return Object.fromEntries(given)
}

const mapped = <T, R>(
  source: Readonly<Record<string, T>>,
  of: (value: T) => R,
): Readonly<Record<string, R>> =>
  Object.fromEntries(Object.entries(source).map(([name, value]) => [name, of(value)]))

/** Exact, with at least two decimals. */
function decimal(amount: bigint, decimals: number): string {
  const digits = String(amount).padStart(decimals + 1, '0')
  const fraction = digits.slice(-decimals).replace(/0+$/, '')
  return `${digits.slice(0, -decimals)}.${fraction.padEnd(2, '0')}`
}
