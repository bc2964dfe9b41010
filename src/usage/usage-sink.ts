/**
 * The UsageSink port: who consumes usage events. It only consumes; the outbox in Storage is the
 * queue, and the exporter that drives sinks works in leases.
 *
 * - US-1 Events arrive at least once, with stable ids; a sink ignores an id it has seen.
 * - US-2 A sink names the ids it accepted; all others stay in the outbox.
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
