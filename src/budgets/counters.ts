/**
 * The rules for budgets as rows: what `setBudget` makes of a counter, whose account it may be, and
 * which amounts a store takes at all. Beside `ledger.ts`; memory and SQLite run both inside one transaction.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Amounts, Counter, Hold, LineState } from '../storage/ledger-records.ts'
import type { BudgetKey, NewBudget } from '../storage/storage.ts'
import { type LedgerRows, lineState, lockPath, UNITS } from './ledger.ts'
import { MAX_AMOUNT } from './money.ts'
import { periodOf } from './windows.ts'

/**
 * Creates the counter at zero, or changes the limit of the one that is there and keeps its sums.
 *
 * @param live - the holds in state `held`. A budget that was removed and set again must carry what
 *   calls in flight hold on it, or their settles would take it below zero.
 */
export function setBudget(
  rows: LedgerRows,
  budget: NewBudget,
  live: () => Iterable<Hold>,
): Counter {
  const { account, tenantId, unit, window, zone, limit, source } = budget
  checkAmount(limit, 'limit')
  const known = lockPath(rows, [account]).find((c) => c.unit === unit && c.window === window)
  // Another zone would move the edges of a period that is already being charged.
  if (known && known.zone !== zone) throw invalid('zone', 'the zone of a budget cannot change')
  const counter: Counter = known
    ? { ...known, depth: account.depth, limit, source }
    : carry(live(), {
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
        source,
        createdAtMs: rows.nowMs,
      })
  rows.putCounter(counter)
  return counter
}

function carry(live: Iterable<Hold>, counter: Counter): Counter {
  const { accountId, unit, window, periodStartMs } = counter
  let { held, heldUntilMs } = counter
  for (const hold of live) {
    const charged = hold.lines.some(
      (line) =>
        line.accountId === accountId &&
        line.unit === unit &&
        line.window === window &&
        line.periodStartMs === periodStartMs,
    )
    if (!charged) continue
    held += hold.amounts[unit]
    heldUntilMs = Math.max(heldUntilMs, hold.expiresAtMs)
  }
  return { ...counter, held, heldUntilMs }
}

/** What `LedgerCommands.budgets` answers: by account id, unit, window, rolled to the present. */
export function budgetsOf(rows: LedgerRows, accountIds: Iterable<string>): LineState[] {
  const accounts = [...accountIds].map((id) => ({ id, depth: 0 }))
  const nameOf = (line: LineState): string => `${line.accountId}\0${line.unit}\0${line.window}`
  return lockPath(rows, accounts)
    .map(lineState)
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
}

/**
 * A tenant sets budgets on its own account and on its own keys; anything else is as if it did not
 * exist (ST-3).
 *
 * @param tenantOfKey - `null` when there is no such key.
 * @throws TenantKeysError TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND
 */
export function checkOwner(
  { tenantId, account }: BudgetKey,
  tenantOfKey: (keyId: string) => string | null,
): void {
  if (account.id === `tenant:${tenantId}`) return
  if (!account.id.startsWith('key:')) throw new TenantKeysError('TK_TENANT_NOT_FOUND')
  if (tenantOfKey(account.id.slice(4)) !== tenantId) throw new TenantKeysError('TK_KEY_NOT_FOUND')
}

/** Refuses a batch before anything of it is written; callers have checked their amounts already.
 * @throws TenantKeysError TK_INPUT_INVALID */
export function checkAmounts(batch: readonly Amounts[]): void {
  for (const amounts of batch) for (const unit of UNITS) checkAmount(amounts[unit], unit)
}

function checkAmount(amount: unknown, field: string): void {
  if (typeof amount !== 'bigint' || amount < 0n || amount > MAX_AMOUNT) {
    throw invalid(field, 'expected a bigint from 0 to 9e18')
  }
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason })
