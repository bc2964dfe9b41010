/**
 * Reads where the database is. A password may come from stdin, a file or the environment, never from
 * an argument: those can be read by every user of the machine and stay in the history of the shell.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { UsageError } from './exit.ts'

export interface StorageUrl {
  readonly kind: 'sqlite' | 'postgres'
  /** A path, or a connection string; may hold a password. */
  readonly target: string
  /** The same for people and logs: without password and parameters. */
  readonly shown: string
}

export const STORAGE_VARIABLE = 'TENANTKEYS_STORAGE'

const FORMS = `sqlite:PATH, postgres://HOST/DATABASE, env:NAME (a variable that holds it), @FILE (a file that holds it), or - (standard input)`

/**
 * @param given - the argument; `undefined`: taken from TENANTKEYS_STORAGE.
 * @param option - its name, for messages.
 * @throws UsageError
 */
export function readStorageUrl(given: string | undefined, option = '--storage'): StorageUrl {
  if (given === undefined) {
    const found = process.env[STORAGE_VARIABLE]
    if (found) return parse(found, STORAGE_VARIABLE)
    throw new UsageError(`${option} is missing, and ${STORAGE_VARIABLE} is not set. Use ${FORMS}.`)
  }
  if (given === '-') return parse(readText(0, 'standard input'), 'standard input')
  if (given.startsWith('@')) {
    return parse(readText(given.slice(1), 'the file of @'), 'the file of @')
  }
  if (given.startsWith('env:')) {
    const name = given.slice('env:'.length)
    const found = process.env[name]
    if (found) return parse(found, `the variable of ${option}`)
    throw new UsageError(`${option} names a variable that is not set.`)
  }
  const url = parse(given, option)
  if (url.kind === 'postgres' && hasPassword(url.target)) {
    throw new UsageError(
      `${option} holds a password. Arguments are seen by every user of this machine and kept by the shell. Use env:NAME, @FILE or -, or leave the password out and set PGPASSWORD.`,
    )
  }
  return url
}

function readText(from: string | number, name: string): string {
  try {
    return readFileSync(from, 'utf8')
  } catch {
    throw new UsageError(`${name} cannot be read.`)
  }
}

function parse(text: string, from: string): StorageUrl {
  const url = text.trim()
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length).replace(/^\/\//, '')
    if (path === '' || path === ':memory:' || path.includes('\0')) {
      throw new UsageError(`${from}: sqlite: needs the path of a file.`)
    }
    return { kind: 'sqlite', target: path, shown: `sqlite:${path}` }
  }
  if (/^postgres(?:ql)?:(?:\/\/|$)/.test(url)) return postgresUrl(url, from)
  // What it holds is not repeated: it may be anything, also a password in the wrong place.
  throw new UsageError(`${from} is not a storage URL. Use ${FORMS}.`)
}

/** `postgres:` alone is the server that PGHOST and the like name. */
function postgresUrl(text: string, from: string): StorageUrl {
  const url = text.includes('//') ? text : 'postgres://'
  if (!URL.canParse(url)) throw new UsageError(`${from} is not a URL.`)
  const { username, host, pathname } = new URL(url)
  const user = username === '' ? '' : `${username}@`
  return { kind: 'postgres', target: url, shown: `postgres://${user}${host}${pathname}` }
}

function hasPassword(url: string): boolean {
  const { password, searchParams } = new URL(url)
  return password !== '' || searchParams.has('password')
}
