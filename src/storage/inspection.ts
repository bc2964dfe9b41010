/**
 * What an adapter can tell of its own database beyond the Storage port: for `tenantkeys doctor` and
 * `tenantkeys migrate`, and for hosts that watch these things themselves. Looking changes nothing.
 *
 * @module
 */

/**
 * - `ok`: looked at and in order.
 * - `info`: good to know; nothing has to be done.
 * - `warning`: every promise still holds, but somebody has to act.
 * - `error`: a promise is broken, or the store cannot be used as it is.
 */
export type Severity = 'ok' | 'info' | 'warning' | 'error'

export interface Finding {
  /** What was looked at, for example `schema` or `indexes`; the same in every version. */
  readonly subject: string
  readonly severity: Severity
  /** Ids, names and numbers only; never a credential. */
  readonly message: string
  /** What to do about it; `null`: nothing. */
  readonly hint: string | null
}

export interface Inspection {
  /** For example `SQLite 3.50.4`. */
  readonly server: string
  /** Version of our tables as found; `null`: they are not there. */
  readonly schemaVersion: number | null
  /** The version that this package works with. */
  readonly expectedVersion: number
  /** The database's clock, in ms since the epoch, when it was asked; `null`: it has none of its own. */
  readonly nowMs: number | null
  readonly findings: readonly Finding[]
}

/** One step of a schema, as SQL that can be run by hand, each once and in order. */
export interface MigrationFile {
  /** For example `001_tenantkeys.sql`. */
  readonly name: string
  readonly sql: string
}
