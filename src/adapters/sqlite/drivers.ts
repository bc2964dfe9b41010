/**
 * Finds a SQLite driver: node:sqlite where the runtime has it (Node >= 22.13), else the `libsql` or
 * `better-sqlite3` that the host has installed. Nothing is loaded before a file is opened.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { SqliteDatabaseLike } from './client.ts'

type Open = (file: string) => SqliteDatabaseLike
type DatabaseClass = new (file: string) => SqliteDatabaseLike

/** The slice of `process` we use; other runtimes lack parts of it. */
interface Host {
  readonly versions?: { readonly node?: string }
  getBuiltinModule?(name: string): unknown
}

const host = (): Host => (globalThis as { process?: Host }).process ?? {}

/**
 * @throws TenantKeysError TK_STORE_DRIVER_MISSING; `hint` says what to install.
 */
export async function findDriver(): Promise<Open> {
  const builtin = nodeSqlite()
  if (builtin) return builtin
  const failures: unknown[] = []
  for (const name of ['libsql', 'better-sqlite3']) {
    if (name === 'better-sqlite3' && wouldCrash()) continue
    try {
      // The name is no literal: bundlers must not ask for a driver that the host did not choose.
      const module = (await import(name)) as { default: DatabaseClass }
      return (file) => new module.default(file)
    } catch (error) {
      failures.push(error)
    }
  }
  throw new TenantKeysError(
    'TK_STORE_DRIVER_MISSING',
    { hint: 'run npm install libsql, or use Node 22.13 or later, which has a driver built in' },
    { cause: failures[0] },
  )
}

function nodeSqlite(): Open | null {
  const [major, minor] = nodeVersion()
  if (major < 22 || (major === 22 && minor < 13)) return null
  const module = host().getBuiltinModule?.('node:sqlite') as
    | { DatabaseSync?: DatabaseClass }
    | undefined
  const { DatabaseSync } = module ?? {}
  return DatabaseSync ? (file) => new DatabaseSync(file) : null
}

/** better-sqlite3 13 ends the process on Node below 22, so its version is read before it is loaded. */
function wouldCrash(): boolean {
  if (nodeVersion()[0] >= 22) return false
  try {
    const manifest: unknown = createRequire(import.meta.url)('better-sqlite3/package.json')
    const { version } = manifest as { version: string }
    return Number.parseInt(version, 10) >= 13
  } catch {
    return true
  }
}

function nodeVersion(): [major: number, minor: number] {
  const [major = 0, minor = 0] = (host().versions?.node ?? '').split('.').map(Number)
  return [major, minor]
}
