/**
 * Usage that nobody is billed by (docs/decisions/0034). Of a server that a tenant named, or that
 * somebody runs himself, a figure above what the call could use is a lie or a defect: it is charged at
 * what was held, marked, and kept beside the charge. So no such server can push a budget past its limit.
 *
 * @module
 */
import type { TokenUsage } from '../storage/ledger-records.ts'
import { type Charge, type ChargeInput, cappedId, chargeFor, openPrice, times } from './charge.ts'
import { isCharged } from './cost.ts'

type Counts = Readonly<Record<string, number>>

/** The most that a call could use: what its hold stands for. */
export interface UsageCap {
  readonly input: number
  readonly output: number
  /** Of what is charged beside tokens; an absent name is 0. */
  readonly counts: Counts
  readonly nanoUsd: bigint
}

export interface CappedCharge {
  readonly charge: Charge
  readonly tokens: TokenUsage
  /** What was claimed of a figure that was cut is among them, as `claimed_output_tokens`. */
  readonly counts: Counts
  /** What it would have cost as it was claimed; `null`: nothing had to be capped. */
  readonly claimedNanoUsd: bigint | null
}

/** As {@link chargeFor}, and never above the cap. */
export function chargeWithin(cap: UsageCap, input: ChargeInput): CappedCharge {
  const { counts: reported = {}, tokens: claimed, markup, billable } = input
  const asClaimed = chargeFor(input)
  const tokens = cutTokens(claimed, cap)
  const counts = { ...cutCounts(reported, cap), ...claims(claimed, tokens) }
  const isCut = Object.keys(counts).some((name) => name.startsWith(CLAIMED))
  // A price that is missing now may let the server's own figure decide when it is there.
  const own = openPrice(asClaimed.priceId) === null ? 0n : (input.providerCostNanoUsd ?? 0n)
  const claimedNanoUsd = own > cap.nanoUsd ? own : asClaimed.costNanoUsd
  if (!isCut && claimedNanoUsd <= cap.nanoUsd) {
    return { charge: asClaimed, tokens, counts, claimedNanoUsd: null }
  }
  const quality = input.quality === 'measured' ? 'estimated' : input.quality
  const charge = chargeFor({ ...input, tokens, counts, quality })
  // Classes that the request could not reach, such as audio, cost more than any that was held.
  const isAbove = charge.costNanoUsd > cap.nanoUsd
  const most = billable ? times(cap.nanoUsd, markup.ratio) : 0n
  return {
    charge: {
      ...charge,
      ...(isAbove ? { costNanoUsd: cap.nanoUsd, chargedNanoUsd: most } : {}),
      priceId: cappedId(charge.priceId),
    },
    tokens,
    counts,
    claimedNanoUsd,
  }
}

/** Begins the names of counts that say what was claimed. */
const CLAIMED = 'claimed_'

/** Totals at most the cap, parts at most what is left of their total. */
function cutTokens(tokens: TokenUsage, cap: UsageCap): TokenUsage {
  const input = Math.min(tokens.input, cap.input)
  const output = Math.min(tokens.output, cap.output)
  const cacheWrite = least(tokens.cacheWrite, input)
  return {
    input,
    cacheRead: least(tokens.cacheRead, input - (cacheWrite ?? 0)),
    cacheWrite,
    cacheWrite1h: least(tokens.cacheWrite1h, cacheWrite ?? 0),
    inputAudio: least(tokens.inputAudio, input),
    output,
    reasoning: least(tokens.reasoning, output),
    outputAudio: least(tokens.outputAudio, output),
  }
}

const least = (part: number | null, most: number): number | null =>
  part === null ? null : Math.min(part, most)

const NAMES: Readonly<Record<keyof TokenUsage, string>> = {
  input: 'input_tokens',
  cacheRead: 'cache_read_tokens',
  cacheWrite: 'cache_write_tokens',
  cacheWrite1h: 'cache_write_1h_tokens',
  inputAudio: 'input_audio_tokens',
  output: 'output_tokens',
  reasoning: 'reasoning_tokens',
  outputAudio: 'output_audio_tokens',
}

function claims(claimed: TokenUsage, tokens: TokenUsage): Counts {
  const found: Record<string, number> = {}
  for (const [field, name] of Object.entries(NAMES) as [keyof TokenUsage, string][]) {
    const was = claimed[field]
    if (was !== null && was !== tokens[field]) found[CLAIMED + name] = was
  }
  return found
}

/** Counts that providers charge for: at most the cap. Cohere's billed units are tokens. */
function cutCounts(counts: Counts, cap: UsageCap): Counts {
  const found: Record<string, number> = {}
  for (const [name, amount] of Object.entries(counts)) {
    const most = mostOf(name, cap)
    if (amount > most) found[CLAIMED + name] = amount
    const kept = Math.min(amount, most)
    if (kept > 0 || amount === 0) found[name] = kept
  }
  return found
}

function mostOf(name: string, cap: UsageCap): number {
  if (name === 'billed_input') return cap.input
  if (name === 'billed_output') return cap.output
  if (!isCharged(name)) return Number.POSITIVE_INFINITY
  return Object.hasOwn(cap.counts, name) ? cap.counts[name]! : 0
}
