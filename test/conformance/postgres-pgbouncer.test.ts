import { afterAll, beforeAll, describe } from 'vitest'
import { type PgBouncer, skipsPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { postgresServer, skipsPostgres, type TestDatabase } from '../support/postgres-server.ts'
import { loginOf, postgresStore } from '../support/postgres-store.ts'
import { postgresSuite } from './postgres-suite.ts'

/**
 * Each store logs in as a role of its own, so that each has a pool of its own here: its connections
 * are given back once nobody uses them, else those of earlier stores are all that the server has. A
 * client whose role may not log in any more is told so, not left waiting for two minutes.
 */
const settings = { server_login_retry: 0.05, server_idle_timeout: 1, query_wait_timeout: 10 }

describe.skipIf(skipsPostgres('debian-15') || skipsPgBouncer())(
  'PostgreSQL 15 behind PgBouncer in transaction mode',
  () => {
    let database: TestDatabase
    let pooler: PgBouncer
    beforeAll(async () => {
      const server = await postgresServer('debian-15')
      database = await server.freshDatabase()
      const users = Array.from({ length: 1000 }, (_, n) => loginOf(n))
      pooler = await startPgBouncer(server, { users, settings })
    })
    afterAll(() => pooler.close())
    postgresSuite(({ clock }) =>
      postgresStore(database, { clock, urlFor: (user) => pooler.url(database.name, user) }),
    )
  },
)
