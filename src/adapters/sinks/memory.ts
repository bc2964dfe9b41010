/**
 * `memorySink()`: keeps events in an array, each id once; for tests and demos.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import { type ExportedEvent, exportedEvent } from '../../usage/event-text.ts'
import type { UsageSink } from '../../usage/usage-sink.ts'

export interface MemorySinkOptions {
  /** Default `memory`. */
  readonly name?: string | undefined
  /** Most events it keeps; then it takes no more, and they wait in the outbox. Default 100,000. */
  readonly limit?: number | undefined
}

export interface MemorySink extends UsageSink {
  /** In order of arrival. */
  readonly events: readonly ExportedEvent[]
}

export function memorySink({
  name = 'memory',
  limit = 100_000,
}: MemorySinkOptions = {}): MemorySink {
  const events = new Map<string, ExportedEvent>()
  return {
    contractVersion: 1,
    name,
    get events() {
      return [...events.values()]
    },
    write: async (written) => {
      const fresh = written.filter(({ id }) => !events.has(id))
      if (events.size + fresh.length > limit) {
        throw new TenantKeysError('TK_STORE_UNAVAILABLE', { reason: 'the memory sink is full' })
      }
      for (const event of fresh) events.set(event.id, exportedEvent(event))
      return { accepted: written.map(({ id }) => id), rejected: [] }
    },
  }
}
