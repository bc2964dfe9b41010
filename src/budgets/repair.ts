/**
 * The rules for mends: each looks again at what it is based on, inside its own transaction, and does
 * nothing when that has changed since it was checked.
 *
 * @module
 */
import type { Repair } from '../storage/ledger-entries.ts'
import type { Hold, UsageRecord } from '../storage/ledger-records.ts'
import type { EntryRows } from './entries.ts'
import { usagePayload } from './ledger.ts'
import { amountOf, isLine, positive, sameAmounts, sameCounter } from './ledger-lines.ts'

/** @returns false when there was nothing to mend any more. */
export function repairLedger(rows: EntryRows, repair: Repair): boolean {
  switch (repair.kind) {
    case 'counter':
      return setSums(rows, repair)
    case 'usage':
      return restoreUsage(rows, repair)
    case 'hold':
      return restoreHold(rows, repair)
  }
}

/** By SET: every honest change moves counter and entries together, so as long as the counter has the
 * value that was compared, what the entries say is what it must be. */
function setSums(
  rows: EntryRows,
  { tenantId, line, was, becomes, heldUntilMs }: Repair & { readonly kind: 'counter' },
): boolean {
  const counter = rows.countersOf(line.accountId).find((c) => sameCounter(c, line))
  if (!counter || counter.tenantId !== tenantId) return false
  if (isLine(counter, line)) {
    if (counter.posted !== was.posted || counter.held !== was.held) return false
    rows.putCounter({ ...counter, ...becomes, heldUntilMs })
    return true
  }
  const past = rows.history(line)
  if (!past || past.posted !== was.posted || past.held !== was.held) return false
  rows.putHistory({ ...past, ...becomes })
  return true
}

type PairRepair = Repair & { readonly kind: 'usage' | 'hold' }

const isPosted = (hold: Hold): hold is Hold & { readonly state: 'posted' | 'late_posted' } =>
  hold.state === 'posted' || hold.state === 'late_posted'

/** Only the cost is known: tokens are zero, no markup is added, and the quality is `unknown`. */
function restoreUsage(rows: EntryRows, { tenantId, holdId }: PairRepair): boolean {
  const hold = rows.hold(holdId)
  if (!hold || hold.tenantId !== tenantId || !isPosted(hold)) return false
  if (rows.usageRow(tenantId, holdId)) return false
  const { lines, actual, amounts, createdAtMs, call, state, paidBy } = hold
  const costNanoUsd = amountOf(actual, 'usd')
  const billable = paidBy === 'platform'
  const usage: UsageRecord = {
    ...call,
    id: holdId,
    tenantId,
    state,
    operation: 'unknown',
    servedModel: null,
    outcome: 'completed',
    quality: 'unknown',
    httpStatus: null,
    tokens: {
      input: 0,
      cacheRead: null,
      cacheWrite: null,
      cacheWrite1h: null,
      inputAudio: null,
      output: 0,
      reasoning: null,
      outputAudio: null,
    },
    counts: {},
    costNanoUsd,
    providerCostNanoUsd: null,
    chargedNanoUsd: billable ? costNanoUsd : 0n,
    paidBy,
    billable,
    secretId: null,
    secretVersion: null,
    tags: {},
    durationMs: null,
    responseBytes: null,
    lines,
    amounts: actual,
    overageNanoUsd: positive(costNanoUsd - amountOf(amounts, 'usd')),
    startedAtMs: createdAtMs,
    settledAtMs: rows.nowMs,
  }
  rows.addUsage(usage)
  rows.addEvent({ id: holdId, kind: 'usage', tenantId, payload: usagePayload(usage) })
  return true
}

/** The usage row is what was reported and billed. What the hold still holds on counters is not given
 * back here: they are compared with the holds afterwards. */
function restoreHold(rows: EntryRows, { tenantId, holdId }: PairRepair): boolean {
  const usage = rows.usageRow(tenantId, holdId)
  if (!usage) return false
  const hold = rows.hold(holdId)
  if (hold && hold.tenantId !== tenantId) return false
  const { state, amounts, lines, paidBy, startedAtMs, settledAtMs } = usage
  if (hold) {
    if (hold.state === state && sameAmounts(hold.actual, amounts)) return false
    rows.putHold({ ...hold, state, actual: amounts })
    return true
  }
  const { callId, keyId, scope, provider, model, priceId } = usage
  rows.putHold({
    id: holdId,
    tenantId,
    state,
    accounts: [],
    lines,
    amounts,
    asked: amounts,
    actual: amounts,
    extendSequence: 0,
    overflows: [],
    paidBy,
    createdAtMs: startedAtMs,
    expiresAtMs: settledAtMs,
    call: { callId, keyId, scope, provider, model, priceId },
  })
  return true
}
