/**
 * A response with 2xx that is being watched, and the two ways it can be charged: by what the provider
 * counted, or by an estimate that says so.
 *
 * @module
 */
import type { Operation, RequestReading, ResponseUsage } from '../providers/provider.ts'
import { BYTES_PER_TOKEN } from '../providers/reading/delta-meter.ts'
import type { CallOutcome, TokenUsage } from '../storage/ledger-records.ts'
import type { CorridorParts } from './parts.ts'
import { NO_TOKENS } from './receipt.ts'
import type { Settler } from './settle.ts'

/** Holds no Response: what hears of an abort must not keep alive what the caller has dropped. */
export interface Observed {
  readonly httpStatus: number
  readonly reading: RequestReading
  readonly operation: Operation
  readonly settler: Settler
  readonly signal: AbortSignal | undefined
  readonly parts: Pick<CorridorParts, 'receipts'>
}

/**
 * What it has no price for makes the figure an estimate; see {@link chargeFor}.
 *
 * @param responseBytes - of the body, that the caller was given; `null`: not known.
 */
export function settleReported(
  { settler, reading, httpStatus }: Observed,
  outcome: CallOutcome,
  usage: ResponseUsage,
  responseBytes: number | null,
): Promise<void> {
  const { counts, providerCostNanoUsd, servedModel } = usage
  const asked = usage.serviceTier === undefined ? askedTier(reading) : null
  const tokens = withLifetime(usage.tokens, reading)
  // That it was served as it was asked for is only likely.
  const isPresumed = asked !== null || tokens !== usage.tokens
  return settler.settle({
    outcome,
    quality: isPresumed ? 'estimated' : usage.quality,
    httpStatus,
    tokens,
    counts,
    providerCostNanoUsd,
    servedModel,
    serviceTier: usage.serviceTier ?? asked,
    responseBytes,
  })
}

/** Tokens written to a cache that the request asked to be kept for an hour, where the answer does not
 * say for how long they are. */
function withLifetime(tokens: TokenUsage, { bound }: RequestReading): TokenUsage {
  const { cacheWrite, cacheWrite1h } = tokens
  const isOpen = bound.cacheWrite1h === true && cacheWrite1h === null && (cacheWrite ?? 0) > 0
  return isOpen ? { ...tokens, cacheWrite1h: cacheWrite } : tokens
}

/** The one class of service that a request names; `null`: the standard one, or it is left open. */
export function askedTier({ bound }: RequestReading): string | null {
  const [tier = null, ...others] = bound.serviceTiers ?? []
  return others.length === 0 ? tier : null
}

/**
 * No usage that can be trusted: charged by estimate, never zero.
 *
 * @param bytes - of the body, that the caller was given.
 */
export function settleUnread(
  observed: Observed,
  outcome: Exclude<CallOutcome, 'completed'>,
  bytes = 0,
): Promise<void> {
  return settleEstimated(observed, outcome, Math.ceil(bytes / BYTES_PER_TOKEN), bytes)
}

/**
 * @param outputTokens - delivered so far; charged up to what the request could produce at most.
 * @param responseBytes - of the body, that the caller was given.
 */
export function settleEstimated(
  { settler, reading, httpStatus }: Observed,
  outcome: CallOutcome,
  outputTokens: number,
  responseBytes: number,
): Promise<void> {
  const output = Math.min(outputTokens, reading.bound.output)
  const tokens = { ...NO_TOKENS, input: reading.inputEstimate, output }
  return settler.settle({
    outcome,
    quality: 'estimated',
    httpStatus,
    tokens,
    counts: {},
    providerCostNanoUsd: null,
    servedModel: null,
    serviceTier: askedTier(reading),
    responseBytes,
  })
}

/** Stands for a response and everything that reads it: all of them hold it, and nothing else does. */
export type Life = Readonly<Record<string, never>>

const dropped = new FinalizationRegistry<() => void>((end) => end())

/**
 * Makes the life of a response; `end` is called when it is over without a word: the answer was thrown
 * away unread, which is known when its memory is taken back. `end` must not lead to the response.
 */
export function lifeOf(end: () => void): Life {
  const life = {}
  whenDropped(life, end)
  return life
}

/** Calls `end`, which must not lead to `target`, when nobody holds `target` any more. */
export function whenDropped(target: object, end: () => void): void {
  dropped.register(target, end)
}
