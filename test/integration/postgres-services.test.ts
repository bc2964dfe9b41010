import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { type PostgresCluster, startPostgres } from '../support/postgres-cluster.ts'
import { POSTGRES_KINDS, postgresServer, skipsPostgres } from '../support/postgres-server.ts'

describe.each(POSTGRES_KINDS)('PostgreSQL %s', (kind) => {
  const skipped = skipsPostgres(kind)
  it.skipIf(skipped)(
    'is shared, and gives every test a database and roles of its own',
    async () => {
      const server = await postgresServer(kind)
      const [version] = await server.query('SHOW server_version_num')
      console.log(version)
      const [one, two] = await Promise.all([server.freshDatabase(), server.freshDatabase()])
      await one.query('CREATE TABLE t (n int); INSERT INTO t VALUES (1)')
      await expect(two.query('SELECT * FROM t')).rejects.toThrow('does not exist')
      await Promise.all([server.role('services_app'), server.role('services_app')])
      const client = new pg.Client(one.url('services_app'))
      await client.connect()
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
      'keeps what it acknowledged over stop %s',
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
})
