/**
 * A response with 2xx that is being watched, and the two ways it can be charged: by what the provider
 * counted, or by an estimate that says so.
 *
 * @module
 */
import type { Operation, RequestReading, ResponseUsage } from '../providers/provider.ts'
import type { CallOutcome } from '../storage/ledger-records.ts'
import type { CorridorParts } from './parts.ts'
import { NO_TOKENS } from './receipt.ts'
import type { Settler } from './settle.ts'

export interface Observed {
  readonly response: Response
  readonly reading: RequestReading
  readonly operation: Operation
  readonly settler: Settler
  readonly signal: AbortSignal | undefined
  readonly parts: Pick<CorridorParts, 'receipts'>
}

/** What it has no price for makes the figure an estimate; see {@link chargeFor}. */
export function settleReported(
  { settler, response }: Observed,
  outcome: CallOutcome,
  usage: ResponseUsage,
): Promise<void> {
  const { tokens, counts, providerCostNanoUsd, servedModel, serviceTier } = usage
  return settler.settle({
    outcome,
    quality: usage.quality,
    httpStatus: response.status,
    tokens,
    counts,
    providerCostNanoUsd,
    servedModel,
    serviceTier,
  })
}

/** Bytes of text that make at least one token in every tokenizer we know; see docs/metering. */
const BYTES_PER_TOKEN = 3

/** No usage that can be trusted: charged by estimate, never zero. */
export function settleUnread(
  observed: Observed,
  outcome: Exclude<CallOutcome, 'completed'>,
  outputBytes = 0,
): Promise<void> {
  return settleEstimated(observed, outcome, Math.ceil(outputBytes / BYTES_PER_TOKEN))
}

/** @param outputTokens - delivered so far; charged up to what the request could produce at most. */
export function settleEstimated(
  { settler, reading, response }: Observed,
  outcome: CallOutcome,
  outputTokens: number,
): Promise<void> {
  const output = Math.min(outputTokens, reading.bound.output)
  const tokens = { ...NO_TOKENS, input: reading.inputEstimate, output }
  return settler.settle({
    outcome,
    quality: 'estimated',
    httpStatus: response.status,
    tokens,
    counts: {},
    providerCostNanoUsd: null,
    servedModel: null,
    serviceTier: null,
  })
}
