/**
 * Every client that a host may have, on one real server (and PGlite), through the same questions.
 */
import { PGlite } from '@electric-sql/pglite'
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres'
import { drizzle as drizzleLite } from 'drizzle-orm/pglite'
import { drizzle as drizzleJs } from 'drizzle-orm/postgres-js'
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import postgresJs from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { executorOf } from '../../src/adapters/postgres/clients.ts'
import { type PostgresClient, postgres } from '../../src/adapters/postgres/index.ts'
import { newDek, newKey, newSecret } from '../../src/testing/storage-conformance/samples.ts'
import { postgresServer, skipsPostgres, type TestDatabase } from '../support/postgres-server.ts'

const NONE = {}

interface Opened {
  readonly client: PostgresClient
  end(): Promise<unknown>
}

/** A pool whose types are all parsed by the host's own ideas: only text may be read. */
const strict = (connectionString: string, max: number): pg.Pool =>
  new pg.Pool({
    connectionString,
    max,
    types: {
      getTypeParser: (oid: number) => (value: string) => {
        if (oid === 25) return value
        throw new Error(`a parser of the host is asked for type ${oid}`)
      },
    } as never,
  })

const clients: Readonly<Record<string, (url: string, max: number) => Opened>> = {
  'pg Pool': (connectionString, max) => {
    const client = new pg.Pool({ connectionString, max })
    return { client, end: () => client.end() }
  },
  'pg Pool with type parsers of the host': (url, max) => {
    const client = strict(url, max)
    return { client, end: () => client.end() }
  },
  'postgres.js': (url, max) => {
    const client = postgresJs(url, { max, onnotice: () => {} })
    return { client, end: () => client.end() }
  },
  'postgres.js with types of the host': (url, max) => {
    const types = { bigint: postgresJs.BigInt }
    const client = postgresJs(url, { max, types, transform: postgresJs.camel, onnotice: () => {} })
    return { client, end: () => client.end() }
  },
  Kysely: (connectionString, max) => {
    const pool = new pg.Pool({ connectionString, max })
    const client = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
    return { client, end: () => client.destroy() }
  },
  'Kysely with CamelCasePlugin': (connectionString, max) => {
    const pool = new pg.Pool({ connectionString, max })
    const plugins = [new CamelCasePlugin()]
    const client = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }), plugins })
    return { client, end: () => client.destroy() }
  },
  'Drizzle on pg': (connectionString, max) => {
    const pool = new pg.Pool({ connectionString, max })
    return { client: drizzlePg({ client: pool }), end: () => pool.end() }
  },
  'Drizzle on postgres.js': (url, max) => {
    const sql = postgresJs(url, { max, onnotice: () => {} })
    return { client: drizzleJs({ client: sql }), end: () => sql.end() }
  },
}

/** It takes seconds to start, so that all share one. */
const lite = PGlite.create()
afterAll(async () => (await lite).close())

const onLite: Readonly<Record<string, () => Promise<PostgresClient>>> = {
  PGlite: () => lite,
  'Drizzle on PGlite': async () => drizzleLite({ client: await lite }),
}

const MAX = 2n ** 63n - 1n

/** One command of each kind: by function and by transaction, read and write, bytes, large numbers. */
async function exercise(client: PostgresClient, schema: string): Promise<void> {
  const storage = postgres({ client, schema, roles: 'single' })
  await storage.migrate()
  await storage.migrate()
  await storage.tenants.create({ id: 'acme', parentId: null, credentials: 'tenant' }, NONE)
  const key = await storage.keys.create(newKey('acme', 1, { expiresAtMs: 253_402_300_799_999 }), {
    audit: [{ tenantId: 'acme', actor: 'a', action: 'b', target: 'c', detail: { d: '"\\ü' } }],
    events: [{ id: 'e1', kind: 'sample', tenantId: null, payload: { text: 'null', list: [1] } }],
  })
  const { found, epoch } = await storage.keys.find(key.keyId)
  expect(found?.key).toEqual(key)
  expect(epoch).toBe(3)
  expect(await storage.keys.get({ tenantId: 'acme', keyId: key.keyId })).toEqual(key)
  const dek = await storage.deks.create(newDek('acme', 1), NONE)
  const secret = await storage.secrets.put(newSecret('acme', dek.id), NONE)
  const { provider, name } = secret
  expect(await storage.secrets.get({ tenantId: 'acme', provider, name })).toEqual(secret)
  const budget = {
    tenantId: 'acme',
    account: { id: 'tenant:acme', depth: 0 },
    unit: 'usd',
    window: 'lifetime',
    zone: 'UTC',
    limit: 9_000_000_000_000_000_000n,
    source: 'explicit',
  } as const
  await storage.ledger.setBudget(budget, NONE)
  expect((await storage.ledger.budgets('acme'))[0]?.limit).toBe(budget.limit)
  const { events } = await storage.outbox.lease({ limit: 10, leaseMs: 1000 })
  expect(events.map(({ id, payload }) => [id, JSON.parse(payload)])).toEqual([
    ['e1', { text: 'null', list: [1] }],
  ])
  const { items } = await storage.audit.list({ rootId: 'acme', after: null, limit: 10 })
  expect(items[0]?.detail).toEqual({ d: '"\\ü' })
  await storage.close()
}

/** With one connection, a transaction that fails anywhere must give it back, without its changes. */
async function fail(client: PostgresClient): Promise<void> {
  const executor = executorOf(client)!
  await executor.query('CREATE TABLE failing (id text PRIMARY KEY)')
  const thrown = new Error('by the step')
  const steps = [
    () => Promise.reject(thrown),
    (query: (sql: string) => Promise<unknown>) => query('SELECT 1/0'),
    (query: (sql: string) => Promise<unknown>) => query("INSERT INTO failing VALUES ('one')"),
  ]
  for (const step of steps) {
    const work = executor.transaction('write', async ({ query }) => {
      await query("INSERT INTO failing VALUES ('one')")
      await step(query)
    })
    await expect(work).rejects.toThrow()
    expect(await executor.query('SELECT id FROM failing')).toEqual([])
  }
  await expect(
    executor.transaction('read', ({ query }) => query("INSERT INTO failing VALUES ('two')")),
  ).rejects.toMatchObject({ code: '25006' })
  await executor.transaction('write', ({ query }) => query("INSERT INTO failing VALUES ('two')"))
  expect(await executor.query('SELECT id FROM failing WHERE id = $1', ['two'])).toHaveLength(1)
  expect(
    await executor.query('SELECT $1::text AS a, $2::bigint::text AS b', [null, `${MAX}`]),
  ).toEqual([{ a: null, b: `${MAX}` }])
}

describe.skipIf(skipsPostgres('embedded-18'))('on PostgreSQL 18', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await (await postgresServer('embedded-18')).freshDatabase()
  })

  describe.each(Object.entries(clients))('%s', (name, open) => {
    const schema = `by_${name}`.toLowerCase().replaceAll(/\W/g, '_')

    it('every kind of command gives back what was written', async () => {
      const { client, end } = open(database.url(), 3)
      await exercise(client, schema)
      await end()
    })

    it('a transaction that fails is rolled back and gives its connection back', async () => {
      const { client, end } = open(database.url(), 1)
      await fail(client)
      await executorOf(client)?.query('DROP TABLE failing')
      await end()
    })

    it('statements have no name, so that a pooler may send each to another server', async () => {
      const { client, end } = open(database.url(), 1)
      const executor = executorOf(client)!
      for (let n = 0; n < 3; n++) await executor.query('SELECT $1::text AS a', [String(n)])
      // postgres.js names one of its own when it connects.
      const ours = "statement LIKE '%AS a%'"
      const sql = `SELECT count(*)::text AS n FROM pg_prepared_statements WHERE ${ours}`
      expect((await executor.query(sql))[0]?.n).toBe('0')
      await end()
    })
  })

  it('a connection that breaks inside a transaction ends neither the process nor the pool', async () => {
    const pool = new pg.Pool({ connectionString: database.url(), max: 1 })
    const executor = executorOf(pool)!
    const ended = new Promise((resolve) => {
      pool.once('connect', (client) => client.once('end', resolve))
    })
    const work = executor.transaction('write', async ({ query }) => {
      const [row] = await query('SELECT pg_backend_pid()::text AS pid')
      await database.query('SELECT pg_terminate_backend($1::int)', [row?.pid])
      // The end of the connection is noticed while no statement runs.
      await ended
      await query('SELECT 1')
    })
    await expect(work).rejects.toThrow()
    expect(pool.totalCount).toBe(0)
    expect(await executor.query("SELECT 'again' AS a")).toEqual([{ a: 'again' }])
    await pool.end()
  })

  it('a client that lost patience is not given back while its statement still runs', async () => {
    const pool = new pg.Pool({ connectionString: database.url(), max: 1, query_timeout: 100 })
    const executor = executorOf(pool)!
    const work = executor.transaction('write', ({ query }) => query('SELECT pg_sleep(2)::text'))
    await expect(work).rejects.toThrow(/timeout/)
    expect(pool.totalCount).toBe(0)
    await pool.end()
  })

  it('a connection of pg that breaks with the answer that freed it ends no process', async () => {
    const pool = new pg.Pool({ connectionString: database.url(), max: 1 })
    pool.on('error', () => {})
    const executor = executorOf(pool)!
    const first = await pool.connect()
    const waiting = executor.transaction('read', ({ query }) => query('SELECT 1 AS one'))
    while (pool.waitingCount === 0) await new Promise(setImmediate)
    // As in one piece: the pool hands it on, and then it breaks.
    first.release()
    expect(() => first.emit('error', new Error('terminating connection'))).not.toThrow()
    expect(await waiting).toEqual([{ one: 1 }])
    await pool.end()
  })
})

describe.each(Object.entries(onLite))('%s', (name, open) => {
  it('every kind of command gives back what was written', async () => {
    await exercise(await open(), `by_${name}`.toLowerCase().replaceAll(/\W/g, '_'))
  })

  it('a transaction that fails is rolled back', async () => {
    const client = await open()
    await fail(client)
    await executorOf(client)?.query('DROP TABLE failing')
  })

  it('the store says that it is one process, and kept only in a folder', async () => {
    expect(postgres({ client: await open() }).capabilities).toMatchObject({
      durable: false,
      multiProcess: false,
      multiHost: false,
    })
  })
})

describe('the client is taken by its shape', () => {
  const single = new pg.Client()
  it.each([
    ['a pg Client, which cannot be shared', single],
    ['nothing', undefined],
    ['an address', 'postgres://127.0.0.1/x'],
    ['an object without methods', {}],
    ['half a pool', { query: () => {} }],
    ['a Drizzle over a pg Client', { $client: single }],
    ['a Drizzle over nothing', { $client: null }],
  ])('TK_CONFIG_INVALID: %s', (_, client) => {
    expect(() => postgres({ client: client as never })).toThrow(
      expect.objectContaining({
        code: 'TK_CONFIG_INVALID',
        details: expect.objectContaining({ field: 'options.client' }),
      }),
    )
  })

  it.each([
    ['schema', 'a-b'],
    ['schema', 'pg_x'],
    ['schema', 'a'.repeat(41)],
    ['tablePrefix', '1a'],
    ['roles', { owner: 'a"b' }],
    ['roles', 'none'],
    ['listen', 'postgres://127.0.0.1/x'],
    ['clock', {}],
    ['pool', {}],
  ])('TK_CONFIG_INVALID: options.%s', (field, value) => {
    const client = new pg.Pool()
    expect(() => postgres({ client, [field]: value } as never)).toThrow(
      expect.objectContaining({
        code: 'TK_CONFIG_INVALID',
        details: expect.objectContaining({ field: expect.stringContaining(`options.${field}`) }),
      }),
    )
  })
})
