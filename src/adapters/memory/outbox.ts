/**
 * The outbox in memory: events in order of their arrival.
 *
 * @module
 */
import { uuidv7 } from '../../kernel/ids.ts'
import type { Backlog, OutboxCommands } from '../../storage/storage.ts'
import { type MemoryState, type OutboxRow, pageOf } from './state.ts'

export function outboxCommands(state: MemoryState): OutboxCommands {
  /** The rows of these events that a lease still holds. */
  const heldBy = (leaseId: string, ids: readonly string[]): OutboxRow[] =>
    [...new Set(ids)].flatMap((id) => {
      const row = state.outbox.get(id)
      return row?.leaseId === leaseId && row.aside === null ? [row] : []
    })
  const put = (row: OutboxRow): void => state.outbox.set(row.event.id, row)

  return {
    lease: ({ limit, leaseMs }) =>
      state.run((nowMs) => {
        const leaseId = uuidv7(nowMs)
        const events = []
        for (const { event, leasedUntilMs, aside } of state.outbox.values()) {
          if (events.length >= limit) break
          if (leasedUntilMs > nowMs || aside) continue
          const tried = { ...event, attempts: event.attempts + 1 }
          put({ event: tried, leaseId, leasedUntilMs: nowMs + leaseMs, aside })
          events.push(tried)
        }
        return { leaseId, events }
      }),
    ack: ({ leaseId, ids }) =>
      state.run(
        () => heldBy(leaseId, ids).filter(({ event }) => state.outbox.delete(event.id)).length,
      ),
    release: ({ leaseId, ids, delayMs }) =>
      state.run((nowMs) => {
        const held = heldBy(leaseId, ids)
        for (const row of held) put({ ...row, leaseId: null, leasedUntilMs: nowMs + delayMs })
        return held.length
      }),
    quarantine: ({ leaseId, events }) =>
      state.run((nowMs) => {
        const reasons = new Map(events.map(({ id, reason }) => [id, reason]))
        const held = heldBy(leaseId, [...reasons.keys()])
        for (const { event } of held) {
          const aside = { quarantinedAtMs: nowMs, reason: reasons.get(event.id)! }
          put({ event, leaseId: null, leasedUntilMs: 0, aside })
        }
        return held.length
      }),
    quarantined: (query) =>
      state.run(() => {
        const rows = [...state.outbox.values()].flatMap(({ event, aside }) =>
          aside ? [{ ...event, ...aside }] : [],
        )
        return pageOf(rows, (row) => row.id, query)
      }),
    requeue: (ids, also) =>
      state.run((nowMs) => {
        const rows = [...new Set(ids)].flatMap((id) => state.outbox.get(id) ?? [])
        const aside = rows.filter((row) => row.aside !== null)
        for (const { event } of aside) {
          put({ event: { ...event, attempts: 0 }, leaseId: null, leasedUntilMs: 0, aside: null })
        }
        if (aside.length > 0) state.write(also, nowMs)
        return aside.length
      }),
    backlog: ({ limit }) => state.run(() => backlogOf([...state.outbox.values()], limit)),
  }
}

function backlogOf(rows: readonly OutboxRow[], limit: number): Backlog {
  const waiting = rows.filter((row) => row.aside === null)
  const quarantined = rows.length - waiting.length
  return {
    waiting: Math.min(waiting.length, limit),
    quarantined: Math.min(quarantined, limit),
    oldestAtMs: waiting[0]?.event.atMs ?? null,
  }
}
