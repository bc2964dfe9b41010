/**
 * Rows as records: tenants, keys, secrets, data keys, audit, outbox; and the columns to select for
 * each, as texts.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import type { TenantRecord } from '../../storage/records.ts'
import { recordReaders } from '../../storage/stored-records.ts'
import { PgRowReader } from './decode.ts'
import type { PgQueries, PgRow } from './executor.ts'
import type { Names } from './names.ts'

export const TENANT_COLUMNS = `id, parent_id, array_to_json(path)::text AS path, credentials, plan,
  plan_version::text, created_at_ms::text`

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

export const SECRET_COLUMNS = `id, tenant_id, provider, name, version::text, origin, public_fields,
  masked, dek_id, encode(envelope, 'hex') AS envelope, created_at_ms::text, updated_at_ms::text`

export const DEK_COLUMNS = `id, tenant_id, generation::text, kek_id,
  encode(wrapped, 'hex') AS wrapped, seals::text, created_at_ms::text`

export const AUDIT_COLUMNS = `id, root_id, sequence::text, tenant_id, at_ms::text, actor, action,
  target, detail, previous_hash, hash`

export const EVENT_COLUMNS = 'id, kind, tenant_id, at_ms::text, payload, attempts::text'

export const QUARANTINED_COLUMNS = `${EVENT_COLUMNS}, quarantined_at_ms::text, reason`

/** Rows that a function of ours answered with. */
export function rowsIn(answer: unknown): readonly PgRow[] {
  if (Array.isArray(answer)) return answer.map(rowIn)
  throw new TenantKeysError('TK_STORE_CORRUPT', { reason: 'the answer of a function is no list' })
}

export function rowIn(answer: unknown): PgRow {
  if (typeof answer === 'object' && answer !== null) return answer as PgRow
  throw new TenantKeysError('TK_STORE_CORRUPT', { reason: 'the answer of a function is no row' })
}

export const {
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
} = recordReaders<PgRow>((table, row) => new PgRowReader(table, row))
