/**
 * When the hold of a finished call may be forgotten. Usage rows are never pruned here: they are the
 * entries that counters are mended from.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { ChargedUsage, PruneQuery } from '../storage/ledger-entries.ts'
import type { Hold } from '../storage/ledger-records.ts'

/** So long a finished hold answers its replays at least: 48 h. */
export const MIN_HOLD_AGE_MS = 172_800_000
const MAX_PRUNED = 10_000

/** @throws TenantKeysError TK_INPUT_INVALID */
export function checkPrune({ olderThanMs, limit }: PruneQuery): void {
  if (!Number.isSafeInteger(olderThanMs) || olderThanMs < MIN_HOLD_AGE_MS) {
    throw invalid('olderThanMs', 'expected at least 172,800,000 ms (48 h)')
  }
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_PRUNED) {
    throw invalid('limit', 'expected 1 to 10,000')
  }
}

/**
 * True when a hold ended before `beforeMs`: its life was over by then, and it was settled by then or
 * never will be. One whose usage row is missing stays, it is the only trace of the call. The caller
 * sees to it that no event of the hold waits in the outbox.
 */
export function isOver(hold: Hold, usage: ChargedUsage | null, beforeMs: number): boolean {
  if (hold.state === 'held' || hold.expiresAtMs > beforeMs) return false
  if (hold.state === 'voided' || hold.state === 'expired') return true
  return usage !== null && usage.settledAtMs <= beforeMs
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason })
