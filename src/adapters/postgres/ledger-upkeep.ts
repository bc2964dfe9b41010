/**
 * What keeps a ledger in order, in PostgreSQL: the snapshot that is compared, and mends.
 *
 * @module
 */

import { repairLedger } from '../../budgets/repair.ts'
import type { Also } from '../../storage/also.ts'
import type { LedgerSnapshot, Repair } from '../../storage/ledger-entries.ts'
import { writeAlso } from './also.ts'
import type { ReadTx, Tx } from './connection.ts'
import { PgRowReader } from './decode.ts'
import type { PgRow } from './executor.ts'
import { findHold, holdOf } from './hold-rows.ts'
import { counterOf, lockAccounts, PgLedgerRows, readHistory } from './ledger-rows.ts'
import type { LEDGER_PARTS } from './ledger-sql/parts.ts'
import type { Names } from './names.ts'
import { chargedOf, entryOf, historyOf, rowsIn } from './rows.ts'
import { findUsage } from './usage-rows.ts'

const PAGE = 5000

/** Everything in it is of the moment at which the transaction began. */
export async function snapshot(tx: ReadTx, tenantId: string): Promise<LedgerSnapshot | null> {
  const all = async <T>(part: keyof typeof LEDGER_PARTS, of: (row: PgRow) => T): Promise<T[]> => {
    const found: T[] = []
    for (let after = ''; ; ) {
      const query = { part, tenantId, after, limit: PAGE }
      const rows = rowsIn(await tx.call('tk_ledger_part_v1', query))
      for (const row of rows) found.push(of(row))
      if (rows.length < PAGE) return found
      after = String(rows.at(-1)!.cursor)
    }
  }
  const tenants = await all('tenants', (columns) => {
    const row = new PgRowReader('tk_tenants', columns)
    return { id: row.text('id'), parentId: row.textOrNull('parent_id') }
  })
  if (tenants.length === 0) return null
  return {
    nowMs: tx.nowMs,
    tenants,
    counters: await all('counters', counterOf),
    history: await all('history', historyOf),
    holds: await all('holds', holdOf),
    usage: await all('usage', chargedOf),
    entries: await all('entries', entryOf),
  }
}

export async function mend(tx: Tx, names: Names, repair: Repair, also: Also): Promise<boolean> {
  const rows = await rowsFor(tx, names, repair)
  if (!repairLedger(rows, repair)) return false
  await rows.flush(tx, names)
  await writeAlso(tx, also)
  return true
}

async function rowsFor(tx: Tx, names: Names, repair: Repair): Promise<PgLedgerRows> {
  const { tenantId } = repair
  if (repair.kind === 'counter') {
    const { line } = repair
    const needed = { tenantIds: [tenantId], accountIds: [line.accountId] }
    // Locked first: whoever changes an ended period holds the lock of its counter.
    const counters = await lockAccounts(tx, names, needed)
    const history = await readHistory(tx, names, line, { limit: 1, startMs: line.periodStartMs })
    return new PgLedgerRows(counters.nowMs, counters.countersOf(line.accountId), { history })
  }
  const { holdId } = repair
  const hold = await findHold(tx, names, { tenantId, holdId }, 'FOR UPDATE')
  const usage = await findUsage(tx, names, { tenantId, id: holdId })
  return new PgLedgerRows(tx.nowMs, [], {
    holds: hold === null ? [] : [hold],
    usage: usage === null ? [] : [usage],
  })
}
