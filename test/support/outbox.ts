/**
 * An outbox with events in it, and sinks that do what a test tells them.
 *
 * @module
 */
import type { OutboxRecord } from '../../src/storage/records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { newKey, tenants } from '../../src/testing/storage-conformance/samples.ts'
import type { SinkAnswer, UsageSink } from '../../src/usage/usage-sink.ts'

export const idOf = (n: number): string => `event-${String(n).padStart(7, '0')}`

const PER_COMMAND = 500

/** Puts events `from` to `until` (not included) into the outbox, by way of a key's creation. */
export async function fillOutbox(storage: Storage, from: number, until: number): Promise<void> {
  const tenantId = 'events'
  if ((await storage.tenants.get(tenantId)) === null) await tenants(storage, tenantId)
  for (let start = from; start < until; start += PER_COMMAND) {
    const length = Math.min(PER_COMMAND, until - start)
    const events = Array.from({ length }, (_, n) => {
      return { id: idOf(start + n), kind: 'sample', tenantId, payload: { n: start + n } }
    })
    await storage.keys.create(newKey(tenantId, start), { events })
  }
}

export interface ScriptedSink extends UsageSink {
  /** How often each id was accepted. */
  readonly counts: ReadonlyMap<string, number>
  /** Sizes of the writes, in order. */
  readonly writes: readonly number[]
  readonly closed: number
}

/** A sink that accepts what `before` does not throw for, or answers as it says. */
export function scriptedSink(
  before: (events: readonly OutboxRecord[]) => unknown = () => {},
  name = 'scripted',
): ScriptedSink {
  const counts = new Map<string, number>()
  const writes: number[] = []
  let closed = 0
  return {
    contractVersion: 1,
    name,
    counts,
    writes,
    get closed() {
      return closed
    },
    write: async (events) => {
      writes.push(events.length)
      const answer = ((await before(events)) ?? {}) as Partial<SinkAnswer>
      const { accepted = events.map(({ id }) => id), rejected = [] } = answer
      for (const id of accepted) counts.set(id, (counts.get(id) ?? 0) + 1)
      return { accepted, rejected }
    },
    close: async () => {
      closed++
    },
  }
}
