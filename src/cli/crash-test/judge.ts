/**
 * Compares what the workers of a crash test were told with what the database holds. Pure.
 *
 * Who was killed may have been about to send a settle, or may have missed its answer: such a call may
 * or may not be in the books. What is in the books must have been asked for, and what was acknowledged
 * must be there.
 *
 * @module
 */
import { amountOf } from '../../budgets/ledger-lines.ts'
import type { LedgerSnapshot } from '../../storage/ledger-entries.ts'
import type { JournalEntry } from './journal.ts'
import { PATHS } from './scene.ts'

export interface Verdict {
  /** By how much budgets were passed, added up; what was settled after its hold had expired is not
   * counted, since nobody can refuse it any more. */
  readonly overCapNanoUsd: bigint
  /** Settles that were acknowledged and are not in the books with their amount, and usage rows and
   * expired holds without an event. */
  readonly eventsLost: number
  /** Events that were handed out again after the outbox had confirmed them, and rows or events that
   * nobody asked for. */
  readonly eventsDoubled: number
  readonly settled: number
  readonly exported: number
  /** Handed out again after an exporter was killed before it could confirm: at least once. */
  readonly redelivered: number
  /** Holds whose process was killed. */
  readonly expiredHolds: number
}

export function judge(entries: Iterable<JournalEntry>, snapshot: LedgerSnapshot): Verdict {
  const told = collect(entries)
  const rows = new Map(snapshot.usage.map((row) => [row.id, amountOf(row.amounts, 'usd')]))
  const expired = snapshot.holds.filter(({ state }) => state === 'expired')
  const events = [...rows.keys(), ...expired.map(({ id }) => `${id}.expired`)]
  const known = new Set(events)
  return {
    overCapNanoUsd: overCap(snapshot),
    eventsLost:
      count(told.settled, ([id, amount]) => rows.get(id) !== amount) +
      count(events, (id) => !told.exported.has(id)),
    eventsDoubled:
      count(told.acked, ([, times]) => times > 1) +
      count(rows, ([id, amount]) => told.asked.get(id) !== amount) +
      count(told.exported, ([id]) => !known.has(id)),
    settled: rows.size,
    exported: told.exported.size,
    redelivered: [...told.exported.values()].reduce((sum, times) => sum + times - 1, 0),
    expiredHolds: expired.length,
  }
}

interface Told {
  readonly asked: Map<string, bigint>
  readonly settled: Map<string, bigint>
  /** How often, by event id. */
  readonly exported: Map<string, number>
  readonly acked: Map<string, number>
}

function collect(entries: Iterable<JournalEntry>): Told {
  const told: Told = {
    asked: new Map(),
    settled: new Map(),
    exported: new Map(),
    acked: new Map(),
  }
  for (const { kind, id, value } of entries) {
    if (kind === 'asked' || kind === 'settled') told[kind].set(id, BigInt(value))
    // Credits and the like have events too; they are no part of the proof.
    else if (value === 'usage' || value === 'unknown_spend') {
      told[kind].set(id, (told[kind].get(id) ?? 0) + 1)
    }
  }
  return told
}

/** From the usage rows and the tree, not from the sums that the store keeps. */
function overCap({ usage, counters }: LedgerSnapshot): bigint {
  const pathOf = new Map(PATHS.map(({ tenantId, path }) => [tenantId, path]))
  const spent = new Map<string, bigint>()
  for (const { tenantId, amounts, state } of usage) {
    if (state === 'late_posted') continue
    for (const { id } of pathOf.get(tenantId) ?? []) {
      spent.set(id, (spent.get(id) ?? 0n) + amountOf(amounts, 'usd'))
    }
  }
  return counters
    .map(({ accountId, limit }) => (spent.get(accountId) ?? 0n) - limit)
    .reduce((sum, over) => (over > 0n ? sum + over : sum), 0n)
}

function count<T>(items: Iterable<T>, is: (item: T) => boolean): number {
  let found = 0
  for (const item of items) if (is(item)) found++
  return found
}
