/**
 * Sliding rate limits, in integers: the window is cut into ten sub-buckets, and the running one and
 * the ten before it are counted in full. So any stretch of that length sees at most the limit
 * (T-B20), and a caller who was refused waits at most a tenth longer than an ideal window would ask.
 *
 * @module
 */
import type { RateBuckets, Window } from '../storage/ledger-records.ts'

const SUB_BUCKETS = 10
const LENGTH_MS: ReadonlyMap<Window, number> = new Map([
  ['rate_second', 100],
  ['rate_minute', 6000],
])

/** Length of one sub-bucket in ms; `null` for windows that do not slide. */
export const subBucketMs = (window: Window): number | null => LENGTH_MS.get(window) ?? null

export const NO_BUCKETS: RateBuckets = { newest: 0, counts: [] }

/** The buckets as they count at `nowMs`: older ones are dropped. A clock that stepped backwards stays
 * in the newest bucket. */
export function slide(buckets: RateBuckets, lengthMs: number, nowMs: number): RateBuckets {
  const index = Math.floor(nowMs / lengthMs)
  const passed = index - buckets.newest
  if (passed <= 0) return buckets
  const kept = buckets.counts.slice(0, Math.max(0, SUB_BUCKETS + 1 - passed))
  const empty = Array.from({ length: Math.min(passed, SUB_BUCKETS + 1) }, () => 0n)
  return { newest: index, counts: [...empty, ...kept].slice(0, SUB_BUCKETS + 1) }
}

/** Newest first. */
export const countOf = ({ counts }: RateBuckets): bigint => counts.reduce((sum, n) => sum + n, 0n)

/** Adds to the running bucket. */
export function add({ newest, counts }: RateBuckets, amount: bigint): RateBuckets {
  const [first = 0n, ...rest] = counts
  return { newest, counts: [first + amount, ...rest] }
}

/** When so much has slid out of the window that `amount` fits under `limit`; `null`: never. */
export function fitsAtMs(
  { newest, counts }: RateBuckets,
  lengthMs: number,
  ask: { readonly amount: bigint; readonly limit: bigint },
): number | null {
  if (ask.amount > ask.limit) return null
  let left = countOf({ newest, counts })
  // The oldest bucket leaves when eleven newer ones have begun.
  for (let age = counts.length - 1; age >= 0; age--) {
    if (left + ask.amount <= ask.limit) break
    left -= counts[age]!
    if (left + ask.amount <= ask.limit) return (newest - age + SUB_BUCKETS + 1) * lengthMs
  }
  return newest * lengthMs
}
