/**
 * What tests of the SQLite store share: a folder of their own, and a database that tells what is
 * asked of it.
 *
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'libsql'
import { afterAll } from 'vitest'
import type { SqliteDatabaseLike, SqliteValue } from '../../src/adapters/sqlite/index.ts'

/** A function that names files in a new folder, which is removed after the tests of the file. */
export function temporaryFiles(): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'tenantkeys-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return (name) => join(folder, name)
}

/** Runs SQL behind the store's back. */
export function tamper(file: string, ...statements: readonly string[]): void {
  const database = new Database(file)
  database.exec('PRAGMA ignore_check_constraints = ON')
  for (const statement of statements) database.exec(statement)
  database.close()
}

export function queryAll(file: string, sql: string): Record<string, unknown>[] {
  const database = new Database(file)
  const rows = database.prepare(sql).safeIntegers(true).all() as Record<string, unknown>[]
  database.close()
  return rows
}

/** A libsql database whose every statement is shown to `watch` before it runs; `watch` may throw in
 * its place. */
export function watchedDatabase(
  file: string,
  watch: (sql: string) => void,
): SqliteDatabaseLike & { readonly inTransaction: boolean } {
  const database = new Database(file)
  return {
    get inTransaction() {
      return database.inTransaction
    },
    exec: (sql) => {
      watch(sql)
      return database.exec(sql)
    },
    prepare: (sql) => {
      const statement = database.prepare(sql)
      const watched =
        (method: 'get' | 'all' | 'run') =>
        (...params: SqliteValue[]) => {
          watch(sql)
          return statement[method](...params)
        }
      const wrapped = { get: watched('get'), all: watched('all'), run: watched('run') }
      return Object.assign(wrapped, { safeIntegers: (on: boolean) => statement.safeIntegers(on) })
    },
    close: () => database.close(),
  }
}

/** What libsql throws when another connection has the lock. */
export const lockedError = (): Error =>
  Object.assign(new Error('database is locked'), { code: 'SQLITE_BUSY', rawCode: 5 })
