/**
 * One PostgreSQL schema that is emptied between histories, for tests that run thousands of them: a
 * schema of its own for each would take longer than the history.
 *
 * @module
 */
import { type PostgresOptions, postgres } from '../../src/adapters/postgres/index.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type PostgresKind, postgresServer, type TestDatabase } from './postgres-server.ts'
import { type PostgresStore, postgresStore } from './postgres-store.ts'

const KEPT = ['tk_meta', 'tk_epoch', 'tk_clock']

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
  const { schema } = store
  const tables = (
    await database.query('SELECT tablename FROM pg_tables WHERE schemaname = $1', [schema])
  )
    .map((row) => String(row.tablename))
    .filter((name) => !KEPT.includes(name))
  const empty = `TRUNCATE ${tables.map((name) => `${schema}.${name}`).join(', ')};
    UPDATE ${schema}.tk_clock SET clock_ms = 0; UPDATE ${schema}.tk_epoch SET epoch = 1`
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
