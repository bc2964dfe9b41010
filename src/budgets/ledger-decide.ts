/**
 * The decision on a path: which lines a call is charged to, or why it is refused.
 *
 * @module
 */
import type {
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
  lockOrder,
  lockPath,
  positive,
  refusalOf,
  roomOf,
  sameCounter,
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
  /** True when holds alone stand in the way of the call, or of a line that a pool took over. */
  readonly contended: boolean
}

interface Refusing {
  readonly line: Counter
  readonly code: RefusalCode
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
 *
 * @param counted - false for counters of a pool that do not count this call.
 */
export function decide(
  rows: LedgerRows,
  path: readonly Counter[],
  asked: Amounts,
  counted: (counter: Counter) => boolean = () => true,
): Decision {
  const counters: Counter[] = []
  const overflows: Overflow[] = []
  const refusing: Refusing[] = []
  const poolOf = (counter: Counter): readonly Counter[] => poolLines(rows, counter, path, counted)
  let contended = false
  for (const line of path) {
    const amount = amountOf(asked, line.unit)
    const code = refusalOf(line, amount)
    if (code === null) {
      counters.push(line)
      continue
    }
    const pool = poolOf(line)
    const refused = pool.length === 0 ? null : longest(refusingOf(pool, amount))
    if (pool.length > 0 && refused === null) {
      contended ||= code === 'TK_BUDGET_CONTENDED'
      overflows.push({ from: lineOf(line), to: line.overflow!.id })
      counters.push(...pool.filter((p) => !counters.some((c) => sameCounter(c, lineOf(p)))))
    } else {
      // Either of the two would do, so the one that passes sooner is what stands in the way.
      const own = { line, code }
      refusing.push(refused && rank(refused) > rank(own) ? refused : own)
    }
  }
  const named = longest(refusing)
  if (named === null) {
    return { counters: counters.sort(lockOrder), overflows, refusal: null, contended }
  }
  const { code, line } = named
  const amount = amountOf(asked, line.unit)
  const rooms = path.filter((c) => c.unit === line.unit).map((c) => widest(c, poolOf(c)))
  const denial: BudgetDenial = {
    ...lineState(line),
    asked: amount,
    wouldFit: positive(smallest(rooms)),
    heldUntilMs: line.held > 0n ? line.heldUntilMs : null,
    fitsAtMs: code === 'TK_RATE_LIMITED' ? slidingFit(rows, refusing, asked) : null,
  }
  const refusal = { code, denial }
  return { counters, overflows, refusal, contended: code === 'TK_BUDGET_CONTENDED' }
}

/** The pool's lines of this unit; none when there is no pool, when it already lies on the path, or
 * when it belongs to a tenant that does not lie above (ST-3). */
function poolLines(
  rows: LedgerRows,
  { overflow, unit, tenantId }: Counter,
  path: readonly Counter[],
  counted: (counter: Counter) => boolean,
): readonly Counter[] {
  if (overflow === null || path.some((c) => c.accountId === overflow.id)) return []
  const lines = lockPath(rows, [overflow]).filter((c) => c.unit === unit && counted(c))
  const isOwn = (c: Counter): boolean =>
    c.tenantId === tenantId || rows.tenantPath(tenantId).includes(c.tenantId)
  return lines.every(isOwn) ? lines : []
}

const refusingOf = (lines: readonly Counter[], amount: bigint): readonly Refusing[] =>
  lines.flatMap((line) => {
    const code = refusalOf(line, amount)
    return code === null ? [] : [{ line, code }]
  })

const rank = ({ code }: Refusing): number => LASTING.indexOf(code)

/** The refusal that lasts longest, the first of those that last as long; `null`: none refuses. */
const longest = (refusing: readonly Refusing[]): Refusing | null =>
  refusing.reduce<Refusing | null>((a, b) => (a === null || rank(b) < rank(a) ? b : a), null)

const smallest = (rooms: readonly bigint[]): bigint =>
  rooms.reduce((least, room) => {
    if (room < least) return room
    return least
  })

/** What a line admits by itself or through its pool, whichever is more. */
function widest(line: Counter, pool: readonly Counter[]): bigint {
  const own = roomOf(line)
  if (pool.length === 0) return own
  const shared = smallest(pool.map(roomOf))
  if (shared > own) return shared
  return own
}

/** When the last of the sliding lines that refuse has let enough go; `null`: one of them never. */
function slidingFit(
  rows: LedgerRows,
  refusing: readonly Refusing[],
  asked: Amounts,
): number | null {
  let latestMs = rows.nowMs
  for (const { line } of refusing) {
    const lengthMs = subBucketMs(line.window)
    if (lengthMs === null) continue
    const ask = { amount: amountOf(asked, line.unit), limit: line.limit }
    const atMs = fitsAtMs(line.buckets, lengthMs, ask)
    if (atMs === null) return null
    latestMs = Math.max(latestMs, atMs)
  }
  return latestMs
}
