/**
 * Entries: rows that changed a budget without a call.
 *
 * @module
 */

import type { LedgerEntry } from '../../storage/ledger-entries.ts'
import type { SqliteClient } from './client.ts'
import { entryOf } from './rows.ts'

const GET = 'SELECT * FROM tk_budget_entries WHERE tenant_id = ? AND id = ?'
const ADD = `INSERT INTO tk_budget_entries
  (tenant_id, id, account_id, unit, period, period_start_ms, kind, limit_change, posted_change,
   paid, note, at_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

export function findEntry(client: SqliteClient, tenantId: string, id: string): LedgerEntry | null {
  const row = client.get(GET, tenantId, id)
  return row && entryOf(row)
}

export function addEntry(client: SqliteClient, entry: LedgerEntry): void {
  client.run(
    ADD,
    entry.tenantId,
    entry.id,
    entry.accountId,
    entry.unit,
    entry.window,
    entry.periodStartMs,
    entry.kind,
    entry.limitChange,
    entry.postedChange,
    entry.paid,
    entry.note,
    entry.atMs,
  )
}
