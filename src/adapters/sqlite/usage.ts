/**
 * Usage totals and the audit trail in SQLite.
 *
 * @module
 */
import type {
  AuditCommands,
  UsageCommands,
  UsageDimension,
  UsageQuery,
  UsageTotal,
} from '../../storage/storage.ts'
import type { SqliteRow, SqliteValue } from './client.ts'
import type { Connection } from './connection.ts'
import { RowReader } from './decode.ts'
import { auditOf, pageOf } from './rows.ts'
import { findUsage } from './usage-rows.ts'

const COLUMN_OF: Readonly<Record<UsageDimension, string>> = {
  tenant: 'tenant_id',
  key: 'key_id',
  scope: 'scope',
  provider: 'provider',
  model: 'model',
}

const NANO_PER_USD = 1_000_000_000n

/** Dollars and the rest are summed apart: SQLite's SUM stops at 64 bits, and never rounds here. */
const SUMS = `COUNT(*) AS calls, SUM(input_tokens) AS input, SUM(output_tokens) AS output,
  SUM(cost_nano_usd / ${NANO_PER_USD}) AS whole, SUM(cost_nano_usd % ${NANO_PER_USD}) AS rest`

export function usageCommands(connection: Connection): UsageCommands {
  return {
    totals: (query) =>
      connection.read(({ client }) => {
        const { sql, params } = totalsStatement(query)
        const rows = client.all(sql, ...params).map((row) => totalOf(row, query.by))
        return rows.filter((total) => total.calls > 0)
      }),
    get: ({ tenantId, id }) => connection.read(({ client }) => findUsage(client, tenantId, id)),
  }
}

function totalsStatement({ tenantId, fromMs, untilMs, by }: UsageQuery): {
  sql: string
  params: SqliteValue[]
} {
  const conditions: readonly (readonly [string, SqliteValue])[] = [
    ['tenant_id = ?', tenantId],
    ['settled_at_ms >= ?', fromMs],
    ['settled_at_ms < ?', untilMs],
  ]
  const asked = conditions.filter(([, value]) => value !== null)
  const where = asked.length > 0 ? `WHERE ${asked.map(([text]) => text).join(' AND ')}` : ''
  const columns = by.map((dimension) => COLUMN_OF[dimension]).join(', ')
  const grouped = by.length > 0 ? `GROUP BY ${columns} ORDER BY ${columns}` : ''
  const selected = by.length > 0 ? `${columns}, ${SUMS}` : SUMS
  return {
    sql: `SELECT ${selected} FROM api_key_usage_logs ${where} ${grouped}`,
    params: asked.map(([, value]) => value),
  }
}

function totalOf(columns: SqliteRow, by: readonly UsageDimension[]): UsageTotal {
  const row = new RowReader('api_key_usage_logs', columns)
  const calls = row.int('calls')
  const value = (dimension: UsageDimension): string | null =>
    by.includes(dimension) ? row.textOrNull(COLUMN_OF[dimension]) : null
  return {
    tenant: value('tenant'),
    key: value('key'),
    scope: value('scope'),
    provider: value('provider'),
    model: value('model'),
    calls,
    // A sum over no rows is NULL.
    inputTokens: calls === 0 ? 0 : row.int('input'),
    outputTokens: calls === 0 ? 0 : row.int('output'),
    costNanoUsd: calls === 0 ? 0n : row.money('whole') * NANO_PER_USD + row.money('rest'),
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
