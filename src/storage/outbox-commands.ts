/**
 * The outbox's part of the Storage port: events that wait to be exported.
 *
 * @module
 */
import type { Also } from './also.ts'
import type { Page, PageQuery } from './page.ts'
import type { OutboxRecord, QuarantinedEvent } from './records.ts'

export interface Backlog {
  /** Events to be exported, leased ones too. */
  readonly waiting: number
  readonly quarantined: number
  /** When the oldest that waits was written; `null`: none waits. */
  readonly oldestAtMs: number | null
}

export interface OutboxCommands {
  /** Takes up to `limit` events nobody else has leased, oldest first, for `leaseMs`. */
  lease(query: { readonly limit: number; readonly leaseMs: number }): Promise<{
    readonly leaseId: string
    readonly events: readonly OutboxRecord[]
  }>
  /** Removes events that this lease still holds. @returns how many. */
  ack(at: { readonly leaseId: string; readonly ids: readonly string[] }): Promise<number>
  /** Gives back events that this lease still holds; no lease is handed them for `delayMs` more, 0 to
   * 86,400,000. @returns how many. */
  release(at: {
    readonly leaseId: string
    readonly ids: readonly string[]
    readonly delayMs: number
  }): Promise<number>
  /** Sets aside events that this lease still holds: they stay, and no lease is handed them until they
   * are requeued. @returns how many. */
  quarantine(at: {
    readonly leaseId: string
    readonly events: readonly { readonly id: string; readonly reason: string }[]
  }): Promise<number>
  /** What was set aside, in order of id. */
  quarantined(query: PageQuery): Promise<Page<QuarantinedEvent>>
  /** Puts events that were set aside back into the queue, with no attempts; `also` is written unless
   * none of them was. @returns how many. */
  requeue(ids: readonly string[], also: Also): Promise<number>
  /** How much waits. Counts up to `limit` of each, so that a large queue costs no more than that. */
  backlog(query: { readonly limit: number }): Promise<Backlog>
}
