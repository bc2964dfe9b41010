/**
 * One PostgreSQL schema that is emptied between histories, for tests that run thousands of them: a
 * schema of its own for each would take longer than the history.
 *
 * @module
 */
import { type PostgresOptions, postgres } from '../../src/adapters/postgres/index.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { emptying } from './postgres-emptied.ts'
import { type PostgresKind, postgresServer, type TestDatabase } from './postgres-server.ts'
import { type PostgresStore, postgresStore } from './postgres-store.ts'

export interface ReusedPostgres {
  readonly database: TestDatabase
  readonly store: PostgresStore
  /** The same tables, empty, under another clock. Whoever used them before is done with them. */
  fresh(clock: WallClock): Promise<Storage>
  close(): Promise<void>
}

export async function reusedPostgres(kind: PostgresKind): Promise<ReusedPostgres> {
  const database = await (await postgresServer(kind)).freshDatabase()
  const store = await postgresStore(database, { clock: { nowMs: () => 0 } })
  const empty = await emptying(database.query, store.schema)
  return {
    database,
    store,
    fresh: async (clock) => {
      await database.query(empty)
      const options: PostgresOptions = { ...store.options, listen: undefined, clock }
      return postgres(options)
    },
    close: async () => {
      await store.dispose()
      await database.drop()
    },
  }
}
