/**
 * The drivers as one: which slice of a SQLite library we call, and the small layer that makes
 * better-sqlite3, libsql and node:sqlite answer alike.
 *
 * What is evened out: integers are read as bigint (money does not fit a double), parameters are
 * passed in the form each takes, and values a driver cannot bind are refused before it sees them
 * (libsql ends the process on a boolean).
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'

/** What we need of a database object: better-sqlite3, libsql and node:sqlite have it. */
export interface SqliteDatabaseLike {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatementLike
  close(): unknown
}

export interface SqliteStatementLike {
  get(...params: SqliteValue[]): unknown
  all(...params: SqliteValue[]): unknown
  run(...params: SqliteValue[]): unknown
}

export type SqliteValue = string | number | bigint | Uint8Array | null

/** Column names to values, as a driver returned them: see decode.ts. */
export type SqliteRow = Readonly<Record<string, unknown>>

const MAX_INTEGER = 2n ** 63n - 1n

export class SqliteClient {
  readonly #database: SqliteDatabaseLike
  /** By SQL text. Our texts are constants, so this stays small. */
  readonly #statements = new Map<string, Statement>()

  constructor(database: SqliteDatabaseLike) {
    this.#database = database
  }

  exec(sql: string): void {
    this.#database.exec(sql)
  }

  get(sql: string, ...params: readonly SqliteValue[]): SqliteRow | null {
    const row = this.#statement(sql).call('get', params)
    return typeof row === 'object' && row !== null ? (row as SqliteRow) : null
  }

  all(sql: string, ...params: readonly SqliteValue[]): readonly SqliteRow[] {
    return this.#statement(sql).call('all', params) as readonly SqliteRow[]
  }

  /** @returns how many rows were changed. */
  run(sql: string, ...params: readonly SqliteValue[]): number {
    const done = this.#statement(sql).call('run', params) as { changes?: number | bigint }
    return Number(done.changes ?? 0)
  }

  /** True while a transaction is open on this connection, ours or that of its owner. */
  get inTransaction(): boolean {
    const { inTransaction, isTransaction } = this.#database as {
      inTransaction?: boolean
      isTransaction?: boolean
    }
    return inTransaction ?? isTransaction ?? false
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = new Statement(this.#database.prepare(sql))
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

/** What tells the drivers apart: how each is told to read integers as bigint. */
interface Dialects {
  /** node:sqlite; takes parameters one by one. */
  setReadBigInts?(on: boolean): unknown
  /** better-sqlite3 and libsql; libsql takes a lone null or byte array only inside an array. */
  safeIntegers?(on: boolean): unknown
}

class Statement {
  readonly #statement: SqliteStatementLike
  readonly #spread: boolean

  constructor(statement: SqliteStatementLike) {
    const dialect = statement as Dialects
    this.#statement = statement
    this.#spread = dialect.setReadBigInts !== undefined
    if (dialect.setReadBigInts) dialect.setReadBigInts(true)
    else if (dialect.safeIntegers) dialect.safeIntegers(true)
    else {
      throw new TenantKeysError('TK_CONFIG_INVALID', {
        field: 'database',
        reason: 'expected a better-sqlite3, libsql or node:sqlite database',
      })
    }
  }

  call(method: 'get' | 'all' | 'run', params: readonly SqliteValue[]): unknown {
    params.forEach(checkBindable)
    if (this.#spread) return this.#statement[method](...params)
    return this.#statement[method](params as unknown as SqliteValue)
  }
}

function checkBindable(value: unknown): void {
  if (value === null || typeof value === 'string' || value instanceof Uint8Array) return
  if (Number.isSafeInteger(value)) return
  if (typeof value === 'bigint' && value <= MAX_INTEGER && value >= -MAX_INTEGER) return
  const reason = 'the store keeps text, bytes and integers of 64 bits'
  throw new TenantKeysError('TK_INPUT_INVALID', { reason })
}
