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
import type {
  AccountRef,
  Amounts,
  Counter,
  ExtendItem,
  ExtendResult,
  Hold,
  HoldLine,
  LineState,
  ReserveItem,
  ReserveResult,
  SettleItem,
  SettleResult,
  Unit,
  UsageRecord,
  VoidItem,
  VoidResult,
} from '../storage/ledger-records.ts'
import {
  changeLine,
  isLine,
  knows,
  type LedgerRows,
  lineOf,
  lineState,
  lockPath,
  ownPath,
  postedOn,
  type Refusal,
  refusal,
  sameCounter,
  withHeld,
} from './ledger-lines.ts'
import { isAmount } from './money.ts'

export type { LedgerRows } from './ledger-lines.ts'

/** Units in the order of the lock rule; one place to add the next. */
const UNITS: readonly Unit[] = ['usd']

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
  if (!ownPath(rows, item.tenantId, item.accounts)) return INVALID
  const { counters, denial } = decide(rows, () => lockPath(rows, item.accounts), item.amounts)
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
  return {
    ok: true,
    holdId: item.holdId,
    expiresAtMs,
    lines: after.map(lineState),
    replayed: false,
  }
}

/** Decides as {@link reserve} would. What it writes is only what time has already decided, the roll of
 * a period and the expiry of holds that stand in the way; a store need not keep that. */
export function preview(
  rows: LedgerRows,
  item: Omit<ReserveItem, 'holdId' | 'ttlMs' | 'call'>,
): ReserveResult {
  if (!isPath(item.accounts) || !areAmounts(item.amounts)) return INVALID
  if (!ownPath(rows, item.tenantId, item.accounts)) return INVALID
  const { counters, denial } = decide(rows, () => lockPath(rows, item.accounts), item.amounts)
  if (denial) return { ok: false, ...denial }
  return {
    ok: true,
    holdId: '',
    expiresAtMs: rows.nowMs,
    lines: counters.map(lineState),
    replayed: false,
  }
}

/** Raises a live hold to absolute totals and moves its expiry. Never lowers it. */
export function extend(rows: LedgerRows, item: ExtendItem): ExtendResult {
  if (!isTtl(item.ttlMs) || !isSequence(item.sequence) || !areAmounts(item.amounts)) return INVALID
  const hold = rows.hold(item.holdId)
  if (!hold || hold.tenantId !== item.tenantId)
    return { ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND', denial: null }
  if (item.sequence === hold.extendSequence && same(item.amounts, hold.amounts)) {
    return { ok: true, expiresAtMs: hold.expiresAtMs }
  }
  if (hold.state !== 'held' || hold.expiresAtMs <= rows.nowMs)
    return { ok: false, code: 'TK_BUDGET_HOLD_LOST', denial: null }
  if (item.sequence <= hold.extendSequence || item.amounts.usd < hold.amounts.usd) {
    return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH', denial: null }
  }
  const more: Amounts = { usd: item.amounts.usd - hold.amounts.usd }
  const current = (): Counter[] =>
    lockPath(rows, hold.accounts).filter((c) =>
      hold.lines.some((l) => isLine(c, l) && knows(c, hold)),
    )
  const { denial } = decide(rows, current, more)
  if (denial) return { ok: false, ...denial }

  const expiresAtMs = Math.max(hold.expiresAtMs, rows.nowMs + item.ttlMs)
  for (const line of hold.lines)
    changeLine(rows, hold, line, { held: more[line.unit], posted: 0n, untilMs: expiresAtMs })
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
  if (!hold || hold.tenantId !== item.tenantId)
    return { ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND' }
  const lines = (): LineState[] =>
    lockPath(rows, hold.accounts)
      .filter((c) => hold.lines.some((l) => sameCounter(c, l)))
      .map(lineState)
  if (hold.state === 'posted' || hold.state === 'late_posted') {
    if (!same(hold.actual, item.actual)) return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }
    return { ok: true, state: hold.state, lines: lines(), overage: overageOf(hold), replayed: true }
  }
  if (hold.state === 'voided') return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }

  const late = hold.state === 'expired' || hold.expiresAtMs <= rows.nowMs
  lockPath(rows, hold.accounts)
  // A sum beyond what a column holds would fail the whole batch when it is written.
  const fits = (line: HoldLine): boolean =>
    isAmount(postedOn(rows, hold, line) + item.actual[line.unit])
  if (!hold.lines.every(fits)) return INVALID
  for (const line of hold.lines) {
    const released = hold.state === 'expired' ? 0n : -hold.amounts[line.unit]
    changeLine(rows, hold, line, { held: released, posted: item.actual[line.unit], untilMs: 0 })
  }
  const state = late ? 'late_posted' : 'posted'
  const settled: Hold = { ...hold, state, actual: item.actual }
  const overage = overageOf(settled)
  rows.putHold(settled)
  const usage: UsageRecord = {
    id: hold.id,
    tenantId: hold.tenantId,
    state,
    lines: hold.lines,
    overageNanoUsd: overage.usd,
    startedAtMs: hold.createdAtMs,
    settledAtMs: rows.nowMs,
    // Last: each field written behind a spread costs 0.4 us on Node 20.
    ...item.usage,
  }
  rows.addUsage(usage)
  rows.addEvent({
    id: hold.id,
    kind: 'usage',
    tenantId: hold.tenantId,
    payload: usagePayload(usage),
  })
  return { ok: true, state, lines: lines(), overage, replayed: false }
}

/** Releases a hold of a call that cost nothing. */
export function voidHold(rows: LedgerRows, item: VoidItem): VoidResult {
  const hold = rows.hold(item.holdId)
  if (!hold || hold.tenantId !== item.tenantId)
    return { ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND' }
  if (hold.state === 'voided') return { ok: true, replayed: true }
  if (hold.state === 'posted' || hold.state === 'late_posted')
    return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' }
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
    hold.accounts.every(
      (a, i) => a.id === item.accounts[i]!.id && a.depth === item.accounts[i]!.depth,
    )
  if (!matches) return { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH', denial: null }
  const lines = lockPath(rows, hold.accounts).filter((c) =>
    hold.lines.some((l) => sameCounter(c, l)),
  )
  return {
    ok: true,
    holdId: hold.id,
    expiresAtMs: hold.expiresAtMs,
    lines: lines.map(lineState),
    replayed: true,
  }
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

// Callers have checked what they send. These keep the defect of one caller out of the sums, and out
// of the batch of the others.
const areAmounts = (amounts: Amounts): boolean => UNITS.every((unit) => isAmount(amounts[unit]))
const isTtl = (ms: number): boolean => Number.isInteger(ms) && ms >= 1 && ms <= MAX_TTL_MS
const isSequence = (n: number): boolean => Number.isSafeInteger(n) && n >= 1
const isPath = (accounts: readonly AccountRef[]): boolean =>
  new Set(accounts.map((a) => a.id)).size === accounts.length

function release(rows: LedgerRows, hold: Hold): void {
  lockPath(rows, hold.accounts)
  for (const line of hold.lines)
    changeLine(rows, hold, line, { held: -hold.amounts[line.unit], posted: 0n, untilMs: 0 })
}

const same = (a: Amounts, b: Amounts): boolean => a.usd === b.usd

function overageOf(hold: Hold): Amounts {
  const over = hold.actual.usd - hold.amounts.usd
  return { usd: over > 0n ? over : 0n }
}

/** A usage row as the event a sink receives: amounts as decimal strings of nano-USD. */
function usagePayload(usage: UsageRecord): Record<string, unknown> {
  return {
    ...usage,
    costNanoUsd: String(usage.costNanoUsd),
    overageNanoUsd: String(usage.overageNanoUsd),
  }
}
