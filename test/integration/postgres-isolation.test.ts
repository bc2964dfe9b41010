import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Connection } from '../../src/adapters/postgres/connection.ts'
import { type PostgresOptions, postgres } from '../../src/adapters/postgres/index.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { ledgerBench } from '../../src/testing/storage-conformance/ledger-bench.ts'
import {
  ALL,
  audit,
  keyIdOf,
  NONE,
  newKey,
  newSecret,
  tenantWithDek,
} from '../../src/testing/storage-conformance/samples.ts'
import { type Inhabitant, OF_NO_TENANT, QUESTIONS, settleIn } from '../support/foreign-ids.ts'
import { type PgBouncer, skipsPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { crossings, foreignAnswers } from '../support/postgres-crossings.ts'
import {
  POSTGRES_KINDS,
  postgresServer,
  skipsPostgres,
  type TestDatabase,
} from '../support/postgres-server.ts'
import { loginOf, type PostgresStore, postgresStore } from '../support/postgres-store.ts'
import { breaches, connectionOf, TENANT_TABLES } from '../support/postgres-walls.ts'

const forced = process.env.TENANTKEYS_FORCE === '1'

async function tenantWithRows(storage: Storage, id: string, n: number): Promise<void> {
  const dek = await tenantWithDek(storage, id)
  await storage.keys.create(newKey(id, n), { audit: [audit(id, 'made')] })
  await storage.secrets.put(newSecret(id, dek.id), NONE)
  const account = { id: `tenant:${id}`, depth: 0 }
  const budget = { tenantId: id, account, unit: 'usd', window: 'month', zone: 'UTC' } as const
  await storage.ledger.setBudget({ ...budget, limit: 5n, source: 'explicit' }, NONE)
}

describe.each(POSTGRES_KINDS.filter((kind) => !skipsPostgres(kind)))('%s', (kind) => {
  let database: TestDatabase
  let store: PostgresStore
  let connection: Connection
  beforeAll(async () => {
    database = await (await postgresServer(kind)).freshDatabase()
    store = await postgresStore(database)
    connection = connectionOf(store)
    await tenantWithRows(store.storage, 'thief', 1)
    await tenantWithRows(store.storage, 'victim', 2)
  })
  afterAll(() => store.dispose())

  describe('T-I2 the login role', () => {
    const isBefore16 = kind === 'debian-15'
    const refusal = async (user: string, over: Partial<PostgresOptions> = {}): Promise<unknown> => {
      const client = new pg.Pool({ connectionString: database.url(user), max: 1 })
      const storage = postgres({ ...store.options, ...over, client })
      const error: unknown = await storage.epoch().catch((e: unknown) => e)
      await client.end()
      return error
    }
    const refused = { code: 'TK_CONFIG_INVALID', details: { field: 'options.client' } }

    it('a superuser is refused', async () => {
      const error = await refusal('postgres')
      expect(error).toMatchObject(refused)
      expect(String(error)).toContain('superuser')
    })

    it('a role with BYPASSRLS is refused', async () => {
      await database.server.role(`bypass_${kind}`, 'LOGIN BYPASSRLS')
      await database.query(`GRANT tk_app TO "bypass_${kind}"`)
      expect(String(await refusal(`bypass_${kind}`))).toContain('BYPASSRLS')
    })

    it('a member of the owner role is refused', async () => {
      await database.server.role(`owning_${kind}`, 'LOGIN')
      await database.query(`GRANT tk_app, tk_owner TO "owning_${kind}"`)
      expect(String(await refusal(`owning_${kind}`))).toContain('owner')
    })

    /** A new login in the app role, after what `grants` says of it; `%` is its name. */
    let logins = 0
    const refusalAfter = async (grants: string, attributes = 'LOGIN'): Promise<unknown> => {
      const login = `member_${kind}_${++logins}`
      await database.server.role(login, attributes)
      await database.query(`GRANT tk_app TO "${login}"; ${grants.replaceAll('%', `"${login}"`)}`)
      return refusal(login)
    }
    const accepted = { epoch: expect.any(Number) }
    const group = async (name: string, attributes: string): Promise<string> => {
      await database.server.role(`${name}_${kind}`, attributes)
      return `"${name}_${kind}"`
    }

    it('T-I2 a login that may become a superuser, or a role with BYPASSRLS, is refused', async () => {
      const supers = await group('supers', 'NOLOGIN SUPERUSER')
      const bypassing = await group('bypassing', 'NOLOGIN BYPASSRLS')
      const between = await group('between', 'NOLOGIN')
      await database.query(`GRANT ${bypassing} TO ${between}`)
      expect(await refusalAfter(`GRANT ${supers} TO %`)).toMatchObject(refused)
      const noInherit = await refusalAfter(`GRANT ${supers} TO %`, 'LOGIN NOINHERIT')
      expect(String(noInherit)).toContain(`may become the superuser supers_${kind}`)
      // By way of another role.
      const error = await refusalAfter(`GRANT ${between} TO %`)
      expect(error).toMatchObject(refused)
      expect(String(error)).toContain(`bypassing_${kind}, which has BYPASSRLS`)
      expect(await refusalAfter(`GRANT tk_owner TO %`, 'LOGIN NOINHERIT')).toMatchObject(refused)
    })

    it.each([
      'pg_read_server_files',
      'pg_write_server_files',
      'pg_execute_server_program',
      'pg_read_all_data',
    ])('T-I2 a login with the rights of %s is refused', async (role) => {
      const between = await group(`between_${role}`, 'NOLOGIN')
      await database.query(`GRANT ${role} TO ${between}`)
      const direct = await refusalAfter(`GRANT ${role} TO %`)
      expect(direct).toMatchObject(refused)
      expect(String(direct)).toContain(role)
      expect(await refusalAfter(`GRANT ${between} TO %`)).toMatchObject(refused)
      // By SET ROLE alone.
      expect(await refusalAfter(`GRANT ${between} TO %`, 'LOGIN NOINHERIT')).toMatchObject(refused)
    })

    it('T-I2 what pg_read_all_data gives is read around the walls, and so is what is replicated', async () => {
      const login = `statistics_${kind}`
      await database.server.role(login, 'LOGIN')
      await database.query(`GRANT tk_app, pg_read_all_data TO "${login}"`)
      await database.query(`ANALYZE ${store.schema}.tk_tenants`)
      const client = new pg.Client({ connectionString: database.url(login) })
      await client.connect()
      const { rows: walled } = await client.query(`SELECT id FROM ${store.schema}.tk_tenants`)
      const { rows: seen } = await client.query(
        `SELECT stavalues1::text || coalesce(stavalues2::text, '') AS text FROM pg_statistic
         WHERE starelid = '${store.schema}.tk_tenants'::regclass`,
      )
      await client.end()
      expect(walled).toEqual([])
      expect(seen.map(({ text }) => text).join()).toContain('victim')

      expect(String(await refusalAfter('', 'LOGIN REPLICATION'))).toContain('has REPLICATION')
      const replicating = await group('replicating', 'NOLOGIN REPLICATION')
      expect(await refusalAfter(`GRANT ${replicating} TO %`)).toMatchObject(refused)
    })

    it('T-I2 policies bind a login with the rights of pg_write_all_data, which is accepted', async () => {
      expect(await refusalAfter('GRANT pg_write_all_data TO %')).toMatchObject(accepted)
    })

    it('T-I2 a login that may grant itself the owner role is refused', async () => {
      if (isBefore16) {
        const error = await refusalAfter('', 'LOGIN CREATEROLE')
        expect(error).toMatchObject(refused)
        expect(String(error)).toContain('CREATEROLE')
        const creators = await group('creators', 'NOLOGIN CREATEROLE')
        expect(await refusalAfter(`GRANT ${creators} TO %`)).toMatchObject(refused)
        return
      }
      // Since 16 such a role grants what it has the ADMIN option of.
      expect(await refusalAfter('', 'LOGIN CREATEROLE')).toMatchObject(accepted)
      const none = 'WITH SET FALSE, INHERIT FALSE, ADMIN'
      expect(await refusalAfter(`GRANT tk_owner TO % ${none} TRUE`)).toMatchObject(refused)
      expect(await refusalAfter(`GRANT tk_owner TO % ${none} FALSE`)).toMatchObject(accepted)
      // Rights of the owner role without becoming it.
      const inherits = await refusalAfter(`GRANT tk_owner TO % WITH SET FALSE, INHERIT TRUE`)
      expect(inherits).toMatchObject(refused)
    })

    it('a superuser that has put on the app role is refused: it can take it off', async () => {
      const options = `-c role=${store.login}`
      const client = new pg.Pool({ connectionString: database.url(), options, max: 1 })
      const storage = postgres({ ...store.options, client })
      await expect(storage.epoch()).rejects.toMatchObject(refused)
      await client.end()
    })

    it('a role that is no member of the app role is told what to run', async () => {
      await database.server.role(`outside_${kind}`, 'LOGIN')
      const error = await refusal(`outside_${kind}`)
      expect(error).toMatchObject(refused)
      expect(String(error)).toContain('GRANT "tk_app" TO')
    })

    it('with `roles: single` nothing is asked of the role', async () => {
      expect(await refusal('postgres', { roles: 'single', listen: undefined })).toMatchObject({
        epoch: expect.any(Number),
      })
    })
  })

  it('T-I2 no table, function or row is open to more than it should be', async () => {
    expect(await breaches(database, store)).toEqual([])
  })

  describe('T-I2 row level security', () => {
    it.each(TENANT_TABLES)(
      '%s without any filter shows the tenants of the transaction',
      async (name, column) => {
        const sql = `SELECT ${column} AS tenant FROM ${connection.names.table(name)} ORDER BY 1`
        const seen = (scope: string | string[] | null): Promise<unknown[]> =>
          connection.read(scope, async ({ query }) => (await query(sql)).map((row) => row.tenant))
        expect(await seen('thief')).toEqual(['thief'])
        expect(await seen(['thief', 'victim'])).toEqual(['thief', 'victim'])
        expect(await seen('nobody')).toEqual([])
        // Empty, and missing: no rows.
        expect(await seen(null)).toEqual([])
        expect((await store.pool.query(sql)).rows).toEqual([])
      },
    )

    it.each(TENANT_TABLES)(
      '%s takes no change of a row of another tenant',
      async (name, column) => {
        const table = connection.names.table(name)
        const before = await database.query(`SELECT * FROM ${table} ORDER BY 1`)
        const update = `UPDATE ${table} SET ${column} = ${column} WHERE ${column} = 'victim' RETURNING 1::text`
        const changed = await connection.write('thief', ({ query }) => query(update))
        expect(changed).toEqual([])
        // Nor may a row be given to another.
        const give = `UPDATE ${table} SET ${column} = 'victim'`
        await expect(connection.write('thief', ({ query }) => query(give))).rejects.toMatchObject({
          code: 'TK_STORE_UNAVAILABLE',
        })
        expect(await database.query(`SELECT * FROM ${table} ORDER BY 1`)).toEqual(before)
      },
    )

    it.each(['tk_pins', 'tk_audit', 'tk_audit_heads', 'tk_epoch', 'tk_clock', 'tk_outbox'])(
      '%s is closed to the app role',
      async (name) => {
        const sql = `SELECT * FROM ${connection.names.table(name)}`
        await expect(store.pool.query(sql)).rejects.toMatchObject({ code: '42501' })
      },
    )

    it('commands whose filters are taken out still give no foreign row', async () => {
      const unfiltered = (text: string): string =>
        text
          .replaceAll(/\b(?:tenant_id|id) = \$1\b/g, () => '$1::text IS NOT NULL')
          .replaceAll(/\bkey_id = \$2\b/g, () => '$2::text IS NOT NULL')
      let taken = 0
      const without = (asked: { text: string; values: unknown[] }) => {
        const text = unfiltered(asked.text)
        if (text !== asked.text) taken += 1
        return { ...asked, text }
      }
      const client = {
        totalCount: 0,
        query: (asked: { text: string; values: unknown[] }) => store.pool.query(without(asked)),
        connect: async () => {
          const one = await store.pool.connect()
          return {
            query: (asked: { text: string; values: unknown[] }) => one.query(without(asked)),
            release: (destroy?: boolean) => one.release(destroy),
            on: one.on.bind(one),
            removeListener: one.removeListener.bind(one),
          }
        },
      }
      const storage = postgres({ ...store.options, client: client as never })
      const tenantId = 'thief'
      expect((await storage.keys.get({ tenantId, keyId: keyIdOf(2) }))?.tenantId).toBe('thief')
      expect((await storage.keys.list({ tenantId, ...ALL })).items).toHaveLength(1)
      expect((await storage.secrets.list({ tenantId, ...ALL })).items).toHaveLength(1)
      expect((await storage.tenants.get(tenantId))?.id).toBe('thief')
      expect(await storage.ledger.budgets(tenantId)).toHaveLength(1)
      const at = { tenantId, keyId: keyIdOf(2), state: 'disabled' } as const
      expect((await storage.keys.setState(at, NONE))?.tenantId).toBe('thief')
      expect(taken).toBe(5)
      const theirs = { tenantId: 'victim', keyId: keyIdOf(2) }
      expect((await store.storage.keys.get(theirs))?.state).toBe('active')
    })
  })

  describe('T-I1 functions that run as the owner', () => {
    it('are asked for ids of others by T-I3, or know no tenant', async () => {
      const rows = await database.query(
        `SELECT p.proname AS name FROM pg_proc p WHERE p.pronamespace = $1::regnamespace
           AND has_function_privilege('tk_app', p.oid, 'EXECUTE')`,
        [store.schema],
      )
      const asked = QUESTIONS.map(({ of }) => of).filter((of) => of.endsWith('_v1'))
      const known = new Set([...asked, ...Object.keys(OF_NO_TENANT)])
      expect(rows.map((row) => row.name).sort()).toEqual([...known].sort())
    })

    it('answer to an id of another tenant as to one that never was', async () => {
      const { id: dekId } = (await store.storage.deks.current('victim'))!
      const pairs = [
        ['tk_dek_get_v1', { tenantId: 'thief', dekId }, { tenantId: 'thief', dekId: 'never' }],
        ['tk_dek_current_v1', { tenantId: 'nobody' }, { tenantId: null }],
        [
          'tk_secret_get_v1',
          { tenantId: 'nobody', provider: 'openai', name: 'default' },
          { tenantId: 'thief', provider: 'openai', name: 'never' },
        ],
        [
          'tk_audit_list_v1',
          { rootId: 'nobody', after: '0', limit: 9 },
          { rootId: 'x', after: '0', limit: 9 },
        ],
      ] as const
      for (const [fn, foreign, never] of pairs) {
        expect(await connection.call(fn, foreign), fn).toEqual(await connection.call(fn, never))
      }
    })

    it('a row is appended to no chain but that of its tenant, and only behind its head', async () => {
      const before = await store.storage.audit.list({ rootId: 'victim', ...ALL })
      const head = before.items.at(-1)!
      const next = { ...head, id: 'x', sequence: head.sequence + 1, previousHash: head.hash }
      for (const row of [
        { ...next, tenantId: 'thief' },
        { ...next, tenantId: 'nobody' },
        { ...next, tenantId: null },
        { ...next, sequence: head.sequence + 2 },
        { ...next, sequence: head.sequence },
        { ...next, previousHash: head.previousHash },
      ]) {
        await expect(connection.call('tk_audit_append_v1', [row])).rejects.toMatchObject({
          code: 'TK_STORE_CONFLICT',
        })
      }
      expect(await store.storage.audit.list({ rootId: 'victim', ...ALL })).toEqual(before)
    })

    it('sums of a tenant hold no row of another, and no value becomes part of the statement', async () => {
      const bench = await ledgerBench(store.storage, {
        tenantId: 'victim',
        limit: 1000n,
        ready: true,
      })
      await bench.settle(await bench.hold(100n), 60n)
      const { usage } = store.storage
      const query = { tenantId: 'thief', fromMs: null, untilMs: null } as const
      for (const by of [[], ['tenant'], ["tag:' || u.tenant_id || '"], ['tag:%L']] as const) {
        expect(await usage.totals({ ...query, by })).toEqual([])
      }
      const all = await usage.totals({ ...query, tenantId: null, by: ['tenant'] })
      expect(all.map(({ tenant }) => tenant)).toEqual(['victim'])
      for (const name of ['tenant_id', 'u.tenant_id', '"tenant_id"', 'tenant; DROP TABLE x', '']) {
        const by = [name] as never
        await expect(usage.totals({ ...query, by })).rejects.toMatchObject({ code: 'TK_INTERNAL' })
      }
    })

    it('a function or a table of the same name in another schema is not taken', async () => {
      await database.query(
        `GRANT CREATE ON SCHEMA public TO ${store.login}; GRANT TEMPORARY ON DATABASE ${database.name} TO ${store.login}`,
      )
      const client = new pg.Client({ connectionString: database.url(store.login) })
      await client.connect()
      await client.query(`
        CREATE FUNCTION public.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '"stolen"'::jsonb $$;
        CREATE FUNCTION public.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE TEMP TABLE tk_epoch (epoch bigint); INSERT INTO tk_epoch VALUES (99);
        SET search_path = public, pg_temp, pg_catalog`)
      const { rows } = await client.query(
        `SELECT "${store.schema}".tk_epoch_v1('null'::jsonb, NULL) AS answer`,
      )
      expect(rows[0].answer.epoch).toBe((await store.storage.epoch()).epoch)
      await client.end()
    })
  })

  it('S3.36 every reference between tables of tenants carries the tenant', async () => {
    const rows = await database.query(
      `SELECT conrelid::regclass::text AS t, confrelid::regclass::text AS r,
         pg_get_constraintdef(oid) AS def
       FROM pg_constraint WHERE contype = 'f' AND connamespace = $1::regnamespace`,
      [store.schema],
    )
    expect(rows.length).toBeGreaterThan(3)
    for (const { r, def } of rows) {
      const carries = /^FOREIGN KEY \(tenant_id[,)]/.test(String(def))
      expect(carries || /FOREIGN KEY \(parent_id\)/.test(String(def)), `${r} ${def}`).toBe(true)
    }
  })
})

describe.skipIf(skipsPostgres('embedded-18'))('T-I3 pooled connections', () => {
  const QUERIES = forced ? 100_000 : 10_000
  let database: TestDatabase
  const filled = async (
    urlFor?: (user: string) => string,
  ): Promise<{ store: PostgresStore; inhabitants: Inhabitant[] }> => {
    const store = await postgresStore(database, { urlFor, max: 4 })
    const names = Array.from({ length: 50 }, (_, n) => `t${n}`)
    const inhabitants = await Promise.all(names.map((id, n) => settleIn(store.storage, id, n)))
    return { store, inhabitants }
  }
  beforeAll(async () => {
    database = await (await postgresServer('embedded-18')).freshDatabase()
  })

  /** Rows without a filter: nothing but the tenant of the transaction may hold them back. */
  const direct = async (how: string, { store }: { store: PostgresStore }, queries: number) => {
    const counts = await crossings(store, database, queries)
    console.table([{ how, ...counts }])
    expect(counts.crossings).toBe(0)
    expect(counts.queries).toBeGreaterThanOrEqual(queries)
    expect(counts.rows).toBeGreaterThan(queries / 2)
    expect(counts.refused).toBeGreaterThan(0)
  }

  /** Everything that is stored but the clock, as one text for each table. */
  const stored = async ({ schema }: PostgresStore): Promise<unknown> => {
    const tables = await database.query(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 AND tablename <> 'tk_clock'`,
      [schema],
    )
    const sums = tables.map(
      ({ name }) =>
        `SELECT '${name}' AS name, count(*), md5(string_agg(t::text, ' ' ORDER BY t::text))
         FROM "${schema}"."${name}" t`,
    )
    return database.query(`${sums.join(' UNION ALL ')} ORDER BY 1`)
  }

  const byIds = async (
    how: string,
    { store, inhabitants }: { store: PostgresStore; inhabitants: Inhabitant[] },
    questions: number,
  ) => {
    const before = await stored(store)
    const { told, calls, ...seen } = await foreignAnswers(store, database, {
      inhabitants,
      questions,
    })
    console.table(Object.fromEntries(told))
    console.table([{ how, ...seen, crossings: seen.crossings.length }])
    expect(seen.crossings).toEqual([])
    expect(seen.rowsOfOutsiders).toBe(0)
    expect(seen.asked).toBeGreaterThanOrEqual(questions)
    for (const { of, hasOwn } of QUESTIONS) {
      expect(told.get(of)!.asked - told.get(of)!.failed, of).toBeGreaterThan(0)
      if (hasOwn) expect(told.get(of)!.own, of).toBeGreaterThan(0)
      if (of.endsWith('_v1')) expect(calls.get(of), of).toBeGreaterThan(0)
    }
    expect(await stored(store)).toEqual(before)
  }

  it(`T-I3 a connection keeps no tenant for the next one, whatever became of the last (${QUERIES} queries)`, async () => {
    const there = await filled()
    await direct('direct', there, QUERIES)
    await there.store.dispose()
  }, 7_200_000)

  it(`T-I3 every function that is asked for ids of others tells nothing and changes nothing (${QUERIES} questions)`, async () => {
    const there = await filled()
    await byIds('functions', there, QUERIES)
    await there.store.dispose()
  }, 7_200_000)

  describe.skipIf(skipsPgBouncer())('behind PgBouncer', () => {
    let pooler: PgBouncer
    afterAll(() => pooler?.close())

    it('T-I3 nor does a server connection that PgBouncer hands on', async () => {
      const users = Array.from({ length: 50 }, (_, n) => loginOf(n))
      const settings = { default_pool_size: 2 }
      pooler = await startPgBouncer(await postgresServer('embedded-18'), { users, settings })
      const there = await filled((user) => pooler.url(database.name, user))
      await direct('direct, behind PgBouncer', there, QUERIES / 4)
      await byIds('functions, behind PgBouncer', there, QUERIES / 4)
      await there.store.dispose()
    }, 7_200_000)
  })
})
