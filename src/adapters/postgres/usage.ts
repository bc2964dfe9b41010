/**
 * Usage totals, the outbox and the audit trail in PostgreSQL.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type {
  AuditCommands,
  OutboxCommands,
  UsageCommands,
  UsageDimension,
  UsageTotal,
} from '../../storage/storage.ts'
import type { Connection } from './connection.ts'
import { RowReader } from './decode.ts'
import type { PgRow } from './executor.ts'
import { auditOf, eventOf, pageOf, rowsIn } from './rows.ts'

const COLUMN_OF: Readonly<Record<UsageDimension, string>> = {
  tenant: 'tenant_id',
  key: 'key_id',
  scope: 'scope',
  provider: 'provider',
  model: 'model',
}

export function usageTotals(connection: Connection): UsageCommands['totals'] {
  return async ({ tenantId, fromMs, untilMs, by }) => {
    const query = { tenantId, fromMs, untilMs, by: by.map((dimension) => COLUMN_OF[dimension]) }
    const rows = rowsIn(await connection.call('tk_usage_totals_v1', query, 'read'))
    return rows.map((row) => totalOf(row, by)).filter((total) => total.calls > 0)
  }
}

function totalOf(columns: PgRow, by: readonly UsageDimension[]): UsageTotal {
  const row = new RowReader('api_key_usage_logs', columns)
  const value = (dimension: UsageDimension): string | null =>
    by.includes(dimension) ? row.textOrNull(COLUMN_OF[dimension]) : null
  return {
    tenant: value('tenant'),
    key: value('key'),
    scope: value('scope'),
    provider: value('provider'),
    model: value('model'),
    calls: row.int('calls'),
    inputTokens: row.int('input'),
    outputTokens: row.int('output'),
    costNanoUsd: row.sum('cost'),
  }
}

export function outboxCommands(connection: Connection): OutboxCommands {
  return {
    lease: async ({ limit, leaseMs }) => {
      const leaseId = uuidv7()
      const answer = await connection.call('tk_outbox_lease_v1', { leaseId, limit, leaseMs })
      return { leaseId, events: rowsIn(answer).map(eventOf) }
    },
    ack: async ({ leaseId, ids }) => {
      const removed = await connection.call('tk_outbox_ack_v1', { leaseId, ids })
      if (typeof removed === 'number') return removed
      throw new TenantKeysError('TK_STORE_CORRUPT', { reason: 'a count cannot be read' })
    },
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
