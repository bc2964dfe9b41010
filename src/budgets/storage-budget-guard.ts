/**
 * The default BudgetGuard: the ledger over Storage. Callers of one tick share one batch, so that a
 * transaction serves many; a lone caller goes at once.
 *
 * @module
 */
import type { MonotonicClock } from '../kernel/clock.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import type { ExtendItem, ReserveItem, SettleItem, VoidItem } from '../storage/ledger-records.ts'
import type { Storage } from '../storage/storage.ts'
import type { BudgetGuard } from './budget-guard.ts'

const MAX_BATCH = 256
const SWEEP_EVERY_MS = 10_000
const SWEEP_BATCH = 64

export function storageBudgetGuard(options: {
  readonly storage: Storage
  readonly clock: MonotonicClock
}): BudgetGuard {
  const { ledger } = options.storage
  const sweepDue = every(SWEEP_EVERY_MS, options.clock)
  const settle = batched((items: readonly SettleItem[]) => ledger.settle(items))
  return {
    contractVersion: 1,
    reserve: batched((items: readonly ReserveItem[]) => ledger.reserve(items)),
    preview: (item) => ledger.preview(item),
    extend: batched((items: readonly ExtendItem[]) => ledger.extend(items)),
    void: batched((items: readonly VoidItem[]) => ledger.void(items)),
    settle: async (item) => {
      const result = await settle(item)
      // Holds of dead processes are also expired where they stand in someone's way; this reports the
      // others. A failing sweep is no failure of this settle: the next one tries again.
      if (sweepDue()) await ledger.sweep(SWEEP_BATCH).catch(() => 0)
      return result
    },
  }
}

/** Merges the calls of one tick, and of the time a batch is under way, into the next batch. */
function batched<I, R>(
  run: (items: readonly I[]) => Promise<readonly R[]>,
): (item: I) => Promise<R> {
  type Waiting = { item: I; resolve: (result: R) => void; reject: (error: unknown) => void }
  const queue: Waiting[] = []
  let running = false

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.splice(0, MAX_BATCH)
      try {
        const results = await run(batch.map((w) => w.item))
        batch.forEach((w, i) => {
          const result = results[i]
          if (result === undefined) w.reject(new TenantKeysError('TK_INTERNAL'))
          else w.resolve(result)
        })
      } catch (error) {
        for (const w of batch) w.reject(error)
      }
    }
    running = false
  }

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject })
      if (running) return
      running = true
      queueMicrotask(() => void drain())
    })
}

function every(periodMs: number, clock: MonotonicClock): () => boolean {
  let lastMs = clock.elapsedMs()
  return () => {
    if (clock.elapsedMs() - lastMs < periodMs) return false
    lastMs = clock.elapsedMs()
    return true
  }
}
