/**
 * The default BudgetGuard: the ledger over Storage. Callers of one tick share one batch, so that a
 * transaction serves many; a lone caller goes at once.
 *
 * @module
 */
import { type MonotonicClock, systemTimers, type Timers } from '../kernel/clock.ts'
import type { ExtendItem, SettleItem, VoidItem } from '../storage/ledger-records.ts'
import type { Storage } from '../storage/storage.ts'
import { batched } from './batches.ts'
import type { BudgetGuard } from './budget-guard.ts'
import { reserveQueue } from './waiters.ts'

const SWEEP_EVERY_MS = 10_000
const SWEEP_BATCH = 64

export function storageBudgetGuard(options: {
  readonly storage: Storage
  readonly clock: MonotonicClock
  /** Default: the host's. */
  readonly timers?: Timers
  /** Spreads polls; default `Math.random`. */
  readonly random?: () => number
}): BudgetGuard {
  const { clock, timers = systemTimers, random = Math.random } = options
  const { ledger } = options.storage
  const sweepDue = every(SWEEP_EVERY_MS, clock)
  const settle = batched((items: readonly SettleItem[]) => ledger.settle(items))
  const release = batched((items: readonly VoidItem[]) => ledger.void(items))
  const queue = reserveQueue({
    run: (items) => ledger.reserve(items),
    release: ({ holdId, tenantId }) => release({ holdId, tenantId }),
    clock,
    timers,
    random,
  })
  return {
    contractVersion: 1,
    reserve: queue.reserve,
    preview: (item) => ledger.preview(item),
    extend: batched((items: readonly ExtendItem[]) => ledger.extend(items)),
    void: async (item) => {
      const result = await release(item)
      queue.wake()
      return result
    },
    settle: async (item) => {
      const result = await settle(item)
      queue.wake()
      // Holds of dead processes are also expired where they stand in someone's way; this reports the
      // others. A failing sweep is no failure of this settle: the next one tries again.
      if (sweepDue()) await ledger.sweep(SWEEP_BATCH).catch(() => 0)
      return result
    },
  }
}

function every(periodMs: number, clock: MonotonicClock): () => boolean {
  let lastMs = clock.elapsedMs()
  return () => {
    if (clock.elapsedMs() - lastMs < periodMs) return false
    lastMs = clock.elapsedMs()
    return true
  }
}
