/**
 * Tenants and platform keys in PostgreSQL.
 *
 * @module
 */

import { isOlder, onPlan } from '../../budgets/plan-rows.ts'
import { toHex } from '../../kernel/encoding.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { KeyRecord, TenantRecord } from '../../storage/records.ts'
import type {
  EpochReading,
  KeyCommands,
  PlanChange,
  TenantCommands,
} from '../../storage/storage.ts'
import { pageOf } from '../../storage/stored-records.ts'
import { writeAlso } from './also.ts'
import type { Connection, Tx } from './connection.ts'
import type { PgParam, PgQueries, PgRow } from './executor.ts'
import { applyPlanBudgets } from './ledger.ts'
import type { Names } from './names.ts'
import { findTenant, KEY_COLUMNS, keyOf, needTenant, rowIn, rowsIn, tenantOf } from './rows.ts'

export function tenantCommands(connection: Connection): TenantCommands {
  const { names } = connection
  const table = names.table('tk_tenants')
  const add = `INSERT INTO ${table} (id, parent_id, path, credentials, created_at_ms)
    VALUES ($1, $2, ARRAY(SELECT jsonb_array_elements_text($3::text::jsonb)), $4, $5::bigint)
    ON CONFLICT (id) DO NOTHING RETURNING id`
  const page = async (
    given: { readonly after: string | null; readonly limit: number },
    filter: { readonly parentId?: string | null; readonly plan?: string },
  ) => {
    const query = { ...filter, after: given.after ?? '', limit: given.limit + 1 }
    const rows = rowsIn(await connection.call('tk_tenant_list_v1', query, 'read'))
    return pageOf(rows, tenantOf, (tenant) => tenant.id, given.limit)
  }
  return {
    create: ({ id, parentId, credentials, plan = null }, also) =>
      connection.write(parentId === null ? id : [id, parentId], async (tx) => {
        // Whoever makes a tenant of this id at the same time is waited for.
        const there = await findTenant(tx, names, id)
        if (there) throw new TenantKeysError('TK_TENANT_EXISTS', { tenantId: id })
        const above = parentId === null ? [] : (await needTenant(tx, names, parentId)).path
        const path = [...above, id]
        const bare = { id, parentId, path, credentials, plan: null, createdAtMs: tx.nowMs }
        const values = [id, parentId, JSON.stringify(path), credentials, String(tx.nowMs)]
        if ((await tx.query(add, values)).length === 0) {
          throw new TenantKeysError('TK_TENANT_EXISTS', { tenantId: id })
        }
        const tenant = plan === null ? bare : await setPlan(tx, names, bare, plan)
        tx.raiseEpoch()
        await writeAlso(tx, also)
        return tenant
      }),
    setPlan: ({ tenantId, onlyIfOlder, ...change }, also) =>
      connection.write(tenantId, async (tx) => {
        // Who waits for nothing but this lock may hold counters, and write rows that name the tenant.
        await tx.query(`SELECT id FROM ${table} WHERE id = $1 FOR NO KEY UPDATE`, [tenantId])
        const tenant = await needTenant(tx, names, tenantId)
        if (onlyIfOlder && !isOlder(tenant.plan, change.plan)) return null
        const changed = await setPlan(tx, names, tenant, change)
        tx.raiseEpoch()
        await writeAlso(tx, also)
        return changed
      }),
    listByPlan: ({ plan, ...query }) => page(query, { plan }),
    get: (tenantId) => connection.read(tenantId, (tx) => findTenant(tx, names, tenantId)),
    list: ({ parentId, ...query }) => page(query, { parentId }),
  }
}

async function setPlan(
  tx: Tx,
  names: Names,
  tenant: TenantRecord,
  change: PlanChange,
): Promise<TenantRecord> {
  await applyPlanBudgets(tx, names, tenant, change)
  const changed = onPlan(tenant, change)
  const { plan, credentials, id } = changed
  await tx.query(
    `UPDATE ${names.table('tk_tenants')}
     SET plan = $1, plan_version = $2::bigint, credentials = $3 WHERE id = $4`,
    [plan?.name ?? null, plan === null ? null : String(plan.version), credentials, id],
  )
  return changed
}

export function keyCommands(connection: Connection): KeyCommands {
  const { names } = connection
  const table = names.table('tenant_api_keys')
  const add = `INSERT INTO ${table} (tenant_id, key_id, name, brand, environment, scopes, state,
      expires_at_ms, created_at_ms, updated_at_ms, last4, secret_version, hash, pepper_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::bigint, $9::bigint, $10::bigint, $11, $12::bigint,
      decode($13::text, 'hex'), $14)`
  const get = `SELECT ${KEY_COLUMNS} FROM ${table} WHERE tenant_id = $1 AND key_id = $2`
  const list = `SELECT ${KEY_COLUMNS} FROM ${table}
    WHERE tenant_id = $1 AND key_id > $2 ORDER BY key_id LIMIT $3::bigint`
  const setState = `UPDATE ${table} SET state = $1, updated_at_ms = $2::bigint
    WHERE tenant_id = $3 AND key_id = $4`
  const find = async (tx: PgQueries, sql: string, params: PgParam[]): Promise<KeyRecord | null> => {
    const [row] = await tx.query(sql, params)
    return row ? keyOf(row) : null
  }
  return {
    create: (given, also) =>
      connection.write(given.tenantId, async (tx) => {
        await needTenant(tx, names, given.tenantId)
        const key: KeyRecord = {
          ...given,
          scopes: [...given.scopes],
          hash: Uint8Array.from(given.hash),
          state: 'active',
          secretVersion: 1,
          createdAtMs: tx.nowMs,
          updatedAtMs: tx.nowMs,
        }
        await tx.query(add, columnsOf(key))
        tx.raiseEpoch()
        await writeAlso(tx, also)
        return key
      }),
    find: async (keyId) => {
      const answer = rowIn(await connection.call('tk_key_find_v1', { keyId }, 'read'))
      const { key, tenant } = answer
      return {
        ...readingOf(connection, answer),
        found: key === null ? null : { key: keyOf(rowIn(key)), tenant: tenantOf(rowIn(tenant)) },
      }
    },
    get: ({ tenantId, keyId }) =>
      connection.read(tenantId, (tx) => find(tx, get, [tenantId, keyId])),
    list: ({ tenantId, after, limit }) =>
      connection.read(tenantId, async (tx) => {
        const rows = await tx.query(list, [tenantId, after ?? '', String(limit + 1)])
        return pageOf(rows, keyOf, (key) => key.keyId, limit)
      }),
    setState: ({ tenantId, keyId, state }, also) =>
      connection.write(tenantId, async (tx) => {
        const key = await find(tx, `${get} FOR UPDATE`, [tenantId, keyId])
        if (!key || key.state === state) return key
        if (key.state === 'revoked') throw new TenantKeysError('TK_KEY_REVOKED', { keyId })
        await tx.query(setState, [state, String(tx.nowMs), tenantId, keyId])
        tx.raiseEpoch()
        await writeAlso(tx, also)
        return { ...key, state, updatedAtMs: tx.nowMs }
      }),
  }
}

/** The epoch, and the time, of an answer that carries both. */
export function readingOf(connection: Connection, columns: PgRow): EpochReading {
  const { epoch, nowMs } = columns
  if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(nowMs)) {
    throw new TenantKeysError('TK_STORE_CORRUPT', { reason: 'the epoch cannot be read' })
  }
  return { epoch: Number(epoch), nowMs: connection.notBefore(Number(nowMs)) }
}

const textOrNull = (value: number | null): PgParam => (value === null ? null : String(value))

const columnsOf = (key: KeyRecord): PgParam[] => [
  key.tenantId,
  key.keyId,
  key.name,
  key.brand,
  key.environment,
  JSON.stringify(key.scopes),
  key.state,
  textOrNull(key.expiresAtMs),
  String(key.createdAtMs),
  String(key.updatedAtMs),
  key.last4,
  String(key.secretVersion),
  toHex(key.hash),
  key.pepperId,
]
