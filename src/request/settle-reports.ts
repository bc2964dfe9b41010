/**
 * What is said of a settle beside its receipt: whatever of it the host should look at.
 *
 * @module
 */
import type { SettleResult } from '../storage/ledger-records.ts'
import type { CappedCharge } from '../usage/cap.ts'
import { type Charge, unchargedParts } from '../usage/charge.ts'
import type { CorridorParts, HeldCall } from './parts.ts'
import type { CallEnd } from './receipt.ts'

/** The provider's own figure is kept beside ours and never replaces it unasked; a host that is told can
 * correct its prices. */
export function reportDifference(parts: CorridorParts, call: HeldCall, charge: Charge): void {
  if (!charge.differs || charge.providerCostNanoUsd === null) return
  const { tenant, attemptId: holdId, provider, model } = call
  const { priceId, costNanoUsd, providerCostNanoUsd } = charge
  parts.reporter.emit({
    kind: 'price.differs',
    tenantId: tenant.id,
    holdId,
    provider,
    model,
    priceId,
    costNanoUsd,
    providerCostNanoUsd,
  })
}

/** A charge below what was claimed is never silent. */
export function reportCap(
  parts: CorridorParts,
  call: HeldCall,
  { tokens: claimed }: CallEnd,
  { charge, tokens, claimedNanoUsd }: CappedCharge,
): void {
  if (claimedNanoUsd === null) return
  const { tenant, attemptId: holdId, provider, model } = call
  parts.reporter.emit({
    kind: 'usage.capped',
    tenantId: tenant.id,
    holdId,
    provider,
    model,
    costNanoUsd: charge.costNanoUsd,
    claimedNanoUsd,
    tokens: tokens.input + tokens.output,
    claimedTokens: claimed.input + claimed.output,
  })
}

/** What is in no charge is said at once: until it has a price it is free. */
export function reportUncharged(
  parts: CorridorParts,
  call: HeldCall,
  { charge, counts }: CappedCharge,
): void {
  const uncharged = unchargedParts(charge, counts)
  if (uncharged.length === 0) return
  const { tenant, attemptId: holdId, provider, model } = call
  const where = { tenantId: tenant.id, holdId, provider, model }
  parts.reporter.emit({ kind: 'usage.uncharged', ...where, parts: uncharged })
}

export function reportOverage(
  parts: CorridorParts,
  call: HeldCall,
  result: SettleResult & { ok: true },
): void {
  const overageNanoUsd = result.overage.usd ?? 0n
  if (overageNanoUsd === 0n) return
  const { tenant, attemptId: holdId } = call
  parts.reporter.emit({
    kind: 'budget.overage',
    tenantId: tenant.id,
    holdId,
    overageNanoUsd,
  })
}
