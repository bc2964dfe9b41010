/**
 * Sealed secrets and wrapped data keys in memory.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import type { DekRecord } from '../../storage/records.ts'
import {
  type DekCommands,
  MAX_SEALS_PER_DEK,
  type SecretCommands,
  type SecretRef,
} from '../../storage/storage.ts'
import { type MemoryState, pageOf } from './state.ts'
import { copy, keyOf } from './table.ts'

const rowKey = (ref: SecretRef): string => keyOf(ref.tenantId, ref.provider, ref.name)

export function secretCommands(state: MemoryState): SecretCommands {
  return {
    put: (secret, also) =>
      state.run((nowMs) => {
        state.tenant(secret.tenantId)
        const before = state.secrets.get(rowKey(secret))
        if (secret.version !== (before?.version ?? 0) + 1) {
          throw new TenantKeysError('TK_STORE_CONFLICT', { reason: 'another version is stored' })
        }
        countSeal(state, secret.tenantId, secret.dekId)
        const createdAtMs = before?.createdAtMs ?? nowMs
        const row = { ...copy(secret), createdAtMs, updatedAtMs: nowMs }
        state.secrets.set(rowKey(secret), row)
        state.write(also, nowMs)
        return row
      }),
    get: (ref) => state.run(() => state.secrets.get(rowKey(ref)) ?? null),
    list: ({ tenantId, ...page }) =>
      state.run(() => {
        const own = [...state.secrets.values()].filter((secret) => secret.tenantId === tenantId)
        return pageOf(own, (secret) => `${secret.provider}/${secret.name}`, page)
      }),
    delete: (ref, also) =>
      state.run((nowMs) => {
        if (!state.secrets.delete(rowKey(ref))) return false
        state.write(also, nowMs)
        return true
      }),
  }
}

/** Counts the seal that made an envelope, in the step that stores the envelope. */
function countSeal(state: MemoryState, tenantId: string, dekId: string): void {
  const dek = state.deks.get(dekId)
  if (dek?.tenantId !== tenantId) {
    throw new TenantKeysError('TK_STORE_CONFLICT', { reason: 'the data key is not there' })
  }
  if (dek.seals >= MAX_SEALS_PER_DEK) throw new TenantKeysError('TK_DEK_EXHAUSTED', { tenantId })
  state.deks.set(dekId, { ...dek, seals: dek.seals + 1 })
}

export function dekCommands(state: MemoryState): DekCommands {
  const ofTenant = (tenantId: string): DekRecord[] =>
    [...state.deks.values()].filter((dek) => dek.tenantId === tenantId)
  return {
    current: (tenantId) =>
      state.run(() => ofTenant(tenantId).sort((a, b) => b.generation - a.generation)[0] ?? null),
    get: ({ tenantId, dekId }) =>
      state.run(() => {
        const dek = state.deks.get(dekId)
        return dek?.tenantId === tenantId ? dek : null
      }),
    create: (dek, also) =>
      state.run((nowMs) => {
        state.tenant(dek.tenantId)
        const first = ofTenant(dek.tenantId).find((d) => d.generation === dek.generation)
        if (first) return first
        if (state.deks.get(dek.id)) {
          throw new TenantKeysError('TK_STORE_CONFLICT', { reason: 'the data key id is taken' })
        }
        const row = { ...copy(dek), seals: 0, createdAtMs: nowMs }
        state.deks.set(dek.id, row)
        state.write(also, nowMs)
        return row
      }),
  }
}
