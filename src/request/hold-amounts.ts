/**
 * What a call holds: everything it can cost at most, or, where the hold grows with the stream, its
 * input and a first slice of its output.
 *
 * @module
 */
import { type CreditRates, creditsOf } from '../budgets/credits.ts'
import { utf8Length } from '../kernel/encoding.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import type { Operation, RequestReading } from '../providers/provider.ts'
import type { Amounts } from '../storage/ledger-records.ts'
import { maxCostNanoUsd } from '../usage/bound.ts'
import type { PriceRow } from '../usage/price.ts'

/** Output tokens that a growing hold begins with, and the least it grows by. */
export const OUTPUT_SLICE = 256

/** `bound`: the most the call can cost, from the start. `grow`: as much as its stream comes to. */
export type HoldMode = 'bound' | 'grow'

/** Every unit a budget may count, for a call with so many tokens of output. */
export function holdAmounts(
  reading: RequestReading,
  output: number,
  rates: { readonly price: PriceRow; readonly credits: CreditRates | null },
): Amounts {
  const bound = { ...reading.bound, output }
  return {
    usd: maxCostNanoUsd(bound, rates.price),
    tokens: BigInt(bound.input + output),
    requests: 1n,
    ...creditsOf(rates.credits, bound),
    calls: 1n,
    bytes: BigInt(utf8Length(reading.body)),
  }
}

/**
 * The output tokens that a call holds at first. Only a stream can grow: of any other answer nothing is
 * seen before all of it was spent.
 *
 * @throws TenantKeysError TK_BUDGET_UNBOUNDED when tokens are spent that the stream does not show.
 */
export function firstOutput(mode: HoldMode, operation: Operation, reading: RequestReading): number {
  const { model, stream, bound } = reading
  if (mode === 'bound' || !stream) return bound.output
  // The bytes of audio do not tell its tokens.
  const hides =
    bound.outputAudio === true || (reading.hidesOutput ?? operation.hidesReasoning(model))
  if (hides) {
    throw new TenantKeysError('TK_BUDGET_UNBOUNDED', {
      model,
      reason:
        'it may write out of sight (reasoning, audio, images), so a growing hold cannot follow it',
      hint: "use hold: 'bound' for it, or turn reasoning off in the request",
    })
  }
  return Math.min(OUTPUT_SLICE, bound.output)
}
