/**
 * Looks for holes in the walls between tenants: what the catalogue says is open, and what rows show
 * without a filter.
 *
 * @module
 */
import { executorOf } from '../../src/adapters/postgres/clients.ts'
import { Connection } from '../../src/adapters/postgres/connection.ts'
import type { PgExecutor } from '../../src/adapters/postgres/executor.ts'
import { Names } from '../../src/adapters/postgres/names.ts'
import type { TestDatabase } from './postgres-server.ts'
import type { PostgresStore } from './postgres-store.ts'

/** The connection of a store, for statements that its commands do not make. */
export function connectionOf(
  { options, pool }: PostgresStore,
  executor: PgExecutor = executorOf(pool)!,
): Connection {
  const roles = { owner: 'tk_owner', app: 'tk_app' }
  const names = new Names({ schema: options.schema!, tablePrefix: '', roles })
  return new Connection({ executor, names, clock: null })
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
