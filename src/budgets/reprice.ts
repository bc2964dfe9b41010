/**
 * The rules for re-pricing: a usage row whose price was not known is given one later, and the budgets
 * that it was charged to are corrected by entries. What was charged at first stays in the row's
 * `amounts`; the entries say what came after, so that sums still follow from rows and entries.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { LedgerEntry, Repricing } from '../storage/ledger-entries.ts'
import type { Counter, HoldLine, UsageRecord } from '../storage/ledger-records.ts'
import { alerted } from './alerts.ts'
import { ADDS_UP, type EntryRows } from './entries.ts'
import { usagePayload } from './ledger.ts'
import { isLine, sameCounter } from './ledger-lines.ts'
import { MAX_SUM } from './money.ts'

/** What these rules need besides those of entries. */
export interface RepriceRows extends EntryRows {
  /** Replaces a usage row that is there. */
  setUsage(row: UsageRecord): void
}

/**
 * @returns `null` when the tenant has no such row, or it says something else by now; nothing is
 *   written then.
 * @throws TenantKeysError TK_INPUT_INVALID when what is used would fall below zero or leave 64 bits;
 *   TK_BUDGET_ENTRY_MISMATCH when the host gave the id of one of these entries to another.
 */
export function repriceUsage(rows: RepriceRows, item: Repricing): UsageRecord | null {
  const { tenantId, id, was, becomes } = item
  const usage = rows.usageRow(tenantId, id)
  if (!usage || usage.priceId !== was.priceId || usage.costNanoUsd !== was.costNanoUsd) return null
  const change = becomes.costNanoUsd - was.costNanoUsd
  if (change !== 0n) {
    usage.lines.forEach((line, n) => {
      if (line.unit === 'usd') correct(rows, usage, { line, n, change, priceId: becomes.priceId })
    })
  }
  const repriced: UsageRecord = { ...usage, ...becomes }
  rows.setUsage(repriced)
  rows.addEvent({
    id: `${id}.repriced`,
    kind: 'usage.repriced',
    tenantId,
    payload: usagePayload(repriced),
  })
  return repriced
}

/** Of the entry for the n-th line of a usage row. */
export const entryIdOf = (usageId: string, n: number): string => `reprice.${usageId}.${n}`

interface Correction {
  readonly line: HoldLine
  readonly n: number
  readonly change: bigint
  readonly priceId: string
}

/** In the period that was charged. A budget that was removed has nothing to correct, nor has one that
 * was set again since: it never contained this call. */
function correct(
  rows: EntryRows,
  usage: UsageRecord,
  { line, n, change, priceId }: Correction,
): void {
  const counter = rows.countersOf(line.accountId).find((c) => sameCounter(c, line))
  if (!counter || counter.createdAtMs > usage.startedAtMs || !ADDS_UP.has(line.window)) return
  const entry: LedgerEntry = {
    id: entryIdOf(usage.id, n),
    tenantId: counter.tenantId,
    accountId: line.accountId,
    unit: line.unit,
    window: line.window,
    periodStartMs: line.periodStartMs,
    kind: 'adjust',
    limitChange: 0n,
    postedChange: change,
    paid: 0n,
    note: `repriced: ${priceId}`,
    atMs: rows.nowMs,
  }
  if (rows.entry(entry.tenantId, entry.id)) {
    throw new TenantKeysError('TK_BUDGET_ENTRY_MISMATCH', { tenantId: entry.tenantId })
  }
  if (post(rows, counter, line, change)) rows.addEntry(entry)
}

/** @returns false when the period is kept nowhere any more. */
function post(rows: EntryRows, counter: Counter, line: HoldLine, change: bigint): boolean {
  if (isLine(counter, line)) {
    const changed = { ...counter, posted: checked(counter.posted + change) }
    rows.putCounter(change > 0n ? alerted(rows, changed) : changed)
    return true
  }
  const past = rows.history(line)
  if (!past) return false
  rows.putHistory({ ...past, posted: checked(past.posted + change) })
  return true
}

function checked(posted: bigint): bigint {
  if (posted >= 0n && posted <= MAX_SUM) return posted
  const reason =
    posted < 0n ? 'what is used would fall below zero' : 'what is used would leave 64 bits'
  throw new TenantKeysError('TK_INPUT_INVALID', { field: 'id', reason })
}
