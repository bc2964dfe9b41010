/**
 * A PostgreSQL database as the commands see it.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { userInfo } from 'node:os'
import { executorOf } from '../../adapters/postgres/clients.ts'
import { dropInstallation } from '../../adapters/postgres/drop.ts'
import {
  inspectPostgres,
  type PostgresSchemaOptions,
  postgres,
  postgresMigrations,
} from '../../adapters/postgres/index.ts'
import { Names } from '../../adapters/postgres/names.ts'
import { connect, type OpenClient } from './postgres-driver.ts'
import type { Scratch, Store } from './store.ts'

/** As plain data. */
export interface PostgresSpec extends PostgresSchemaOptions {
  readonly kind: 'postgres'
  /** May hold a password. */
  readonly url: string
  /** Of the role that migrates; `null`: the same. */
  readonly adminUrl: string | null
  readonly shown: string
  /** Connections that all processes of the host may open together; `null`: not told. */
  readonly connections: number | null
}

/** Callers of one process share their batches: a few connections are enough. */
const POOL = 4

export function postgresStore(spec: PostgresSpec): Store {
  const { url, adminUrl, shown, connections, schema, tablePrefix, roles } = spec
  const place = { schema, tablePrefix, roles }
  return {
    kind: 'postgres',
    shown,
    spec,
    open: async () => {
      const { client, end } = await connect(url, POOL)
      const storage = postgres({ ...place, client })
      return {
        ...storage,
        close: async () => {
          await storage.close()
          await end()
        },
      }
    },
    inspect: () =>
      using(url, ({ client }) =>
        inspectPostgres({ ...place, client, connections: connections ?? undefined }),
      ),
    migrate: () => using(adminUrl ?? url, ({ client }) => postgres({ ...place, client }).migrate()),
    migrations: () => postgresMigrations(place),
    scratch: async () => scratchOf(spec),
  }
}

async function using<T>(url: string, work: (open: OpenClient) => Promise<T>): Promise<T> {
  const open = await connect(url, 1)
  try {
    return await work(open)
  } finally {
    await open.end()
  }
}

/** A schema of its own. With an administrator also roles of its own, so that the walls between tenants
 * are part of the trial; roles belong to the whole cluster, so they go with it. */
function scratchOf(spec: PostgresSpec): Scratch {
  const schema = `tenantkeys_crash_${randomBytes(6).toString('hex')}`
  const roles =
    spec.adminUrl === null
      ? ('single' as const)
      : { owner: `${schema}_owner`, app: `${schema}_app`, members: [userOf(spec.url)] }
  return {
    store: postgresStore({ ...spec, schema, roles }),
    name:
      roles === 'single'
        ? `schema ${schema}`
        : `schema ${schema}, roles ${roles.owner}, ${roles.app}`,
    remove: () =>
      using(spec.adminUrl ?? spec.url, ({ client }) =>
        dropInstallation(
          executorOf(client)!,
          new Names({ schema, tablePrefix: spec.tablePrefix ?? '', roles }),
        ),
      ),
  }
}

/** Who connects by this URL, as the drivers have it. */
export function userOf(url: string): string {
  const { username, searchParams } = new URL(url)
  const named = decodeURIComponent(username) || searchParams.get('user')
  return named || process.env.PGUSER || userInfo().username
}
