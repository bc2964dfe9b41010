/**
 * Usage rows: one per settled hold, with the lines it was charged on.
 *
 * @module
 */

import type { UsageRecord } from '../../storage/ledger-records.ts'
import { amountsText } from '../../storage/stored-json.ts'
import type { SqliteClient } from './client.ts'
import { usageOf } from './rows.ts'

const COLUMNS = [
  'tenant_id',
  'id',
  'call_id',
  'key_id',
  'scope',
  'provider',
  'model',
  'operation',
  'served_model',
  'price_id',
  'outcome',
  'quality',
  'http_status',
  'input_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'cache_write_1h_tokens',
  'input_audio_tokens',
  'output_tokens',
  'reasoning_tokens',
  'output_audio_tokens',
  'counts',
  'cost_nano_usd',
  'provider_cost_nano_usd',
  'charged_nano_usd',
  'overage_nano_usd',
  'paid_by',
  'billable',
  'secret_id',
  'secret_version',
  'tags',
  'duration_ms',
  'response_bytes',
  'state',
  'lines',
  'amounts',
  'started_at_ms',
  'settled_at_ms',
]
const ADD = `INSERT INTO api_key_usage_logs (${COLUMNS.join(', ')})
  VALUES (${COLUMNS.map(() => '?').join(', ')})`

const FIND = 'SELECT * FROM api_key_usage_logs WHERE tenant_id = ? AND id = ?'

export function findUsage(client: SqliteClient, tenantId: string, id: string): UsageRecord | null {
  const row = client.get(FIND, tenantId, id)
  return row && usageOf(row)
}

const REPRICE = `UPDATE api_key_usage_logs
  SET price_id = ?, cost_nano_usd = ?, charged_nano_usd = ?, quality = ?
  WHERE tenant_id = ? AND id = ?`

/** What a new price changes of a row. */
export function repriceRow(client: SqliteClient, usage: UsageRecord): void {
  const { priceId, costNanoUsd, chargedNanoUsd, quality, tenantId, id } = usage
  client.run(REPRICE, priceId, costNanoUsd, chargedNanoUsd, quality, tenantId, id)
}

export function addUsage(client: SqliteClient, usage: UsageRecord): void {
  const { tokens } = usage
  client.run(
    ADD,
    usage.tenantId,
    usage.id,
    usage.callId,
    usage.keyId,
    usage.scope,
    usage.provider,
    usage.model,
    usage.operation,
    usage.servedModel,
    usage.priceId,
    usage.outcome,
    usage.quality,
    usage.httpStatus,
    tokens.input,
    tokens.cacheRead,
    tokens.cacheWrite,
    tokens.cacheWrite1h,
    tokens.inputAudio,
    tokens.output,
    tokens.reasoning,
    tokens.outputAudio,
    JSON.stringify(usage.counts),
    usage.costNanoUsd,
    usage.providerCostNanoUsd,
    usage.chargedNanoUsd,
    usage.overageNanoUsd,
    usage.paidBy,
    usage.billable ? 1 : 0,
    usage.secretId,
    usage.secretVersion,
    JSON.stringify(usage.tags),
    usage.durationMs,
    usage.responseBytes,
    usage.state,
    JSON.stringify(usage.lines),
    amountsText(usage.amounts),
    usage.startedAtMs,
    usage.settledAtMs,
  )
}
