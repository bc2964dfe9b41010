/**
 * The decision on a path: which lines a call is charged to, or why it is refused.
 *
 * @module
 */
import type {
  AccountRef,
  Amounts,
  BudgetDenial,
  Counter,
  Overflow,
  RefusalCode,
} from '../storage/ledger-records.ts'
import {
  amountOf,
  type LedgerRows,
  lineOf,
  lineState,
  lockPath,
  positive,
  refusalOf,
  roomOf,
} from './ledger-lines.ts'
import { fitsAtMs, subBucketMs } from './rate.ts'

export interface Refusal {
  readonly code: RefusalCode
  readonly denial: BudgetDenial
}

export interface Decision {
  /** The counters to charge, in lock order, pools in the place of what they took over. */
  readonly counters: readonly Counter[]
  readonly overflows: readonly Overflow[]
  readonly refusal: Refusal | null
}

/** What a caller can do about each is different, so the one that lasts longest is named. */
const LASTING: readonly RefusalCode[] = [
  'TK_REQUEST_TOO_LARGE',
  'TK_BUDGET_EXHAUSTED',
  'TK_RATE_LIMITED',
  'TK_BUDGET_CONTENDED',
]

/**
 * Decides on the counters of a path. A line that refuses and names a pool gives way to the pool's
 * lines of the same unit when all of those admit the whole amount: one hop, and everything else on
 * the path, its ancestors included, is charged once as before.
 */
export function decide(rows: LedgerRows, path: readonly Counter[], asked: Amounts): Decision {
  const counters: Counter[] = []
  const overflows: Overflow[] = []
  const refusing: Counter[] = []
  for (const counter of path) {
    if (refusalOf(counter, amountOf(asked, counter.unit)) === null) counters.push(counter)
    else {
      const pool = poolOf(rows, counter, path, asked)
      if (pool === null) refusing.push(counter)
      else {
        overflows.push({ from: lineOf(counter), to: counter.overflow!.id })
        counters.push(...pool.filter((p) => !counters.some((c) => sameLine(c, p))))
      }
    }
  }
  return { counters, overflows, refusal: explain(rows, path, refusing, asked) }
}

/** The pool's lines of this unit, when there are any and all of them admit. */
function poolOf(
  rows: LedgerRows,
  counter: Counter,
  path: readonly Counter[],
  asked: Amounts,
): readonly Counter[] | null {
  const { overflow, unit } = counter
  if (overflow === null || path.some((c) => c.accountId === overflow.id)) return null
  const lines = lockPath(rows, [overflow as AccountRef]).filter((c) => c.unit === unit)
  const amount = amountOf(asked, unit)
  return lines.length > 0 && lines.every((c) => refusalOf(c, amount) === null) ? lines : null
}

const sameLine = (a: Counter, b: Counter): boolean =>
  a.accountId === b.accountId && a.unit === b.unit && a.window === b.window

function explain(
  rows: LedgerRows,
  path: readonly Counter[],
  refusing: readonly Counter[],
  asked: Amounts,
): Refusal | null {
  for (const code of LASTING) {
    const line = refusing.find((c) => refusalOf(c, amountOf(asked, c.unit)) === code)
    if (!line) continue
    const amount = amountOf(asked, line.unit)
    const rooms = path.filter((c) => c.unit === line.unit).map(roomOf)
    const smallest = rooms.reduce((a, b) => (b < a ? b : a))
    return {
      code,
      denial: {
        ...lineState(line),
        asked: amount,
        wouldFit: positive(smallest),
        heldUntilMs: line.held > 0n ? line.heldUntilMs : null,
        fitsAtMs: slidingFit(rows, line, amount),
      },
    }
  }
  return null
}

function slidingFit(rows: LedgerRows, line: Counter, amount: bigint): number | null {
  const lengthMs = subBucketMs(line.window)
  if (lengthMs === null) return null
  const atMs = fitsAtMs(line.buckets, lengthMs, { amount, limit: line.limit })
  return atMs === null ? null : Math.max(atMs, rows.nowMs)
}
