/**
 * The UsageSink port: who consumes usage events. It only consumes; the outbox in Storage is the
 * queue, and the exporter that drives sinks works in leases.
 *
 * Events arrive at least once, with stable ids; a sink ignores an id it has seen. It names the ids it
 * accepted; all others stay in the outbox. The exporter that drives sinks is not there yet, so these
 * promises have no clause ids: until then, read `storage.outbox` with `lease` and `ack`.
 *
 * @module
 */
import type { OutboxRecord } from '../storage/records.ts'

export interface UsageSink {
  readonly contractVersion: 1
  write(events: readonly OutboxRecord[]): Promise<{
    readonly accepted: readonly string[]
    readonly rejected: readonly { readonly id: string; readonly reason: string }[]
  }>
}
