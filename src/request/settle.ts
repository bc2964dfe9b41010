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
import { costNanoUsd } from '../usage/cost.ts'
import type { LiveHold } from './live-hold.ts'
import type { CallPlan, CorridorParts } from './parts.ts'
import { type CallEnd, makeReceipt, NO_TOKENS, type Receipt } from './receipt.ts'
import { callIds } from './reserve.ts'

export interface Settler {
  readonly hold: LiveHold
  /** Resolves when the attempt is settled or voided. Never rejects. */
  readonly receipt: Promise<Receipt>
  /** Posts; the first call wins, later ones wait for it. Never rejects. */
  settle(end: CallEnd): Promise<void>
  /** Releases the hold: the call cost nothing. Never rejects. */
  void(httpStatus?: number): Promise<void>
}

export function createSettler(parts: CorridorParts, plan: CallPlan, hold: LiveHold): Settler {
  let announce: (receipt: Receipt) => void = () => {}
  const receipt = new Promise<Receipt>((resolve) => {
    announce = resolve
  })
  let finished: Promise<void> | null = null

  const publish = (made: Receipt): void => {
    announce(made)
    const { onReceipt } = plan.context
    if (onReceipt) parts.reporter.guard('onReceipt', () => onReceipt(made))
  }

  return {
    hold,
    receipt,
    settle: (end) => {
      hold.stop()
      finished ??= conclude(parts, plan, post(parts, plan, end), publish)
      return finished
    },
    void: (httpStatus) => {
      hold.stop()
      finished ??= conclude(parts, plan, release(parts, plan, httpStatus ?? null), publish)
      return finished
    },
  }
}

/** The receipt when the store answered in time; else the same one, marked as not yet settled. */
type Attempt = { readonly done: Promise<Receipt>; readonly unconfirmed: () => Receipt }

function post(parts: CorridorParts, plan: CallPlan, end: CallEnd): Attempt {
  const cost = costNanoUsd(end.tokens, plan.price)
  const billable = plan.credential.source === 'platform'
  const charged = billable ? cost : 0n
  const item: SettleItem = {
    holdId: plan.attemptId,
    tenantId: plan.tenant.id,
    actual: {
      usd: cost,
      tokens: BigInt(end.tokens.input + end.tokens.output),
      requests: 1n,
      ...creditsOf(parts.credits, end.tokens),
    },
    usage: {
      operation: plan.target.operation.name,
      servedModel: end.servedModel,
      outcome: end.outcome,
      quality: end.quality,
      httpStatus: end.httpStatus,
      tokens: end.tokens,
      counts: {},
      costNanoUsd: cost,
      providerCostNanoUsd: null,
      chargedNanoUsd: charged,
      paidBy: plan.credential.source,
      billable,
      secretId: plan.credential.secret?.id ?? null,
      secretVersion: plan.credential.secret?.version ?? null,
      tags: {},
      durationMs: null,
      responseBytes: null,
      // Last: each field written behind a spread costs 0.4 us on Node 20.
      ...callIds(plan),
    },
  }
  const receiptFor = (result: (SettleResult & { ok: true }) | null): Receipt =>
    makeReceipt(plan, end, {
      costNanoUsd: cost,
      chargedNanoUsd: charged,
      result,
      settled: result !== null,
    })
  const done = retried(parts, () => parts.guard.settle(item)).then((result) => {
    reportOverage(parts, plan, result)
    return receiptFor(result)
  })
  return { done, unconfirmed: () => receiptFor(null) }
}

function release(parts: CorridorParts, plan: CallPlan, httpStatus: number | null): Attempt {
  const item = { holdId: plan.attemptId, tenantId: plan.tenant.id }
  const end = {
    outcome: 'voided',
    quality: 'measured',
    httpStatus,
    tokens: NO_TOKENS,
    servedModel: null,
  } as const
  const voided = (settled: boolean): Receipt =>
    makeReceipt(plan, end, { costNanoUsd: 0n, chargedNanoUsd: 0n, result: null, settled })
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
  plan: CallPlan,
  attempt: Attempt,
  publish: (receipt: Receipt) => void,
): Promise<void> {
  const where = { tenantId: plan.tenant.id, holdId: plan.attemptId }
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

function reportOverage(
  parts: CorridorParts,
  plan: CallPlan,
  result: SettleResult & { ok: true },
): void {
  const overageNanoUsd = result.overage.usd ?? 0n
  if (overageNanoUsd === 0n) return
  const { tenant, attemptId: holdId } = plan
  parts.reporter.emit({
    kind: 'budget.overage',
    tenantId: tenant.id,
    holdId,
    overageNanoUsd,
  })
}
