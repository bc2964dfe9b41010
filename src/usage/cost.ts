/**
 * What a call costs, from its counts and a price row: integers only, rounded up once, at the end.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { TokenUsage } from '../storage/ledger-records.ts'
import {
  COUNTED_TOKENS,
  type Counted,
  type PriceRow,
  type TokenPrices,
  type TokenRates,
} from './price.ts'
import { millionthsOf, ONE, type Ratio } from './rate.ts'

/**
 * The cost of what was used, in nano-USD.
 *
 * `input` and `output` are totals and their parts are taken out of them, so that every token is
 * charged once. A part that claims more than its total counts as the total. Where audio, images or
 * video and cached tokens may overlap and nobody says by how much, the overlap is taken as small as the
 * totals admit: that is the dearer reading wherever they cost more than text and cached tokens less.
 * What of them must lie in tokens written to a cache is charged as those.
 *
 * A class of service that the row does not name is priced as the standard one; {@link unpricedParts}
 * says so.
 *
 * @param ratio - applied to the whole before it is rounded: a markup.
 * @throws TenantKeysError TK_INPUT_INVALID for counts that are not integers of at least 0, and for other
 *   units that are not finite and at least 0.
 */
export function costNanoUsd(
  tokens: TokenUsage,
  row: PriceRow,
  { counts = {}, serviceTier = null }: Counted = {},
  ratio: Ratio = ONE,
): bigint {
  const prices = pricesOf(row, serviceTier)
  // Cohere counts tokens that it does not bill.
  const { billed_input: input = tokens.input, billed_output: output = tokens.output } = counts
  const pico = tokenCost({ ...tokens, input, output }, counts, ratesAt(prices, input))
  return toNano(pico, unitCost(row, counts), prices.ratio, ratio)
}

/** What the row has no price for, of what was counted: names as in `counts`, and `tier:<name>`. */
export function unpricedParts(
  row: PriceRow,
  tokens: TokenUsage,
  { counts = {}, serviceTier = null }: Counted,
): readonly string[] {
  const missing: string[] = []
  if (serviceTier !== null && serviceOf(row, serviceTier) === null)
    missing.push(`tier:${serviceTier.toLowerCase()}`)
  if ((tokens.cacheWrite1h ?? 0) > 0 && pricesOf(row, serviceTier).rates.cacheWrite1h === null)
    missing.push('cache_write_1h')
  for (const [name, amount] of Object.entries(counts)) {
    if (amount > 0 && isCharged(name) && !Object.hasOwn(row.units, name)) missing.push(name)
  }
  return missing
}

/** Counts that only say more about tokens, or about what a provider makes of them or claims. */
const INFORMATION = /^claimed_|^billed_(input|output)$|_tokens$/

/** Is this a count that providers charge for by itself? */
export const isCharged = (name: string): boolean => !INFORMATION.test(name)

/** The token prices of a class of service; those of the standard one where it has none. */
export const pricesOf = (row: PriceRow, serviceTier: string | null): TokenPrices =>
  (serviceTier === null ? null : serviceOf(row, serviceTier)) ?? row

/** `null`: the row does not name it. Google writes names in capitals. */
export function serviceOf({ serviceTiers }: PriceRow, name: string): TokenPrices | null {
  const key = name.toLowerCase()
  return Object.hasOwn(serviceTiers, key) ? serviceTiers[key]! : null
}

/** In pUSD, before the ratio of the class of service. */
function tokenCost(
  tokens: TokenUsage,
  counts: Readonly<Record<string, number>>,
  rates: FilledRates,
): bigint {
  const counted = (own: keyof typeof COUNTED_TOKENS): number | null =>
    counts[COUNTED_TOKENS[own]] ?? null
  const input = new Pool(count(tokens.input, 'tokens.input'))
  const output = new Pool(count(tokens.output, 'tokens.output'))

  const written = input.take(tokens.cacheWrite, 'tokens.cacheWrite')
  const kept = least(count(tokens.cacheWrite1h ?? 0, 'tokens.cacheWrite1h'), written)
  const cached = new Pool(input.take(tokens.cacheRead, 'tokens.cacheRead'))
  let pico = kept * rates.cacheWrite1h + (written - kept) * rates.cacheWrite

  /** One kind of content: read from the cache as far as it is known to be, or has to be. */
  const content = (
    total: number | null,
    ofCache: number | null,
    field: string,
    [rate, cachedRate]: readonly [bigint, bigint],
  ): void => {
    if (total === null || total === 0) return
    const all = least(count(total, field), input.left + cached.left)
    const known = cached.take(ofCache === null ? 0 : Math.min(ofCache, total), `${field} cached`)
    const fresh = input.takeAtMost(all - known)
    pico += fresh * rate + (known + cached.takeAtMost(all - known - fresh)) * cachedRate
  }
  const { inputAudio, outputAudio, reasoning } = tokens
  content(inputAudio, counted('cacheReadAudio'), 'tokens.inputAudio', [
    rates.inputAudio,
    rates.cacheReadAudio,
  ])
  content(counted('inputImage'), counted('cacheReadImage'), 'counts.input_image_tokens', [
    rates.inputImage,
    rates.cacheReadImage,
  ])
  content(counted('inputVideo'), null, 'counts.input_video_tokens', [
    rates.inputVideo,
    rates.inputVideo,
  ])
  pico += input.left * rates.input + cached.left * rates.cacheRead

  pico += output.take(outputAudio, 'tokens.outputAudio') * rates.outputAudio
  pico += output.take(counted('outputImage'), 'counts.output_image_tokens') * rates.outputImage
  pico += output.take(counted('outputVideo'), 'counts.output_video_tokens') * rates.outputVideo
  pico += output.take(counted('citation'), 'counts.citation_tokens') * rates.citation
  pico += output.take(reasoning, 'tokens.reasoning') * rates.reasoning
  return pico + output.left * rates.output
}

/** Tokens of a total that no part of it has claimed yet. */
class Pool {
  left: bigint

  constructor(total: bigint) {
    this.left = total
  }

  take(tokens: number | null, field: string): bigint {
    return tokens === null || tokens === 0 ? 0n : this.takeAtMost(count(tokens, field))
  }

  takeAtMost(tokens: bigint): bigint {
    const taken = least(tokens, this.left)
    this.left -= taken
    return taken
  }
}

/** In millionths of a pUSD, as seconds and the like may be fractions. */
function unitCost({ units }: PriceRow, counts: Readonly<Record<string, number>>): bigint {
  let sum = 0n
  for (const name in units) {
    const amount = name === 'requests' ? 1 : Object.hasOwn(counts, name) ? counts[name]! : 0
    if (amount === 0) continue
    const millionths = millionthsOf(amount)
    if (millionths === null) {
      const reason = 'expected a number of at least 0'
      throw new TenantKeysError('TK_INPUT_INVALID', { field: `counts.${name}`, reason })
    }
    sum += millionths * units[name]!
  }
  return sum
}

export type FilledRates = { readonly [K in keyof TokenRates]: bigint }

/** The rates of the highest tier whose threshold is strictly below the total input. */
function ratesAt(prices: TokenPrices, inputTokens: number): FilledRates {
  let rates = prices.rates
  for (const tier of prices.tiers) if (inputTokens > tier.aboveInputTokens) rates = tier.rates
  return filled(rates)
}

/** Classes without a rate of their own take their parent's, as {@link TokenRates} says. */
export function filled(rates: TokenRates): FilledRates {
  const inputAudio = rates.inputAudio ?? rates.input
  const cacheRead = rates.cacheRead ?? rates.input
  const cacheWrite = rates.cacheWrite ?? rates.input
  const output = rates.output ?? rates.input
  return {
    input: rates.input,
    cacheRead,
    cacheWrite,
    cacheWrite1h: rates.cacheWrite1h ?? cacheWrite,
    inputAudio,
    cacheReadAudio: rates.cacheReadAudio ?? inputAudio,
    inputImage: rates.inputImage ?? rates.input,
    cacheReadImage: rates.cacheReadImage ?? rates.inputImage ?? cacheRead,
    inputVideo: rates.inputVideo ?? rates.input,
    output,
    outputAudio: rates.outputAudio ?? output,
    outputImage: rates.outputImage ?? output,
    outputVideo: rates.outputVideo ?? output,
    reasoning: rates.reasoning ?? output,
    citation: rates.citation ?? output,
  }
}

export function count(tokens: number, field: string): bigint {
  if (Number.isSafeInteger(tokens) && tokens >= 0) return BigInt(tokens)
  throw new TenantKeysError('TK_INPUT_INVALID', {
    field,
    reason: 'expected a whole number of at least 0',
  })
}

const MILLION = 1_000_000n

/**
 * The one rounding of a call: pUSD to nano-USD, upwards. The ratio of a class of service is one of
 * tokens, that of a markup one of everything.
 */
export function toNano(
  tokenPico: bigint,
  unitMillionths: bigint,
  [times, over]: Ratio,
  [markupTimes, markupOver]: Ratio = ONE,
): bigint {
  const dividend =
    (tokenPico * BigInt(times) * MILLION + unitMillionths * BigInt(over)) * BigInt(markupTimes)
  const divisor = BigInt(over) * MILLION * BigInt(markupOver) * 1000n
  return (dividend + divisor - 1n) / divisor
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
