/**
 * Re-pricing in PostgreSQL: the rules of `budgets/reprice.ts` over rows that were locked and read first.
 *
 * @module
 */
import { entryIdOf, repriceUsage } from '../../budgets/reprice.ts'
import type { Also } from '../../storage/also.ts'
import type { LedgerEntry, Repricing } from '../../storage/ledger-entries.ts'
import type { PeriodHistory, UsageRecord } from '../../storage/ledger-records.ts'
import { writeAlso } from './also.ts'
import type { Connection, Tx } from './connection.ts'
import { findEntry } from './entry-rows.ts'
import { lockAccounts, PgLedgerRows, readHistory } from './ledger-rows.ts'
import type { Names } from './names.ts'
import { findTenant } from './rows.ts'
import { findUsage } from './usage-rows.ts'

export async function reprice(
  connection: Connection,
  item: Repricing,
  also: Also,
): Promise<UsageRecord | null> {
  const { names } = connection
  const { tenantId } = item
  // Budgets above the tenant follow too. Its place in the tree never changes.
  const tenant = await connection.read(tenantId, (tx) => findTenant(tx, names, tenantId))
  if (tenant === null) return null
  return connection.write(tenant.path, async (tx) => {
    const rows = await rowsFor(tx, names, item, tenant.path)
    const repriced = rows && repriceUsage(rows, item)
    if (!rows || !repriced) return null
    await rows.flush(tx, names)
    await writeAlso(tx, also)
    return repriced
  })
}

/** Counters are locked before the usage row, as everywhere; its lines never change. */
async function rowsFor(
  tx: Tx,
  names: Names,
  item: Repricing,
  path: readonly string[],
): Promise<PgLedgerRows | null> {
  const found = await findUsage(tx, names, item)
  if (found === null) return null
  const accountIds = [...new Set(found.lines.map((line) => line.accountId))]
  const locked = await lockAccounts(tx, names, { tenantIds: path, accountIds })
  const usage = await findUsage(tx, names, item, 'FOR UPDATE')
  if (usage === null) return null
  const history: PeriodHistory[] = []
  const entries: LedgerEntry[] = []
  for (const [n, line] of usage.lines.entries()) {
    const at = { limit: 1, startMs: line.periodStartMs }
    history.push(...(await readHistory(tx, names, line, at)))
    for (const tenantId of path) {
      const entry = await findEntry(tx, names, { tenantId, id: entryIdOf(usage.id, n) })
      if (entry !== null) entries.push(entry)
    }
  }
  const counters = accountIds.flatMap((id) => locked.countersOf(id))
  return new PgLedgerRows(locked.nowMs, counters, { history, entries, usage: [usage] })
}
