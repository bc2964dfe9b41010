/**
 * Usage rows read and summed, and the audit trail, in PostgreSQL.
 *
 * @module
 */

import type {
  AuditCommands,
  UsageAttribute,
  UsageCommands,
  UsageDimension,
  UsageListQuery,
  UsageTotal,
} from '../../storage/storage.ts'
import { pageOf } from '../../storage/stored-records.ts'
import type { Connection } from './connection.ts'
import { PgRowReader } from './decode.ts'
import type { PgParam, PgRow } from './executor.ts'
import { auditOf, rowsIn, usageOf } from './rows.ts'
import { findUsage, USAGE_ROW } from './usage-rows.ts'

const TAG = 'tag:'

export function usageCommands(connection: Connection): UsageCommands {
  return {
    totals: async ({ where = {}, days = [], after = null, limit = null, ...query }) => {
      const args = { ...query, where, days, after, limit }
      const rows = rowsIn(await connection.call('tk_usage_totals_v1', args, 'read'))
      return rows.map((row) => totalOf(row, query.by)).filter((total) => total.calls > 0)
    },
    list: (query) =>
      connection.read(query.tenantId, async (tx) => {
        const { text, params } = listStatement(query)
        const table = connection.names.table('api_key_usage_logs')
        const rows = await tx.query(`SELECT ${USAGE_ROW} FROM ${table} ${text}`, params)
        return rows.map(usageOf)
      }),
    get: (at) => connection.read(at.tenantId, (tx) => findUsage(tx, connection.names, at)),
  }
}

const COLUMN_OF: ReadonlyMap<UsageAttribute, string> = new Map<UsageAttribute, string>([
  ['key', 'key_id'],
  ['scope', 'scope'],
  ['provider', 'provider'],
  ['model', 'model'],
  ['operation', 'operation'],
  ['billable', 'billable::text'],
])

function listStatement({ tenantId, fromMs, untilMs, where = {}, after, limit }: UsageListQuery): {
  readonly text: string
  readonly params: readonly PgParam[]
} {
  const params: PgParam[] = []
  const mark = (value: PgParam): string => `$${params.push(value)}::text`
  const number = (value: number): string => `${mark(String(value))}::bigint`
  const conditions = [`tenant_id = ${mark(tenantId)}`]
  if (fromMs !== null) conditions.push(`settled_at_ms >= ${number(fromMs)}`)
  if (untilMs !== null) conditions.push(`settled_at_ms < ${number(untilMs)}`)
  for (const [attribute, value] of Object.entries(where)) {
    const column =
      COLUMN_OF.get(attribute as UsageAttribute) ??
      `(tags::jsonb->>${mark(attribute.slice(TAG.length))})`
    conditions.push(`${column} IS NOT DISTINCT FROM ${mark(value ?? null)}`)
  }
  if (after) {
    conditions.push(`(settled_at_ms, id) > (${number(after.settledAtMs)}, ${mark(after.id)})`)
  }
  const order = `ORDER BY settled_at_ms, id LIMIT ${number(limit)}`
  return { text: `WHERE ${conditions.join(' AND ')} ${order}`, params }
}

function totalOf(columns: PgRow, by: readonly UsageDimension[]): UsageTotal {
  const row = new PgRowReader('api_key_usage_logs', columns)
  const at = (dimension: UsageDimension): string | null => {
    const n = by.indexOf(dimension)
    return n < 0 ? null : row.textOrNull(`group_${n}`)
  }
  const tags = by.filter((d) => d.startsWith(TAG)).map((d) => [d.slice(TAG.length), at(d)])
  return {
    tenant: at('tenant'),
    key: at('key'),
    scope: at('scope'),
    provider: at('provider'),
    model: at('model'),
    operation: at('operation'),
    billable: at('billable'),
    day: at('day'),
    tags: Object.fromEntries(tags),
    calls: row.int('calls'),
    completedCalls: row.int('completed'),
    estimatedCalls: row.int('estimated'),
    unknownCalls: row.int('unknown'),
    billableCalls: row.int('billable_calls'),
    cacheHitCalls: row.int('cache_hits'),
    inputTokens: row.int('input'),
    cacheReadTokens: row.int('cache_read'),
    cacheWriteTokens: row.int('cache_write'),
    cacheWrite1hTokens: row.int('cache_write_1h'),
    inputAudioTokens: row.int('input_audio'),
    outputTokens: row.int('output'),
    reasoningTokens: row.int('reasoning'),
    outputAudioTokens: row.int('output_audio'),
    costNanoUsd: row.sum('cost'),
    billableCostNanoUsd: row.sum('billable_cost'),
    chargedNanoUsd: row.sum('charged'),
    credits: row.sum('credits'),
    timedCalls: row.int('timed'),
    durationMs: row.int('duration'),
    responseBytes: row.int('bytes'),
  }
}

export function auditCommands(connection: Connection): AuditCommands {
  return {
    list: async ({ rootId, after, limit }) => {
      const query = { rootId, after: after ?? '0', limit: limit + 1 }
      const rows = rowsIn(await connection.call('tk_audit_list_v1', query, 'read'))
      return pageOf(rows, auditOf, (row) => String(row.sequence), limit)
    },
  }
}
