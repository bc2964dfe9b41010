import { beforeAll, describe } from 'vitest'
import { postgresServer, skipsPostgres, type TestDatabase } from '../support/postgres-server.ts'
import { postgresStore } from '../support/postgres-store.ts'
import { postgresSuite } from './postgres-suite.ts'

describe.skipIf(skipsPostgres('embedded-18'))('PostgreSQL 18', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await (await postgresServer('embedded-18')).freshDatabase()
  })
  postgresSuite(({ clock }) => postgresStore(database, { clock }))
})
