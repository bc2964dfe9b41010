/**
 * Rows as records: tenants, keys, secrets, data keys, audit, outbox; and the columns to select for
 * each, as texts.
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
import { isTextList, isTextRecord, RowReader } from './decode.ts'
import type { PgQueries, PgRow } from './executor.ts'
import type { Names } from './names.ts'

const HASH_BYTES = 32

export const TENANT_COLUMNS = `id, parent_id, array_to_json(path)::text AS path, credentials, plan,
  plan_version::text, created_at_ms::text`

export function tenantOf(columns: PgRow): TenantRecord {
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

/** Of a tenant that the transaction was set to. */
export async function findTenant(
  tx: PgQueries,
  names: Names,
  tenantId: string,
): Promise<TenantRecord | null> {
  const [row] = await tx.query(
    `SELECT ${TENANT_COLUMNS} FROM ${names.table('tk_tenants')} WHERE id = $1`,
    [tenantId],
  )
  return row ? tenantOf(row) : null
}

/** @throws TenantKeysError TK_TENANT_NOT_FOUND */
export async function needTenant(
  tx: PgQueries,
  names: Names,
  tenantId: string,
): Promise<TenantRecord> {
  const tenant = await findTenant(tx, names, tenantId)
  if (!tenant) throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
  return tenant
}

export const KEY_COLUMNS = `tenant_id, key_id, name, brand, environment, scopes, state,
  expires_at_ms::text, created_at_ms::text, updated_at_ms::text, last4, secret_version::text,
  encode(hash, 'hex') AS hash, pepper_id`

export function keyOf(columns: PgRow): KeyRecord {
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

export const SECRET_COLUMNS = `id, tenant_id, provider, name, version::text, origin, public_fields,
  masked, dek_id, encode(envelope, 'hex') AS envelope, created_at_ms::text, updated_at_ms::text`

export function secretOf(columns: PgRow): SecretRecord {
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

export const DEK_COLUMNS = `id, tenant_id, generation::text, kek_id,
  encode(wrapped, 'hex') AS wrapped, seals::text, created_at_ms::text`

export function dekOf(columns: PgRow): DekRecord {
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

export const AUDIT_COLUMNS = `id, root_id, sequence::text, tenant_id, at_ms::text, actor, action,
  target, detail, previous_hash, hash`

export function auditOf(columns: PgRow): AuditRecord {
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

export const EVENT_COLUMNS = 'id, kind, tenant_id, at_ms::text, payload, attempts::text'

export function eventOf(columns: PgRow): OutboxRecord {
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

export const QUARANTINED_COLUMNS = `${EVENT_COLUMNS}, quarantined_at_ms::text, reason`

export function quarantinedOf(columns: PgRow): QuarantinedEvent {
  const row = new RowReader('tk_outbox', columns)
  return {
    ...eventOf(columns),
    quarantinedAtMs: row.int('quarantined_at_ms'),
    reason: row.text('reason'),
  }
}

/** A page out of one row more than it may hold, which tells whether there is another. */
export function pageOf<T>(
  rows: readonly PgRow[],
  recordOf: (row: PgRow) => T,
  idOf: (record: T) => string,
  limit: number,
): Page<T> {
  const items = rows.slice(0, limit).map(recordOf)
  return { items, next: rows.length > limit ? idOf(items.at(-1)!) : null }
}

/** Rows that a function of ours answered with. */
export function rowsIn(answer: unknown): readonly PgRow[] {
  if (Array.isArray(answer)) return answer.map(rowIn)
  throw new TenantKeysError('TK_STORE_CORRUPT', { reason: 'the answer of a function is no list' })
}

export function rowIn(answer: unknown): PgRow {
  if (typeof answer === 'object' && answer !== null) return answer as PgRow
  throw new TenantKeysError('TK_STORE_CORRUPT', { reason: 'the answer of a function is no row' })
}
