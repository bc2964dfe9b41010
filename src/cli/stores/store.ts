/**
 * One kind of database as the commands see it.
 *
 * @module
 */
import type { Inspection, MigrationFile } from '../../storage/inspection.ts'
import type { Storage } from '../../storage/storage.ts'
import type { PostgresSpec } from './postgres.ts'

export interface Store {
  readonly kind: 'sqlite' | 'postgres'
  /** Where it is, without credentials. */
  readonly shown: string
  /** The same for another process; may hold a password, so it goes there by a message only. */
  readonly spec: StoreSpec
  /** Nothing is opened before the first command. */
  open(): Promise<Storage>
  /** @throws TenantKeysError TK_STORE_* when the database does not answer */
  inspect(): Promise<Inspection>
  /** Makes or updates the tables. */
  migrate(): Promise<void>
  /** Every step of the schema, without a connection. */
  migrations(): readonly MigrationFile[]
  /** A place of its own beside the user's tables, on the same disk. */
  scratch(): Promise<Scratch>
}

export interface Scratch {
  readonly store: Store
  /** What somebody has to take away when we could not. */
  readonly name: string
  /** Takes everything away; may be called twice. */
  remove(): Promise<void>
}

/** A store as plain data. */
export type StoreSpec = { readonly kind: 'sqlite'; readonly file: string } | PostgresSpec
