/**
 * Prices that the host gives as options.
 *
 * @module
 */
import * as z from 'zod'
import { type HostPrice, type PriceRow, rateFromText, type TokenRates } from './price.ts'

const rateSchema = z
  .string()
  .refine(
    (text) => rateFromText(text) !== null,
    "expected US dollars per 1M tokens as a decimal string such as '0.15', at most 1000000",
  )

/** Largest context window or output that a price row may name, in tokens. */
const tokensSchema = z.int().min(1).max(1_000_000_000)

const optionalRates = {
  cacheReadUsdPerMTok: rateSchema.optional(),
  cacheWriteUsdPerMTok: rateSchema.optional(),
  inputAudioUsdPerMTok: rateSchema.optional(),
  cacheReadAudioUsdPerMTok: rateSchema.optional(),
  outputAudioUsdPerMTok: rateSchema.optional(),
}

const tierSchema = z.strictObject({
  aboveInputTokens: tokensSchema,
  inputUsdPerMTok: rateSchema.optional(),
  outputUsdPerMTok: rateSchema.optional(),
  ...optionalRates,
})

/** {@link HostPrice} with its defaults. */
const hostPriceSchema = z.strictObject({
  provider: z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/),
  model: z.string().regex(/^[\x21-\x7e]{1,200}$/),
  inputUsdPerMTok: rateSchema,
  outputUsdPerMTok: rateSchema,
  ...optionalRates,
  tiers: z
    .array(tierSchema)
    .max(16)
    .refine(ascending, 'the tiers must ascend by aboveInputTokens')
    .default([]),
  contextWindow: tokensSchema.optional(),
  maxOutputTokens: tokensSchema.optional(),
  version: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .default('unversioned'),
})

/** The option: at most 10,000 rows, one per provider and model. */
export const hostPricesSchema: z.ZodType<
  readonly z.output<typeof hostPriceSchema>[],
  readonly HostPrice[]
> = z
  .array(hostPriceSchema)
  .max(10_000)
  .superRefine((rows, context) => {
    const seen = new Set<string>()
    rows.forEach(({ provider, model }, i) => {
      if (seen.has(`${provider}/${model}`)) {
        const message = 'there is a price for this provider and model already'
        context.addIssue({ code: 'custom', path: [i, 'model'], message })
      }
      seen.add(`${provider}/${model}`)
    })
  })

export function hostRow(host: z.output<typeof hostPriceSchema>): PriceRow {
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
  const rates: TokenRates = { ...NO_RATES, ...given(host) }
  const tiers = host.tiers.map((tier) => ({
    aboveInputTokens: tier.aboveInputTokens,
    rates: { ...rates, ...given(tier) },
  }))
  const { provider, model, version } = host
  return {
    id: `host:${provider}/${model}@${version}`,
    version,
    provider,
    model,
    currency: 'USD',
    rates,
    tiers,
    contextWindow: host.contextWindow ?? null,
    maxOutput: host.maxOutputTokens ?? null,
    roundedUp,
    unpriced: [],
  }
}

const RATE_FIELDS = [
  ['inputUsdPerMTok', 'input'],
  ['cacheReadUsdPerMTok', 'cacheRead'],
  ['cacheWriteUsdPerMTok', 'cacheWrite'],
  ['inputAudioUsdPerMTok', 'inputAudio'],
  ['cacheReadAudioUsdPerMTok', 'cacheReadAudio'],
  ['outputUsdPerMTok', 'output'],
  ['outputAudioUsdPerMTok', 'outputAudio'],
] as const

const NO_RATES: TokenRates = {
  input: 0n,
  cacheRead: null,
  cacheWrite: null,
  inputAudio: null,
  cacheReadAudio: null,
  output: null,
  outputAudio: null,
}

function ascending(tiers: readonly { readonly aboveInputTokens: number }[]): boolean {
  return tiers.every((tier, i) => i === 0 || tier.aboveInputTokens > tiers[i - 1]!.aboveInputTokens)
}
