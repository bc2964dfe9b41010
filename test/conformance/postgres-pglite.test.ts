import { afterAll, describe } from 'vitest'
import { pgliteStores } from '../support/postgres-store.ts'
import { postgresSuite } from './postgres-suite.ts'

describe('PGlite', () => {
  const stores = pgliteStores()
  afterAll(() => stores.end())
  postgresSuite(stores.make, { multiProcess: false, multiHost: false })
})
