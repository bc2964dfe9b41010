/**
 * The PostgreSQL servers that all test files of one run share, one of each kind. The first file that
 * asks has it started (services.ts); it ends with the run.
 *
 * Everyone may connect as every role without a password: the servers listen on 127.0.0.1 only and
 * hold nothing but what tests wrote.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { PostgresKind } from './postgres-kinds.ts'

export type { PostgresKind } from './postgres-kinds.ts'
export { POSTGRES_KINDS, skipsPostgres } from './postgres-kinds.ts'

/** One row, by column; `bigint` columns are strings, as pg gives them. */
export type Row = Record<string, unknown>

export interface PostgresServer {
  readonly kind: PostgresKind
  readonly host: '127.0.0.1'
  readonly port: number
  /** @param user default `postgres`, the superuser. */
  url(database: string, user?: string): string
  /** Runs SQL as the superuser on a connection of its own; several statements if there are no
   * parameters. @param database default `postgres`. */
  query(sql: string, params?: readonly unknown[], database?: string): Promise<Row[]>
  /** A new empty database; about 50 ms. @param template a database to copy, which nobody may be
   * connected to. */
  freshDatabase(template?: string): Promise<TestDatabase>
  /** Makes a role that can log in, if there is none of this name. Roles belong to the server, not to
   * a database: give them names of your own. */
  role(name: string, attributes?: string): Promise<void>
}

export interface TestDatabase extends AsyncDisposable {
  readonly name: string
  readonly server: PostgresServer
  url(user?: string): string
  query(sql: string, params?: readonly unknown[]): Promise<Row[]>
  /** Ends every connection to it and drops it. Not needed for cleaning up: the server is thrown away. */
  drop(): Promise<void>
}

/** Where the run's services answer: services.ts sets it. */
export const SERVICES = 'TENANTKEYS_TEST_SERVICES'

const asked = new Map<PostgresKind, Promise<PostgresServer>>()

/** @throws Error when this machine has none of this kind: guard the tests with `skipsPostgres`. */
export function postgresServer(kind: PostgresKind): Promise<PostgresServer> {
  const known = asked.get(kind) ?? ask(kind)
  asked.set(kind, known)
  return known
}

async function ask(kind: PostgresKind): Promise<PostgresServer> {
  const services = process.env[SERVICES]
  if (services === undefined) throw new Error('no test services: is this run by vitest?')
  const response = await fetch(`${services}/postgres/${kind}`)
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return serverAt(kind, Number(text))
}

export function serverAt(kind: PostgresKind, port: number): PostgresServer {
  const url = (database: string, user = 'postgres'): string =>
    `postgres://${encodeURIComponent(user)}@127.0.0.1:${port}/${encodeURIComponent(database)}`
  const query = async (
    sql: string,
    params?: readonly unknown[],
    database = 'postgres',
  ): Promise<Row[]> => {
    const client = new pg.Client({ connectionString: url(database) })
    client.on('error', () => {})
    await client.connect()
    try {
      const answer = params ? await client.query(sql, [...params]) : await client.query(sql)
      return answer.rows ?? []
    } finally {
      await client.end()
    }
  }
  const freshDatabase = async (template = 'template1'): Promise<TestDatabase> => {
    const name = `t_${randomBytes(8).toString('hex')}`
    await query(`CREATE DATABASE ${name} TEMPLATE "${template}"`)
    const drop = async (): Promise<void> => {
      await query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    }
    return {
      name,
      server,
      url: (user) => url(name, user),
      query: (sql, params) => query(sql, params, name),
      drop,
      [Symbol.asyncDispose]: drop,
    }
  }
  const role = async (name: string, attributes = 'LOGIN'): Promise<void> => {
    await query(`DO $$ BEGIN CREATE ROLE "${name}" ${attributes};
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`)
  }
  const server: PostgresServer = {
    kind,
    host: '127.0.0.1',
    port,
    url,
    query,
    freshDatabase,
    role,
  }
  return server
}
