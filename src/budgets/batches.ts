/**
 * Merges single calls into batches, so that one transaction serves many callers.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'

/** Items of one transaction, at most. */
export const MAX_BATCH = 256

/** Errors that an item or its rows may be the reason of, and not the store. */
const OF_ITEMS: ReadonlySet<string> = new Set([
  'TK_INPUT_INVALID',
  'TK_STORE_CORRUPT',
  'TK_INTERNAL',
])

/** One that may have been written stays whole: a part that then fails before anything is sent would
 * say that nothing was changed. */
const isOfItem = (error: unknown): boolean =>
  !TenantKeysError.isInstance(error) || (OF_ITEMS.has(error.code) && error.outcome === 'none')

/**
 * Runs a batch, and when it fails over one of its items, each half of it, so that one caller's item
 * fails alone. A batch that fails so has changed nothing.
 */
export async function runApart<I, R>(
  run: (items: readonly I[]) => Promise<readonly R[]>,
  items: readonly I[],
): Promise<readonly PromiseSettledResult<R>[]> {
  try {
    const results = await run(items)
    return items.map((_, i) => {
      const value = results[i]
      return value === undefined
        ? { status: 'rejected', reason: new TenantKeysError('TK_INTERNAL') }
        : { status: 'fulfilled', value }
    })
  } catch (error) {
    if (items.length === 1 || !isOfItem(error)) {
      return items.map(() => ({ status: 'rejected', reason: error }))
    }
    const half = Math.ceil(items.length / 2)
    const first = await runApart(run, items.slice(0, half))
    return [...first, ...(await runApart(run, items.slice(half)))]
  }
}

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
      const items = batch.map((w) => w.item)
      const answers = await runApart(run, items)
      batch.forEach((w, i) => {
        const answer = answers[i]!
        if (answer.status === 'fulfilled') w.resolve(answer.value)
        else w.reject(answer.reason)
      })
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
