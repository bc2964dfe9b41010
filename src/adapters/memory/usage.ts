/**
 * Usage rows and the audit trail in memory.
 *
 * @module
 */
import type { UsageRecord } from '../../storage/ledger-records.ts'
import type { AuditCommands, UsageCommands, UsageFilter } from '../../storage/storage.ts'
import type { MemoryState } from './state.ts'
import { keyOf } from './table.ts'
import { attributeOf, totalsOf } from './usage-totals.ts'

export function usageCommands(state: MemoryState): UsageCommands {
  return {
    totals: (query) =>
      state.run(() => {
        const { tenantId } = query
        const rows = [...state.usage.values()].filter(
          (row) => (tenantId === null || row.tenantId === tenantId) && isMeant(row, query),
        )
        return totalsOf(rows, query)
      }),
    list: (query) =>
      state.run(() => {
        const { tenantId, after, limit } = query
        return [...state.usage.values()]
          .filter((row) => row.tenantId === tenantId && isMeant(row, query))
          .filter((row) => after === null || inTime(row, after) > 0)
          .sort(inTime)
          .slice(0, limit)
      }),
    get: ({ tenantId, id }) =>
      state.run(() => {
        const row = state.usage.get(id)
        return row?.tenantId === tenantId ? row : null
      }),
  }
}

function isMeant(row: UsageRecord, { fromMs, untilMs, where = {} }: UsageFilter): boolean {
  if (fromMs !== null && row.settledAtMs < fromMs) return false
  if (untilMs !== null && row.settledAtMs >= untilMs) return false
  const asked = Object.entries(where) as [Parameters<typeof attributeOf>[1], string | null][]
  return asked.every(([attribute, value]) => attributeOf(row, attribute) === value)
}

type Place = Pick<UsageRecord, 'settledAtMs' | 'id'>

const inTime = (a: Place, b: Place): number =>
  a.settledAtMs - b.settledAtMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

export function auditCommands(state: MemoryState): AuditCommands {
  return {
    list: ({ rootId, after, limit }) =>
      state.run(() => {
        const items = []
        for (let next = Number(after ?? 0) + 1; items.length < limit; next++) {
          const row = state.audit.get(keyOf(rootId, next))
          if (!row) return { items, next: null }
          items.push(row)
        }
        const last = items.at(-1)!.sequence
        return { items, next: state.audit.get(keyOf(rootId, last + 1)) ? String(last) : null }
      }),
  }
}
