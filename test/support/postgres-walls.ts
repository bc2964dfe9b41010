/**
 * Looks for holes in the walls between tenants: what the catalogue says is open, what rows show
 * without a filter, what a pooled connection keeps of the last one.
 *
 * @module
 */
import { executorOf } from '../../src/adapters/postgres/clients.ts'
import { Connection } from '../../src/adapters/postgres/connection.ts'
import { Names } from '../../src/adapters/postgres/names.ts'
import type { TestDatabase } from './postgres-server.ts'
import type { PostgresStore } from './postgres-store.ts'
import { seeded } from './seeded.ts'

/** The connection of a store, for statements that its commands do not make. */
export function connectionOf({ options, pool }: PostgresStore): Connection {
  const roles = { owner: 'tk_owner', app: 'tk_app' }
  const names = new Names({ schema: options.schema!, tablePrefix: '', roles })
  return new Connection({ executor: executorOf(pool)!, names, clock: null })
}

/** Tables whose rows the app role may touch, and the column that says whose they are. */
export const TENANT_TABLES: readonly (readonly [table: string, tenantColumn: string])[] = [
  ['tk_tenants', 'id'],
  ['tenant_api_keys', 'tenant_id'],
  ['tk_data_keys', 'tenant_id'],
  ['tenant_secrets', 'tenant_id'],
  ['tk_counters', 'tenant_id'],
]

/** What is open that should not be, in words. Needs rows of tenants `thief` and `victim`. */
export async function breaches(database: TestDatabase, store: PostgresStore): Promise<string[]> {
  return [...(await openObjects(database, store)), ...(await openRows(store))]
}

async function openObjects(database: TestDatabase, { schema }: PostgresStore): Promise<string[]> {
  const tables = await database.query(
    `SELECT 'table ' || c.relname AS name FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
     WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND NOT (
       c.relrowsecurity AND c.relforcerowsecurity AND r.rolname = 'tk_owner'
       AND NOT r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolbypassrls)`,
    [schema],
  )
  const functions = await database.query(
    `SELECT 'function ' || p.proname AS name FROM pg_proc p
     WHERE p.pronamespace = $1::regnamespace AND (pg_get_userbyid(p.proowner) <> 'tk_owner'
       OR p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0)
       OR p.prosecdef AND NOT coalesce(p.proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'
       OR p.prosecdef AND has_function_privilege('tk_app', p.oid, 'EXECUTE')
         AND NOT coalesce(p.proconfig, '{}') @> '{"lock_timeout=10000"}')`,
    [schema],
  )
  const counted = await database.query(
    `SELECT (SELECT count(*)::int FROM pg_class WHERE relnamespace = $1::regnamespace
        AND relkind = 'r') AS tables,
      (SELECT count(*)::int FROM pg_proc WHERE pronamespace = $1::regnamespace) AS functions`,
    [schema],
  )
  const [{ tables: t, functions: f }] = counted as [{ tables: number; functions: number }]
  if (t < 13 || f < 16) throw new Error('there is next to nothing to look at')
  return [...tables, ...functions].map((row) => String(row.name))
}

async function openRows(store: PostgresStore): Promise<string[]> {
  const connection = connectionOf(store)
  const found: string[] = []
  for (const [name, column] of TENANT_TABLES) {
    const sql = `SELECT ${column} AS tenant FROM ${connection.names.table(name)} ORDER BY 1`
    const seen = await connection.read('thief', async ({ query }) => query(sql))
    const foreign = seen.filter((row) => row.tenant !== 'thief')
    if (seen.length === 0) found.push(`own rows of ${name} are missing`)
    if (foreign.length > 0) found.push(`foreign rows of ${name}`)
    // Empty, and missing.
    const none = await connection.read(null, async ({ query }) => query(sql))
    const unset = (await store.pool.query(sql)).rows
    if (none.length + unset.length > 0) found.push(`rows of ${name} without a tenant`)
  }
  return found
}

/** 64 tasks on 4 connections ask for the rows of 50 tenants, while others are cut off and fail. */
export async function crossings(
  store: PostgresStore,
  database: TestDatabase,
  queries: number,
  connection = connectionOf(store),
) {
  const table = connection.names.table('tenant_api_keys')
  const sql = `SELECT tenant_id, pg_sleep(0.0002)::text FROM ${table}`
  const TENANTS = 50
  const counts = { queries: 0, rows: 0, crossings: 0, errors: 0, cancelled: 0, cut: 0 }
  let running = true
  // The very same connections are used by others of the host, without any tenant.
  const outsider = (async () => {
    while (running) {
      const { rows } = await store.pool
        .query(`SELECT tenant_id FROM ${table}`)
        .catch(() => ({ rows: [] }))
      counts.crossings += rows.length
    }
  })()
  const canceller = (async () => {
    for (let n = 0; running; n++) {
      const end = n % 20 === 19 ? 'pg_terminate_backend' : 'pg_cancel_backend'
      const rows = await database.query(
        `SELECT ${end}(pid) FROM pg_stat_activity
         WHERE usename = $1 AND state <> 'idle' AND query LIKE '%pg_sleep%' LIMIT 1`,
        [store.login],
      )
      if (rows.length > 0) counts[n % 20 === 19 ? 'cut' : 'cancelled'] += 1
    }
  })()
  const random = seeded(7)
  const task = async (): Promise<void> => {
    // On until each has happened, whoever is slower.
    while (counts.queries < queries || Math.min(counts.errors, counts.cancelled) === 0) {
      const tenantId = `t${random(TENANTS)}`
      const fate = random(100)
      const work = connection.read(tenantId, async ({ query }) => {
        for (let n = 0; n < 5; n++) {
          counts.queries += 1
          for (const row of await query(sql)) {
            counts[row.tenant_id === tenantId ? 'rows' : 'crossings'] += 1
          }
        }
        if (fate < 5) throw new Error('by the step')
        if (fate < 10) await query('SELECT 1/0')
      })
      await work.catch(() => {
        counts.errors += 1
      })
    }
  }
  await Promise.all(Array.from({ length: 64 }, task))
  running = false
  await Promise.all([outsider, canceller])
  return counts
}
