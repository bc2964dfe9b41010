/**
 * Prices that the host gives as options: what they may say, and the rows they become.
 *
 * @module
 */
import * as z from 'zod'
import {
  NO_RATES,
  type PriceRow,
  type PriceTier,
  type TokenPrices,
  type TokenRates,
} from './price.ts'
import { ONE, type Ratio, rateFromText, unitRateFromText } from './rate.ts'

/** US dollars per 1M tokens, as decimal strings such as `'0.15'`, from 0 to 1,000,000. A class left out
 * is priced as the class it is part of. */
export interface HostRates {
  readonly cacheReadUsdPerMTok?: string | undefined
  readonly cacheWriteUsdPerMTok?: string | undefined
  /** Left out, requests that ask for a cache of one hour are refused. */
  readonly cacheWrite1hUsdPerMTok?: string | undefined
  /** Left out, calls with audio are refused: audio costs a multiple of text. */
  readonly inputAudioUsdPerMTok?: string | undefined
  readonly cacheReadAudioUsdPerMTok?: string | undefined
  readonly inputImageUsdPerMTok?: string | undefined
  readonly cacheReadImageUsdPerMTok?: string | undefined
  readonly inputVideoUsdPerMTok?: string | undefined
  readonly outputAudioUsdPerMTok?: string | undefined
  readonly outputImageUsdPerMTok?: string | undefined
  readonly outputVideoUsdPerMTok?: string | undefined
  readonly reasoningUsdPerMTok?: string | undefined
  readonly citationUsdPerMTok?: string | undefined
}

type SomeRates = HostRates & {
  readonly inputUsdPerMTok?: string | undefined
  readonly outputUsdPerMTok?: string | undefined
}

/** Other rates for requests whose total input is above a threshold; a rate left out stays as it is. */
export type HostTier = SomeRates & { readonly aboveInputTokens: number }

/** What a class of service costs: a ratio of the row, or rates of its own; what is left out stays. */
export type HostServiceTier = SomeRates & {
  /** `[1, 2]` is half; whole numbers from 1 to 1,000,000. Of tokens only, not of `unitsUsd`. */
  readonly ratio?: Ratio | undefined
  /** Ascending; default the row's. Needed, if only as `[]`, beside rates of its own where the row has
   * tiers: nobody could tell what they come to. */
  readonly tiers?: readonly HostTier[] | undefined
}

/** A price of the host's own. It wins over the bundled table for exactly this provider and model. */
export interface HostPrice extends HostRates {
  readonly provider: string
  /** As requests name it, compared as it is written; `*`: every model of the provider that has no
   * price otherwise. */
  readonly model: string
  readonly inputUsdPerMTok: string
  readonly outputUsdPerMTok: string
  /** Ascending by threshold. */
  readonly tiers?: readonly HostTier[] | undefined
  /**
   * US dollars for each of what is counted beside tokens, from '0' to '10000', by its name in the
   * `counts` of usage rows: `{ web_search_requests: '0.01', images: '0.04', seconds: '0.0001' }`;
   * `requests` is charged once for every call.
   */
  readonly unitsUsd?: Readonly<Record<string, string>> | undefined
  /** By the provider's name for it: `{ flex: { ratio: [1, 2] }, priority: { inputUsdPerMTok: '5' } }`.
   * A class that is not named here is refused when a request asks for it. */
  readonly serviceTiers?: Readonly<Record<string, HostServiceTier>> | undefined
  /** Input and output together, in tokens. Without it, requests with images or files are refused. */
  readonly contextWindow?: number | undefined
  /** Per choice, in tokens. */
  readonly maxOutputTokens?: number | undefined
  /** Shown in the ids of price rows; change it with the price. Default `unversioned`. */
  readonly version?: string | undefined
  /** First day of this price, UTC, as `2026-12-01`; several rows of one model differ in it. Default: it
   * has always held. */
  readonly from?: string | undefined
  /** `table` (default): what these rates come to is charged. `provider`: what the provider itself
   * reports as its charge, where it does; these rates only bound and replace it. */
  readonly use?: 'table' | 'provider' | undefined
}

const rateSchema = z
  .string()
  .refine(
    (text) => rateFromText(text) !== null,
    "expected US dollars per 1M tokens as a decimal string such as '0.15', at most 1000000",
  )
const unitSchema = z
  .string()
  .refine(
    (text) => unitRateFromText(text) !== null,
    "expected US dollars each as a decimal string such as '0.01', at most 10000",
  )

/** Largest context window or output that a price row may name, in tokens. */
const tokensSchema = z.int().min(1).max(1_000_000_000)

const partSchema = z.int().min(1).max(1_000_000)
export const ratioSchema = z.tuple([partSchema, partSchema])

const RATE_FIELDS = [
  ['inputUsdPerMTok', 'input'],
  ['cacheReadUsdPerMTok', 'cacheRead'],
  ['cacheWriteUsdPerMTok', 'cacheWrite'],
  ['cacheWrite1hUsdPerMTok', 'cacheWrite1h'],
  ['inputAudioUsdPerMTok', 'inputAudio'],
  ['cacheReadAudioUsdPerMTok', 'cacheReadAudio'],
  ['inputImageUsdPerMTok', 'inputImage'],
  ['cacheReadImageUsdPerMTok', 'cacheReadImage'],
  ['inputVideoUsdPerMTok', 'inputVideo'],
  ['outputUsdPerMTok', 'output'],
  ['outputAudioUsdPerMTok', 'outputAudio'],
  ['outputImageUsdPerMTok', 'outputImage'],
  ['outputVideoUsdPerMTok', 'outputVideo'],
  ['reasoningUsdPerMTok', 'reasoning'],
  ['citationUsdPerMTok', 'citation'],
] as const satisfies readonly (readonly [keyof SomeRates, keyof TokenRates])[]

type RateField = (typeof RATE_FIELDS)[number][0]
const someRates = Object.fromEntries(
  RATE_FIELDS.map(([field]) => [field, rateSchema.optional()]),
) as Record<RateField, z.ZodOptional<typeof rateSchema>>

const tiersSchema = z
  .array(z.strictObject({ ...someRates, aboveInputTokens: tokensSchema }))
  .max(16)
  .refine(ascending, 'the tiers must ascend by aboveInputTokens')

/** As providers write them; a name with other letters could not stand in the id of a price. */
const nameSchema = z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/)

const priceSchema = z.strictObject({
  ...someRates,
  provider: nameSchema,
  model: z.string().regex(/^[\x21-\x7e]{1,200}$/),
  inputUsdPerMTok: rateSchema,
  outputUsdPerMTok: rateSchema,
  tiers: tiersSchema.default([]),
  unitsUsd: z.record(nameSchema, unitSchema).default({}),
  serviceTiers: z
    .record(
      nameSchema,
      z.strictObject({
        ...someRates,
        ratio: ratioSchema.optional(),
        tiers: tiersSchema.optional(),
      }),
    )
    .default({}),
  contextWindow: tokensSchema.optional(),
  maxOutputTokens: tokensSchema.optional(),
  version: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .default('unversioned'),
  from: z.iso.date('expected a day such as 2026-12-01').optional(),
  use: z.enum(['table', 'provider']).default('table'),
})

type ReadPrice = z.output<typeof priceSchema>

/** The option: at most 10,000 rows, one per provider, model and first day. */
export const hostPricesSchema: z.ZodType<readonly ReadPrice[], readonly HostPrice[]> = z
  .array(priceSchema)
  .max(10_000)
  .superRefine((rows, context) => {
    const seen = new Set<string>()
    rows.forEach(({ provider, model, from = '', ...row }, i) => {
      const name = `${provider}/${model} ${from}`
      if (seen.has(name)) {
        const message = 'there is a price for this provider and model already'
        context.addIssue({ code: 'custom', path: [i, 'model'], message })
      }
      seen.add(name)
      for (const [tier, own] of Object.entries(row.serviceTiers)) {
        const hasRates = RATE_FIELDS.some(([field]) => own[field] !== undefined)
        if (row.tiers.length === 0 || !hasRates || own.tiers !== undefined) continue
        const message = 'expected tiers of its own beside its rates, as the row has tiers'
        context.addIssue({ code: 'custom', path: [i, 'serviceTiers', tier, 'tiers'], message })
      }
    })
  })

export function hostRow(host: ReadPrice): PriceRow {
  let roundedUp = false
  const given = (source: Readonly<Record<string, unknown>>): Partial<TokenRates> =>
    Object.fromEntries(
      RATE_FIELDS.flatMap(([name, own]) => {
        const parsed = rateFromText(source[name])
        if (parsed === null) return []
        roundedUp ||= parsed.roundedUp
        return [[own, parsed.rate]]
      }),
    )
  const tiersOf = (base: TokenRates, tiers: ReadPrice['tiers']): PriceTier[] =>
    tiers.map((tier) => ({
      aboveInputTokens: tier.aboveInputTokens,
      rates: { ...base, ...given(tier) },
    }))
  const unit = (usd: string): bigint => {
    const parsed = unitRateFromText(usd)!
    roundedUp ||= parsed.roundedUp
    return parsed.rate
  }
  const rates: TokenRates = { ...NO_RATES, ...given(host) }
  const service = (own: ReadPrice['serviceTiers'][string]): TokenPrices => {
    const base = { ...rates, ...given(own) }
    return { rates: base, tiers: tiersOf(base, own.tiers ?? host.tiers), ratio: own.ratio ?? ONE }
  }
  const { provider, model, version, from } = host
  return {
    id: `host:${provider}/${model}@${version}${from === undefined ? '' : `@${from}`}`,
    version,
    provider,
    model,
    currency: 'USD',
    rates,
    tiers: tiersOf(rates, host.tiers),
    ratio: ONE,
    units: mapped(host.unitsUsd, unit),
    serviceTiers: mapped(host.serviceTiers, service),
    next: [],
    contextWindow: host.contextWindow ?? null,
    maxOutput: host.maxOutputTokens ?? null,
    roundedUp,
    unpriced: [],
    use: host.use,
    known: true,
  }
}

/** Without a prototype: the names come from the host, and a lookup must find nothing else. */
function mapped<T, R>(source: Readonly<Record<string, T>>, of: (value: T) => R): Record<string, R> {
  const made = Object.create(null) as Record<string, R>
  for (const [name, value] of Object.entries(source)) made[name] = of(value)
  return made
}

function ascending(tiers: readonly { readonly aboveInputTokens: number }[]): boolean {
  return tiers.every((tier, i) => i === 0 || tier.aboveInputTokens > tiers[i - 1]!.aboveInputTokens)
}
