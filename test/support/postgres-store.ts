/**
 * Stores in one PostgreSQL database, each in a schema of its own, connected to as a login role that
 * the walls between tenants hold back. The schema comes from the SQL files, in one round trip.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import {
  type PostgresOptions,
  postgres,
  postgresMigrations,
} from '../../src/adapters/postgres/index.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { StoreUnderTest } from '../../src/testing/index.ts'
import { emptying } from './postgres-emptied.ts'
import type { Row, TestDatabase } from './postgres-server.ts'

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

let made = 0
/** Of this process: ids of processes come back, and roles belong to the server. */
const OWN = randomBytes(6).toString('hex')
/** The login role of the n-th store of this process. */
export const loginOf = (n: number): string => `app_${OWN}_${n}`

export async function postgresStore(
  database: TestDatabase,
  { clock, urlFor = (user) => database.url(user), max = 8 }: PostgresStoreOptions = {},
): Promise<PostgresStore> {
  made += 1
  const schema = `tk_${made}`
  const login = loginOf(made)
  const administrator = `admin_${OWN}_${made}`
  const shared = { schema, roles: { members: [login] }, testClock: clock !== undefined }
  const setup = [
    `CREATE ROLE ${login} LOGIN`,
    `CREATE ROLE ${administrator} LOGIN SUPERUSER`,
    ...postgresMigrations(shared).map(({ sql }) => sql),
  ]
  await database.query(setup.join(';\n'))

  const pools: pg.Pool[] = []
  const poolAt = (connectionString: string): pg.Pool => {
    const pool = new pg.Pool({ connectionString, max, allowExitOnIdle: true })
    // Of the connections that breakBackend ends.
    pool.on('error', () => {})
    pools.push(pool)
    return pool
  }
  const pool = poolAt(urlFor(login))
  const listen = () => new pg.Client(database.url(login))
  const admin = poolAt(database.url(administrator))
  const options = { ...shared, client: pool, admin, listen, clock }
  return {
    schema,
    login,
    pool,
    options,
    storage: postgres(options),
    reopen: async () => postgres({ ...options, client: poolAt(urlFor(login)) }),
    // Its roles may not connect any more, and those that are connected are thrown out.
    breakBackend: async () => {
      const roles = [login, administrator]
      await database.query(roles.map((role) => `ALTER ROLE ${role} NOLOGIN`).join(';'))
      await database.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY ($1)',
        [roles],
      )
    },
    dispose: async () => {
      await Promise.allSettled(pools.map((one) => one.end()))
    },
  }
}

/**
 * Stores in one PGlite, which takes seconds to start, in schemas that are used again. It is a single
 * session of a superuser, so it is told to be the login role, as a connection of that role would be.
 */
export function pgliteStores(): {
  make(options: { readonly clock: WallClock }): Promise<StoreUnderTest>
  end(): Promise<void>
} {
  let shared: Promise<{ readonly db: PGlite; readonly folder: string }> | null = null
  const start = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tenantkeys-pglite-'))
    const db = await PGlite.create(join(folder, 'data'), { relaxedDurability: true })
    await db.exec('CREATE ROLE app LOGIN')
    return { db, folder }
  }
  const free: string[] = []
  const end = async (): Promise<void> => {
    const running = await shared
    shared = null
    free.length = 0
    if (running === null) return
    await running.db.close()
    await rm(running.folder, { recursive: true, force: true })
  }
  const make = async ({ clock }: { readonly clock: WallClock }): Promise<StoreUnderTest> => {
    shared ??= start()
    const { db } = await shared
    await db.exec('SET SESSION AUTHORIZATION postgres')
    const used = free.pop()
    const schema = used ?? `tk_${++made}`
    const options = { schema, roles: { members: ['app'] }, testClock: true }
    const setup = used
      ? [await emptying(async (sql, params) => (await db.query<Row>(sql, params)).rows, used)]
      : postgresMigrations(options).map(({ sql }) => sql)
    for (const sql of setup) await db.exec(sql)
    await db.exec('SET SESSION AUTHORIZATION app')
    const open = (): Storage => postgres({ ...options, client: db, listen: db, clock })
    return {
      storage: open(),
      reopen: async () => open(),
      breakBackend: end,
      // Each new schema makes the next one slower: nothing here vacuums the catalogue.
      dispose: async () => {
        if (shared !== null) free.push(schema)
      },
    }
  }
  return { make, end }
}
