/**
 * Entries: rows that changed a budget without a call.
 *
 * @module
 */

import type { LedgerEntry } from '../../storage/ledger-entries.ts'
import type { PgQueries } from './executor.ts'
import { ENTRY_COLUMNS } from './ledger-sql/parts.ts'
import type { Names } from './names.ts'
import { entryOf } from './rows.ts'

export async function findEntry(
  tx: PgQueries,
  names: Names,
  at: { readonly tenantId: string; readonly id: string },
): Promise<LedgerEntry | null> {
  const [row] = await tx.query(
    `SELECT ${ENTRY_COLUMNS} FROM ${names.table('tk_budget_entries')} r
     WHERE r.tenant_id = $1 AND r.id = $2`,
    [at.tenantId, at.id],
  )
  return row ? entryOf(row) : null
}

/** @throws an error of SQLSTATE 23505 (TK_STORE_CONFLICT) when another command has just taken the id. */
export async function addEntry(tx: PgQueries, names: Names, entry: LedgerEntry): Promise<void> {
  await tx.query(
    `INSERT INTO ${names.table('tk_budget_entries')} (tenant_id, id, account_id, unit, period,
       period_start_ms, kind, limit_change, posted_change, paid, note, at_ms)
     VALUES ($1, $2, $3, $4, $5, $6::bigint, $7, $8::bigint, $9::bigint, $10::bigint, $11,
       $12::bigint)`,
    [
      entry.tenantId,
      entry.id,
      entry.accountId,
      entry.unit,
      entry.window,
      String(entry.periodStartMs),
      entry.kind,
      String(entry.limitChange),
      String(entry.postedChange),
      String(entry.paid),
      entry.note,
      String(entry.atMs),
    ],
  )
}
