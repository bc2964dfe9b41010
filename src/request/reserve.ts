/**
 * Step 3: holds the upper bound of the cost on every budget of the path, or on none.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { CallIds, ExtendResult, ReserveResult } from '../storage/ledger-records.ts'
import { explainDenial } from './explain-denial.ts'
import type { CallPlan, CorridorParts } from './parts.ts'

/**
 * @throws TenantKeysError TK_BUDGET_EXHAUSTED, TK_BUDGET_CONTENDED, TK_RATE_LIMITED,
 *   TK_REQUEST_TOO_LARGE, TK_STORE_*; the reason of the caller's signal when it aborts while waiting
 */
export async function reserve(
  parts: Pick<CorridorParts, 'guard' | 'holdTtlMs'>,
  plan: CallPlan,
): Promise<void> {
  const { tenant, attemptId: holdId, accounts, amounts } = plan
  const item = {
    holdId,
    tenantId: tenant.id,
    accounts,
    amounts,
    paidBy: plan.credential.source,
    ttlMs: parts.holdTtlMs,
    call: callIds(plan),
  }
  const waiting = { waitMs: plan.waitMs, signal: plan.request.signal }
  const result = await parts.guard.reserve(item, waiting).catch((error: unknown) => {
    const replyLost = TenantKeysError.isInstance(error) && error.outcome === 'unknown'
    if (!replyLost) throw error
    // The hold may stand. The same id again gets the same answer (T-B5).
    return parts.guard.reserve(item, waiting)
  })
  if (!result.ok) throw refusal(plan, result)
}

/** What a caller is told when a hold is refused, or may not grow. */
export function refusal(
  { tenant, key }: CallPlan,
  { code, denial }: (ReserveResult | ExtendResult) & { readonly ok: false },
): TenantKeysError {
  const where = { tenantId: tenant.id, keyId: key.keyId }
  return new TenantKeysError(code, denial ? { ...where, ...explainDenial(denial) } : where)
}

/** The ids that hold, usage row and events carry. */
export function callIds(plan: CallPlan, priceId = plan.price.id): CallIds {
  return {
    callId: plan.request.callId,
    keyId: plan.key.keyId,
    scope: plan.scope,
    provider: plan.target.setting.provider.id,
    model: plan.reading.model,
    priceId,
  }
}
