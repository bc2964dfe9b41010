/**
 * The option that lets models without a price through: each call is held and charged at a maximum that
 * the host names, and its usage row says so, until it is priced anew (`tk.usage.reprice`).
 *
 * @module
 */
import * as z from 'zod'
import { parse } from '../kernel/validate.ts'
import { NO_RATES, type PriceRow } from './price.ts'
import { ONE, unitRateFromText } from './rate.ts'

export interface UnpricedOption {
  /** The most that a call of such a model can cost, in US dollars: a decimal string, more than '0', at
   * most '10000'. It is what is held, and what is charged unless the provider reports its own figure. */
  readonly maxUsdPerCall: string
}

export interface ReadUnpriced {
  readonly text: string
  readonly picoUsd: bigint
}

const schema = z.strictObject({
  maxUsdPerCall: z
    .string()
    .refine(
      (text) => (unitRateFromText(text)?.rate ?? 0n) > 0n,
      "expected US dollars as a decimal string such as '0.50', more than '0', at most '10000'",
    ),
})

/** @throws TenantKeysError TK_CONFIG_INVALID naming the field */
export function readUnpriced(option: UnpricedOption | undefined): ReadUnpriced | null {
  if (option === undefined) return null
  const { maxUsdPerCall } = parse(schema, option, 'options.unpriced', 'TK_CONFIG_INVALID')
  return { text: maxUsdPerCall, picoUsd: unitRateFromText(maxUsdPerCall)!.rate }
}

/** The begin of the ids of such rows; a usage row that has one was charged a maximum, not a price. */
export const UNPRICED = 'unpriced:'

export function unpricedRow(
  { text, picoUsd }: ReadUnpriced,
  { provider, model }: { readonly provider: string; readonly model: string },
): PriceRow {
  return {
    id: `${UNPRICED}${provider}/${model}@${text}`,
    version: text,
    provider,
    model,
    currency: 'USD',
    // Nothing more for tokens: the maximum is for the whole call.
    rates: { ...NO_RATES, output: 0n },
    tiers: [],
    ratio: ONE,
    units: { requests: picoUsd },
    serviceTiers: {},
    next: [],
    contextWindow: null,
    maxOutput: null,
    roundedUp: false,
    unpriced: [],
    use: 'provider',
    known: false,
  }
}
