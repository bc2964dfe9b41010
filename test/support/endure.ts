/**
 * Callers that go on through every failure of their store: each asks the same again, by the same id,
 * until it has an answer.
 *
 * @module
 */
import { appendFileSync } from 'node:fs'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { ask, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'

export interface Endured {
  /** Calls that were settled, and said so. */
  done: number
  /** Errors of the store, by code. */
  readonly errors: Record<string, number>
  /** The longest that one attempt took to end, in ms. */
  longestMs: number
}

export const newEndured = (): Endured => ({ done: 0, errors: {}, longestMs: 0 })

/** Repeats until it is answered. @throws whatever is no failure of the store. */
export async function endure<T>(seen: Endured, attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    const startedMs = performance.now()
    try {
      return await attempt()
    } catch (error) {
      if (!TenantKeysError.isInstance(error) || !isOutage(error.code)) throw error
      seen.errors[error.code] = (seen.errors[error.code] ?? 0) + 1
      await new Promise((next) => setTimeout(next, 5 + Math.random() * 20))
    } finally {
      seen.longestMs = Math.max(seen.longestMs, performance.now() - startedMs)
    }
  }
}

const isOutage = (code: string): boolean =>
  code === 'TK_STORE_UNAVAILABLE' || code === 'TK_STORE_BUSY'

/** Reserves and settles until told to stop; the id of what is settled goes to `file` at once. */
export async function callOnAndOn(
  storage: Storage,
  { tenantId, file, callers }: { tenantId: string; file: string; callers: number },
  goesOn: () => boolean,
): Promise<Endured> {
  const seen = newEndured()
  const caller = async (): Promise<void> => {
    for (let n = 0n; goesOn(); n++) {
      const item = ask(tenantId, 50n)
      const [held] = await endure(seen, () => storage.ledger.reserve([item]))
      if (!held?.ok) throw new Error(`refused: ${held?.code}`)
      const settling = settleOf(tenantId, item.holdId, n % 50n)
      const [settled] = await endure(seen, () => storage.ledger.settle([settling]))
      if (!settled?.ok) throw new Error(`not settled: ${settled?.code}`)
      appendFileSync(file, `${item.holdId} ${n % 50n}\n`)
      seen.done++
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return seen
}
