/**
 * Rows as records: tenants, keys, secrets, data keys, audit, outbox.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import type {
  AuditRecord,
  DekRecord,
  KeyRecord,
  OutboxRecord,
  QuarantinedEvent,
  SecretRecord,
  TenantRecord,
} from '../../storage/records.ts'
import type { Page } from '../../storage/storage.ts'
import type { SqliteClient, SqliteRow } from './client.ts'
import { isTextList, isTextRecord, RowReader } from './decode.ts'

const HASH_BYTES = 32
const FIND_TENANT = 'SELECT * FROM tk_tenants WHERE id = ?'

export function findTenant(client: SqliteClient, tenantId: string): TenantRecord | null {
  const row = client.get(FIND_TENANT, tenantId)
  return row && tenantOf(row)
}

/** @throws TenantKeysError TK_TENANT_NOT_FOUND */
export function needTenant(client: SqliteClient, tenantId: string): TenantRecord {
  const tenant = findTenant(client, tenantId)
  if (!tenant) throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
  return tenant
}

/** A page out of one row more than it may hold, which tells whether there is another. */
export function pageOf<T>(
  rows: readonly SqliteRow[],
  recordOf: (row: SqliteRow) => T,
  idOf: (record: T) => string,
  limit: number,
): Page<T> {
  const items = rows.slice(0, limit).map(recordOf)
  return { items, next: rows.length > limit ? idOf(items.at(-1)!) : null }
}

export function tenantOf(columns: SqliteRow): TenantRecord {
  const row = new RowReader('tk_tenants', columns)
  return {
    id: row.text('id'),
    parentId: row.textOrNull('parent_id'),
    path: row.json('path', isTextList),
    credentials: row.oneOf('credentials', ['tenant', 'platform']),
    plan: row.isNull('plan') ? null : { name: row.text('plan'), version: row.int('plan_version') },
    createdAtMs: row.int('created_at_ms'),
  }
}

export function keyOf(columns: SqliteRow): KeyRecord {
  const row = new RowReader('tenant_api_keys', columns)
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

export function secretOf(columns: SqliteRow): SecretRecord {
  const row = new RowReader('tenant_secrets', columns)
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

export function dekOf(columns: SqliteRow): DekRecord {
  const row = new RowReader('tk_data_keys', columns)
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

export function auditOf(columns: SqliteRow): AuditRecord {
  const row = new RowReader('tk_audit', columns)
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

export function eventOf(columns: SqliteRow): OutboxRecord {
  const row = new RowReader('tk_outbox', columns)
  return {
    id: row.text('id'),
    kind: row.text('kind'),
    tenantId: row.textOrNull('tenant_id'),
    atMs: row.int('at_ms'),
    payload: row.text('payload'),
    attempts: row.int('attempts'),
  }
}

export function quarantinedOf(columns: SqliteRow): QuarantinedEvent {
  const row = new RowReader('tk_outbox', columns)
  return {
    ...eventOf(columns),
    quarantinedAtMs: row.int('quarantined_at_ms'),
    reason: row.text('reason'),
  }
}
