/**
 * Usage rows: one per settled hold, with the lines it was charged on.
 *
 * @module
 */
import type { HoldLine, UsageRecord } from '../../storage/ledger-records.ts'
import type { SqliteClient, SqliteRow } from './client.ts'
import { amountsText, isCountRecord, isTextRecord, listOf, RowReader } from './decode.ts'

export const isLines = listOf<HoldLine>({
  accountId: 'text',
  unit: 'text',
  window: 'text',
  periodStartMs: 'int',
})

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

export function usageOf(columns: SqliteRow): UsageRecord {
  const row = new RowReader('api_key_usage_logs', columns)
  return {
    id: row.text('id'),
    tenantId: row.text('tenant_id'),
    callId: row.text('call_id'),
    keyId: row.textOrNull('key_id'),
    scope: row.textOrNull('scope'),
    provider: row.text('provider'),
    model: row.text('model'),
    operation: row.text('operation'),
    servedModel: row.textOrNull('served_model'),
    priceId: row.textOrNull('price_id'),
    outcome: row.oneOf('outcome', ['completed', 'aborted', 'broken', 'unreadable']),
    quality: row.oneOf('quality', ['measured', 'estimated', 'unknown']),
    httpStatus: row.intOrNull('http_status'),
    tokens: {
      input: row.int('input_tokens'),
      cacheRead: row.intOrNull('cache_read_tokens'),
      cacheWrite: row.intOrNull('cache_write_tokens'),
      cacheWrite1h: row.intOrNull('cache_write_1h_tokens'),
      inputAudio: row.intOrNull('input_audio_tokens'),
      output: row.int('output_tokens'),
      reasoning: row.intOrNull('reasoning_tokens'),
      outputAudio: row.intOrNull('output_audio_tokens'),
    },
    counts: row.json('counts', isCountRecord),
    costNanoUsd: row.money('cost_nano_usd'),
    providerCostNanoUsd: row.moneyOrNull('provider_cost_nano_usd'),
    chargedNanoUsd: row.money('charged_nano_usd'),
    overageNanoUsd: row.money('overage_nano_usd'),
    paidBy: row.oneOf('paid_by', ['tenant', 'platform']),
    billable: row.flag('billable'),
    secretId: row.textOrNull('secret_id'),
    secretVersion: row.intOrNull('secret_version'),
    tags: row.json('tags', isTextRecord),
    durationMs: row.intOrNull('duration_ms'),
    responseBytes: row.intOrNull('response_bytes'),
    state: row.oneOf('state', ['posted', 'late_posted']),
    lines: row.json('lines', isLines),
    amounts: row.amounts('amounts'),
    startedAtMs: row.int('started_at_ms'),
    settledAtMs: row.int('settled_at_ms'),
  }
}
