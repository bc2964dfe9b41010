/**
 * Reading usage rows, and the audit trail, in SQLite.
 *
 * @module
 */

import type { AuditCommands, UsageCommands } from '../../storage/storage.ts'
import { pageOf } from '../../storage/stored-records.ts'
import type { Connection } from './connection.ts'
import { auditOf, usageOf } from './rows.ts'
import { findUsage } from './usage-rows.ts'
import { conditionsOf, totalOf, totalsStatement } from './usage-totals.ts'

export function usageCommands(connection: Connection): UsageCommands {
  return {
    totals: (query) =>
      connection.read(({ client }) => {
        const { sql, params } = totalsStatement(query)
        const rows = client.all(sql, ...params).map((row) => totalOf(row, query.by))
        return rows.filter((total) => total.calls > 0)
      }),
    list: ({ after, limit, ...query }) =>
      connection.read(({ client }) => {
        const { text, params } = conditionsOf(query, [
          ['(settled_at_ms, id) > (?, ?)', after && [after.settledAtMs, after.id]],
        ])
        const sql = `SELECT * FROM api_key_usage_logs ${text} ORDER BY settled_at_ms, id LIMIT ?`
        return client.all(sql, ...params, limit).map(usageOf)
      }),
    get: ({ tenantId, id }) => connection.read(({ client }) => findUsage(client, tenantId, id)),
  }
}

const LIST_AUDIT =
  'SELECT * FROM tk_audit WHERE root_id = ? AND sequence > ? ORDER BY sequence LIMIT ?'

export function auditCommands(connection: Connection): AuditCommands {
  return {
    list: ({ rootId, after, limit }) =>
      connection.read(({ client }) => {
        const rows = client.all(LIST_AUDIT, rootId, Number(after ?? 0), limit + 1)
        return pageOf(rows, auditOf, (row) => String(row.sequence), limit)
      }),
  }
}
