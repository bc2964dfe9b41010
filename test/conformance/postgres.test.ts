import { beforeAll, describe, test } from 'vitest'
import { storageConformance } from '../../src/testing/index.ts'
import {
  POSTGRES_KINDS,
  postgresServer,
  skipsPostgres,
  type TestDatabase,
} from '../support/postgres-server.ts'
import { postgresStore } from '../support/postgres-store.ts'

for (const kind of POSTGRES_KINDS) {
  describe.skipIf(skipsPostgres(kind))(kind, () => {
    let database: TestDatabase
    beforeAll(async () => {
      database = await (await postgresServer(kind)).freshDatabase()
    })

    storageConformance(
      { describe, test },
      {
        capabilities: { name: 'postgres', durable: true, multiProcess: true, multiHost: true },
        make: ({ clock }) => postgresStore(database, { clock }),
      },
    )
  })
}
