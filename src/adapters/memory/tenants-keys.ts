/**
 * Tenants and platform keys in memory.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import type { KeyRecord, TenantRecord } from '../../storage/records.ts'
import type { KeyCommands, TenantCommands } from '../../storage/storage.ts'
import { type MemoryState, pageOf } from './state.ts'
import { copy } from './table.ts'

export function tenantCommands(state: MemoryState): TenantCommands {
  return {
    create: ({ id, parentId, credentials }, also) =>
      state.run((nowMs) => {
        if (state.tenants.get(id)) throw new TenantKeysError('TK_TENANT_EXISTS', { tenantId: id })
        const above = parentId === null ? [] : state.tenant(parentId).path
        const tenant = { id, parentId, path: [...above, id], credentials, createdAtMs: nowMs }
        state.tenants.set(id, tenant)
        state.raiseEpoch()
        state.write(also, nowMs)
        return tenant
      }),
    get: (tenantId) => state.run(() => state.tenants.get(tenantId) ?? null),
    list: ({ parentId, ...page }) =>
      state.run(() => {
        const wanted = (t: TenantRecord): boolean => parentId === null || t.parentId === parentId
        return pageOf([...state.tenants.values()].filter(wanted), (t) => t.id, page)
      }),
  }
}

export function keyCommands(state: MemoryState): KeyCommands {
  const own = (tenantId: string, keyId: string): KeyRecord | null => {
    const key = state.keys.get(keyId)
    return key?.tenantId === tenantId ? key : null
  }
  return {
    create: (key, also) =>
      state.run((nowMs) => {
        state.tenant(key.tenantId)
        if (state.keys.get(key.keyId)) {
          throw new TenantKeysError('TK_STORE_CONFLICT', { reason: 'the key id is taken' })
        }
        const row: KeyRecord = {
          ...copy(key),
          state: 'active',
          secretVersion: 1,
          createdAtMs: nowMs,
          updatedAtMs: nowMs,
        }
        state.keys.set(key.keyId, row)
        state.raiseEpoch()
        state.write(also, nowMs)
        return row
      }),
    find: (keyId) =>
      state.run(() => {
        const key = state.keys.get(keyId)
        const found = key ? { key, tenant: state.tenant(key.tenantId) } : null
        return { ...state.reading(), found }
      }),
    get: ({ tenantId, keyId }) => state.run(() => own(tenantId, keyId)),
    list: ({ tenantId, ...page }) =>
      state.run(() => {
        const keys = [...state.keys.values()].filter((key) => key.tenantId === tenantId)
        return pageOf(keys, (key) => key.keyId, page)
      }),
    setState: ({ tenantId, keyId, state: wanted }, also) =>
      state.run((nowMs) => {
        const key = own(tenantId, keyId)
        if (!key || key.state === wanted) return key
        if (key.state === 'revoked') throw new TenantKeysError('TK_KEY_REVOKED', { keyId })
        const changed = { ...key, state: wanted, updatedAtMs: nowMs }
        state.keys.set(keyId, changed)
        state.raiseEpoch()
        state.write(also, nowMs)
        return changed
      }),
  }
}
