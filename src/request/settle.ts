/**
 * Step 6: posts what the call cost, or voids its hold. Once per attempt, whichever exit comes first.
 *
 * Durable before delivered: the end of a response waits for the settle to be committed, so that the
 * next call of the same caller sees the money freed. When the store does not answer in time the
 * response is delivered all the same, the settle is retried until the hold's life is over, and an
 * event says so.
 *
 * @module
 */
import pRetry, { AbortError } from 'p-retry'
import { creditsOf } from '../budgets/credits.ts'
import { type ErrorCode, TenantKeysError } from '../kernel/errors.ts'
import type { SettleItem, SettleResult } from '../storage/ledger-records.ts'
import { type CappedCharge, chargeWithin } from '../usage/cap.ts'
import { type Charge, chargeAsSaid, chargeFor, SAID } from '../usage/charge.ts'
import type { LiveHold } from './live-hold.ts'
import type { CorridorParts, HeldCall } from './parts.ts'
import { type CallEnd, makeReceipt, NO_TOKENS, type Receipt } from './receipt.ts'
import { callIds } from './reserve.ts'
import { reportCap, reportDifference, reportOverage, reportUncharged } from './settle-reports.ts'

export interface Settler {
  readonly hold: LiveHold
  /** Resolves when the attempt is settled or voided. Never rejects. */
  readonly receipt: Promise<Receipt>
  /** Posts; the first call wins, later ones wait for it. Never rejects. */
  settle(end: CallEnd): Promise<void>
  /** Releases the hold: the call cost nothing. Never rejects. */
  void(httpStatus?: number): Promise<void>
}

export function createSettler(parts: CorridorParts, call: HeldCall, hold: LiveHold): Settler {
  let announce: (receipt: Receipt) => void = () => {}
  const receipt = new Promise<Receipt>((resolve) => {
    announce = resolve
  })
  let finished: Promise<void> | null = null

  const publish = (made: Receipt): void => {
    announce(made)
    const { onReceipt } = call.context
    if (onReceipt) parts.reporter.guard('onReceipt', () => onReceipt(made))
  }

  return {
    hold,
    receipt,
    settle: (end) => {
      hold.stop()
      finished ??= conclude(parts, call, post(parts, call, hold, end), publish)
      return finished
    },
    void: (httpStatus) => {
      hold.stop()
      finished ??= conclude(parts, call, release(parts, call, httpStatus ?? null), publish)
      return finished
    },
  }
}

/** The receipt when the store answered in time; else the same one, marked as not yet settled. */
type Attempt = { readonly done: Promise<Receipt>; readonly unconfirmed: () => Receipt }

function post(parts: CorridorParts, call: HeldCall, hold: LiveHold, said: CallEnd): Attempt {
  const endMs = parts.clock.nowMs()
  const durationMs = Math.max(Math.round(parts.clock.elapsedMs() - call.startedMs), 0)
  const posting = (): Posting => postingOf(parts, call, said, { hold, endMs, durationMs })
  // What came in one piece with the end of a stream has not raised its hold yet.
  const covering = call.cap === null ? null : hold.cover(said.tokens.output)
  const settled = (): Promise<Receipt> => posted(parts, call, said, posting())
  return {
    done: covering === null ? settled() : covering.then(settled),
    unconfirmed: () => posting().receiptFor(null),
  }
}

/** A settle, and the receipt that it leads to. */
interface Posting {
  readonly item: SettleItem
  readonly capped: CappedCharge
  receiptFor(result: (SettleResult & { ok: true }) | null): Receipt
}

function postingOf(
  parts: CorridorParts,
  call: HeldCall,
  said: CallEnd,
  at: { readonly hold: LiveHold; readonly endMs: number; readonly durationMs: number },
): Posting {
  const billable = call.credential.source === 'platform'
  const capped = chargeOf(call, at.hold, said, { billable, endMs: at.endMs })
  const { charge, tokens, counts } = capped
  const { quality } = charge
  const end = { ...said, tokens, counts, quality }
  const item: SettleItem = {
    holdId: call.attemptId,
    tenantId: call.tenant.id,
    actual: {
      usd: charge.costNanoUsd,
      tokens: BigInt(tokens.input + tokens.output),
      requests: 1n,
      ...creditsOf(parts.credits, tokens),
    },
    usage: {
      operation: call.operation,
      servedModel: end.servedModel,
      outcome: end.outcome,
      quality,
      httpStatus: end.httpStatus,
      tokens,
      counts,
      costNanoUsd: charge.costNanoUsd,
      providerCostNanoUsd: end.providerCostNanoUsd,
      chargedNanoUsd: charge.chargedNanoUsd,
      paidBy: call.credential.source,
      billable,
      secretId: call.credential.secret?.id ?? null,
      secretVersion: call.credential.secret?.version ?? null,
      tags: call.context.tags ?? {},
      durationMs: at.durationMs,
      responseBytes: end.responseBytes ?? null,
      // Last: each field written behind a spread costs 0.4 us on Node 20.
      ...callIds(call, charge.priceId),
    },
  }
  return {
    item,
    capped,
    receiptFor: (result) => makeReceipt(call, end, { charge, result, settled: result !== null }),
  }
}

async function posted(
  parts: CorridorParts,
  call: HeldCall,
  said: CallEnd,
  { item, capped, receiptFor }: Posting,
): Promise<Receipt> {
  reportDifference(parts, call, capped.charge)
  reportCap(parts, call, said, capped)
  reportUncharged(parts, call, capped)
  const result = await retried(parts, () => parts.guard.settle(item))
  reportOverage(parts, call, result)
  return receiptFor(result)
}

/** Of a call without a price whoever made it says what it cost. */
function chargeOf(
  call: HeldCall,
  hold: LiveHold,
  end: CallEnd,
  at: { readonly billable: boolean; readonly endMs: number },
): CappedCharge {
  const { price: row, markup, cap } = call
  const { tokens, counts } = end
  const uncapped = (charge: Charge): CappedCharge => ({
    charge,
    tokens,
    counts,
    claimedNanoUsd: null,
  })
  if (row === null) {
    if (end.costNanoUsd === undefined) throw new TenantKeysError('TK_INTERNAL')
    return uncapped(chargeAsSaid(end.costNanoUsd, { ...at, quality: end.quality, markup }))
  }
  const input = { ...end, ...at, row, markup }
  if (cap === null) return uncapped(chargeFor(input))
  const output = hold.heldOutput()
  const nanoUsd = call.amountsFor(output).usd ?? 0n
  return chargeWithin({ input: cap.input, output, counts: cap.counts ?? {}, nanoUsd }, input)
}

function release(parts: CorridorParts, call: HeldCall, httpStatus: number | null): Attempt {
  const item = { holdId: call.attemptId, tenantId: call.tenant.id }
  const end = {
    outcome: 'voided',
    quality: 'measured',
    httpStatus,
    tokens: NO_TOKENS,
    counts: {},
    providerCostNanoUsd: null,
    servedModel: null,
    serviceTier: null,
  } as const
  const charge = {
    costNanoUsd: 0n,
    chargedNanoUsd: 0n,
    priceId: call.price?.id ?? SAID,
    differs: false,
  }
  const voided = (settled: boolean): Receipt =>
    makeReceipt(call, end, { charge, result: null, settled })
  const done = retried(parts, () => parts.guard.void(item)).then(() => voided(true))
  return { done, unconfirmed: () => voided(false) }
}

/** Tries until the hold has expired: our own traffic, so our own retries (1, 2, 4 s ...). */
function retried<
  R extends { readonly ok: true } | { readonly ok: false; readonly code: ErrorCode },
>(parts: CorridorParts, run: () => Promise<R>): Promise<R & { ok: true }> {
  const attempt = async (): Promise<R & { ok: true }> => {
    const result = await run().catch((error: unknown) => {
      throw isPassing(error) ? asError(error) : new AbortError(asError(error))
    })
    if (result.ok) return result as R & { ok: true }
    // The ledger knows the hold otherwise: asking again cannot change that.
    throw new AbortError(new TenantKeysError(result.code))
  }
  // The first try costs no retry machinery; p-retry comes in only after a failure.
  return attempt().catch((first: unknown) => {
    if (first instanceof AbortError) throw first
    const options = {
      retries: 50,
      minTimeout: 1000,
      maxTimeout: 30_000,
      maxRetryTime: parts.holdTtlMs,
      unref: true,
    }
    return pRetry(attempt, options)
  })
}

const isPassing = (error: unknown): boolean => TenantKeysError.isInstance(error) && error.retryable

const asError = (error: unknown): Error =>
  TenantKeysError.isInstance(error)
    ? error
    : new TenantKeysError('TK_INTERNAL', {}, { cause: error })

/** Waits for the store as long as a caller may be kept waiting, then lets the work go on alone. With
 * `settle: 'background'` nobody waits, and the receipt is published when the store has answered. */
async function conclude(
  parts: CorridorParts,
  call: HeldCall,
  attempt: Attempt,
  publish: (receipt: Receipt) => void,
): Promise<void> {
  const where = { tenantId: call.tenant.id, holdId: call.attemptId }
  const finished = attempt.done.catch((error: unknown) => {
    const cause = error instanceof AbortError ? error.originalError : error
    const code = TenantKeysError.isInstance(cause) ? cause.code : 'TK_INTERNAL'
    parts.reporter.emit({ kind: 'settle.failed', code, ...where })
    return attempt.unconfirmed()
  })
  const tracked = parts.settle === 'background' ? finished.then(publish) : finished
  parts.pending.add(tracked)
  void tracked.then(() => parts.pending.delete(tracked))
  if (parts.settle === 'background') return

  const receipt = await new Promise<Receipt>((resolve) => {
    const timer = setTimeout(() => {
      parts.reporter.emit({ kind: 'settle.delayed', ...where })
      resolve(attempt.unconfirmed())
    }, parts.settleWaitMs)
    void finished.then((made) => {
      clearTimeout(timer)
      resolve(made)
    })
  })
  publish(receipt)
}
