/**
 * What a command writes besides its own change, in the same atomic step.
 *
 * @module
 */

/** An audit row before the store gives it its place in the chain. */
export interface NewAudit {
  readonly tenantId: string | null
  /** Who did it, as the host names it; `system` when the host says nothing. */
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly detail: Readonly<Record<string, string>>
}

/** An event for the outbox. `id` is unique; a second event of the same id is ignored. */
export interface NewEvent {
  readonly id: string
  readonly kind: string
  readonly tenantId: string | null
  /** JSON without bigint: amounts are decimal strings. */
  readonly payload: Readonly<Record<string, unknown>>
}

/** Rows that belong to a change: all are written, or nothing is. */
export interface Also {
  readonly audit?: readonly NewAudit[]
  readonly events?: readonly NewEvent[]
}
