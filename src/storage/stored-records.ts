/**
 * Rows of a database as records. The tables and columns have the same names in every database; only
 * how a driver gives a value differs, which {@link RowReader} knows.
 *
 * @module
 */
import type { ChargedUsage, LedgerEntry } from './ledger-entries.ts'
import type { PeriodHistory, UsageRecord } from './ledger-records.ts'
import type {
  AuditRecord,
  DekRecord,
  KeyRecord,
  OutboxRecord,
  QuarantinedEvent,
  SecretRecord,
  TenantRecord,
} from './records.ts'
import type { RowReader } from './row-reader.ts'
import type { Page } from './storage.ts'
import { isCountRecord, isLines, isTextList, isTextRecord } from './stored-json.ts'
import { WINDOWS } from './vocabulary.ts'

const HASH_BYTES = 32

/** A page out of one row more than it may hold, which tells whether there is another. */
export function pageOf<Row, T>(
  rows: readonly Row[],
  recordOf: (row: Row) => T,
  idOf: (record: T) => string,
  limit: number,
): Page<T> {
  const items = rows.slice(0, limit).map(recordOf)
  return { items, next: rows.length > limit ? idOf(items.at(-1)!) : null }
}

export interface RecordReaders<Row> {
  tenantOf(columns: Row): TenantRecord
  keyOf(columns: Row): KeyRecord
  secretOf(columns: Row): SecretRecord
  dekOf(columns: Row): DekRecord
  auditOf(columns: Row): AuditRecord
  eventOf(columns: Row): OutboxRecord
  quarantinedOf(columns: Row): QuarantinedEvent
  historyOf(columns: Row): PeriodHistory
  entryOf(columns: Row): LedgerEntry
  usageOf(columns: Row): UsageRecord
  chargedOf(columns: Row): ChargedUsage
}

/** @param open - a reader of one row of a table. */
export function recordReaders<Row>(
  open: (table: string, row: Row) => RowReader,
): RecordReaders<Row> {
  function tenantOf(columns: Row): TenantRecord {
    const row = open('tk_tenants', columns)
    return {
      id: row.text('id'),
      parentId: row.textOrNull('parent_id'),
      path: row.json('path', isTextList),
      credentials: row.oneOf('credentials', ['tenant', 'platform']),
      plan: row.isNull('plan')
        ? null
        : { name: row.text('plan'), version: row.int('plan_version') },
      createdAtMs: row.int('created_at_ms'),
    }
  }

  function keyOf(columns: Row): KeyRecord {
    const row = open('tenant_api_keys', columns)
    return {
      keyId: row.text('key_id'),
      tenantId: row.text('tenant_id'),
      name: row.text('name'),
      brand: row.text('brand'),
      environment: row.oneOf('environment', ['live', 'test']),
      scopes: row.json('scopes', isTextList),
      state: row.oneOf('state', ['active', 'disabled', 'revoked']),
      expiresAtMs: row.intOrNull('expires_at_ms'),
      createdAtMs: row.int('created_at_ms'),
      updatedAtMs: row.int('updated_at_ms'),
      last4: row.text('last4'),
      secretVersion: row.int('secret_version'),
      hash: row.bytes('hash', HASH_BYTES),
      pepperId: row.text('pepper_id'),
    }
  }

  function secretOf(columns: Row): SecretRecord {
    const row = open('tenant_secrets', columns)
    return {
      id: row.text('id'),
      tenantId: row.text('tenant_id'),
      provider: row.text('provider'),
      name: row.text('name'),
      version: row.int('version'),
      origin: row.textOrNull('origin'),
      publicFields: row.json('public_fields', isTextRecord),
      masked: row.text('masked'),
      dekId: row.text('dek_id'),
      envelope: row.bytes('envelope'),
      createdAtMs: row.int('created_at_ms'),
      updatedAtMs: row.int('updated_at_ms'),
    }
  }

  function dekOf(columns: Row): DekRecord {
    const row = open('tk_data_keys', columns)
    return {
      id: row.text('id'),
      tenantId: row.text('tenant_id'),
      generation: row.int('generation'),
      kekId: row.text('kek_id'),
      wrapped: row.bytes('wrapped'),
      seals: row.int('seals'),
      createdAtMs: row.int('created_at_ms'),
    }
  }

  function auditOf(columns: Row): AuditRecord {
    const row = open('tk_audit', columns)
    return {
      id: row.text('id'),
      rootId: row.text('root_id'),
      sequence: row.int('sequence'),
      tenantId: row.textOrNull('tenant_id'),
      atMs: row.int('at_ms'),
      actor: row.text('actor'),
      action: row.text('action'),
      target: row.text('target'),
      detail: row.json('detail', isTextRecord),
      previousHash: row.text('previous_hash'),
      hash: row.text('hash'),
    }
  }

  function eventOf(columns: Row): OutboxRecord {
    const row = open('tk_outbox', columns)
    return {
      id: row.text('id'),
      kind: row.text('kind'),
      tenantId: row.textOrNull('tenant_id'),
      atMs: row.int('at_ms'),
      payload: row.text('payload'),
      attempts: row.int('attempts'),
    }
  }

  function quarantinedOf(columns: Row): QuarantinedEvent {
    const row = open('tk_outbox', columns)
    return {
      ...eventOf(columns),
      quarantinedAtMs: row.int('quarantined_at_ms'),
      reason: row.text('reason'),
    }
  }

  function historyOf(columns: Row): PeriodHistory {
    const row = open('tk_counter_history', columns)
    return {
      accountId: row.text('account_id'),
      unit: row.unit('unit'),
      window: row.oneOf('period', WINDOWS),
      periodStartMs: row.int('period_start_ms'),
      posted: row.money('posted'),
      held: row.money('held'),
    }
  }

  function entryOf(columns: Row): LedgerEntry {
    const row = open('tk_budget_entries', columns)
    return {
      id: row.text('id'),
      tenantId: row.text('tenant_id'),
      accountId: row.text('account_id'),
      unit: row.unit('unit'),
      window: row.oneOf('period', WINDOWS),
      periodStartMs: row.int('period_start_ms'),
      kind: row.oneOf('kind', ['credit', 'adjust']),
      limitChange: row.money('limit_change'),
      postedChange: row.money('posted_change'),
      paid: row.money('paid'),
      note: row.text('note'),
      atMs: row.int('at_ms'),
    }
  }

  function usageOf(columns: Row): UsageRecord {
    const row = open('api_key_usage_logs', columns)
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

  function chargedOf(columns: Row): ChargedUsage {
    const row = open('api_key_usage_logs', columns)
    return {
      id: row.text('id'),
      tenantId: row.text('tenant_id'),
      state: row.oneOf('state', ['posted', 'late_posted']),
      lines: row.json('lines', isLines),
      amounts: row.amounts('amounts'),
      startedAtMs: row.int('started_at_ms'),
      settledAtMs: row.int('settled_at_ms'),
    }
  }

  return {
    tenantOf,
    keyOf,
    secretOf,
    dekOf,
    auditOf,
    eventOf,
    quarantinedOf,
    historyOf,
    entryOf,
    usageOf,
    chargedOf,
  }
}
