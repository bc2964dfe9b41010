/**
 * `callbackSink()`: a function of the host's own, called for one event after the other.
 *
 * @module
 */
import { type ExportedEvent, exportedEvent } from '../../usage/event-text.ts'
import type { UsageSink } from '../../usage/usage-sink.ts'

export interface CallbackSinkOptions {
  /** Default `callback`. */
  readonly name?: string | undefined
}

/** A write that went on for long could time out, and all of its events would come again. */
const MAX_WORK_MS = 1000

/**
 * The event counts as taken when `onEvent` has returned, or the promise it returned is fulfilled. When
 * it throws the event comes again; when it goes on to throw for this event while it takes others, the
 * event is set aside. One that is slow is given the events of a batch over several writes.
 */
export function callbackSink(
  onEvent: (event: ExportedEvent) => unknown,
  { name = 'callback' }: CallbackSinkOptions = {},
): UsageSink {
  return {
    contractVersion: 1,
    name,
    write: async (events) => {
      const accepted: string[] = []
      let failed: { readonly error: unknown } | null = null
      const startedMs = performance.now()
      for (const [i, event] of events.entries()) {
        if (i > 0 && performance.now() - startedMs > MAX_WORK_MS) break
        try {
          await onEvent(exportedEvent(event))
          accepted.push(event.id)
        } catch (error) {
          failed ??= { error }
        }
      }
      // With some taken, the others are those it failed on; with none, the error says more.
      if (failed && accepted.length === 0) throw failed.error
      return { accepted, rejected: [] }
    },
  }
}
