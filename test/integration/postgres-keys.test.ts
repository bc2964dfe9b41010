import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import postgresJs from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresOptions, postgres } from '../../src/adapters/postgres/index.ts'
import { type LocalKeyIssuer, localKeyIssuer } from '../../src/keys/local-key-issuer.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import { keyIdOf, NONE, newKey, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { bundle } from '../support/bundle.ts'
import { draft, fakePepper, keyText } from '../support/key-issuer.ts'
import { startPostgres } from '../support/postgres-cluster.ts'
import { postgresServer, skipsPostgres, type TestDatabase } from '../support/postgres-server.ts'
import { startStandby } from '../support/postgres-standby.ts'
import {
  type PostgresStore,
  type PostgresStoreOptions,
  postgresStore,
} from '../support/postgres-store.ts'
import { seeded } from '../support/seeded.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const run = promisify(execFile)
/** One that does not end by itself is ended, so that nothing is left. */
const ENDS = { timeout: 200_000 }
const fileOf = temporaryFiles()

/** An instance whose own clock stands still unless told: then no key is looked at again by its age. */
function instance(storage: Pick<Storage, 'epoch' | 'onEpoch' | 'keys'>): {
  readonly issuer: LocalKeyIssuer
  readonly clock: FakeClock
} {
  const clock = fakeClock()
  const peppers = [{ id: 'pep-1', key: fakePepper(1) }]
  return { issuer: localKeyIssuer({ storage, peppers, clock }), clock }
}

/** Until it is so; a test that would wait for ever ends by its own time limit. */
async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await new Promise((next) => setTimeout(next, 5))
}

describe.skipIf(skipsPostgres('embedded-18'))('keys in PostgreSQL', () => {
  let database: TestDatabase
  const stores: PostgresStore[] = []
  const open = async (options?: PostgresStoreOptions): Promise<PostgresStore> => {
    const store = await postgresStore(database, options)
    stores.push(store)
    await tenants(store.storage, 'acme')
    return store
  }
  beforeAll(async () => {
    database = await (await postgresServer('embedded-18')).freshDatabase()
  })
  afterAll(() =>
    Promise.all(
      stores.map(async (store) => {
        await store.storage.close()
        await store.dispose()
      }),
    ),
  )

  describe('T-K12', () => {
    const PAYLOADS = [
      "' OR '1'='1",
      "'; DROP TABLE tenant_api_keys; --",
      "') UNION SELECT * FROM tk_pins --",
      '" OR ""="',
      '\\',
      '$1::text; SELECT pg_sleep(1)',
      '$tk$; SELECT 1; $tk$',
      '{"keyId":"x"}',
      '\u0000',
      '%00',
      'x'.repeat(100_000),
      '\ud800',
    ]
    const text = seeded(11)
    const hostile = (): string => {
      const payload = PAYLOADS[text(PAYLOADS.length)]!
      const cut = text(60)
      const valid = `tk_live_${keyIdOf(1)}_${'A'.repeat(43)}`
      return [payload, `tk_live_${payload}`, valid.slice(0, cut) + payload + valid.slice(cut)][
        text(3)
      ]!
    }

    it('T-K12 of 10,000 hostile key texts none reaches the database', async () => {
      const { storage, pool } = await open()
      let asked = 0
      const watched: Storage['keys']['find'] = (keyId) => {
        asked += 1
        return storage.keys.find(keyId)
      }
      const { issuer } = instance({ ...storage, keys: { ...storage.keys, find: watched } })
      const codes = new Set<string>()
      for (let n = 0; n < 10_000; n++) {
        const verdict = await issuer.verify(hostile())
        codes.add(verdict.ok ? 'ok' : verdict.code)
      }
      expect([...codes]).toEqual(['TK_KEY_MALFORMED'])
      expect(asked).toBe(0)
      // One that is well formed does ask.
      const parts = { brand: 'tk', environment: 'live', keyId: keyIdOf(9), secret: 'A'.repeat(43) }
      expect(await issuer.verify(keyText(parts))).toMatchObject({
        ok: false,
        code: 'TK_KEY_UNKNOWN',
      })
      expect([asked, pool.totalCount > 0]).toEqual([1, true])
    })

    it('T-K12 a value is never part of a statement: the texts sent are the same for any value', async () => {
      const { options, pool } = await open()
      const texts = new Set<string>()
      const client = {
        totalCount: 0,
        query: (asked: { text: string; values: unknown[] }) => {
          texts.add(asked.text)
          return pool.query(asked)
        },
        connect: () => pool.connect(),
      }
      const storage = postgres({ ...options, client: client as never })
      await storage.keys.find(keyIdOf(1))
      const before = texts.size
      for (const payload of PAYLOADS) {
        await storage.keys.find(payload).then(
          (lookup) => expect(lookup.found).toBe(null),
          // What no text of PostgreSQL can hold.
          (error: unknown) => expect(error).toMatchObject({ code: 'TK_INPUT_INVALID' }),
        )
      }
      expect(texts.size).toBe(before)
      expect((await storage.epoch()).epoch).toBeGreaterThan(1)
    })
  })

  it('T-K8 a key seen as expired stays so for whoever starts later, also when the clock is set back', async () => {
    const clock = fakeClock()
    const { storage, reopen } = await open({ clock })
    const expiresAtMs = clock.nowMs() + 500
    await storage.keys.create(newKey('acme', 1, { expiresAtMs }), NONE)
    clock.set(expiresAtMs)
    expect((await storage.keys.find(keyIdOf(1))).nowMs).toBe(expiresAtMs)
    clock.set(expiresAtMs - 3_600_000)
    expect((await (await reopen()).keys.find(keyIdOf(1))).nowMs).toBeGreaterThanOrEqual(expiresAtMs)
  })

  it('ST-4 the mark of the clock is written at most once a second, and nobody waits for it', async () => {
    const clock = fakeClock()
    const { storage, schema } = await open({ clock })
    const mark = async (): Promise<number> => {
      const [row] = await database.query(`SELECT clock_ms FROM ${schema}.tk_clock`)
      return Number(row?.clock_ms) - clock.nowMs()
    }
    await storage.epoch()
    expect(await mark()).toBe(0)
    clock.advance(999)
    await storage.epoch()
    expect(await mark()).toBe(-999)
    clock.advance(1)
    // Another has the lock: the answer comes all the same.
    const other = new pg.Client({ connectionString: database.url() })
    await other.connect()
    await other.query('BEGIN')
    await other.query(
      `SELECT pg_advisory_xact_lock((x'746b6579'::bigint << 32) | '${schema}.tk_clock'::regclass::oid::bigint)`,
    )
    expect((await storage.epoch()).nowMs).toBe(clock.nowMs())
    expect(await mark()).toBe(-1000)
    await other.end()
    await until(async () => {
      await storage.epoch()
      return (await mark()) === 0
    })
  })

  it('a database that takes no writes still tells keys and the epoch', async () => {
    const { storage, options, login } = await open()
    await storage.keys.create(newKey('acme', 1, { expiresAtMs: 1 }), NONE)
    const client = new pg.Pool({
      connectionString: database.url(login),
      options: '-c default_transaction_read_only=on',
    })
    const reading = postgres({ ...options, client })
    expect((await reading.keys.find(keyIdOf(1))).found?.key.keyId).toBe(keyIdOf(1))
    expect((await reading.epoch()).epoch).toBe((await storage.epoch()).epoch)
    await expect(reading.pin('a', 'b')).rejects.toMatchObject({
      code: 'TK_STORE_UNAVAILABLE',
      outcome: 'none',
    })
    await client.end()
  })

  it('a verification that finds nothing in memory is one round trip', async () => {
    const { options, pool } = await open()
    let sent = 0
    const client = {
      totalCount: 0,
      query: (asked: { text: string; values: unknown[] }) => {
        sent += 1
        return pool.query(asked)
      },
      connect: () => Promise.reject(new Error('a transaction')),
    }
    const storage = postgres({ ...options, client: client as never })
    await storage.epoch()
    const ref = { tenantId: 'acme', provider: 'openai', name: 'default' }
    for (const ask of [
      () => storage.epoch(),
      () => storage.keys.find(keyIdOf(1)),
      () => storage.secrets.get(ref),
      () => storage.deks.current('acme'),
      () => storage.deks.get({ tenantId: 'acme', dekId: 'none' }),
      () => storage.pin('a', 'b'),
    ]) {
      sent = 0
      await ask()
      expect(sent).toBe(1)
    }
  })

  describe('push', () => {
    const listeners = (login: string): Promise<number> =>
      database
        .query("SELECT pid FROM pg_stat_activity WHERE usename = $1 AND query ILIKE 'listen%'", [
          login,
        ])
        .then((rows) => rows.length)

    const kinds: Readonly<
      Record<string, (url: string) => { listen: PostgresOptions['listen']; end(): Promise<void> }>
    > = {
      'pg Client': (url) => ({ listen: () => new pg.Client(url), end: async () => {} }),
      'postgres.js': (url) => {
        const listen = postgresJs(url, { onnotice: () => {} })
        return { listen, end: () => listen.end() }
      },
    }

    it.each(Object.entries(kinds))(
      'T-K4 a key that another process revoked is refused as soon as the push comes: %s',
      async (_, connect) => {
        const { storage, options, login } = await open()
        const { listen, end } = connect(database.url(login))
        const listening = postgres({ ...options, listen })
        const { issuer } = instance(listening)
        const { key, info } = await issuer.issue(draft())
        await until(async () => (await listeners(login)) === 1)
        expect((await issuer.verify(key)).ok).toBe(true)
        await storage.keys.setState({ tenantId: 'acme', keyId: info.keyId, state: 'revoked' }, NONE)
        await until(async () => !(await issuer.verify(key)).ok)
        expect(await issuer.verify(key)).toMatchObject({ code: 'TK_KEY_REVOKED' })
        await listening.close()
        await end()
        await until(async () => (await listeners(login)) === 0)
      },
    )

    it('T-K5 without a push the key is used on until its epoch is 2 s old, and no longer', async () => {
      const { storage, options } = await open()
      const { issuer, clock } = instance(postgres({ ...options, listen: undefined }))
      const pushed = instance(storage).issuer
      const { key, info } = await issuer.issue(draft())
      for (const one of [issuer, pushed]) expect((await one.verify(key)).ok).toBe(true)
      await storage.keys.setState({ tenantId: 'acme', keyId: info.keyId, state: 'revoked' }, NONE)
      // Until who listens has been told.
      await until(async () => !(await pushed.verify(key)).ok)
      expect((await issuer.verify(key)).ok).toBe(true)
      clock.advance(2_001)
      expect(await issuer.verify(key)).toMatchObject({ code: 'TK_KEY_REVOKED' })
    })

    it('T-K5 a listener that was cut off listens again, and what it missed is asked for', async () => {
      const { storage, options, login } = await open()
      const listening = postgres({ ...options, listen: () => new pg.Client(database.url(login)) })
      const { issuer } = instance(listening)
      const { key, info } = await issuer.issue(draft())
      await until(async () => (await listeners(login)) === 1)
      expect((await issuer.verify(key)).ok).toBe(true)
      // It may not come back yet.
      await database.query(`ALTER ROLE ${login} CONNECTION LIMIT 0`)
      await database.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND query ILIKE 'listen%'",
        [login],
      )
      await until(async () => (await listeners(login)) === 0)
      await storage.keys.setState({ tenantId: 'acme', keyId: info.keyId, state: 'revoked' }, NONE)
      expect((await issuer.verify(key)).ok).toBe(true)
      await database.query(`ALTER ROLE ${login} CONNECTION LIMIT -1`)
      await until(async () => !(await issuer.verify(key)).ok)
      expect(await listeners(login)).toBe(1)
      await listening.close()
      await until(async () => (await listeners(login)) === 0)
    })

    it('a listener in a PGlite is told too', async () => {
      const db = await PGlite.create()
      const storage = postgres({ client: db, listen: db, roles: 'single' })
      await storage.migrate()
      await tenants(storage, 'acme')
      const { issuer } = instance(storage)
      const { key, info } = await issuer.issue(draft())
      expect((await issuer.verify(key)).ok).toBe(true)
      const other = postgres({ client: db, roles: 'single' })
      await other.keys.setState({ tenantId: 'acme', keyId: info.keyId, state: 'revoked' }, NONE)
      await until(async () => !(await issuer.verify(key)).ok)
      await storage.close()
      await db.close()
    })

    it('a process ends by itself while it listens, and while it tries to', async () => {
      const { options, login } = await open()
      const store = await bundle('src/adapters/postgres/index.ts', fileOf('built'), 'postgres')
      const script = fileOf('listening.mjs')
      writeFileSync(
        script,
        `import pg from ${JSON.stringify(import.meta.resolve('pg'))}
        import { postgres } from ${JSON.stringify(store)}
        const [url, listenUrl] = process.argv.slice(2)
        const client = new pg.Pool({ connectionString: url, allowExitOnIdle: true })
        const schema = ${JSON.stringify(options.schema)}
        const storage = postgres({ client, schema, listen: () => new pg.Client(listenUrl) })
        let told = 0
        storage.onEpoch(() => { told++ })
        const { epoch } = await storage.epoch()
        await new Promise((next) => setTimeout(next, 300))
        console.log(JSON.stringify({ epoch, told }))`,
      )
      const url = database.url(login)
      const { stdout } = await run(process.execPath, [script, url, url], ENDS)
      expect(JSON.parse(stdout)).toMatchObject({ epoch: 2 })
      const nowhere = 'postgres://nobody@127.0.0.1:1/x'
      const tried = await run(process.execPath, [script, url, nowhere], ENDS)
      expect(JSON.parse(tried.stdout)).toEqual({ epoch: 2, told: 0 })
    })
  })

  describe('T-K17 replicas', () => {
    it('T-K17 a read that lags behind the newest epoch known makes no key valid', async () => {
      const server = await postgresServer('embedded-18')
      const source = await server.freshDatabase()
      const store = await postgresStore(source)
      await tenants(store.storage, 'acme')
      const { key, info } = await instance(store.storage).issuer.issue(draft())
      await store.storage.close()
      await store.dispose()
      // What a replica shows that has stopped here.
      const lagging = await server.freshDatabase(source.name)
      const { schema } = store.options
      const pools = [source, lagging].map(
        (one) => new pg.Pool({ connectionString: one.url(store.login) }),
      )
      const [primary, replica] = pools.map((client) =>
        postgres({ client, schema, testClock: false }),
      )
      const find = (keyId: string) => replica!.keys.find(keyId)
      const { issuer, clock } = instance({ ...primary!, keys: { ...primary!.keys, find } })
      expect((await issuer.verify(key)).ok).toBe(true)
      await primary!.keys.setState({ tenantId: 'acme', keyId: info.keyId, state: 'revoked' }, NONE)
      clock.advance(2_001)
      expect((await replica!.keys.find(info.keyId)).found?.key.state).toBe('active')
      // First the one that was known is held up to the bound of a silent store, then refused.
      clock.advance(5_000)
      expect(await issuer.verify(key)).toMatchObject({ ok: false, code: 'TK_KEY_STALE' })
      await Promise.all(pools.map((pool) => pool.end()))
      await source.drop()
      await lagging.drop()
    })

    it.skipIf(skipsPostgres('debian-15'))(
      'T-K17 a standby tells no key and no epoch, however far behind it is',
      async () => {
        const primary = await startPostgres({ kind: 'debian-15' })
        const home = await primary.freshDatabase()
        const store = await postgresStore(home)
        await tenants(store.storage, 'acme')
        const { key, info } = await instance(store.storage).issuer.issue(draft())
        const standby = await startStandby(primary)
        await standby.catchUp()
        await standby.pause()
        const at = { tenantId: 'acme', keyId: info.keyId, state: 'revoked' } as const
        await store.storage.keys.setState(at, NONE)
        const client = new pg.Pool({ connectionString: standby.url(home.name, store.login) })
        const { schema } = store.options
        const replica = postgres({ client, schema })
        const [row] = (await standby.query(
          `SELECT state FROM ${schema}.tenant_api_keys`,
          [],
          home.name,
        )) as [{ state: string }]
        expect(row.state).toBe('active')
        for (const ask of [() => replica.keys.find(info.keyId), () => replica.epoch()]) {
          await expect(ask()).rejects.toMatchObject({ code: 'TK_STORE_UNAVAILABLE' })
        }
        await expect(instance(replica).issuer.verify(key)).rejects.toMatchObject({
          code: 'TK_STORE_UNAVAILABLE',
        })
        await client.end()
        await standby.close()
        await store.storage.close()
        await store.dispose()
        await primary.close()
      },
    )
  })
})
