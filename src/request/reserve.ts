/**
 * Step 3: holds the upper bound of the cost on every budget of the path, or on none.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { CallIds } from '../storage/ledger-records.ts'
import { explainDenial } from './explain-denial.ts'
import type { CallPlan, CorridorParts } from './parts.ts'

/** @throws TenantKeysError TK_BUDGET_EXHAUSTED, TK_BUDGET_CONTENDED, TK_STORE_* */
export async function reserve(
  parts: Pick<CorridorParts, 'guard' | 'holdTtlMs'>,
  plan: CallPlan,
): Promise<void> {
  const { tenant, key, attemptId: holdId, accounts, amounts } = plan
  const item = {
    holdId,
    tenantId: tenant.id,
    accounts,
    amounts,
    ttlMs: parts.holdTtlMs,
    call: callIds(plan),
  }
  const result = await parts.guard.reserve(item).catch((error: unknown) => {
    const replyLost = TenantKeysError.isInstance(error) && error.outcome === 'unknown'
    if (!replyLost) throw error
    // The hold may stand. The same id again gets the same answer (T-B5).
    return parts.guard.reserve(item)
  })
  if (result.ok) return
  const where = { tenantId: tenant.id, keyId: key.keyId }
  throw new TenantKeysError(
    result.code,
    result.denial ? { ...where, ...explainDenial(result.denial) } : where,
  )
}

/** The ids that hold, usage row and events carry. */
export function callIds(plan: CallPlan): CallIds {
  return {
    callId: plan.request.callId,
    keyId: plan.key.keyId,
    scope: plan.scope,
    provider: plan.target.setting.provider.id,
    model: plan.reading.model,
    priceId: plan.price.id,
  }
}
