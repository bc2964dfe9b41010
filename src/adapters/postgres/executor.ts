/**
 * What we need of a PostgreSQL client, whichever the host has: run one statement, run several in one
 * transaction. Parameters are texts and every column is selected as text, so that no type parser of
 * the host or its client has a say in what we read. Statements have no name: a connection pooler may
 * send each to another server process.
 *
 * @module
 */
import type { StorageCapabilities } from '../../storage/storage.ts'

/** Everything travels as text; the statement casts it. */
export type PgParam = string | null

/** Column names to values, as the client returned them: see decode.ts. */
export type PgRow = Readonly<Record<string, unknown>>

export interface PgQueries {
  query(text: string, params?: readonly PgParam[]): Promise<readonly PgRow[]>
}

/** `read`: the rows of one moment, nothing may be written. */
export type TransactionMode = 'read' | 'write'

/** What the client says of the database behind it. */
export type PgReach = Pick<StorageCapabilities, 'durable' | 'multiProcess' | 'multiHost'>

export interface PgExecutor extends PgQueries {
  readonly reach: PgReach
  /** Commits what `step` did when it resolves, else rolls it back; the connection is given back in
   * either case. */
  transaction<T>(mode: TransactionMode, step: (tx: PgQueries) => Promise<T>): Promise<T>
}
