/**
 * Stores in one PostgreSQL database, each in a schema of its own, connected to as a login role that
 * the walls between tenants hold back. The schema comes from the SQL files, in one round trip.
 *
 * @module
 */
import pg from 'pg'
import {
  type PostgresOptions,
  postgres,
  postgresMigrations,
} from '../../src/adapters/postgres/index.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { StoreUnderTest } from '../../src/testing/index.ts'
import type { TestDatabase } from './postgres-server.ts'

let made = 0

export interface PostgresStore extends StoreUnderTest {
  readonly schema: string
  /** The login role it connects as, a member of the app role. */
  readonly login: string
  readonly pool: pg.Pool
  /** Options of this store, for another handle. */
  readonly options: PostgresOptions
  reopen(): Promise<Storage>
  breakBackend(): Promise<void>
}

export interface PostgresStoreOptions {
  readonly clock?: WallClock | undefined
  /** Where the store connects to, in place of the database itself: a pooler or a proxy. */
  readonly urlFor?: ((user: string) => string) | undefined
  readonly max?: number
}

export async function postgresStore(
  database: TestDatabase,
  { clock, urlFor = (user) => database.url(user), max = 8 }: PostgresStoreOptions = {},
): Promise<PostgresStore> {
  made += 1
  const schema = `tk_${made}`
  const login = `app_${process.pid}_${made}`
  const administrator = `admin_${process.pid}_${made}`
  await database.query(`CREATE ROLE ${login} LOGIN; CREATE ROLE ${administrator} LOGIN SUPERUSER`)
  const shared = { schema, roles: { members: [login] }, testClock: clock !== undefined }
  for (const { sql } of postgresMigrations(shared)) await database.query(sql)

  const pools: pg.Pool[] = []
  const poolAt = (connectionString: string): pg.Pool => {
    const pool = new pg.Pool({ connectionString, max, allowExitOnIdle: true })
    // Of the connections that breakBackend ends.
    pool.on('error', () => {})
    pools.push(pool)
    return pool
  }
  const pool = poolAt(urlFor(login))
  const options = { ...shared, client: pool, admin: poolAt(database.url(administrator)), clock }
  return {
    schema,
    login,
    pool,
    options,
    storage: postgres(options),
    reopen: async () => postgres({ ...options, client: poolAt(urlFor(login)) }),
    // Its roles may not connect any more, and those that are connected are thrown out.
    breakBackend: async () => {
      await database.query(`ALTER ROLE ${login} NOLOGIN; ALTER ROLE ${administrator} NOLOGIN`)
      await database.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ($1, $2)',
        [login, administrator],
      )
    },
    dispose: async () => {
      await Promise.allSettled(pools.map((one) => one.end()))
    },
  }
}
