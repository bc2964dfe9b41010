import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { executorOf } from '../../src/adapters/postgres/clients.ts'
import type { PgExecutor } from '../../src/adapters/postgres/executor.ts'
import {
  type PostgresOptions,
  type PostgresSchemaOptions,
  postgres,
  postgresMigrations,
} from '../../src/adapters/postgres/index.ts'
import { migrate } from '../../src/adapters/postgres/migrate.ts'
import { MIGRATIONS } from '../../src/adapters/postgres/migrations/index.ts'
import { Names } from '../../src/adapters/postgres/names.ts'
import { keyIdOf, NONE, newKey } from '../../src/testing/storage-conformance/samples.ts'
import {
  POSTGRES_KINDS,
  type PostgresServer,
  postgresServer,
  skipsPostgres,
  type TestDatabase,
} from '../support/postgres-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()

/** Role names that no other test uses: roles belong to the server. */
let count = 0
const OWN = randomBytes(6).toString('hex')
const roleNames = (): { owner: string; app: string; login: string; admin: string } => {
  count += 1
  const named = (word: string): string => `${word}_${OWN}_${count}`
  return { owner: named('o'), app: named('a'), login: named('l'), admin: named('m') }
}

async function withPool<T>(url: string, use: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  pool.on('error', () => {})
  try {
    return await use(pool)
  } finally {
    await pool.end()
  }
}

const migrateAs = (url: string, options: Omit<PostgresOptions, 'client'>): Promise<void> =>
  withPool(url, (client) => postgres({ client, ...options }).migrate())

/** Everything that a schema holds, in words, whatever it is called. */
async function described(database: TestDatabase, schema: string): Promise<string[]> {
  const rows = await database.query(
    `WITH here AS (SELECT oid FROM pg_namespace WHERE nspname = $1), tables AS (
       SELECT c.oid, c.relname, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
         c.reloptions FROM pg_class c, here WHERE c.relnamespace = here.oid AND c.relkind = 'r')
     SELECT concat_ws(' ', 'table', relname, pg_get_userbyid(relowner), relacl, relrowsecurity,
       relforcerowsecurity, reloptions) AS line FROM tables
     UNION ALL SELECT concat_ws(' ', 'column', relname, attnum, attname,
       format_type(atttypid, atttypmod), attnotnull, attidentity,
       (SELECT collname FROM pg_collation l WHERE l.oid = attcollation))
       FROM tables JOIN pg_attribute a ON attrelid = tables.oid AND attnum > 0
     UNION ALL SELECT concat_ws(' ', 'constraint', relname, pg_get_constraintdef(k.oid))
       FROM tables JOIN pg_constraint k ON conrelid = tables.oid
     UNION ALL SELECT pg_get_indexdef(indexrelid) FROM tables JOIN pg_index ON indrelid = tables.oid
     UNION ALL SELECT concat_ws(' ', 'policy', relname, polname, polcmd, polroles::regrole[],
       pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
       FROM tables JOIN pg_policy ON polrelid = tables.oid
     UNION ALL SELECT concat_ws(' ', 'function', pg_get_userbyid(proowner), proacl, prosecdef,
       proconfig, pg_get_functiondef(p.oid)) FROM pg_proc p, here WHERE pronamespace = here.oid`,
    [schema],
  )
  const meta = await database.query(`SELECT * FROM ${schema}.tk_meta`)
  return [
    ...rows.map(({ line }) => String(line).replaceAll(schema, '<schema>')).sort(),
    JSON.stringify(meta),
  ]
}

const DEBIAN_PSQL = '/usr/bin/psql'

for (const kind of POSTGRES_KINDS) {
  describe.skipIf(skipsPostgres(kind))(kind, () => {
    const server = (): Promise<PostgresServer> => postgresServer(kind)

    it('eight processes that migrate at once make one schema, and none of them fails', async () => {
      const database = await (await server()).freshDatabase()
      const { owner, app } = roleNames()
      const options = { roles: { owner, app } }
      await Promise.all(Array.from({ length: 8 }, () => migrateAs(database.url(), options)))
      expect(await database.query('SELECT * FROM tenantkeys.tk_meta')).toMatchObject([
        { schema_version: MIGRATIONS.length, test_clock: false },
      ])
      await database.drop()
    })

    it('two databases of one server may be migrated at once with the same roles', async () => {
      const databases = await Promise.all(
        Array.from({ length: 3 }, async () => (await server()).freshDatabase()),
      )
      const { owner, app, login } = roleNames()
      await (await server()).role(login)
      const options = { roles: { owner, app, members: [login] } }
      await Promise.all(databases.map((database) => migrateAs(database.url(), options)))
      for (const database of databases) {
        await withPool(database.url(login), async (client) => {
          expect((await postgres({ client, ...options }).epoch()).epoch).toBe(1)
        })
        await database.drop()
      }
    })

    it('a role with CREATEROLE migrates, and owns nothing and may become nobody afterwards', async () => {
      const database = await (await server()).freshDatabase()
      const { owner, app, login, admin } = roleNames()
      await (await server()).role(admin, 'LOGIN CREATEROLE')
      await (await server()).role(login)
      await database.query(`GRANT CREATE ON DATABASE ${database.name} TO ${admin}`)
      const roles = { owner, app, members: [] }
      await migrateAs(database.url(admin), { roles })
      await migrateAs(database.url(admin), { roles })
      const owned = await database.query(
        'SELECT count(*)::int AS n FROM pg_class WHERE relowner = $1::regrole',
        [admin],
      )
      expect(owned).toEqual([{ n: 0 }])
      await withPool(database.url(admin), async (client) => {
        await expect(client.query(`SET ROLE ${owner}`)).rejects.toMatchObject({ code: '42501' })
      })
      await database.query(`GRANT ${app} TO ${login}`)
      await withPool(database.url(login), async (client) => {
        const storage = postgres({ client, roles })
        // Nothing is left to do: the role needs no right to do it.
        await storage.migrate()
        await storage.tenants.create({ id: 'acme', parentId: null, credentials: 'tenant' }, NONE)
        expect((await storage.tenants.get('acme'))?.id).toBe('acme')
      })
      await database.drop()
    })

    it('a role that may not migrate is told what to run, and that is enough', async () => {
      const database = await (await server()).freshDatabase()
      const { owner, app, admin } = roleNames()
      await (await server()).role(admin)
      const roles = { owner, app }
      const refused = await migrateAs(database.url(admin), { roles }).catch((e: unknown) => e)
      expect(refused).toMatchObject({
        code: 'TK_CONFIG_INVALID',
        details: { field: 'options.admin' },
      })
      const { hint } = (refused as { details: { hint: string } }).details
      const sql = /run: (.*)$/.exec(hint)?.[1]?.replace('<the role of options.admin>', admin)
      await database.query(sql!)
      await migrateAs(database.url(admin), { roles })
      await database.drop()
    })

    it('a member that does not exist is named as a wrong option', async () => {
      const database = await (await server()).freshDatabase()
      const { owner, app } = roleNames()
      const roles = { owner, app, members: ['nobody_of_this_name'] }
      await expect(migrateAs(database.url(), { roles })).rejects.toMatchObject({
        code: 'TK_CONFIG_INVALID',
        details: { field: 'options.roles' },
      })
      await database.drop()
    })

    it('the SQL files make the same schema as migrate(), also by psql', async () => {
      const database = await (await server()).freshDatabase()
      const { owner, app } = roleNames()
      const options = (schema: string): PostgresSchemaOptions => ({
        schema,
        tablePrefix: 'p_',
        roles: { owner, app },
        testClock: true,
      })
      await migrateAs(database.url(), options('made_by_call'))
      for (const { sql } of postgresMigrations(options('made_by_file'))) await database.query(sql)
      const made = await database.query(
        `SELECT count(*)::int AS n FROM information_schema.tables WHERE table_schema = 'made_by_file'
         AND table_name NOT LIKE 'p\\_%'`,
      )
      expect(made).toEqual([{ n: 0 }])
      const renamed = 'ALTER TABLE made_by_call.p_tk_meta RENAME TO tk_meta'
      for (const schema of ['made_by_call', 'made_by_file']) {
        await database.query(renamed.replace('made_by_call', schema))
      }
      const byCall = await described(database, 'made_by_call')
      expect(byCall.length).toBeGreaterThan(200)
      expect(await described(database, 'made_by_file')).toEqual(byCall)
      if (existsSync(DEBIAN_PSQL)) {
        const run = (): number | null => {
          const args = [database.url(), '-v', 'ON_ERROR_STOP=1', '-q']
          const files = postgresMigrations({ schema: 'by_psql', roles: { owner, app } })
          return files
            .map(({ name, sql }) => {
              writeFileSync(fileOf(name), sql)
              return spawnSync(DEBIAN_PSQL, [...args, '-f', fileOf(name)]).status
            })
            .at(-1)!
        }
        expect(run()).toBe(0)
        const before = await described(database, 'by_psql')
        // A second time it stops at the first table, and changes nothing.
        expect(run()).not.toBe(0)
        expect(await described(database, 'by_psql')).toEqual(before)
        // And migrate() finds nothing to do.
        await migrateAs(database.url(), { schema: 'by_psql', roles: { owner, app } })
      }
      await database.drop()
    })

    it('a schema of the host keeps its owner, and a table of the host is not taken for ours', async () => {
      const database = await (await server()).freshDatabase()
      const { owner, app, login } = roleNames()
      await (await server()).role(login)
      await database.query('CREATE SCHEMA host; CREATE TABLE host.tk_tenants (id text)')
      const roles = { owner, app, members: [login] }
      await expect(migrateAs(database.url(), { schema: 'host', roles })).rejects.toMatchObject({
        code: 'TK_CONFIG_INVALID',
        details: { field: 'options.schema' },
      })
      await migrateAs(database.url(), { schema: 'host', tablePrefix: 'keys_', roles })
      await withPool(database.url(login), async (client) => {
        const storage = postgres({ client, schema: 'host', tablePrefix: 'keys_', roles })
        expect((await storage.epoch()).epoch).toBe(1)
      })
      const [schema] = await database.query(
        "SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = 'host'",
      )
      expect(schema).toEqual({ owner: 'postgres' })
      await database.drop()
    })

    it('a process that finds no schema, an older one, or one that is too new for it says so', async () => {
      const database = await (await server()).freshDatabase()
      await withPool(database.url(), async (client) => {
        const storage = postgres({ client, roles: 'single' })
        await expect(storage.epoch()).rejects.toMatchObject({ code: 'TK_STORE_NOT_MIGRATED' })
        await storage.migrate()
        // The check is made again, and then no more.
        expect((await storage.epoch()).epoch).toBe(1)
        for (const [version, from] of [
          [0, 0],
          [MIGRATIONS.length + 7, MIGRATIONS.length + 1],
        ]) {
          await client.query(
            'UPDATE tenantkeys.tk_meta SET schema_version = $1, compatible_from = $2',
            [version, from],
          )
          const other = postgres({ client, roles: 'single' })
          await expect(other.epoch()).rejects.toMatchObject({ code: 'TK_STORE_NOT_MIGRATED' })
        }
        await expect(storage.migrate()).rejects.toMatchObject({ code: 'TK_STORE_NOT_MIGRATED' })
        await client.query('UPDATE tenantkeys.tk_meta SET compatible_from = 1')
        expect((await postgres({ client, roles: 'single' }).epoch()).epoch).toBe(1)
      })
      await database.drop()
    })

    it('a clock of a test is refused unless the schema was migrated for it', async () => {
      const database = await (await server()).freshDatabase()
      await withPool(database.url(), async (client) => {
        const clock = { nowMs: () => 5 }
        const storage = postgres({ client, roles: 'single', clock })
        await storage.migrate()
        await expect(storage.epoch()).rejects.toMatchObject({
          code: 'TK_CONFIG_INVALID',
          details: { field: 'options.clock' },
        })
        // The functions refuse it too, whoever sends it.
        await expect(
          client.query("SELECT tenantkeys.tk_epoch_v1('null'::jsonb, 5::bigint)"),
        ).rejects.toMatchObject({ code: 'TKERR', message: 'TK_CONFIG_INVALID' })
      })
      await database.drop()
    })

    it('a running version goes on while a later one is migrated, and is never kept waiting', async () => {
      const database = await (await server()).freshDatabase()
      const names = new Names({ schema: 'tenantkeys', tablePrefix: '', roles: 'single' })
      const [first] = MIGRATIONS
      const later = {
        version: 2,
        compatibleFrom: 1,
        title: 'later',
        statements: () => [
          'ALTER TABLE tenantkeys.tenant_api_keys ADD COLUMN color text',
          'CREATE TABLE tenantkeys.tk_colors (name text PRIMARY KEY)',
        ],
      }
      await withPool(database.url(), async (client) => {
        const storage = postgres({ client, roles: 'single' })
        await storage.migrate()
        await storage.tenants.create({ id: 'acme', parentId: null, credentials: 'tenant' }, NONE)
        await storage.keys.create(newKey('acme', 1), NONE)
        // An older process is inside a transaction: the migration cannot have the table now.
        const holder = await client.connect()
        await holder.query('BEGIN; SELECT * FROM tenantkeys.tenant_api_keys')
        let migrated = false
        let givenUp = 0
        const migration = withPool(database.url(), (other) => {
          const executor = executorOf(other)!
          const transaction: PgExecutor['transaction'] = (mode, step) =>
            executor.transaction(mode, step).catch((error: unknown) => {
              givenUp += 1
              throw error
            })
          const options = { members: [], testClock: false }
          return migrate({ ...executor, transaction }, names, options, [first!, later])
        }).then(() => {
          migrated = true
        })
        // It waits for the lock, gives up, and waits again.
        let longestMs = 0
        for (let n = 2; givenUp < 3; n++) {
          const startedMs = performance.now()
          await storage.keys.create(newKey('acme', n), NONE)
          expect((await storage.keys.find(keyIdOf(n))).found?.key.state).toBe('active')
          longestMs = Math.max(longestMs, performance.now() - startedMs)
        }
        expect(migrated).toBe(false)
        await holder.query('COMMIT')
        holder.release()
        await migration
        console.log(`longest command of the running version: ${longestMs.toFixed(0)} ms`)
        expect((await storage.keys.find(keyIdOf(1))).found?.key.state).toBe('active')
        expect(
          (await storage.keys.list({ tenantId: 'acme', after: null, limit: 2 })).items,
        ).toHaveLength(2)
        expect(await client.query('SELECT schema_version FROM tenantkeys.tk_meta')).toMatchObject({
          rows: [{ schema_version: 2 }],
        })
        // A process of the older version that starts now finds what it needs.
        expect((await postgres({ client, roles: 'single' }).epoch()).epoch).toBeGreaterThan(1)
      })
      await database.drop()
    })
  })
}
