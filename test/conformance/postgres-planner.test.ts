import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgres } from '../../src/adapters/postgres/index.ts'
import { runSuite } from '../mutants/recording-runner.ts'
import { type ReusedPostgres, reusedPostgres } from '../support/postgres-reused.ts'
import { skipsPostgres } from '../support/postgres-server.ts'

const KIND = 'embedded-18'
const isForced = process.env.TENANTKEYS_FORCE === '1'

/** What the planner may not choose, so that it chooses as statistics of other tables would make it. */
const PLANS: readonly (readonly [string, readonly string[]])[] = [
  // A subquery may be run again for every row outside.
  ['nested loops', ['hashjoin', 'mergejoin', 'material', 'memoize', 'hashagg', 'sort']],
  // Rows come in the order they were written in, and are joined in the order of a hash.
  ['hash joins', ['mergejoin', 'nestloop', 'indexscan', 'indexonlyscan', 'bitmapscan', 'sort']],
  ['merge joins', ['hashjoin', 'nestloop', 'hashagg']],
]

/** Cases of a store that has its database for itself. */
const APART =
  /shares? nothing|says of itself|that cannot answer|another handle on the same data sees/

describe.skipIf(skipsPostgres(KIND))('PostgreSQL, whatever its planner chooses', () => {
  let reused: ReusedPostgres
  beforeAll(async () => {
    reused = await reusedPostgres(KIND)
  })
  afterAll(() => reused.close())

  test.each(isForced ? PLANS : PLANS.slice(0, 1))(
    'every answer is the same by %s',
    async (_, never) => {
      const { database, store } = reused
      const settings = never.map((name) => `enable_${name} = off`)
      for (const one of settings) await database.query(`ALTER DATABASE ${database.name} SET ${one}`)
      const report = await runSuite(
        {
          capabilities: { name: 'postgres', durable: true, multiProcess: true, multiHost: true },
          make: async ({ clock }) => {
            const storage = await reused.fresh(clock)
            const options = { ...store.options, listen: undefined, clock }
            return { storage, reopen: async () => postgres(options), dispose: async () => {} }
          },
        },
        { only: (title) => !APART.test(title) },
      )
      await database.query(`ALTER DATABASE ${database.name} RESET ALL`)
      expect(report.failed).toEqual([])
      expect(report.passed.length).toBeGreaterThan(300)
    },
    900_000,
  )
})
