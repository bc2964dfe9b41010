/**
 * The rules for entries: credits raise a limit, adjustments correct what is used. Each is written in
 * the step that changes the counter, once per id.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { LedgerEntry, NewEntry, PostedEntry } from '../storage/ledger-entries.ts'
import type { Counter, Window } from '../storage/ledger-records.ts'
import { alerted } from './alerts.ts'
import { setBudget } from './counters.ts'
import { type LedgerRows, lineState, lockPath, sameCounter } from './ledger-lines.ts'
import { isAmount, MAX_SUM } from './money.ts'

/** What these rules need besides the ledger's own rows. */
export interface EntryRows extends LedgerRows {
  entry(tenantId: string, id: string): LedgerEntry | null
  addEntry(entry: LedgerEntry): void
}

/**
 * The same id with the same parameters gives the same entry again and changes nothing, also in a
 * later period.
 *
 * @throws TenantKeysError TK_BUDGET_ENTRY_MISMATCH when the id stands for something else;
 *   TK_BUDGET_NOT_FOUND when there is nothing to adjust; TK_INPUT_INVALID when the limit would pass
 *   9e18, or what is used would fall below zero or leave 64 bits. Nothing is written then.
 */
export function postEntry(rows: EntryRows, item: NewEntry): PostedEntry {
  const { account, unit, window, tenantId, id } = item
  const named = { accountId: account.id, unit, window, periodStartMs: 0 }
  const find = (): Counter | undefined =>
    lockPath(rows, [account]).find((counter) => sameCounter(counter, named))
  const known = rows.entry(tenantId, id)
  if (known) {
    if (!isSame(known, item)) throw new TenantKeysError('TK_BUDGET_ENTRY_MISMATCH', { tenantId })
    const counter = find()
    return { entry: known, line: counter ? lineState(counter) : null, replayed: true }
  }
  const counter = find() ?? opened(rows, item)
  const changed = item.kind === 'credit' ? credited(counter, item) : adjusted(rows, counter, item)
  rows.putCounter(changed)
  const entry: LedgerEntry = {
    id,
    tenantId,
    accountId: account.id,
    unit,
    window,
    periodStartMs: changed.periodStartMs,
    kind: item.kind,
    limitChange: item.limitChange,
    postedChange: item.postedChange,
    paid: item.paid,
    note: item.note,
    atMs: rows.nowMs,
  }
  rows.addEntry(entry)
  return { entry, line: lineState(changed), replayed: false }
}

/** Credits create the prepaid budget that is not there yet; there is nothing to adjust in it. */
function opened(rows: EntryRows, { kind, ...item }: NewEntry): Counter {
  const { account, unit, window, tenantId } = item
  if (kind === 'adjust') {
    throw new TenantKeysError('TK_BUDGET_NOT_FOUND', { tenantId, reason: `${window} of ${unit}` })
  }
  const { zone, alerts = [] } = item
  const budget = { tenantId, account, unit, window, zone, alerts, limit: 0n, source: 'explicit' }
  return setBudget(rows, budget)
}

function credited(counter: Counter, { limitChange, postedChange }: NewEntry): Counter {
  const limit = counter.limit + limitChange
  if (limitChange <= 0n || postedChange !== 0n || !isAmount(limit)) {
    throw invalid('expected more than zero, and a limit of at most 9e18 after it')
  }
  // Whoever recharges is warned again when the larger amount runs out (S0.28).
  const reached = counter.alerts.filter(
    (p) => p <= counter.alertedPercent && counter.posted * 100n >= limit * BigInt(p),
  )
  return { ...counter, limit, alertedPercent: Math.max(0, ...reached) }
}

/** Windows that add up what was used; the others have nothing to correct. */
export const ADDS_UP: ReadonlySet<Window> = new Set<Window>([
  'minute',
  'hour',
  'day',
  'week',
  'month',
  'lifetime',
])

function adjusted(rows: EntryRows, counter: Counter, item: NewEntry): Counter {
  const { window, limitChange, postedChange } = item
  if (!ADDS_UP.has(window)) {
    throw new TenantKeysError('TK_INPUT_INVALID', {
      field: 'window',
      reason: 'this window does not add up what is used',
    })
  }
  const posted = counter.posted + postedChange
  if (postedChange === 0n || limitChange !== 0n) throw invalid('expected an amount other than zero')
  if (posted < 0n) throw invalid('what is used would fall below zero')
  if (posted > MAX_SUM) throw invalid('what is used would leave 64 bits')
  const changed = { ...counter, posted }
  return postedChange > 0n ? alerted(rows, changed) : changed
}

const isSame = (known: LedgerEntry, item: NewEntry): boolean =>
  known.kind === item.kind &&
  known.accountId === item.account.id &&
  known.unit === item.unit &&
  known.window === item.window &&
  known.limitChange === item.limitChange &&
  known.postedChange === item.postedChange &&
  known.paid === item.paid &&
  known.note === item.note

const invalid = (reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field: 'amount', reason })
