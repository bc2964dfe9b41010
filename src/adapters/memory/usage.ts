/**
 * Usage rows and the audit trail in memory.
 *
 * @module
 */
import type { UsageRecord } from '../../storage/ledger-records.ts'
import type {
  AuditCommands,
  UsageCommands,
  UsageDimension,
  UsageTotal,
} from '../../storage/storage.ts'
import type { MemoryState } from './state.ts'
import { keyOf } from './table.ts'

const VALUE_OF: Readonly<Record<UsageDimension, (row: UsageRecord) => string | null>> = {
  tenant: (row) => row.tenantId,
  key: (row) => row.keyId,
  scope: (row) => row.scope,
  provider: (row) => row.provider,
  model: (row) => row.model,
}

const NO_DIMENSIONS = { tenant: null, key: null, scope: null, provider: null, model: null }

export function usageCommands(state: MemoryState): UsageCommands {
  return {
    totals: ({ tenantId, fromMs, untilMs, by }) =>
      state.run(() => {
        const groups = new Map<string, UsageTotal>()
        for (const row of state.usage.values()) {
          if (tenantId !== null && row.tenantId !== tenantId) continue
          if (fromMs !== null && row.settledAtMs < fromMs) continue
          if (untilMs !== null && row.settledAtMs >= untilMs) continue
          const name = JSON.stringify(by.map((dimension) => VALUE_OF[dimension](row)))
          groups.set(name, add(groups.get(name) ?? empty(row, by), row))
        }
        return [...groups.values()].sort(inOrderOf(by))
      }),
    get: ({ tenantId, id }) =>
      state.run(() => {
        const row = state.usage.get(id)
        return row?.tenantId === tenantId ? row : null
      }),
  }
}

function empty(row: UsageRecord, by: readonly UsageDimension[]): UsageTotal {
  const values = Object.fromEntries(by.map((dimension) => [dimension, VALUE_OF[dimension](row)]))
  return { ...NO_DIMENSIONS, ...values, calls: 0, inputTokens: 0, outputTokens: 0, costNanoUsd: 0n }
}

function add(total: UsageTotal, row: UsageRecord): UsageTotal {
  return {
    ...total,
    calls: total.calls + 1,
    inputTokens: total.inputTokens + row.tokens.input,
    outputTokens: total.outputTokens + row.tokens.output,
    costNanoUsd: total.costNanoUsd + row.costNanoUsd,
  }
}

/** Absent values come first, as SQL sorts them. */
function inOrderOf(by: readonly UsageDimension[]): (a: UsageTotal, b: UsageTotal) => number {
  return (a, b) => {
    for (const dimension of by) {
      const [left, right] = [a[dimension] ?? '', b[dimension] ?? '']
      if (left !== right) return left < right ? -1 : 1
    }
    return 0
  }
}

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
