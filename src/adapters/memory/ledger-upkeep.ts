/**
 * What keeps a ledger in order, in memory: the snapshot that is compared, and the end of old holds.
 *
 * @module
 */
import { isOver } from '../../budgets/prune.ts'
import type { LedgerSnapshot, PruneQuery } from '../../storage/ledger-entries.ts'
import type { MemoryState } from './state.ts'

export function snapshot(
  state: MemoryState,
  tenantId: string,
  nowMs: number,
): LedgerSnapshot | null {
  const tenants = [...state.tenants.values()].filter((t) => t.path.includes(tenantId))
  if (tenants.length === 0) return null
  const ids = new Set(tenants.map((t) => t.id))
  const own = <T extends { readonly tenantId: string }>(rows: Iterable<T>): T[] =>
    [...rows].filter((row) => ids.has(row.tenantId))
  const counters = own([...state.counters.values()].flat())
  const accounts = new Set(counters.map((c) => c.accountId))
  return {
    nowMs,
    tenants: tenants.map(({ id, parentId }) => ({ id, parentId })),
    counters,
    history: [...state.history.values()].filter((row) => accounts.has(row.accountId)),
    holds: own(state.holds.values()),
    usage: own(state.usage.values()),
    entries: own(state.entries.values()),
  }
}

export function prune(
  state: MemoryState,
  { olderThanMs, limit }: PruneQuery,
  nowMs: number,
): number {
  const waiting = new Set([...state.outbox.values()].map(({ event }) => holdIdOf(event.id)))
  const over = [...state.holds.values()]
    .filter((hold) => isOver(hold, state.usage.get(hold.id) ?? null, nowMs - olderThanMs))
    .filter((hold) => !waiting.has(hold.id))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .slice(0, limit)
  for (const { id } of over) state.holds.delete(id)
  return over.length
}

/** Events of a hold are named after it: `<hold>` or `<hold>.<what>`. */
const holdIdOf = (eventId: string): string => eventId.split('.', 1)[0]!
