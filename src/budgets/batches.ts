/**
 * Merges single calls into batches, so that one transaction serves many callers.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'

/** Items of one transaction, at most. */
export const MAX_BATCH = 256

/**
 * Merges the calls of one tick, and of the time a batch is under way, into the next batch. A lone
 * caller goes at once.
 */
export function batched<I, R>(
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
