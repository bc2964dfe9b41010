/**
 * Step 3: holds the upper bound of the cost on every budget of the path, or on none.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { CallIds, ExtendResult, ReserveResult } from '../storage/ledger-records.ts'
import { SAID } from '../usage/charge.ts'
import { explainDenial } from './explain-denial.ts'
import type { CorridorParts, HeldCall } from './parts.ts'

/**
 * @throws TenantKeysError TK_BUDGET_EXHAUSTED, TK_BUDGET_CONTENDED, TK_RATE_LIMITED,
 *   TK_REQUEST_TOO_LARGE, TK_STORE_*; the reason of the caller's signal when it aborts while waiting
 */
export async function reserve(
  parts: Pick<CorridorParts, 'guard' | 'holdTtlMs'>,
  call: HeldCall,
): Promise<void> {
  const { tenant, attemptId: holdId, accounts, amounts } = call
  const item = {
    holdId,
    tenantId: tenant.id,
    accounts,
    amounts,
    paidBy: call.credential.source,
    ttlMs: parts.holdTtlMs,
    call: callIds(call),
  }
  const waiting = { waitMs: call.waitMs, signal: call.signal }
  const result = await parts.guard.reserve(item, waiting).catch((error: unknown) => {
    const replyLost = TenantKeysError.isInstance(error) && error.outcome === 'unknown'
    if (!replyLost) throw error
    // The hold may stand. The same id again gets the same answer (T-B5).
    return parts.guard.reserve(item, waiting)
  })
  if (!result.ok) throw refusal(call, result)
}

/** What a caller is told when a hold is refused, or may not grow. */
export function refusal(
  { tenant, key }: HeldCall,
  { code, denial }: (ReserveResult | ExtendResult) & { readonly ok: false },
): TenantKeysError {
  const where = { tenantId: tenant.id, ...(key ? { keyId: key.keyId } : {}) }
  return new TenantKeysError(code, denial ? { ...where, ...explainDenial(denial) } : where)
}

/** The ids that hold, usage row and events carry. */
export function callIds(call: HeldCall, priceId = call.price?.id ?? SAID): CallIds {
  const { callId, key, scope, provider, model } = call
  return { callId, keyId: key?.keyId ?? null, scope, provider, model, priceId }
}
