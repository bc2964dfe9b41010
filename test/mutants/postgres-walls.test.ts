import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PgExecutor, PgQueries } from '../../src/adapters/postgres/executor.ts'
import {
  NONE,
  newKey,
  newSecret,
  tenantWithDek,
} from '../../src/testing/storage-conformance/samples.ts'
import { settleIn } from '../support/foreign-ids.ts'
import { crossings, foreignAnswers } from '../support/postgres-crossings.ts'
import { postgresServer, skipsPostgres, type TestDatabase } from '../support/postgres-server.ts'
import { type PostgresStore, postgresStore } from '../support/postgres-store.ts'
import { breaches } from '../support/postgres-walls.ts'

/** What is broken, how, and what must be found open. */
const MUTANTS: readonly (readonly [what: string, sql: string, found: string])[] = [
  [
    'the owner is not bound by the policies',
    'ALTER TABLE <s>.tenant_api_keys NO FORCE ROW LEVEL SECURITY',
    'table tenant_api_keys',
  ],
  [
    'row level security is off',
    'ALTER TABLE <s>.tenant_secrets DISABLE ROW LEVEL SECURITY',
    'foreign rows of tenant_secrets',
  ],
  [
    'a policy admits every tenant',
    'CREATE POLICY wide ON <s>.tk_data_keys TO tk_app USING (true)',
    'foreign rows of tk_data_keys',
  ],
  [
    'a missing setting is every tenant',
    `DROP POLICY tk_app_own ON <s>.tk_tenants; CREATE POLICY tk_app_own ON <s>.tk_tenants TO tk_app
       USING (id = coalesce(nullif(current_setting('tenantkeys.tenant_id', true), ''), id))`,
    'rows of tk_tenants without a tenant',
  ],
  [
    'the policy of the app role is missing',
    'DROP POLICY tk_app_own ON <s>.tenant_api_keys',
    'own rows of tenant_api_keys are missing',
  ],
  [
    'PUBLIC may execute a function',
    'GRANT EXECUTE ON FUNCTION <s>.tk_key_find_v1(jsonb, bigint) TO PUBLIC',
    'function tk_key_find_v1',
  ],
  [
    'a function takes the search_path of its caller',
    'ALTER FUNCTION <s>.tk_pin_v1(jsonb, bigint) RESET search_path',
    'function tk_pin_v1',
  ],
  [
    'a function looks into the temporary schema first',
    'ALTER FUNCTION <s>.tk_pin_v1(jsonb, bigint) SET search_path = pg_catalog',
    'function tk_pin_v1',
  ],
  [
    'a function waits for a lock for ever',
    'ALTER FUNCTION <s>.tk_settle_v1(jsonb, bigint) RESET lock_timeout',
    'function tk_settle_v1',
  ],
  [
    'a function belongs to the superuser',
    'ALTER FUNCTION <s>.tk_epoch_v1(jsonb, bigint) OWNER TO postgres',
    'function tk_epoch_v1',
  ],
]

/** Names the tenant for the session in place of the transaction. */
function keepingTenant(executor: PgExecutor): PgExecutor {
  const broken = ({ query }: PgQueries): PgQueries => ({
    query: (text, params) =>
      query(text.replace(/(tenantkeys.tenant_id', [$]1::text), true/, '$1, false'), params),
  })
  return {
    ...executor,
    transaction: (mode, step) => executor.transaction(mode, (tx) => step(broken(tx))),
  }
}

describe.skipIf(skipsPostgres('embedded-18'))('walls between tenants', () => {
  let database: TestDatabase
  const stores: PostgresStore[] = []
  const filled = async (): Promise<PostgresStore> => {
    const store = await postgresStore(database, { max: 4 })
    stores.push(store)
    for (const [n, id] of ['thief', 'victim'].entries()) {
      const dek = await tenantWithDek(store.storage, id)
      await store.storage.keys.create(newKey(id, n), NONE)
      await store.storage.secrets.put(newSecret(id, dek.id), NONE)
      const account = { id: `tenant:${id}`, depth: 0 }
      const budget = { tenantId: id, account, unit: 'usd', window: 'month', zone: 'UTC' } as const
      await store.storage.ledger.setBudget({ ...budget, limit: 5n, source: 'explicit' }, NONE)
    }
    return store
  }
  beforeAll(async () => {
    database = await (await postgresServer('embedded-18')).freshDatabase()
  })
  afterAll(() => Promise.all(stores.map((store) => store.dispose())))

  it('T-I2 nothing is found in a schema that is not broken', async () => {
    expect(await breaches(database, await filled())).toEqual([])
  })

  it.each(MUTANTS)('T-I2 is caught: %s', async (_, sql, found) => {
    const store = await filled()
    await database.query(sql.replaceAll('<s>', store.schema))
    expect(await breaches(database, store)).toContain(found)
  })

  it('T-I3 is caught: a connection keeps the tenant for the next one', async () => {
    const store = await postgresStore(database, { max: 4 })
    stores.push(store)
    for (let n = 0; n < 50; n++) {
      const id = `t${n}`
      await store.storage.tenants.create({ id, parentId: null, credentials: 'tenant' }, NONE)
      await store.storage.keys.create(newKey(id, n), NONE)
    }
    const seen = await crossings(store, database, 1_000, keepingTenant)
    expect(seen.crossings).toBeGreaterThan(0)
  })

  /** The function, and the text in it that holds an id to the tenant who asks. */
  const OPENED: readonly (readonly [fn: string, held: string, open: string])[] = [
    ['tk_secret_get_v1', "tenant_id = args->>'tenantId' AND ", ''],
    ['tk_dek_get_v1', "tenant_id = args->>'tenantId' AND ", ''],
    ['tk_usage_totals_v1', "IF args->>'tenantId' IS NOT NULL", 'IF false'],
    ['tk_budgets_v1', "WHERE c.tenant_id = args->>'tenantId'", ''],
    ['tk_ledger_part_v1', ' = ANY (tree)', ' IS NOT NULL'],
  ]
  it.each(OPENED)('T-I3 is caught: %s without "%s"', async (fn, held, open) => {
    const store = await postgresStore(database, { max: 4 })
    stores.push(store)
    const inhabitants = await Promise.all(
      ['t0', 't1', 't2'].map((id, n) => settleIn(store.storage, id, n)),
    )
    const signature = `'${store.schema}.${fn}(jsonb, bigint)'::regprocedure`
    const [row] = await database.query(`SELECT pg_get_functiondef(${signature}) AS sql`)
    expect(row?.sql).toContain(held)
    await database.query(String(row?.sql).replaceAll(held, open))
    const { told } = await foreignAnswers(store, database, { inhabitants, questions: 500 })
    const leaking = [...told].filter(([, { foreign }]) => foreign > 0).map(([name]) => name)
    expect(leaking).toEqual([fn])
  })
})
