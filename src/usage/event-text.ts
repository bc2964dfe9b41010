/**
 * An event as JSON text, the form in which it leaves the process: in files, webhooks and callbacks.
 *
 * @module
 */
import type { OutboxRecord } from '../storage/records.ts'

/** An event as a consumer reads it. */
export interface ExportedEvent {
  /** Stable: an id that was seen before is the same event again. */
  readonly id: string
  /** `usage` for one attempt of a call; others are acts and alerts, see docs/sinks.md. */
  readonly kind: string
  /** `null`: of no tenant. */
  readonly tenantId: string | null
  /** When it was written, ISO 8601. */
  readonly at: string
  /** Amounts in it are decimal strings of nano-USD. */
  readonly data: Readonly<Record<string, unknown>>
}

/** One line without a line break. The payload is taken over as it was written, not parsed. */
export function eventText({ id, kind, tenantId, atMs, payload }: OutboxRecord): string {
  const head = JSON.stringify({ id, kind, tenantId, at: new Date(atMs).toISOString() })
  return `${head.slice(0, -1)},"data":${payload}}`
}

export const exportedEvent = (event: OutboxRecord): ExportedEvent => JSON.parse(eventText(event))
