/**
 * What keeps a ledger in order, in SQLite: the snapshot that is compared, and the end of old holds.
 *
 * @module
 */

import type { LedgerSnapshot, PruneQuery } from '../../storage/ledger-entries.ts'
import type { ReadTx } from './connection.ts'
import { SqliteRowReader } from './decode.ts'
import { counterOf, holdOf } from './ledger-rows.ts'
import { chargedOf, entryOf, historyOf } from './rows.ts'

/** A tenant and all below it. */
const TREE = `WITH RECURSIVE tree (id) AS (
  SELECT id FROM tk_tenants WHERE id = ?
  UNION ALL SELECT t.id FROM tk_tenants t JOIN tree ON t.parent_id = tree.id)`
const IN_TREE = 'WHERE tenant_id IN (SELECT id FROM tree)'
const TENANTS = `${TREE} SELECT id, parent_id FROM tk_tenants WHERE id IN (SELECT id FROM tree)`
const COUNTERS = `${TREE} SELECT * FROM tk_counters ${IN_TREE}`
const HISTORY = `${TREE} SELECT * FROM tk_counter_history
  WHERE account_id IN (SELECT account_id FROM tk_counters ${IN_TREE})`
const HOLDS = `${TREE} SELECT * FROM tk_holds ${IN_TREE}`
const USAGE = `${TREE} SELECT id, tenant_id, state, lines, amounts, started_at_ms, settled_at_ms
  FROM api_key_usage_logs ${IN_TREE}`
const ENTRIES = `${TREE} SELECT * FROM tk_budget_entries ${IN_TREE}`

export function snapshot({ client, nowMs }: ReadTx, tenantId: string): LedgerSnapshot | null {
  const tenants = client.all(TENANTS, tenantId).map((columns) => {
    const row = new SqliteRowReader('tk_tenants', columns)
    return { id: row.text('id'), parentId: row.textOrNull('parent_id') }
  })
  if (tenants.length === 0) return null
  return {
    nowMs,
    tenants,
    counters: client.all(COUNTERS, tenantId).map(counterOf),
    history: client.all(HISTORY, tenantId).map(historyOf),
    holds: client.all(HOLDS, tenantId).map(holdOf),
    usage: client.all(USAGE, tenantId).map(chargedOf),
    entries: client.all(ENTRIES, tenantId).map(entryOf),
  }
}

/** As `isOver` of `budgets/prune.ts` says. Events of a hold are named after it: `<hold>` or
 * `<hold>.<what>`; `/` is the letter after the point. */
const PRUNE = `DELETE FROM tk_holds WHERE id IN (
  SELECT h.id FROM tk_holds h
  LEFT JOIN api_key_usage_logs u ON u.tenant_id = h.tenant_id AND u.id = h.id
  WHERE h.expires_at_ms <= ?
    AND (h.state IN ('voided', 'expired')
      OR (h.state IN ('posted', 'late_posted') AND u.settled_at_ms <= ?))
    AND NOT EXISTS (SELECT 1 FROM tk_outbox o WHERE o.id = h.id)
    AND NOT EXISTS (SELECT 1 FROM tk_outbox o WHERE o.id > h.id || '.' AND o.id < h.id || '/')
  ORDER BY h.id LIMIT ?)`

export function prune({ client, nowMs }: ReadTx, { olderThanMs, limit }: PruneQuery): number {
  const beforeMs = nowMs - olderThanMs
  return client.run(PRUNE, beforeMs, beforeMs, limit)
}
