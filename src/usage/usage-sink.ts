/**
 * The UsageSink port: who consumes usage events. A sink only consumes; the outbox in Storage is the
 * queue, and `createExporter` drives sinks out of it in leases.
 *
 * - US-1 `accepted` names events of this write that the sink has for good when it answers.
 * - US-2 `rejected` names events that it will never take as they are, each with a reason that holds no
 *   content of the event; they are set aside and the others go on.
 * - US-3 Whatever is named by neither, and every event of a write that throws, comes again.
 * - US-4 An event may come more than once, with the same id; it is accepted again.
 * - US-5 Events arrive as they were written: id, kind, tenant, time and payload.
 *
 * An error that is thrown may carry `retryAfterMs`: how long the sink asks to be left alone.
 *
 * @module
 */
import type { OutboxRecord } from '../storage/records.ts'

export interface UsageSink {
  readonly contractVersion: 1
  /** What runtime events and quarantine reasons call it: 1 to 64 of `A-Z a-z 0-9 _ -`. */
  readonly name: string
  write(events: readonly OutboxRecord[]): Promise<SinkAnswer>
  /** Called once, when the exporter stops; no write follows. */
  close?(): Promise<void>
}

export interface SinkAnswer {
  readonly accepted: readonly string[]
  readonly rejected: readonly { readonly id: string; readonly reason: string }[]
}
