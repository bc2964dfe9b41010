/**
 * Entries: rows that changed a budget without a call.
 *
 * @module
 */
import { WINDOWS } from '../../budgets/windows.ts'
import type { LedgerEntry } from '../../storage/ledger-entries.ts'
import type { SqliteClient, SqliteRow } from './client.ts'
import { RowReader } from './decode.ts'

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

export function entryOf(columns: SqliteRow): LedgerEntry {
  const row = new RowReader('tk_budget_entries', columns)
  return {
    id: row.text('id'),
    tenantId: row.text('tenant_id'),
    accountId: row.text('account_id'),
    unit: row.text('unit'),
    window: row.oneOf('period', WINDOWS),
    periodStartMs: row.int('period_start_ms'),
    kind: row.oneOf('kind', ['credit', 'adjust']),
    limitChange: row.money('limit_change'),
    postedChange: row.money('posted_change'),
    paid: row.money('paid'),
    note: row.text('note'),
    atMs: row.int('at_ms'),
  }
}
