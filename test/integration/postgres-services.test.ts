import { fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { resolve } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle } from '../support/bundle.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { skipsPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { type PostgresCluster, startPostgres } from '../support/postgres-cluster.ts'
import { POSTGRES_KINDS, postgresServer, skipsPostgres } from '../support/postgres-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()
let script = ''

beforeAll(async () => {
  script = await bundle('test/integration/postgres-services-worker.ts', fileOf('built'), 'worker')
  symlinkSync(resolve('node_modules'), fileOf('node_modules'))
})

const skipsBouncer = skipsPgBouncer()

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Every so often, until it is so; the test's own time limit ends it. */
async function until(so: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await so())) await new Promise((next) => setTimeout(next, 50))
}

const refuses = (port: number): Promise<boolean> =>
  new Promise((answer) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      answer(false)
    })
    socket.once('error', () => answer(true))
  })

describe.each(POSTGRES_KINDS)('PostgreSQL %s', (kind) => {
  const skipped = skipsPostgres(kind)

  it.skipIf(skipped)(
    'is shared, and gives every test a database and roles of its own',
    async () => {
      const server = await postgresServer(kind)
      const [one, two] = await Promise.all([server.freshDatabase(), server.freshDatabase()])
      await one.query('CREATE TABLE t (n int); INSERT INTO t VALUES (1)')
      await expect(two.query('SELECT * FROM t')).rejects.toThrow('does not exist')
      await Promise.all([server.role('services_app'), server.role('services_app')])
      const client = await connected(one.url('services_app'))
      expect((await client.query('SELECT current_user AS u')).rows).toEqual([{ u: 'services_app' }])
      await expect(client.query('SELECT * FROM t')).rejects.toThrow('permission denied')
      await client.end()
      const copy = await server.freshDatabase(one.name)
      expect(await copy.query('SELECT n FROM t')).toEqual([{ n: 1 }])
      await copy.drop()
    },
  )

  describe.skipIf(skipped)("a server of one's own", () => {
    let cluster: PostgresCluster | null = null
    afterAll(() => cluster?.close())

    it.each(['fast', 'immediate', 'kill -9'] as const)(
      'keeps what it acknowledged: %s',
      async (how) => {
        cluster ??= await startPostgres({ kind, fsync: true, settings: { work_mem: '5MB' } })
        await cluster.query('CREATE TABLE IF NOT EXISTS t (how text)')
        await cluster.query('INSERT INTO t VALUES ($1)', [how])
        await cluster.stop(how)
        await expect(cluster.query('SELECT 1')).rejects.toThrow('ECONNREFUSED')
        await cluster.start()
        expect(await cluster.query('SELECT how FROM t WHERE how = $1', [how])).toEqual([{ how }])
        expect(await cluster.query('SHOW work_mem')).toEqual([{ work_mem: '5MB' }])
      },
    )
  })

  it.skipIf(skipped || skipsBouncer)(
    'ends with the process that started it, and so does PgBouncer',
    async () => {
      const home = fileOf(`home-${kind}`)
      mkdirSync(home)
      for (const folder of [fileOf(''), home]) chmodSync(folder, 0o755)
      const child = fork(script, [kind], { env: { ...process.env, TMPDIR: home } })
      const ports = await Promise.race([
        once(child, 'message').then(([sent]) => sent as number[]),
        once(child, 'exit').then(() => []),
      ])
      expect(ports).toHaveLength(2)
      for (const port of ports) expect(await refuses(port)).toBe(false)
      const left = (): string[] => readdirSync(home)
      expect(left()).toHaveLength(2)
      child.kill('SIGKILL')
      for (const port of ports) await until(() => refuses(port))
      await until(() => left().length === 0)
    },
  )

  it.skipIf(skipped || skipsBouncer)(
    'PgBouncer gives every transaction another session',
    async () => {
      const server = await postgresServer(kind)
      await using database = await server.freshDatabase()
      await server.role('services_app')
      await using bouncer = await startPgBouncer(server, {
        users: ['services_app'],
        settings: { default_pool_size: 1 },
      })
      const [one, two] = await Promise.all([
        connected(bouncer.url(database.name, 'services_app')),
        connected(bouncer.url(database.name, 'services_app')),
      ])
      const pid = async (client: pg.Client): Promise<number> =>
        (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
      expect(await pid(one)).toBe(await pid(two))
      expect((await bouncer.admin('SHOW VERSION'))[0]?.version).toMatch(/^PgBouncer 1\./)
      await Promise.all([one.end(), two.end()])
    },
  )
})

describe.skipIf(skipsPostgres('embedded-18'))('the fault proxy', () => {
  const scene = async (seed = 1) => {
    const server = await postgresServer('embedded-18')
    const database = await server.freshDatabase()
    await database.query('CREATE TABLE t (n int)')
    const proxy = await startFaultProxy(server.port, seed)
    const url = `postgres://postgres@127.0.0.1:${proxy.port}/${database.name}`
    const count = async (): Promise<number> =>
      Number((await database.query('SELECT count(*) AS n FROM t'))[0]?.n)
    return { database, proxy, url, count }
  }

  it('loses replies to commands that were done, by its seed', async () => {
    const run = async (): Promise<string> => {
      const { proxy, url, count } = await scene(7)
      proxy.set({ lostReplies: 300 })
      let heard = ''
      for (let n = 0; n < 40; n++) {
        const client = await connected(url)
        heard += await client.query('INSERT INTO t VALUES (1)').then(
          () => '+',
          () => '-',
        )
        await client.end()
      }
      expect(await count()).toBe(40)
      expect(proxy.counts).toEqual({
        replies: 40,
        lostReplies: heard.replaceAll('+', '').length,
        lostCommands: 0,
      })
      await proxy.close()
      return heard
    }
    const heard = await run()
    expect(heard).toMatch(/\+.*-|-.*\+/)
    expect(await run()).toBe(heard)
  })

  it('loses commands that then were not done, and cuts what is open', async () => {
    const { proxy, url, count } = await scene()
    const client = await connected(url)
    await client.query('INSERT INTO t VALUES (1)')
    proxy.set({ lostCommands: 1000 })
    await expect(client.query('INSERT INTO t VALUES (2)')).rejects.toThrow()
    proxy.set({})
    const again = await connected(url)
    expect(proxy.cut()).toBe(1)
    await expect(again.query('INSERT INTO t VALUES (3)')).rejects.toThrow()
    proxy.set({ refusing: true })
    await expect(connected(url)).rejects.toThrow()
    expect(await count()).toBe(1)
    await proxy.close()
  })

  it('holds everything back while partitioned; half open, it never comes', async () => {
    const { proxy, url, count } = await scene()
    const client = await connected(url)
    proxy.set({ partitioned: true })
    const insert = client.query('INSERT INTO t VALUES (1)')
    const first = await Promise.race([
      insert.then(() => 'done'),
      new Promise((next) => setTimeout(next, 100, 'nothing')),
    ])
    expect(first).toBe('nothing')
    expect(await count()).toBe(0)
    proxy.set({})
    await insert
    expect(proxy.halfOpen()).toBe(1)
    let heard = 'nothing'
    client.query('INSERT INTO t VALUES (2)').then(
      () => (heard = 'done'),
      () => (heard = 'cut'),
    )
    const other = await connected(url)
    await other.query('INSERT INTO t VALUES (3)')
    expect(heard).toBe('nothing')
    expect(await count()).toBe(2)
    await proxy.close()
    await until(() => heard === 'cut')
  })
})
