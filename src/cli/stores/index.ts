/**
 * From what the command line says, or from the spec that another process was given, to a store.
 *
 * @module
 */
import { UsageError } from '../exit.ts'
import { readStorageUrl } from '../storage-url.ts'
import { postgresStore, userOf } from './postgres.ts'
import { sqliteStore } from './sqlite.ts'
import type { Store, StoreSpec } from './store.ts'

/** Options of every command; the names are those of the command line. */
export interface StoreOptions {
  readonly storage?: string
  readonly admin?: string
  readonly schema?: string
  readonly prefix?: string
  readonly singleRole?: boolean
  readonly ownerRole?: string
  readonly appRole?: string
  readonly member?: readonly string[]
  readonly connections?: number
}

/** @throws UsageError */
export function storeOf(options: StoreOptions): Store {
  const { kind, target, shown } = readStorageUrl(options.storage)
  if (kind === 'sqlite') {
    const { storage: _, ...others } = options
    const [first] = Object.keys(others).filter((name) => POSTGRES_OPTIONS.has(name))
    if (first) throw new UsageError(`--${kebab(first)} is for PostgreSQL.`)
    return sqliteStore(target)
  }
  const admin = options.admin === undefined ? null : readStorageUrl(options.admin, '--admin')
  if (admin?.kind === 'sqlite') throw new UsageError('--admin needs a PostgreSQL URL.')
  return postgresStore({
    kind,
    url: target,
    adminUrl: admin?.target ?? null,
    shown,
    connections: options.connections ?? null,
    schema: options.schema,
    tablePrefix: options.prefix,
    roles: rolesOf(options, admin === null ? [] : [userOf(target)]),
  })
}

export function storeFrom(spec: StoreSpec): Store {
  return spec.kind === 'sqlite' ? sqliteStore(spec.file) : postgresStore(spec)
}

const POSTGRES_OPTIONS: ReadonlySet<string> = new Set([
  'admin',
  'schema',
  'prefix',
  'singleRole',
  'ownerRole',
  'appRole',
  'member',
  'connections',
])

const kebab = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)

/** @param users - who becomes a member of the app role when nobody is named. */
function rolesOf(
  { singleRole, ownerRole, appRole, member }: StoreOptions,
  users: readonly string[],
): 'single' | { owner?: string; app?: string; members: readonly string[] } {
  if (!singleRole) {
    return {
      ...(ownerRole !== undefined && { owner: ownerRole }),
      ...(appRole !== undefined && { app: appRole }),
      members: member ?? users,
    }
  }
  if (ownerRole === undefined && appRole === undefined && member === undefined) return 'single'
  throw new UsageError('--single-role has no --owner-role, --app-role and --member.')
}
