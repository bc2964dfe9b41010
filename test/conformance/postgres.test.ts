import { afterAll, beforeAll, describe, test } from 'vitest'
import { type ConformanceOptions, storageConformance } from '../../src/testing/index.ts'
import { type PgBouncer, skipsPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { postgresServer, skipsPostgres, type TestDatabase } from '../support/postgres-server.ts'
import { loginOf, pgliteStores, postgresStore } from '../support/postgres-store.ts'

const capabilities = {
  name: 'postgres',
  durable: true,
  multiProcess: true,
  multiHost: true,
  migratesOnStart: false,
  pushes: true,
}

const suite = (
  make: ConformanceOptions['make'],
  over: Partial<ConformanceOptions['capabilities']> = {},
): void =>
  storageConformance({ describe, test }, { capabilities: { ...capabilities, ...over }, make })

describe.skipIf(skipsPostgres('embedded-18'))('PostgreSQL 18', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await (await postgresServer('embedded-18')).freshDatabase()
  })
  suite(({ clock }) => postgresStore(database, { clock }))
})

describe.skipIf(skipsPostgres('debian-15') || skipsPgBouncer())(
  'PostgreSQL 15 behind PgBouncer in transaction mode',
  () => {
    let database: TestDatabase
    let pooler: PgBouncer
    beforeAll(async () => {
      const server = await postgresServer('debian-15')
      database = await server.freshDatabase()
      const users = Array.from({ length: 1000 }, (_, n) => loginOf(n))
      // Else it waits for 15 s before it asks a server again that has refused it.
      const settings = { server_login_retry: 0.05 }
      pooler = await startPgBouncer(server, { users, settings })
    })
    afterAll(() => pooler.close())
    suite(({ clock }) =>
      postgresStore(database, { clock, urlFor: (user) => pooler.url(database.name, user) }),
    )
  },
)

describe('PGlite', () => {
  const stores = pgliteStores()
  afterAll(() => stores.end())
  suite(stores.make, { multiProcess: false, multiHost: false })
})
