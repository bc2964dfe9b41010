/**
 * The rules of the ledger: `held -> posted | voided | expired`, `expired -> late_posted`.
 *
 * Pure but for the rows they are given: every function runs inside one transaction of a store, reads
 * and writes through {@link LedgerRows}, and takes its time from there. Memory and SQLite run this
 * code; other stores are held to its answers by the conformance suite.
 *
 * The promise: `posted <= limit` as long as each call's actual is at most its hold, each hold is
 * settled or voided before it expires, and the limit is not lowered meanwhile. An actual above its
 * hold is posted in full and flagged, never clipped.
 *
 * @module
 */
import type { NewEvent } from '../storage/also.ts'
import type {
  AccountRef,
  Amounts,
  BudgetDenial,
  Counter,
  ExtendItem,
  ExtendResult,
  Hold,
  HoldLine,
  LineState,
  PeriodHistory,
  ReserveItem,
  ReserveResult,
  SettleItem,
  SettleResult,
  Unit,
  UsageRecord,
  VoidItem,
  VoidResult,
} from '../storage/ledger-records.ts'
import { isAmount } from './money.ts'
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
  /** Holds in state `held` whose time is up, oldest first. */
  expiredHolds(limit: number): readonly Hold[]
  addUsage(row: UsageRecord): void
  addEvent(event: NewEvent): void
}

const SWEEP_ON_REFUSAL = 64
const MAX_TTL_MS = 86_400_000
const NONE: Amounts = { usd: 0n }
const INVALID = { ok: false, code: 'TK_INPUT_INVALID', denial: null } as const

/**
 * Holds an amount on every limit of a path, or on none (all or nothing; a refused item takes
 * nothing). Replaying an id with the same parameters gives the same answer; a refused id is not kept.
 */
export function reserve(rows: LedgerRows, item: ReserveItem): ReserveResult {
  if (!isTtl(item.ttlMs) || !isPath(item.accounts) || !areAmounts(item.amounts)) return INVALID
  const known = rows.hold(item.holdId)
  if (known) return replayReserve(rows, known, item)
  const { counters, denial } = decide(rows, () => lockPath(rows, item.accounts), item.amounts)
  if (!ownPath(rows, item.tenantId, counters)) return INVALID
  if (denial) return { ok: false, ...denial }

  const expiresAtMs = rows.nowMs + item.ttlMs
  const after = counters.map((c) => withHeld(c, item.amounts[c.unit], expiresAtMs))
  after.forEach(rows.putCounter, rows)
  rows.putHold({
    id: item.holdId,
    tenantId: item.tenantId,
    state: 'held',
    accounts: item.accounts,
    lines: after.map(lineOf),
    amounts: item.amounts,
    asked: item.amounts,
    actual: NONE,
    extendSequence: 0,
    createdAtMs: rows.nowMs,
    expiresAtMs,
    call: item.call,
  })
  return { ok: true, holdId: item.holdId, expiresAtMs, lines: after.map(lineState), replayed: false }
}

/** Decides as {@link reserve} would, and changes nothing but what time has already decided: the roll
 * of a period that has ended, the expiry of holds that stand in the way. */
export function preview(rows: LedgerRows, item: Omit<ReserveItem, 'holdId' | 'ttlMs' | 'call'>): ReserveResult {
  if (!isPath(item.accounts) || !areAmounts(item.amounts)) return INVALID
  const { counters, denial } = decide(rows, () => lockPath(rows, item.accounts), item.amounts)
  if (!ownPath(rows, item.tenantId, counters)) return INVALID
  if (denial) return { ok: false, ...denial }
  return { ok: true, holdId: '', expiresAtMs: rows.nowMs, lines: counters.map(lineState), replayed: false }
}

/** Raises a live hold to absolute totals and moves its expiry. Never lowers it. */
export function extend(rows: LedgerRows, item: ExtendItem): ExtendResult {
  if (!isTtl(item.ttlMs) || !isSequence(item.sequence) || !areAmounts(item.amounts)) return INVALID
  const hold = rows.hold(item.holdId)
  if (!hold || hold.tenantId !== item.tenantId) return { ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND', denial: null }
  if (item.sequence === hold.extendSequence && same(item.amounts, hold.amounts)) {
    return { ok: true, expiresAtMs: hold.expiresAtMs }
  }
  if (hold.state !== 'held' || hold.expiresAtMs <= rows.nowMs) return { ok: false, code: 'TK_BUDGET_HOLD_LOST', denial: null }
  if (item.sequence <= hold.extendSequence || item.amounts.usd < hold.amounts.usd) {
    return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH', denial: null }
  }
  const more: Amounts = { usd: item.amounts.usd - hold.amounts.usd }
  const current = (): Counter[] =>
    lockPath(rows, hold.accounts).filter((c) => hold.lines.some((l) => isLine(c, l) && knows(c, hold)))
  const { denial } = decide(rows, current, more)
  if (denial) return { ok: false, ...denial }

  const expiresAtMs = Math.max(hold.expiresAtMs, rows.nowMs + item.ttlMs)
  for (const line of hold.lines) changeLine(rows, hold, line, { held: more[line.unit], posted: 0n, untilMs: expiresAtMs })
  rows.putHold({ ...hold, amounts: item.amounts, extendSequence: item.sequence, expiresAtMs })
  return { ok: true, expiresAtMs }
}

/**
 * Posts what the call really cost, releases the hold, and writes the usage row and its event: one
 * step. A hold that has expired meanwhile is posted late, in the period it was held in. The first
 * settle wins; the same again gives the same answer, another amount is a mismatch.
 */
export function settle(rows: LedgerRows, item: SettleItem): SettleResult {
  if (!areAmounts(item.actual) || !isAmount(item.usage.costNanoUsd)) return INVALID
  const hold = rows.hold(item.holdId)
  if (!hold || hold.tenantId !== item.tenantId) return { ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND' }
  const lines = (): LineState[] => lockPath(rows, hold.accounts).filter((c) => hold.lines.some((l) => sameCounter(c, l))).map(lineState)
  if (hold.state === 'posted' || hold.state === 'late_posted') {
    if (!same(hold.actual, item.actual)) return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }
    return { ok: true, state: hold.state, lines: lines(), overage: overageOf(hold), replayed: true }
  }
  if (hold.state === 'voided') return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }

  const late = hold.state === 'expired' || hold.expiresAtMs <= rows.nowMs
  lockPath(rows, hold.accounts)
  for (const line of hold.lines) {
    const released = hold.state === 'expired' ? 0n : -hold.amounts[line.unit]
    changeLine(rows, hold, line, { held: released, posted: item.actual[line.unit], untilMs: 0 })
  }
  const state = late ? 'late_posted' : 'posted'
  const settled: Hold = { ...hold, state, actual: item.actual }
  const overage = overageOf(settled)
  rows.putHold(settled)
  const usage: UsageRecord = {
    ...item.usage,
    id: hold.id,
    tenantId: hold.tenantId,
    state,
    lines: hold.lines,
    overageNanoUsd: overage.usd,
    startedAtMs: hold.createdAtMs,
    settledAtMs: rows.nowMs,
  }
  rows.addUsage(usage)
  rows.addEvent({ id: hold.id, kind: 'usage', tenantId: hold.tenantId, payload: usagePayload(usage) })
  return { ok: true, state, lines: lines(), overage, replayed: false }
}

/** Releases a hold of a call that cost nothing. */
export function voidHold(rows: LedgerRows, item: VoidItem): VoidResult {
  const hold = rows.hold(item.holdId)
  if (!hold || hold.tenantId !== item.tenantId) return { ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND' }
  if (hold.state === 'voided') return { ok: true, replayed: true }
  if (hold.state === 'posted' || hold.state === 'late_posted') return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }
  if (hold.state === 'held') release(rows, hold)
  rows.putHold({ ...hold, state: 'voided' })
  return { ok: true, replayed: false }
}

/**
 * Expires holds whose time is up: what they held is free again, and one `unknown_spend` event each
 * says that the call may have cost something nobody counted.
 *
 * @returns how many were expired.
 */
export function sweep(rows: LedgerRows, limit: number): number {
  const due = rows.expiredHolds(limit)
  for (const hold of due) {
    release(rows, hold)
    rows.putHold({ ...hold, state: 'expired' })
    rows.addEvent({
      id: `${hold.id}.expired`,
      kind: 'unknown_spend',
      tenantId: hold.tenantId,
      payload: { holdId: hold.id, heldNanoUsd: String(hold.amounts.usd), ...hold.call },
    })
  }
  return due.length
}

function replayReserve(rows: LedgerRows, hold: Hold, item: ReserveItem): ReserveResult {
  const matches =
    hold.tenantId === item.tenantId &&
    same(hold.asked, item.amounts) &&
    hold.accounts.length === item.accounts.length &&
    hold.accounts.every((a, i) => a.id === item.accounts[i]!.id && a.depth === item.accounts[i]!.depth)
  if (!matches) return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH', denial: null }
  const lines = lockPath(rows, hold.accounts).filter((c) => hold.lines.some((l) => sameCounter(c, l)))
  return { ok: true, holdId: hold.id, expiresAtMs: hold.expiresAtMs, lines: lines.map(lineState), replayed: true }
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

/** Decides on a path; where only holds stand in the way, those whose time is up give way first. */
function decide(
  rows: LedgerRows,
  path: () => Counter[],
  asked: Amounts,
): { counters: readonly Counter[]; denial: Refusal | null } {
  const counters = path()
  const denial = refusal(counters, asked)
  if (denial?.code !== 'TK_BUDGET_CONTENDED' || sweep(rows, SWEEP_ON_REFUSAL) === 0) {
    return { counters, denial }
  }
  const again = path()
  return { counters: again, denial: refusal(again, asked) }
}

/** A path may only touch counters of the tenant and of those above it (ST-3). */
function ownPath(rows: LedgerRows, tenantId: string, counters: readonly Counter[]): boolean {
  const above = counters.filter((c) => c.tenantId !== tenantId)
  if (above.length === 0) return true
  const path = rows.tenantPath(tenantId)
  return above.every((c) => path.includes(c.tenantId))
}

// Callers have checked what they send. These keep the defect of one caller out of the sums, and out
// of the batch of the others.
const areAmounts = (amounts: Amounts): boolean => UNITS.every((unit) => isAmount(amounts[unit]))
const isTtl = (ms: number): boolean => Number.isInteger(ms) && ms >= 1 && ms <= MAX_TTL_MS
const isSequence = (n: number): boolean => Number.isSafeInteger(n) && n >= 1
const isPath = (accounts: readonly AccountRef[]): boolean =>
  new Set(accounts.map((a) => a.id)).size === accounts.length

type Refusal = { readonly code: 'TK_BUDGET_EXHAUSTED' | 'TK_BUDGET_CONTENDED'; readonly denial: BudgetDenial }

/** The line that refuses, if any. One that is spent is named before one that is only held. */
function refusal(counters: readonly Counter[], asked: Amounts): Refusal | null {
  const room = (c: Counter): bigint => c.limit - c.posted - c.held
  const refusing = counters.filter((c) => asked[c.unit] > room(c))
  if (refusing.length === 0) return null
  const spent = refusing.find((c) => c.posted + asked[c.unit] > c.limit)
  const line = spent ?? refusing[0]!
  const smallest = counters.filter((c) => c.unit === line.unit).map(room).reduce((a, b) => (b < a ? b : a))
  return {
    code: spent ? 'TK_BUDGET_EXHAUSTED' : 'TK_BUDGET_CONTENDED',
    denial: {
      ...lineState(line),
      asked: asked[line.unit],
      wouldFit: smallest > 0n ? smallest : 0n,
      heldUntilMs: line.held > 0n ? line.heldUntilMs : null,
    },
  }
}

function withHeld(counter: Counter, change: bigint, untilMs: number): Counter {
  const sum = counter.held + change
  // Below zero only when a budget was removed and set again within the millisecond of a hold.
  const held = sum > 0n ? sum : 0n
  return { ...counter, held, heldUntilMs: held === 0n ? 0 : Math.max(counter.heldUntilMs, untilMs) }
}

function release(rows: LedgerRows, hold: Hold): void {
  lockPath(rows, hold.accounts)
  for (const line of hold.lines) changeLine(rows, hold, line, { held: -hold.amounts[line.unit], posted: 0n, untilMs: 0 })
}

type Change = { readonly held: bigint; readonly posted: bigint; readonly untilMs: number }

/** Changes what a line of a hold holds and has posted: on its counter while its period runs, else in
 * its history. A budget that was removed meanwhile has neither; one that was removed and set again
 * started at zero and never held this. Both are left alone. */
function changeLine(rows: LedgerRows, hold: Hold, line: HoldLine, { held, posted, untilMs }: Change): void {
  const counter = rows.countersOf(line.accountId).find((c) => sameCounter(c, line))
  if (counter && !knows(counter, hold)) return
  if (counter && isLine(counter, line)) {
    rows.putCounter({ ...withHeld(counter, held, untilMs), posted: counter.posted + posted })
    return
  }
  const past = rows.history(line)
  if (past) rows.putHistory({ ...past, held: past.held + held, posted: past.posted + posted })
}

/** False when the counter was made after the hold: its sums do not contain it. */
const knows = (c: Counter, hold: Hold): boolean => c.createdAtMs <= hold.createdAtMs

const sameCounter = (c: Counter, l: HoldLine): boolean =>
  c.accountId === l.accountId && c.unit === l.unit && c.window === l.window

const isLine = (c: Counter, l: HoldLine): boolean => sameCounter(c, l) && c.periodStartMs === l.periodStartMs

const same = (a: Amounts, b: Amounts): boolean => a.usd === b.usd

function overageOf(hold: Hold): Amounts {
  const over = hold.actual.usd - hold.amounts.usd
  return { usd: over > 0n ? over : 0n }
}

function lineOf(c: Counter): HoldLine {
  return { accountId: c.accountId, unit: c.unit, window: c.window, periodStartMs: c.periodStartMs }
}

/** What a counter says to the outside. */
export function lineState(c: Counter): LineState {
  const { accountId, unit, window, limit, posted, held } = c
  const resetsAtMs = periodOf(window, c.zone, c.periodStartMs).endMs
  return { accountId, unit, window, limit, posted, held, resetsAtMs }
}

/** A usage row as the event a sink receives: amounts as decimal strings of nano-USD. */
function usagePayload(usage: UsageRecord): Record<string, unknown> {
  return { ...usage, costNanoUsd: String(usage.costNanoUsd), overageNanoUsd: String(usage.overageNanoUsd) }
}

/** Units in the order of the lock rule; one place to add the next. */
export const UNITS: readonly Unit[] = ['usd']
