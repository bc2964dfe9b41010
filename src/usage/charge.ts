/**
 * What one call is charged: its cost, what the tenant is billed, the id of the price that decided both,
 * and whether the provider's own figure agrees.
 *
 * @module
 */
import type { TokenUsage, UsageQuality } from '../storage/ledger-records.ts'
import { costNanoUsd, serviceOf, unpricedParts } from './cost.ts'
import type { AppliedMarkup } from './markup.ts'
import { type Counted, type PriceRow, rowAt } from './price.ts'
import type { Ratio } from './rate.ts'
import { UNPRICED } from './unpriced.ts'

export interface ChargeInput extends Counted {
  /** As found when the call was authorized. */
  readonly row: PriceRow
  readonly tokens: TokenUsage
  /** Of the counts. */
  readonly quality: UsageQuality
  /** What the provider says that it charged; `null`: it does not. */
  readonly providerCostNanoUsd?: bigint | null
  readonly markup: AppliedMarkup
  /** False when the tenant's own credential paid. */
  readonly billable: boolean
  /** When the answer ended, in ms since the epoch. */
  readonly endMs: number
}

export interface Charge {
  /** What the call cost; what budgets count. */
  readonly costNanoUsd: bigint
  /** What the tenant is billed: the cost with its markup, rounded up once; 0 when not billable. */
  readonly chargedNanoUsd: bigint
  readonly providerCostNanoUsd: bigint | null
  /**
   * The id of the price row, then marks, each after a blank: `tier:flex`; `web_search_requests?` or
   * `tier:priority?` for what had no price; `counted` where that is all that makes the figure an
   * estimate; `use:provider`; `markup:standard@2026-11`; `capped` where the server claimed more than
   * the call could use. `said` where whoever made the call said what it cost.
   */
  readonly priceId: string
  /** That of the counts; what has no price is no more than estimated, however well it was counted. */
  readonly quality: UsageQuality
  /** The provider's figure is another, by more than rounding explains. */
  readonly differs: boolean
}

/** By a row of prices. */
export function chargeFor(input: ChargeInput): Charge {
  const { row, endMs } = input
  const atEnd = row.next.length === 0 ? row : rowAt(row, endMs)
  const charge = chargeBy(input, row)
  if (atEnd === row) return charge
  // Providers do not all say which moment of a call decides: the dearer one is charged.
  const later = chargeBy(input, atEnd)
  return later.costNanoUsd > charge.costNanoUsd ? later : charge
}

/** The id of a price that nobody looked up: whoever made the call said what it cost. */
export const SAID = 'said'

/** @param costNanoUsd - As said by whoever made the call. */
export function chargeAsSaid(
  costNanoUsd: bigint,
  { markup, billable, quality }: Pick<ChargeInput, 'markup' | 'billable' | 'quality'>,
): Charge {
  return {
    costNanoUsd,
    chargedNanoUsd: billable ? times(costNanoUsd, markup.ratio) : 0n,
    providerCostNanoUsd: null,
    priceId: markup.id === null ? SAID : `${SAID} markup:${markup.id}`,
    quality,
    differs: false,
  }
}

function chargeBy(input: ChargeInput, row: PriceRow): Charge {
  const { tokens, quality, markup, billable, providerCostNanoUsd = null } = input
  if (row.use === 'provider' && providerCostNanoUsd !== null) {
    return {
      costNanoUsd: providerCostNanoUsd,
      chargedNanoUsd: billable ? times(providerCostNanoUsd, markup.ratio) : 0n,
      providerCostNanoUsd,
      priceId: named(row, ['use:provider'], markup),
      quality,
      differs: false,
    }
  }
  const missing = unpricedParts(row, tokens, input)
  const isMarkedDown = quality === 'measured' && (!row.known || missing.length > 0)
  const cost = costNanoUsd(tokens, row, input)
  return {
    costNanoUsd: cost,
    chargedNanoUsd: billable
      ? markup.id === null
        ? cost
        : costNanoUsd(tokens, row, input, markup.ratio)
      : 0n,
    providerCostNanoUsd,
    priceId: named(
      row,
      [...marksOf(row, input, missing), ...(isMarkedDown ? [COUNTED] : [])],
      markup,
    ),
    quality: isMarkedDown ? 'estimated' : quality,
    differs: providerCostNanoUsd !== null && !agrees(providerCostNanoUsd, cost, input, row),
  }
}

function marksOf(
  row: PriceRow,
  { serviceTier = null }: Counted,
  missing: readonly string[],
): readonly string[] {
  const isPriced = serviceTier !== null && serviceOf(row, serviceTier) !== null
  const tier = isPriced ? [`tier:${serviceTier.toLowerCase()}`] : []
  return [...tier, ...missing.map((name) => `${printable(name)}?`)]
}

/** Every count came from the provider; only a price was missing. */
const COUNTED = 'counted'

/** What an id of {@link Charge} says about a charge that was not, or not wholly, priced. */
export interface OpenPrice {
  readonly serviceTier: string | null
  /** All that made the figure an estimate was the missing price. */
  readonly wasCounted: boolean
  /** The server's own figure for the call is not believed. */
  readonly isCapped: boolean
}

/** Mark of a price id: the server claimed more than is charged (docs/decisions/0034). */
const CAPPED = 'capped'

export const cappedId = (priceId: string): string => `${priceId} ${CAPPED}`

/** `null`: the charge that this id stands for was priced. */
export function openPrice(priceId: string): OpenPrice | null {
  const [row = '', ...marks] = priceId.split(' ')
  const isOpen = row.startsWith(UNPRICED)
    ? !marks.includes('use:provider')
    : marks.some((mark) => mark.endsWith('?'))
  if (!isOpen) return null
  const tier = marks.find((mark) => mark.startsWith('tier:'))
  return {
    serviceTier: tier?.slice('tier:'.length).replace(/\?$/, '') ?? null,
    wasCounted: marks.includes(COUNTED),
    isCapped: marks.includes(CAPPED),
  }
}

/** Counts that no field of the provider explains, or that another model made (docs/decisions/0017). */
const UNEXPLAINED = /^(unattributed|other_model_(input|output))_tokens$/

/** Names of what was counted and is in no charge; none of a call that was charged whole. */
export function unchargedParts(
  { priceId }: Pick<Charge, 'priceId'>,
  counts: Readonly<Record<string, number>>,
): readonly string[] {
  const [, ...marks] = priceId.split(' ')
  if (marks.includes('use:provider')) return []
  const unpriced = marks.filter((mark) => mark.endsWith('?')).map((mark) => mark.slice(0, -1))
  return [...unpriced, ...Object.keys(counts).filter((name) => UNEXPLAINED.test(name))]
}

/** The name of a class of service comes from an answer. */
const printable = (name: string): string => (/^[a-z0-9_:-]{1,70}$/.test(name) ? name : 'tier:other')

function named(row: PriceRow, marks: readonly string[], markup: AppliedMarkup): string {
  if (marks.length === 0 && markup.id === null) return row.id
  return [row.id, ...marks, ...(markup.id === null ? [] : [`markup:${markup.id}`])].join(' ')
}

/** Both figures are rounded once to a nano-USD; rates that were rounded up when they were read add at
 * most 1 pUSD for each token. */
function agrees(theirs: bigint, ours: bigint, { tokens }: ChargeInput, row: PriceRow): boolean {
  const slack = row.roundedUp ? BigInt(tokens.input + tokens.output) / 1000n + 2n : 1n
  const apart = theirs > ours ? theirs - ours : ours - theirs
  return row.known && apart <= slack
}

export const times = (nano: bigint, [by, over]: Ratio): bigint =>
  (nano * BigInt(by) + BigInt(over) - 1n) / BigInt(over)
