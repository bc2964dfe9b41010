/**
 * Tenants and platform keys in SQLite.
 *
 * @module
 */

import { setBudget } from '../../budgets/counters.ts'
import { isOlder, onPlan, planRows } from '../../budgets/plan-rows.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { KeyRecord, TenantRecord } from '../../storage/records.ts'
import type { KeyCommands, PlanChange, TenantCommands } from '../../storage/storage.ts'
import { pageOf } from '../../storage/stored-records.ts'
import { writeAlso } from './also.ts'
import type { SqliteClient } from './client.ts'
import type { Connection, Tx } from './connection.ts'
import { SqliteLedgerRows } from './ledger-rows.ts'
import { findTenant, keyOf, needTenant, tenantOf } from './rows.ts'

const ADD_TENANT = `INSERT INTO tk_tenants
  (id, parent_id, path, credentials, created_at_ms) VALUES (?, ?, ?, ?, ?)`
const LIST_TENANTS = 'SELECT * FROM tk_tenants WHERE id > ? ORDER BY id LIMIT ?'
const LIST_CHILDREN = 'SELECT * FROM tk_tenants WHERE parent_id = ? AND id > ? ORDER BY id LIMIT ?'

const LIST_BY_PLAN = 'SELECT * FROM tk_tenants WHERE plan = ? AND id > ? ORDER BY id LIMIT ?'
const SET_PLAN = 'UPDATE tk_tenants SET plan = ?, plan_version = ?, credentials = ? WHERE id = ?'
const REMOVE_COUNTER = 'DELETE FROM tk_counters WHERE account_id = ? AND unit = ? AND period = ?'

function setPlan({ client, nowMs }: Tx, tenant: TenantRecord, change: PlanChange): TenantRecord {
  const before = new SqliteLedgerRows(client, nowMs).countersOf(`tenant:${tenant.id}`)
  const { remove, set } = planRows(tenant, change, before)
  for (const { accountId, unit, window } of remove)
    client.run(REMOVE_COUNTER, accountId, unit, window)
  // Others than those above, which still hold what was removed.
  const rows = new SqliteLedgerRows(client, nowMs)
  for (const budget of set) setBudget(rows, budget)
  rows.flush()
  const changed = onPlan(tenant, change)
  const { plan, credentials, id } = changed
  client.run(SET_PLAN, plan?.name ?? null, plan?.version ?? null, credentials, id)
  return changed
}

export function tenantCommands(connection: Connection): TenantCommands {
  return {
    create: ({ id, parentId, credentials, plan = null }, also) =>
      connection.write((tx) => {
        const { client, nowMs } = tx
        if (findTenant(client, id)) throw new TenantKeysError('TK_TENANT_EXISTS', { tenantId: id })
        const above = parentId === null ? [] : needTenant(client, parentId).path
        const path = [...above, id]
        const bare = { id, parentId, path, credentials, plan: null, createdAtMs: nowMs }
        client.run(ADD_TENANT, id, parentId, JSON.stringify(path), credentials, nowMs)
        const tenant = plan === null ? bare : setPlan(tx, bare, plan)
        tx.raiseEpoch()
        writeAlso(tx, also)
        return tenant
      }),
    setPlan: ({ tenantId, onlyIfOlder, ...change }, also) =>
      connection.write((tx) => {
        const tenant = needTenant(tx.client, tenantId)
        if (onlyIfOlder && !isOlder(tenant.plan, change.plan)) return null
        const changed = setPlan(tx, tenant, change)
        tx.raiseEpoch()
        writeAlso(tx, also)
        return changed
      }),
    listByPlan: ({ plan, after, limit }) =>
      connection.read(({ client }) => {
        const rows = client.all(LIST_BY_PLAN, plan, after ?? '', limit + 1)
        return pageOf(rows, tenantOf, (tenant) => tenant.id, limit)
      }),
    get: (tenantId) => connection.read(({ client }) => findTenant(client, tenantId)),
    list: ({ parentId, after, limit }) =>
      connection.read(({ client }) => {
        const rows =
          parentId === null
            ? client.all(LIST_TENANTS, after ?? '', limit + 1)
            : client.all(LIST_CHILDREN, parentId, after ?? '', limit + 1)
        return pageOf(rows, tenantOf, (tenant) => tenant.id, limit)
      }),
  }
}

const ADD_KEY = `INSERT INTO tenant_api_keys
  (tenant_id, key_id, name, brand, environment, scopes, state, expires_at_ms, created_at_ms,
   updated_at_ms, last4, secret_version, hash, pepper_id)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const FIND_KEY = 'SELECT * FROM tenant_api_keys WHERE key_id = ?'
const GET_KEY = 'SELECT * FROM tenant_api_keys WHERE tenant_id = ? AND key_id = ?'
const LIST_KEYS = `SELECT * FROM tenant_api_keys
  WHERE tenant_id = ? AND key_id > ? ORDER BY key_id LIMIT ?`
const SET_STATE = `UPDATE tenant_api_keys
  SET state = ?, updated_at_ms = ? WHERE tenant_id = ? AND key_id = ?`

/** By its id alone, whosever it is. */
export function findKey(client: SqliteClient, keyId: string): KeyRecord | null {
  const row = client.get(FIND_KEY, keyId)
  return row && keyOf(row)
}

function getKey(client: SqliteClient, tenantId: string, keyId: string): KeyRecord | null {
  const row = client.get(GET_KEY, tenantId, keyId)
  return row && keyOf(row)
}

export function keyCommands(connection: Connection): KeyCommands {
  return {
    create: (given, also) =>
      connection.write((tx) => {
        needTenant(tx.client, given.tenantId)
        if (findKey(tx.client, given.keyId)) {
          throw new TenantKeysError('TK_STORE_CONFLICT', { reason: 'the key id is taken' })
        }
        const key: KeyRecord = {
          ...given,
          scopes: [...given.scopes],
          hash: Uint8Array.from(given.hash),
          state: 'active',
          secretVersion: 1,
          createdAtMs: tx.nowMs,
          updatedAtMs: tx.nowMs,
        }
        insertKey(tx.client, key)
        tx.raiseEpoch()
        writeAlso(tx, also)
        return key
      }),
    find: async (keyId) => {
      const { keepClock, ...lookup } = await connection.read(
        ({ client, nowMs, epoch, clockMs }) => {
          const key = findKey(client, keyId)
          const found = key && { key, tenant: needTenant(client, key.tenantId) }
          const endMs = key?.expiresAtMs ?? Number.POSITIVE_INFINITY
          return { epoch, nowMs, found, keepClock: endMs <= nowMs && endMs > clockMs }
        },
      )
      // Once seen as expired it stays so, also for a process that starts later with a clock that
      // has stepped back (T-K8).
      if (keepClock) await connection.write((tx) => tx.keepClock())
      return lookup
    },
    get: ({ tenantId, keyId }) => connection.read(({ client }) => getKey(client, tenantId, keyId)),
    list: ({ tenantId, after, limit }) =>
      connection.read(({ client }) => {
        const rows = client.all(LIST_KEYS, tenantId, after ?? '', limit + 1)
        return pageOf(rows, keyOf, (key) => key.keyId, limit)
      }),
    setState: ({ tenantId, keyId, state }, also) =>
      connection.write((tx) => {
        const key = getKey(tx.client, tenantId, keyId)
        if (!key || key.state === state) return key
        if (key.state === 'revoked') throw new TenantKeysError('TK_KEY_REVOKED', { keyId })
        tx.client.run(SET_STATE, state, tx.nowMs, tenantId, keyId)
        tx.raiseEpoch()
        writeAlso(tx, also)
        return { ...key, state, updatedAtMs: tx.nowMs }
      }),
  }
}

function insertKey(client: SqliteClient, key: KeyRecord): void {
  client.run(
    ADD_KEY,
    key.tenantId,
    key.keyId,
    key.name,
    key.brand,
    key.environment,
    JSON.stringify(key.scopes),
    key.state,
    key.expiresAtMs,
    key.createdAtMs,
    key.updatedAtMs,
    key.last4,
    key.secretVersion,
    key.hash,
    key.pepperId,
  )
}
