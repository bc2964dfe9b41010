/**
 * In a schema where others may make functions too, ours are called with arguments of exactly their
 * types, so that no other function of the same name is the better match (T-I2).
 *
 * @module
 */
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { inspectPostgres, postgres, postgresMigrations } from '../../src/adapters/postgres/index.ts'
import { ask, tenantAccount } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { HOST_ROLE, ROLES } from '../support/open-store.ts'
import { POSTGRES_KINDS, postgresServer, skipsPostgres } from '../support/postgres-server.ts'

describe.each(POSTGRES_KINDS.filter((kind) => !skipsPostgres(kind)))('PostgreSQL %s', (kind) => {
  it('T-I2 a function that another role has put beside ours is never called in its place', async () => {
    const database = await (await postgresServer(kind)).freshDatabase()
    await database.server.role('mallory')
    await database.server.role(HOST_ROLE)
    const admin = new pg.Pool({ connectionString: database.url(), max: 1 })
    await database.query('CREATE SCHEMA shared; GRANT USAGE, CREATE ON SCHEMA shared TO mallory')
    await postgres({ client: admin, roles: ROLES, schema: 'shared' }).migrate()
    await admin.end()
    const mallory = new pg.Client(database.url('mallory'))
    await mallory.connect()
    const planted = (signature: string, returns: string) =>
      mallory.query(`CREATE FUNCTION shared.${signature} RETURNS ${returns} LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'planted, as %', current_user; END $$`)
    await planted('tk_now_v1(test_now text)', 'bigint')
    await planted('tk_leftovers_v1(args jsonb, test_now text)', 'jsonb')
    await planted('tk_slide_v1(b bigint[], l integer, a bigint)', 'bigint[]')
    await mallory.end()
    const pool = new pg.Pool({ connectionString: database.url(HOST_ROLE), max: 1 })
    const storage = postgres({ client: pool, roles: ROLES, schema: 'shared' })
    await tenants(storage, 'acme')
    const account = tenantAccount('acme')
    const of = {
      unit: 'usd',
      window: 'rate_minute',
      zone: 'UTC',
      tenantId: 'acme',
      account,
    } as const
    await storage.ledger.setBudget({ ...of, limit: 5n, source: 'explicit' }, NONE)
    expect(await storage.ledger.budgets('acme')).toHaveLength(1)
    await storage.ledger.reserve([ask('acme', 1n, { ttlMs: 1 })])
    while ((await storage.ledger.sweep(1)) === 0);
    await inspectPostgres({ client: pool, roles: ROLES, schema: 'shared' })
    await pool.end()
  })

  it('T-I2 tables that another role has made are not taken for ours', async () => {
    const database = await (await postgresServer(kind)).freshDatabase()
    await database.server.role('mallory')
    await database.server.role(HOST_ROLE)
    await database.query(`CREATE SCHEMA tenantkeys AUTHORIZATION mallory;
      SET ROLE mallory;
      CREATE TABLE tenantkeys.tk_meta AS SELECT 1 AS id, 1 AS schema_version, 1 AS compatible_from,
        false AS test_clock;
      GRANT USAGE ON SCHEMA tenantkeys TO PUBLIC;
      GRANT SELECT ON tenantkeys.tk_meta TO PUBLIC`)
    const pool = new pg.Pool({ connectionString: database.url(HOST_ROLE), max: 1 })
    const storage = postgres({ client: pool, roles: ROLES })
    await expect(storage.epoch()).rejects.toMatchObject({
      code: 'TK_CONFIG_INVALID',
      details: { field: 'options.roles' },
    })
    await pool.end()
  })
})

describe('options', () => {
  it('T-I6 no name of a member ends the block that it stands in', () => {
    for (const name of ['a$tk$; SELECT 1; DO $tk$', 'a\0b', '']) {
      expect(() => postgresMigrations({ roles: { members: [name] } }), name).toThrow(/roles/)
    }
  })
})
