/**
 * The ledger in SQLite: the rules of `budgets/ledger.ts` inside one transaction per batch.
 *
 * @module
 */

import {
  budgetsOf,
  checkOwner,
  isPeriodOver,
  periodsOf,
  setBudget,
  setLimit,
} from '../../budgets/counters.ts'
import { postEntry } from '../../budgets/entries.ts'
import * as rules from '../../budgets/ledger.ts'
import { checkPrune } from '../../budgets/prune.ts'
import { repairLedger } from '../../budgets/repair.ts'
import { repriceUsage } from '../../budgets/reprice.ts'
import type { LedgerCommands } from '../../storage/storage.ts'
import { writeAlso } from './also.ts'
import type { Connection, ReadTx } from './connection.ts'
import { SqliteRowReader } from './decode.ts'
import { counterOf, holdOf, SqliteLedgerRows } from './ledger-rows.ts'
import { prune, snapshot } from './ledger-upkeep.ts'
import { historyOf, needTenant } from './rows.ts'
import { findKey } from './tenants-keys.ts'

const REMOVE_COUNTER = `DELETE FROM tk_counters
  WHERE tenant_id = ? AND account_id = ? AND unit = ? AND period = ?`
const OWN_ACCOUNTS = 'SELECT DISTINCT account_id FROM tk_counters WHERE tenant_id = ?'
const OWN_COUNTER = `SELECT * FROM tk_counters
  WHERE tenant_id = ? AND account_id = ? AND unit = ? AND period = ?`
const NEWEST_PERIODS = `SELECT * FROM tk_counter_history
  WHERE account_id = ? AND unit = ? AND period = ? ORDER BY period_start_ms DESC LIMIT ?`
const OWN_HOLD = 'SELECT * FROM tk_holds WHERE id = ? AND tenant_id = ?'

const rowsOf = ({ client, nowMs }: ReadTx): SqliteLedgerRows => new SqliteLedgerRows(client, nowMs)

export function ledgerCommands(connection: Connection): LedgerCommands {
  /** Items one after the other, in one transaction. */
  const each = <I, R>(
    items: readonly I[],
    rule: (rows: rules.LedgerRows, item: I) => R,
  ): Promise<R[]> =>
    connection.write((tx) => {
      const rows = rowsOf(tx)
      const results = items.map((item) => rule(rows, item))
      rows.flush()
      return results
    })
  return {
    setBudget: (budget, also) =>
      connection.write((tx) => {
        needTenant(tx.client, budget.tenantId)
        checkOwner(budget, (keyId) => findKey(tx.client, keyId)?.tenantId ?? null)
        const rows = rowsOf(tx)
        const counter = setBudget(rows, budget)
        rows.flush()
        writeAlso(tx, also)
        return counter
      }),
    setLimits: (limits, also) =>
      connection.write((tx) => {
        const rows = rowsOf(tx)
        const counters = limits.map((limit) => setLimit(rows, limit))
        rows.flush()
        writeAlso(tx, also)
        return counters
      }),
    removeBudget: ({ tenantId, account, unit, window }, also) =>
      connection.write((tx) => {
        if (tx.client.run(REMOVE_COUNTER, tenantId, account.id, unit, window) === 0) return false
        writeAlso(tx, also)
        return true
      }),
    budgets: (tenantId) =>
      connection.snapshot((tx) => {
        const own = tx.client.all(OWN_ACCOUNTS, tenantId)
        const ids = own.map((row) => new SqliteRowReader('tk_counters', row).text('account_id'))
        return budgetsOf(rowsOf(tx), ids)
      }),
    periods: ({ tenantId, account, unit, window, limit }) =>
      connection.snapshot(({ client, nowMs }) => {
        const columns = client.get(OWN_COUNTER, tenantId, account.id, unit, window)
        if (columns === null) return null
        const history = client.all(NEWEST_PERIODS, account.id, unit, window, limit).map(historyOf)
        const counter = counterOf(columns)
        return periodsOf(counter, history, { isOver: isPeriodOver(counter, nowMs), limit })
      }),
    reserve: (items) => each(items, rules.reserve),
    preview: (item) => connection.snapshot((tx) => rules.preview(rowsOf(tx), item)),
    extend: (items) => each(items, rules.extend),
    settle: (items) => each(items, rules.settle),
    void: (items) => each(items, rules.voidHold),
    sweep: (limit) =>
      connection.write((tx) => {
        const rows = rowsOf(tx)
        const expired = rules.sweep(rows, limit)
        rows.flush()
        return expired
      }),
    hold: ({ tenantId, holdId }) =>
      connection.read(({ client }) => {
        const row = client.get(OWN_HOLD, holdId, tenantId)
        return row && holdOf(row)
      }),
    post: (entry, also) =>
      connection.write((tx) => {
        needTenant(tx.client, entry.tenantId)
        checkOwner(entry, (keyId) => findKey(tx.client, keyId)?.tenantId ?? null)
        const rows = rowsOf(tx)
        const posted = postEntry(rows, entry)
        rows.flush()
        if (!posted.replayed) writeAlso(tx, also)
        return posted
      }),
    audit: (tenantId) => connection.snapshot((tx) => snapshot(tx, tenantId)),
    repair: (repair, also) =>
      connection.write((tx) => {
        const rows = rowsOf(tx)
        if (!repairLedger(rows, repair)) return false
        rows.flush()
        writeAlso(tx, also)
        return true
      }),
    reprice: (item, also) =>
      connection.write((tx) => {
        const rows = rowsOf(tx)
        const repriced = repriceUsage(rows, item)
        if (repriced === null) return null
        rows.flush()
        writeAlso(tx, also)
        return repriced
      }),
    prune: async (query) => {
      checkPrune(query)
      return connection.write((tx) => prune(tx, query))
    },
  }
}
