/**
 * Stores by description, so that a test can tell its child processes what to open.
 *
 * @module
 */
import pg from 'pg'
import { postgres } from '../../src/adapters/postgres/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { TestDatabase } from './postgres-server.ts'

export type StoreSpec =
  | { readonly kind: 'sqlite'; readonly file: string }
  | {
      readonly kind: 'postgres'
      readonly url: string
      /** Connections at most; default 8. */
      readonly connections?: number
      /** How long one statement may stay unanswered, in ms; default: for ever, as pg has it. */
      readonly queryMs?: number
      /** Where the listener of pushes connects; default: there is none. */
      readonly listenUrl?: string
    }

export interface OpenStore {
  readonly storage: Storage
  /** Closes the store, and the client that is the host's. */
  close(): Promise<void>
}

export function openStore(spec: StoreSpec): OpenStore {
  if (spec.kind === 'sqlite') {
    const storage = sqlite({ file: spec.file, synchronous: 'NORMAL', busyTimeoutMs: 60_000 })
    return { storage, close: () => storage.close() }
  }
  const pool = new pg.Pool({
    connectionString: spec.url,
    max: spec.connections ?? 8,
    connectionTimeoutMillis: spec.queryMs ?? 30_000,
    ...(spec.queryMs === undefined ? {} : { query_timeout: spec.queryMs }),
  })
  // As every host must: an idle connection that breaks is no reason to end the process.
  pool.on('error', () => {})
  const { listenUrl } = spec
  const listen = listenUrl === undefined ? {} : { listen: () => new pg.Client(listenUrl) }
  const storage = postgres({ client: pool, roles: ROLES, ...listen })
  const close = async (): Promise<void> => {
    await storage.close()
    await pool.end()
  }
  return { storage, close }
}

/** Whom hosts connect as: nobody special. */
export const HOST_ROLE = 'proof_host'
export const ROLES = { owner: 'proof_owner', app: 'proof_app', members: [HOST_ROLE] } as const

/** Makes the tables, as the superuser. @returns what a host opens. */
export async function migrated(database: TestDatabase): Promise<StoreSpec & { kind: 'postgres' }> {
  await database.server.role(HOST_ROLE)
  const admin = new pg.Pool({ connectionString: database.url(), max: 2 })
  try {
    await postgres({ client: admin, roles: ROLES }).migrate()
  } finally {
    await admin.end()
  }
  return { kind: 'postgres', url: database.url(HOST_ROLE) }
}
