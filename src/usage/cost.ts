/**
 * What a call costs, from tokens and a price row: integers only, rounded up once, at the end.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { TokenUsage } from '../storage/ledger-records.ts'
import type { PriceRow, TokenRates } from './price.ts'

/** At most these tokens, and which dearer classes they may turn out to be. */
export interface TokenBound {
  readonly input: number
  readonly output: number
  /** True when part of the input may be audio; default false. */
  readonly inputAudio?: boolean
  /** True when part of the output may be audio; default false. */
  readonly outputAudio?: boolean
}

/**
 * The cost of what was used, in nano-USD.
 *
 * `input` and `output` are totals and their parts are taken out of them, so that every token is
 * charged once. A part that claims more than its total counts as the total. Where audio and cached
 * tokens may overlap and nobody says by how much, the overlap is taken as small as the totals admit:
 * that is the dearer reading wherever audio costs more than text and cached tokens cost less.
 * Audio that must lie in tokens written to a cache is charged as those.
 *
 * @throws TenantKeysError TK_INPUT_INVALID for counts that are not integers of at least 0.
 */
export function costNanoUsd(tokens: TokenUsage, row: PriceRow): bigint {
  const rates = ratesAt(row, tokens.input)
  const input = count(tokens.input, 'tokens.input')
  const output = count(tokens.output, 'tokens.output')
  const written = least(count(tokens.cacheWrite ?? 0, 'tokens.cacheWrite'), input)
  const cached = least(count(tokens.cacheRead ?? 0, 'tokens.cacheRead'), input - written)
  const audio = least(count(tokens.inputAudio ?? 0, 'tokens.inputAudio'), input)
  const spoken = least(count(tokens.outputAudio ?? 0, 'tokens.outputAudio'), output)

  const fresh = input - written - cached
  const freshAudio = least(audio, fresh)
  const cachedAudio = least(audio - freshAudio, cached)
  return toNano(
    (fresh - freshAudio) * rates.input +
      freshAudio * rates.inputAudio +
      (cached - cachedAudio) * rates.cacheRead +
      cachedAudio * rates.cacheReadAudio +
      written * rates.cacheWrite +
      (output - spoken) * rates.output +
      spoken * rates.outputAudio,
  )
}

/**
 * The most that a call within `bound` can cost, in nano-USD: priced at the dearest tier and class
 * that it can reach, however its tokens turn out to be divided.
 *
 * @throws TenantKeysError TK_PRICE_MISSING when it can reach a class that the row has no price for:
 *   output of a model priced for input only, or audio without an audio rate. Audio costs a multiple
 *   of text, so its parent's rate would be no upper bound.
 */
export function maxCostNanoUsd(bound: TokenBound, row: PriceRow): bigint {
  const reach = [
    row.rates,
    ...row.tiers.filter((t) => t.aboveInputTokens < bound.input).map((t) => t.rates),
  ]
  const costs = reach.map((own) => {
    requirePrices(own, bound, row)
    const rates = filled(own)
    const input = [rates.input, rates.cacheRead, rates.cacheWrite]
    if (bound.inputAudio) input.push(rates.inputAudio, rates.cacheReadAudio)
    const output = bound.outputAudio ? most([rates.output, rates.outputAudio]) : rates.output
    return (
      count(bound.input, 'bound.input') * most(input) + count(bound.output, 'bound.output') * output
    )
  })
  return toNano(most(costs))
}

function requirePrices(rates: TokenRates, bound: TokenBound, { provider, model }: PriceRow): void {
  const missing =
    bound.output > 0 && rates.output === null
      ? 'output'
      : bound.inputAudio && rates.inputAudio === null
        ? 'audio input'
        : bound.outputAudio && rates.outputAudio === null
          ? 'audio output'
          : null
  if (missing === null) return
  throw new TenantKeysError('TK_PRICE_MISSING', {
    provider,
    model,
    reason: `the price of this model says nothing about ${missing}`,
    hint: 'give a price row of your own that does',
  })
}

type FilledRates = { readonly [K in keyof TokenRates]: bigint }

/** The rates of the highest tier whose threshold is strictly below the total input. */
function ratesAt(row: PriceRow, inputTokens: number): FilledRates {
  let rates = row.rates
  for (const tier of row.tiers) if (inputTokens > tier.aboveInputTokens) rates = tier.rates
  return filled(rates)
}

/** Classes without a rate of their own take their parent's, as {@link TokenRates} says. */
function filled(rates: TokenRates): FilledRates {
  const inputAudio = rates.inputAudio ?? rates.input
  const output = rates.output ?? rates.input
  return {
    input: rates.input,
    cacheRead: rates.cacheRead ?? rates.input,
    cacheWrite: rates.cacheWrite ?? rates.input,
    inputAudio,
    cacheReadAudio: rates.cacheReadAudio ?? inputAudio,
    output,
    outputAudio: rates.outputAudio ?? output,
  }
}

function count(tokens: number, field: string): bigint {
  if (Number.isSafeInteger(tokens) && tokens >= 0) return BigInt(tokens)
  throw new TenantKeysError('TK_INPUT_INVALID', {
    field,
    reason: 'expected a whole number of at least 0',
  })
}

/** The one rounding of a call: pUSD to nano-USD, upwards. */
const toNano = (pico: bigint): bigint => (pico + 999n) / 1000n

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)

function most(values: readonly bigint[]): bigint {
  let top = 0n
  for (const value of values) if (value > top) top = value
  return top
}
