/**
 * The host's client as an executor: pg Pool, postgres.js, PGlite, Kysely and Drizzle, each recognised
 * by its shape. None of them is imported.
 *
 * @module
 */
import type { PgExecutor, PgParam, PgQueries, PgReach, PgRow, TransactionMode } from './executor.ts'

interface Answer {
  readonly rows: readonly unknown[]
}

/** A `Pool` of pg. */
export interface PgPoolLike {
  readonly totalCount: number
  query(config: { text: string; values: unknown[] }): Promise<Answer>
  connect(
    told?: (error: unknown, client: PgPoolClientLike | undefined) => void,
  ): Promise<PgPoolClientLike> | undefined
}

export interface PgPoolClientLike {
  query(config: { text: string; values: unknown[] }): Promise<Answer>
  release(destroy?: boolean): void
  on(event: 'error', listener: () => void): unknown
  removeListener(event: 'error', listener: () => void): unknown
}

/** The `sql` of postgres.js. */
export interface PostgresJsLike {
  // biome-ignore lint/suspicious/noExplicitAny: the tag is called with values of every type.
  (template: TemplateStringsArray, ...values: any[]): PromiseLike<unknown>
  readonly options?: {
    readonly transform?: {
      readonly column?: { readonly from?: ((column: string) => string) | undefined } | undefined
    }
  }
  unsafe(query: string, params?: string[]): PromiseLike<readonly unknown[]>
  begin(options: string, step: (sql: PostgresJsSession) => Promise<unknown>): Promise<unknown>
}

interface PostgresJsSession {
  unsafe(query: string, params?: string[]): PromiseLike<readonly unknown[]>
}

/** In this process alone. */
export interface PgliteLike {
  readonly dataDir?: string | undefined
  query(query: string, params?: unknown[]): Promise<Answer>
  transaction(step: (tx: PgliteSession) => Promise<unknown>): Promise<unknown>
  listen(channel: string, listener: (payload: string) => void): Promise<() => Promise<void>>
}

interface PgliteSession {
  query(query: string, params?: unknown[]): Promise<Answer>
}

export interface KyselyLike extends KyselySessionLike {
  selectFrom(...args: never[]): unknown
  transaction(): { execute(step: (tx: KyselySessionLike) => Promise<unknown>): Promise<unknown> }
}

export interface KyselySessionLike {
  executeQuery(query: never): Promise<Answer>
}

/** Drizzle keeps the client it was given. */
export interface DrizzleLike {
  readonly $client: PgPoolLike | PostgresJsLike | PgliteLike
}

export type PostgresClient = PgPoolLike | PostgresJsLike | PgliteLike | KyselyLike | DrizzleLike

/** @returns `null`: none of the clients we know. */
export function executorOf(client: unknown): PgExecutor | null {
  if (hasMethods(client, 'unsafe', 'begin')) return fromPostgresJs(client as PostgresJsLike)
  if (typeof client !== 'object' || client === null) return null
  if ('$client' in client) return executorOf(client.$client)
  if (hasMethods(client, 'selectFrom', 'executeQuery', 'transaction')) {
    return fromKysely(client as KyselyLike)
  }
  if (hasMethods(client, 'query', 'transaction', 'listen')) return fromPglite(client as PgliteLike)
  // A single Client of pg connects and asks too, but it cannot be shared.
  if (hasMethods(client, 'query', 'connect') && 'totalCount' in client) {
    return fromPgPool(client as PgPoolLike)
  }
  return null
}

export const hasMethods = (value: unknown, ...names: readonly string[]): boolean =>
  ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
  names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')

const ISOLATION: Readonly<Record<TransactionMode, string>> = {
  read: 'isolation level repeatable read read only',
  write: 'isolation level read committed read write',
}

/** A server, which any number of processes on any number of hosts may ask. */
const SERVER: PgReach = { durable: true, multiProcess: true, multiHost: true }

const rowsOf = ({ rows }: Answer): readonly PgRow[] => rows as readonly PgRow[]

function fromPgPool(pool: PgPoolLike): PgExecutor {
  return {
    reach: SERVER,
    query: async (text, params = []) => rowsOf(await pool.query({ text, values: [...params] })),
    transaction: async (mode, step) => {
      const client = await checkedOut(pool)
      const run = async (
        text: string,
        params: readonly PgParam[] = [],
      ): Promise<readonly PgRow[]> => rowsOf(await client.query({ text, values: [...params] }))
      let destroy = true
      try {
        await run(`BEGIN ${ISOLATION[mode]}`)
        const result = await step({ query: run })
        await run('COMMIT')
        destroy = false
        return result
      } catch (error) {
        destroy = !(await rolledBack(run, error))
        throw error
      } finally {
        client.removeListener('error', ignore)
        client.release(destroy)
      }
    },
  }
}

const ignore = (): void => {}

/**
 * A pool listens to its idle clients only: without a listener a connection that breaks ends the process.
 * By callback, because the word of a server that shuts down may come in one piece with the answer that
 * freed the client, before a promise of it is heard.
 */
function checkedOut(pool: PgPoolLike): Promise<PgPoolClientLike> {
  return new Promise((resolve, reject) => {
    const hear = (client: PgPoolClientLike): void => {
      client.on('error', ignore)
      resolve(client)
    }
    const promised = pool.connect((error, client) => (client ? hear(client) : reject(error)))
    // Of a pool that takes no callback.
    promised?.then(hear, reject)
  })
}

/**
 * The connection may be used again only when the server has confirmed that the transaction is over.
 * After an error that did not come from the server it may be silent, or still be answering: then it
 * is closed, and the server rolls back by itself.
 */
async function rolledBack(
  run: (text: string) => Promise<unknown>,
  error: unknown,
): Promise<boolean> {
  const { code, name } = error as { code?: unknown; name?: unknown }
  const isAnswered = name === 'TenantKeysError' || /^[0-9A-Z]{5}$/.test(String(code))
  if (!isAnswered) return false
  return run('ROLLBACK').then(
    () => true,
    () => false,
  )
}

function fromPostgresJs(sql: PostgresJsLike): PgExecutor {
  const renamed = sql.options?.transform?.column?.from
  const queries = (session: PostgresJsSession): PgQueries => ({
    query: async (text, params = []) => {
      // Its types leave out null, which it sends as NULL.
      const rows = (await session.unsafe(text, [...params] as string[])) as readonly PgRow[]
      return renamed ? rows.map((row) => unrenamed(row, renamed)) : rows
    },
  })
  return {
    reach: SERVER,
    ...queries(sql),
    transaction: async <T>(mode: TransactionMode, step: (tx: PgQueries) => Promise<T>) =>
      (await sql.begin(ISOLATION[mode], (session) => step(queries(session)))) as T,
  }
}

/** A host may have every column renamed, as `postgres.camel` does: ours are found all the same. */
const unrenamed = (row: PgRow, renamed: (column: string) => string): PgRow =>
  new Proxy(row, { get: (columns, name) => columns[renamed(String(name))] })

function fromPglite(db: PgliteLike): PgExecutor {
  const queries = (session: PgliteSession): PgQueries => ({
    query: async (text, params = []) => rowsOf(await session.query(text, [...params])),
  })
  return {
    reach: { durable: isKept(db), multiProcess: false, multiHost: false },
    ...queries(db),
    transaction: async <T>(mode: TransactionMode, step: (tx: PgQueries) => Promise<T>) =>
      (await db.transaction(async (session) => {
        const tx = queries(session)
        await tx.query(`SET TRANSACTION ${ISOLATION[mode]}`)
        return step(tx)
      })) as T,
  }
}

const isKept = ({ dataDir = '' }: PgliteLike): boolean =>
  dataDir !== '' && !dataDir.startsWith('memory://')

function fromKysely(db: KyselyLike): PgExecutor {
  const queries = (given: KyselySessionLike): PgQueries => {
    // Its plugins must not rename our columns.
    const { withoutPlugins } = given as { withoutPlugins?: () => KyselySessionLike }
    const session = withoutPlugins?.call(given) ?? given
    return {
      query: async (text, params = []) =>
        rowsOf(await session.executeQuery(compiled(text, params) as never)),
    }
  }
  return {
    reach: SERVER,
    ...queries(db),
    transaction: async <T>(mode: TransactionMode, step: (tx: PgQueries) => Promise<T>) =>
      (await db.transaction().execute(async (session) => {
        const tx = queries(session)
        await tx.query(`SET TRANSACTION ${ISOLATION[mode]}`)
        return step(tx)
      })) as T,
  }
}

/** What `CompiledQuery.raw` of Kysely makes. */
const compiled = (text: string, params: readonly PgParam[]): object => ({
  sql: text,
  parameters: params,
  query: { kind: 'RawNode', sqlFragments: [text], parameters: [] },
  queryId: { queryId: 'tenantkeys' },
})
