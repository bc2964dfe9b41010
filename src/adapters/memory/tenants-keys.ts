/**
 * Tenants and platform keys in memory.
 *
 * @module
 */
import { setBudget } from '../../budgets/counters.ts'
import { isOlder, onPlan, planRows } from '../../budgets/plan-rows.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { KeyRecord, TenantRecord } from '../../storage/records.ts'
import type { KeyCommands, PlanChange, TenantCommands } from '../../storage/storage.ts'
import { rowsOf } from './ledger.ts'
import { type MemoryState, pageOf } from './state.ts'
import { copy } from './table.ts'

export function tenantCommands(state: MemoryState): TenantCommands {
  const setPlan = (tenant: TenantRecord, change: PlanChange, nowMs: number): TenantRecord => {
    const accountId = `tenant:${tenant.id}`
    const before = state.counters.get(accountId) ?? []
    const { remove, set } = planRows(tenant, change, before)
    state.counters.set(
      accountId,
      before.filter((counter) => !remove.includes(counter)),
    )
    const rows = rowsOf(state, nowMs)
    for (const budget of set) setBudget(rows, budget)
    const changed = onPlan(tenant, change)
    state.tenants.set(tenant.id, changed)
    return changed
  }
  return {
    create: ({ id, parentId, credentials, plan = null }, also) =>
      state.run((nowMs) => {
        if (state.tenants.get(id)) throw new TenantKeysError('TK_TENANT_EXISTS', { tenantId: id })
        const above = parentId === null ? [] : state.tenant(parentId).path
        const path = [...above, id]
        const bare = { id, parentId, path, credentials, plan: null, createdAtMs: nowMs }
        state.tenants.set(id, bare)
        const tenant = plan === null ? bare : setPlan(bare, plan, nowMs)
        state.raiseEpoch()
        state.write(also, nowMs)
        return tenant
      }),
    setPlan: ({ tenantId, onlyIfOlder, ...change }, also) =>
      state.run((nowMs) => {
        const tenant = state.tenant(tenantId)
        if (onlyIfOlder && !isOlder(tenant.plan, change.plan)) return null
        const changed = setPlan(tenant, change, nowMs)
        state.raiseEpoch()
        state.write(also, nowMs)
        return changed
      }),
    listByPlan: ({ plan, ...page }) =>
      state.run(() => {
        const on = [...state.tenants.values()].filter((tenant) => tenant.plan?.name === plan)
        return pageOf(on, (tenant) => tenant.id, page)
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
