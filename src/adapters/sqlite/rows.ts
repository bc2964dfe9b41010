/**
 * Rows as records: tenants, keys, secrets, data keys, audit, outbox.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import type { TenantRecord } from '../../storage/records.ts'
import { isTextList } from '../../storage/stored-json.ts'
import { recordReaders } from '../../storage/stored-records.ts'
import type { SqliteClient, SqliteRow } from './client.ts'
import { SqliteRowReader } from './decode.ts'

const FIND_TENANT = 'SELECT * FROM tk_tenants WHERE id = ?'

export function findTenant(client: SqliteClient, tenantId: string): TenantRecord | null {
  const row = client.get(FIND_TENANT, tenantId)
  return row && tenantOf(row)
}

const FIND_PATH = 'SELECT path FROM tk_tenants WHERE id = ?'

/** Ids from the root down to the tenant; `null`: there is no such tenant. */
export function findPath(client: SqliteClient, tenantId: string): readonly string[] | null {
  const row = client.get(FIND_PATH, tenantId)
  return row && new SqliteRowReader('tk_tenants', row).json('path', isTextList)
}

/** @throws TenantKeysError TK_TENANT_NOT_FOUND */
export function needTenant(client: SqliteClient, tenantId: string): TenantRecord {
  const tenant = findTenant(client, tenantId)
  if (!tenant) throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
  return tenant
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
} = recordReaders<SqliteRow>((table, row) => new SqliteRowReader(table, row))
