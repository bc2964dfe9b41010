/**
 * The rules for budgets as rows: what `setBudget` makes of a counter, and whose account it may be.
 * Beside `ledger.ts`; memory and SQLite run both inside one transaction.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Counter, LineState, PeriodHistory } from '../storage/ledger-records.ts'
import type { BudgetKey, BudgetPeriods, NewBudget, NewLimit } from '../storage/storage.ts'
import { alerted } from './alerts.ts'
import { type LedgerRows, lineState, lockPath } from './ledger-lines.ts'
import { isAmount } from './money.ts'
import { NO_BUCKETS } from './rate.ts'
import { periodOf } from './windows.ts'

/** Creates the counter at zero, or changes the limit of the one that is there and keeps its sums. */
export function setBudget(rows: LedgerRows, budget: NewBudget): Counter {
  const { account, tenantId, unit, window, zone, limit, source } = budget
  const { counts = 'all', overflow = null, alerts = [] } = budget
  if (!isAmount(limit)) throw invalid('limit', 'expected a bigint from 0 to 9e18')
  const known = lockPath(rows, [account]).find((c) => c.unit === unit && c.window === window)
  // Another zone would move the edges of a period that is already being charged.
  if (known && known.zone !== zone) throw invalid('zone', 'the zone of a budget cannot change')
  const counter: Counter = known
    ? alerted(rows, { ...known, depth: account.depth, limit, counts, overflow, alerts, source })
    : {
        accountId: account.id,
        depth: account.depth,
        tenantId,
        unit,
        window,
        zone,
        limit,
        periodStartMs: periodOf(window, zone, rows.nowMs).startMs,
        posted: 0n,
        held: 0n,
        heldUntilMs: 0,
        buckets: NO_BUCKETS,
        counts,
        overflow,
        alerts,
        alertedPercent: 0,
        source,
        createdAtMs: rows.nowMs,
      }
  rows.putCounter(counter)
  return counter
}

/** What `LedgerCommands.setLimits` does to each. A limit never falls below what is charged already:
 * who computed it looked before the latest calls. */
export function setLimit(rows: LedgerRows, { tenantId, limit, ...key }: NewLimit): Counter {
  const { account, unit, window } = key
  if (!isAmount(limit)) throw invalid('limit', 'expected a bigint from 0 to 9e18')
  const known = lockPath(rows, [account]).find((c) => c.unit === unit && c.window === window)
  if (known?.tenantId !== tenantId) throw new TenantKeysError('TK_BUDGET_NOT_FOUND', { tenantId })
  if (limit < known.posted + known.held) {
    throw new TenantKeysError('TK_STORE_CONFLICT', { tenantId, field: 'limit' })
  }
  const counter = alerted(rows, { ...known, limit, source: 'explicit' })
  rows.putCounter(counter)
  return counter
}

/**
 * What `LedgerCommands.periods` answers.
 *
 * @param counter - as stored: its period may have ended without a call that rolled it.
 * @param history - of this counter, in any order.
 * @param isOver - whether it has; said by who rolls it, whose rules of the zone may be others than ours.
 */
export function periodsOf(
  counter: Counter,
  history: readonly PeriodHistory[],
  { isOver, limit }: { readonly isOver: boolean; readonly limit: number },
): BudgetPeriods {
  const { accountId, unit, window, periodStartMs, posted, held } = counter
  const last = { accountId, unit, window, periodStartMs, posted, held }
  const ended = isOver ? [last, ...history] : [...history]
  ended.sort((a, b) => b.periodStartMs - a.periodStartMs)
  return { limit: counter.limit, ended: ended.slice(0, limit) }
}

/** Whether the next call would start another period of this counter. */
export const isPeriodOver = ({ window, zone, periodStartMs }: Counter, nowMs: number): boolean =>
  periodStartMs < periodOf(window, zone, nowMs).startMs

/** What `LedgerCommands.budgets` answers: by account id, unit, window, rolled to the present. */
export function budgetsOf(rows: LedgerRows, accountIds: Iterable<string>): LineState[] {
  const accounts = [...accountIds].map((id) => ({ id, depth: 0 }))
  const nameOf = (line: LineState): string => `${line.accountId}\0${line.unit}\0${line.window}`
  return lockPath(rows, accounts)
    .map(lineState)
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
}

/**
 * A tenant sets budgets on its own account and on its own keys. A key of another tenant is refused
 * like one that never existed (ST-3).
 *
 * @param tenantOfKey - `null` when there is no such key.
 * @throws TenantKeysError TK_INPUT_INVALID
 */
export function checkOwner(
  { tenantId, account }: BudgetKey,
  tenantOfKey: (keyId: string) => string | null,
): void {
  if (account.id === `tenant:${tenantId}`) return
  if (account.id.startsWith('key:') && tenantOfKey(account.id.slice(4)) === tenantId) return
  throw invalid('account', 'this tenant has no such account')
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason })
