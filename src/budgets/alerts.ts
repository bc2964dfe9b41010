/**
 * Alerts: one event for each threshold and period, written in the step that crosses it.
 *
 * @module
 */
import type { Counter } from '../storage/ledger-records.ts'
import type { LedgerRows } from './ledger-lines.ts'
import { periodOf } from './windows.ts'

/** Reports the highest threshold that `posted` has reached and that this period has not seen yet; a
 * single step over several of them reports each (S0.10, S0.28, S3.28). */
export function alerted(rows: LedgerRows, counter: Counter): Counter {
  const { alerts, alertedPercent, limit, posted } = counter
  if (posted <= 0n) return counter
  const reached = alerts.filter((p) => p > alertedPercent && posted * 100n >= limit * BigInt(p))
  if (reached.length === 0) return counter
  for (const percent of reached) {
    const { accountId, unit, window, periodStartMs, createdAtMs, tenantId } = counter
    rows.addEvent({
      // A budget that was set anew, or that was recharged, reports anew (S0.28).
      id: `alert.${accountId}.${unit}.${window}.${periodStartMs}.${createdAtMs}.${limit}.${percent}`,
      kind: 'budget.threshold',
      tenantId,
      payload: {
        accountId,
        unit,
        window,
        percent,
        limit: String(limit),
        posted: String(posted),
        exhaustedAtMs: forecastExhaustion(counter, rows.nowMs),
      },
    })
  }
  return { ...counter, alertedPercent: Math.max(...reached) }
}

/**
 * When the limit is reached if spending goes on as it has since the period (or the budget) began
 * (S0.11).
 *
 * @returns ms since the epoch; `null` when nothing was spent, or when the period ends before.
 */
export function forecastExhaustion(counter: Counter, nowMs: number): number | null {
  const { posted, limit, periodStartMs, createdAtMs } = counter
  if (posted >= limit) return nowMs
  const elapsedMs = nowMs - Math.max(periodStartMs, createdAtMs)
  if (posted <= 0n || elapsedMs <= 0) return null
  const leftMs = ((limit - posted) * BigInt(elapsedMs)) / posted
  const { endMs } = periodOf(counter.window, counter.zone, periodStartMs)
  const atMs = nowMs + Number(leftMs)
  return Number.isSafeInteger(atMs) && (endMs === null || atMs < endMs) ? atMs : null
}
