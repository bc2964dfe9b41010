/**
 * The most that a call can cost, from the most it can use: at the dearest tier, class, service and time
 * that it can reach. What a call holds.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { count, filled, isCharged, pricesOf, serviceOf, toNano } from './cost.ts'
import type { PriceRow, TokenPrices, TokenRates } from './price.ts'
import { millionthsOf } from './rate.ts'

/**
 * At most these tokens, and which dearer classes they may turn out to be.
 *
 * `true` says that a class may be reached, and a row without a rate for it refuses the call. Where the
 * default is "if it has a rate", the class counts unless it is ruled out with `false`.
 */
export interface CostBound {
  readonly input: number
  readonly output: number
  /** Part of the input may be audio; default false. */
  readonly inputAudio?: boolean | undefined
  /** Part of the output may be audio; default false. */
  readonly outputAudio?: boolean | undefined
  /** Default: if it has a rate. */
  readonly inputImage?: boolean | undefined
  readonly inputVideo?: boolean | undefined
  readonly outputImage?: boolean | undefined
  readonly outputVideo?: boolean | undefined
  /** Tokens may be written to a cache for an hour; default: if that has a rate. */
  readonly cacheWrite1h?: boolean | undefined
  /** At most so many of what is counted beside tokens, by its name; an absent one is 0. */
  readonly counts?: Readonly<Record<string, number>> | undefined
  /** Classes of service, besides the standard one, that it may be served in; default: all that the
   * row names. */
  readonly serviceTiers?: readonly string[] | undefined
}

type Counts = Readonly<Record<string, number>>

/**
 * In nano-USD.
 *
 * @throws TenantKeysError TK_PRICE_MISSING when it can reach what the row has no price for: output of a
 *   model priced for input only, audio without an audio rate, a class of service, a web search. Audio
 *   costs a multiple of text, so its parent's rate would be no upper bound. TK_BUDGET_UNBOUNDED for a
 *   model priced by other units alone, none of which is bounded.
 */
export function maxCostNanoUsd(bound: CostBound, row: PriceRow): bigint {
  const rows = [row, ...row.next.map((later) => later.row)]
  return most(rows.map((priced) => maxOfRow(bound, priced)))
}

function maxOfRow(bound: CostBound, row: PriceRow): bigint {
  const { counts = {}, serviceTiers = Object.keys(row.serviceTiers) } = bound
  for (const tier of serviceTiers) {
    if (serviceOf(row, tier) === null) throw missing(row, 'this class of service')
  }
  requireUnit(row, counts)
  const units = maxUnits(row, counts)
  const services = [null, ...serviceTiers].map((tier) => pricesOf(row, tier))
  return most(services.map((prices) => maxOfTokens(bound, row, prices, units)))
}

/** A model that is priced by the second, the image or the page, and not by tokens, costs nothing that a
 * bound of its tokens tells. Searches and the like are extra, and a call need not use them. */
function requireUnit({ rates, units, model }: PriceRow, counts: Counts): void {
  if (rates.input > 0n || (rates.output ?? 0n) > 0n) return
  const alone = Object.keys(units).filter((name) => !/(^|_)requests$/.test(name))
  if (alone.length === 0 || alone.some((name) => Object.hasOwn(counts, name))) return
  throw new TenantKeysError('TK_BUDGET_UNBOUNDED', {
    model,
    reason: `this model is priced by ${alone.join(', ')}, and nothing bounds how many a call comes to`,
  })
}

/** In millionths of a pUSD. */
function maxUnits(row: PriceRow, counts: Counts): bigint {
  let sum = (row.units.requests ?? 0n) * 1_000_000n
  for (const [name, amount] of Object.entries(counts)) {
    if (amount === 0 || name === 'requests' || !isCharged(name)) continue
    if (!Object.hasOwn(row.units, name)) throw missing(row, name)
    const millionths = millionthsOf(amount)
    if (millionths === null) {
      const reason = 'expected a number of at least 0'
      throw new TenantKeysError('TK_INPUT_INVALID', { field: `bound.counts.${name}`, reason })
    }
    sum += millionths * row.units[name]!
  }
  return sum
}

function maxOfTokens(
  bound: CostBound,
  row: PriceRow,
  { rates, tiers, ratio }: TokenPrices,
  units: bigint,
): bigint {
  const reach = [
    rates,
    ...tiers.filter((t) => t.aboveInputTokens < bound.input).map((t) => t.rates),
  ]
  const tokens = reach.map((own) => {
    requireRates(own, bound, row)
    const { input, output } = reachable(own, bound)
    return count(bound.input, 'bound.input') * input + count(bound.output, 'bound.output') * output
  })
  return toNano(most(tokens), units, ratio)
}

/** The dearest rate of each direction. */
function reachable(own: TokenRates, bound: CostBound): { input: bigint; output: bigint } {
  const rates = filled(own)
  const input = [rates.input, rates.cacheRead, rates.cacheWrite]
  if (bound.cacheWrite1h !== false) input.push(rates.cacheWrite1h)
  if (bound.inputAudio) input.push(rates.inputAudio, rates.cacheReadAudio)
  if (bound.inputImage !== false) input.push(rates.inputImage, rates.cacheReadImage)
  if (bound.inputVideo !== false) input.push(rates.inputVideo)
  const output = [rates.output, rates.reasoning, rates.citation]
  if (bound.outputAudio) output.push(rates.outputAudio)
  if (bound.outputImage !== false) output.push(rates.outputImage)
  if (bound.outputVideo !== false) output.push(rates.outputVideo)
  return { input: most(input), output: most(output) }
}

function requireRates(rates: TokenRates, bound: CostBound, row: PriceRow): void {
  if (bound.output > 0 && rates.output === null) throw missing(row, 'output')
  if (bound.inputAudio && rates.inputAudio === null) throw missing(row, 'audio input')
  if (bound.outputAudio && rates.outputAudio === null) throw missing(row, 'audio output')
  if (bound.cacheWrite1h && rates.cacheWrite1h === null)
    throw missing(row, 'cache writes for an hour')
}

const missing = ({ provider, model }: PriceRow, what: string): TenantKeysError =>
  new TenantKeysError('TK_PRICE_MISSING', {
    provider,
    model,
    reason: `the price of this model says nothing about ${what}`,
    hint: 'give a price row of your own that does',
  })

function most(values: readonly bigint[]): bigint {
  let top = 0n
  for (const value of values) if (value > top) top = value
  return top
}
