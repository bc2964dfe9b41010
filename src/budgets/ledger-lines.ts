/**
 * The lines of the ledger: which counters a path has, when their periods roll, when they refuse, and
 * what a hold changes on them. Pure like `ledger.ts`, which decides with them.
 *
 * @module
 */
import type { NewEvent } from '../storage/also.ts'
import type {
  AccountRef,
  Amounts,
  Counter,
  Hold,
  HoldLine,
  LineState,
  PeriodHistory,
  RefusalCode,
  Unit,
  UsageRecord,
} from '../storage/ledger-records.ts'
import { alerted } from './alerts.ts'
import { MAX_SUM } from './money.ts'
import { countOf, slide, subBucketMs } from './rate.ts'
import { periodOf } from './windows.ts'

/** What the rules need from a store, all of it inside one open transaction. */
export interface LedgerRows {
  /** The store's clock, read after the locks were taken. */
  readonly nowMs: number
  /** Ids from the root of the tree down to this tenant; empty when there is no such tenant. */
  tenantPath(tenantId: string): readonly string[]
  /** Every counter of one account, in any order. */
  countersOf(accountId: string): readonly Counter[]
  putCounter(counter: Counter): void
  history(line: HoldLine): PeriodHistory | null
  putHistory(row: PeriodHistory): void
  hold(id: string): Hold | null
  putHold(hold: Hold): void
  /** Holds in state `held` whose time is up: in order of their expiry, then of their id. */
  expiredHolds(limit: number): readonly Hold[]
  usageRow(tenantId: string, id: string): UsageRecord | null
  addUsage(row: UsageRecord): void
  addEvent(event: NewEvent): void
}

/** Reads the counters of a path in lock order (leaf first, root last, then id, unit, window) and
 * rolls those whose period has ended. */
export function lockPath(rows: LedgerRows, accounts: readonly AccountRef[]): Counter[] {
  return accounts
    .flatMap((account) => rows.countersOf(account.id))
    .sort(lockOrder)
    .map((counter) => roll(rows, counter))
}

export function lockOrder(a: Counter, b: Counter): number {
  return (
    b.depth - a.depth ||
    compare(a.accountId, b.accountId) ||
    compare(a.unit, b.unit) ||
    compare(a.window, b.window)
  )
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Starts the next period of a counter and keeps the ended one as history. A counter never rolls
 * back: a clock that stepped backwards stays in the later period. */
function roll(rows: LedgerRows, counter: Counter): Counter {
  const lengthMs = subBucketMs(counter.window)
  if (lengthMs !== null) {
    return { ...counter, buckets: slide(counter.buckets, lengthMs, rows.nowMs) }
  }
  const { startMs } = periodOf(counter.window, counter.zone, rows.nowMs)
  if (startMs <= counter.periodStartMs) return counter
  const { accountId, unit, window, periodStartMs, posted, held } = counter
  rows.putHistory({ accountId, unit, window, periodStartMs, posted, held })
  const next: Counter = {
    ...counter,
    periodStartMs: startMs,
    posted: 0n,
    held: 0n,
    heldUntilMs: 0,
    alertedPercent: 0,
  }
  rows.putCounter(next)
  return next
}

/** A path may only touch counters of the tenant and of those above it (ST-3). */
export function ownPath(
  rows: LedgerRows,
  tenantId: string,
  accounts: readonly AccountRef[],
): boolean {
  const counters = accounts.flatMap((account) => rows.countersOf(account.id))
  const above = counters.filter((c) => c.tenantId !== tenantId)
  if (above.length === 0) return true
  const path = rows.tenantPath(tenantId)
  return above.every((c) => path.includes(c.tenantId))
}

/** What a unit of an amount is; nothing asked is zero. */
export const amountOf = (amounts: Amounts, unit: Unit): bigint => amounts[unit] ?? 0n

/** Why a line refuses; `null`: it admits. */
export function refusalOf(c: Counter, asked: bigint): RefusalCode | null {
  // What costs nothing is not stopped by money that is spent (free models, cached answers).
  if (asked === 0n) return null
  if (c.window === 'call') return asked > roomOf(c) ? 'TK_REQUEST_TOO_LARGE' : null
  if (subBucketMs(c.window) !== null) return asked > roomOf(c) ? 'TK_RATE_LIMITED' : null
  if (asked <= roomOf(c)) return null
  return c.posted + asked > c.limit ? 'TK_BUDGET_EXHAUSTED' : 'TK_BUDGET_CONTENDED'
}

/** What a line would still admit; negative after an overage or a lowered limit. */
export function roomOf(c: Counter): bigint {
  return c.limit - c.posted - c.held - countOf(c.buckets)
}

export const unitsOf = (...all: readonly Amounts[]): readonly Unit[] => [
  ...new Set(all.flatMap(Object.keys)),
]

export const sameAmounts = (a: Amounts, b: Amounts): boolean =>
  unitsOf(a, b).every((unit) => amountOf(a, unit) === amountOf(b, unit))

export const positive = (amount: bigint): bigint => (amount > 0n ? amount : 0n)

/** The counter with `change` held more or less, by holds that live until `untilMs` at the latest. */
export function withHeld(counter: Counter, change: bigint, untilMs: number): Counter {
  // Below zero only when a budget was removed and set again within the millisecond of a hold.
  const held = positive(counter.held + change)
  return { ...counter, held, heldUntilMs: held === 0n ? 0 : Math.max(counter.heldUntilMs, untilMs) }
}

type Change = { readonly held: bigint; readonly posted: bigint; readonly untilMs: number }

/** Changes what a line of a hold holds and has posted: on its counter while its period runs, else in
 * its history. A budget that was removed meanwhile has neither; one that was removed and set again
 * started at zero and never held this, nor do the periods since then. Both are left alone. */
export function changeLine(
  rows: LedgerRows,
  hold: Hold,
  line: HoldLine,
  { held, posted, untilMs }: Change,
): void {
  const counter = rows.countersOf(line.accountId).find((c) => sameCounter(c, line))
  if (counter && !knows(counter, hold) && reaches(counter, line)) return
  if (counter && isLine(counter, line)) {
    const changed = { ...withHeld(counter, held, untilMs), posted: counter.posted + posted }
    rows.putCounter(posted > 0n ? alerted(rows, changed) : changed)
    return
  }
  const past = rows.history(line)
  if (!past) return
  rows.putHistory({ ...past, held: positive(past.held + held), posted: past.posted + posted })
}

/** False when a line could not take `amount` on top of what is posted: the sum would leave 64 bits. */
export function canPost(rows: LedgerRows, line: HoldLine, amount: bigint): boolean {
  const counter = rows.countersOf(line.accountId).find((c) => isLine(c, line))
  const posted = (counter ?? rows.history(line))?.posted ?? 0n
  return posted + amount <= MAX_SUM
}

/** True when the counter was made before the line's period had ended, so that what is kept of this
 * period is its own. */
function reaches({ window, zone, createdAtMs }: Counter, line: HoldLine): boolean {
  const { endMs } = periodOf(window, zone, line.periodStartMs)
  return endMs === null || createdAtMs < endMs
}

/** False when the counter was made after the hold: its sums do not contain it. */
export const knows = (c: Counter, hold: Hold): boolean => c.createdAtMs <= hold.createdAtMs

export const sameCounter = (c: Counter, l: HoldLine): boolean =>
  c.accountId === l.accountId && c.unit === l.unit && c.window === l.window

export const isLine = (c: Counter, l: HoldLine): boolean =>
  sameCounter(c, l) && c.periodStartMs === l.periodStartMs

export function lineOf(c: Counter): HoldLine {
  return { accountId: c.accountId, unit: c.unit, window: c.window, periodStartMs: c.periodStartMs }
}

/** What a counter says to the outside. */
export function lineState(c: Counter): LineState {
  const { accountId, unit, window, limit, held } = c
  const posted = c.posted + countOf(c.buckets)
  const resetsAtMs = periodOf(window, c.zone, c.periodStartMs).endMs
  return { accountId, unit, window, limit, posted, held, resetsAtMs }
}
