/**
 * The user's own PostgreSQL driver, found from the folder the command runs in: `pg`, else `postgres`.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { PgPoolLike, PostgresClient, PostgresJsLike } from '../../adapters/postgres/index.ts'
import { UsageError } from '../exit.ts'

export interface OpenClient {
  readonly client: PostgresClient
  end(): Promise<void>
}

interface PgModule {
  readonly Pool: new (
    options: object,
  ) => PgPoolLike & {
    on(event: 'error', listener: () => void): unknown
    end(): Promise<void>
  }
}

type PostgresJsModule = (url: string, options: object) => PostgresJsLike & { end(): Promise<void> }

const CONNECT_MS = 10_000
const NAME = 'tenantkeys'

/**
 * @param max - connections, at most.
 * @throws UsageError when neither is installed.
 */
export async function connect(url: string, max: number): Promise<OpenClient> {
  const pg = (await load('pg')) as PgModule | null
  if (pg) {
    const connection = { connectionString: url, application_name: NAME }
    const pool = new pg.Pool({ ...connection, max, connectionTimeoutMillis: CONNECT_MS })
    // Of idle connections that the server ends; the next command says what is wrong.
    pool.on('error', () => {})
    return { client: pool, end: () => pool.end() }
  }
  const postgresJs = (await load('postgres')) as PostgresJsModule | null
  if (postgresJs) {
    const connection = { connection: { application_name: NAME }, onnotice: () => {} }
    const sql = postgresJs(url, { ...connection, max, connect_timeout: CONNECT_MS / 1000 })
    return { client: sql, end: () => sql.end() }
  }
  throw new UsageError(
    'No PostgreSQL driver was found in this project. Run npm install pg, or npm install postgres.',
  )
}

/** First as the user's project has it, then as this package would find it. */
async function load(name: string): Promise<unknown> {
  const places = [join(process.cwd(), 'package.json'), import.meta.url]
  for (const place of places) {
    const path = resolve(name, place)
    if (path === null) continue
    const module = (await import(pathToFileURL(path).href)) as { default: unknown }
    return module.default
  }
  return null
}

function resolve(name: string, from: string): string | null {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return null
  }
}
