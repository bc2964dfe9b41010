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
  BudgetDenial,
  Counter,
  Hold,
  HoldLine,
  LineState,
  PeriodHistory,
  UsageRecord,
} from '../storage/ledger-records.ts'
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

function lockOrder(a: Counter, b: Counter): number {
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
  const { startMs } = periodOf(counter.window, counter.zone, rows.nowMs)
  if (startMs <= counter.periodStartMs) return counter
  const { accountId, unit, window, periodStartMs, posted, held } = counter
  rows.putHistory({ accountId, unit, window, periodStartMs, posted, held })
  const next: Counter = { ...counter, periodStartMs: startMs, posted: 0n, held: 0n, heldUntilMs: 0 }
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

export type Refusal = {
  readonly code: 'TK_BUDGET_EXHAUSTED' | 'TK_BUDGET_CONTENDED'
  readonly denial: BudgetDenial
}

/** The line that refuses, if any. One that is spent is named before one that is only held. */
export function refusal(counters: readonly Counter[], asked: Amounts): Refusal | null {
  const room = (c: Counter): bigint => c.limit - c.posted - c.held
  const refusing = counters.filter((c) => asked[c.unit] > room(c))
  if (refusing.length === 0) return null
  const spent = refusing.find((c) => c.posted + asked[c.unit] > c.limit)
  const line = spent ?? refusing[0]!
  let smallest = room(line)
  for (const c of counters) if (c.unit === line.unit && room(c) < smallest) smallest = room(c)
  return {
    code: spent ? 'TK_BUDGET_EXHAUSTED' : 'TK_BUDGET_CONTENDED',
    denial: {
      ...lineState(line),
      asked: asked[line.unit],
      wouldFit: positive(smallest),
      heldUntilMs: line.held > 0n ? line.heldUntilMs : null,
    },
  }
}

const positive = (amount: bigint): bigint => (amount > 0n ? amount : 0n)

/** The counter with `change` held more or less, by holds that live until `untilMs` at the latest. */
export function withHeld(counter: Counter, change: bigint, untilMs: number): Counter {
  // Below zero only when a budget was removed and set again within the millisecond of a hold.
  const held = positive(counter.held + change)
  return { ...counter, held, heldUntilMs: held === 0n ? 0 : Math.max(counter.heldUntilMs, untilMs) }
}

type Change = { readonly held: bigint; readonly posted: bigint; readonly untilMs: number }

/** Changes what a line of a hold holds and has posted. */
export function changeLine(
  rows: LedgerRows,
  hold: Hold,
  line: HoldLine,
  { held, posted, untilMs }: Change,
): void {
  const { counter, past } = placeOf(rows, hold, line)
  if (counter) {
    rows.putCounter({ ...withHeld(counter, held, untilMs), posted: counter.posted + posted })
  } else if (past) {
    rows.putHistory({ ...past, held: positive(past.held + held), posted: past.posted + posted })
  }
}

/** What a line of a hold has posted so far, by this hold and others. */
export function postedOn(rows: LedgerRows, hold: Hold, line: HoldLine): bigint {
  const { counter, past } = placeOf(rows, hold, line)
  return (counter ?? past)?.posted ?? 0n
}

/** Where a line of a hold is kept: on its counter while its period runs, else in its history. A
 * budget that was removed meanwhile has neither; one that was removed and set again started at zero
 * and never held this. Both are left alone. */
function placeOf(
  rows: LedgerRows,
  hold: Hold,
  line: HoldLine,
): { readonly counter: Counter | null; readonly past: PeriodHistory | null } {
  const counter = rows.countersOf(line.accountId).find((c) => sameCounter(c, line))
  if (counter && !knows(counter, hold)) return { counter: null, past: null }
  if (counter && isLine(counter, line)) return { counter, past: null }
  return { counter: null, past: rows.history(line) }
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
  const { accountId, unit, window, limit, posted, held } = c
  const resetsAtMs = periodOf(window, c.zone, c.periodStartMs).endMs
  return { accountId, unit, window, limit, posted, held, resetsAtMs }
}
