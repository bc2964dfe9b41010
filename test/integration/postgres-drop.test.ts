import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { executorOf } from '../../src/adapters/postgres/clients.ts'
import { dropInstallation } from '../../src/adapters/postgres/drop.ts'
import { postgres } from '../../src/adapters/postgres/index.ts'
import { Names } from '../../src/adapters/postgres/names.ts'
import { POSTGRES_KINDS, postgresServer, skipsPostgres } from '../support/postgres-server.ts'

describe.each(POSTGRES_KINDS)('PostgreSQL %s', (kind) => {
  test.skipIf(skipsPostgres(kind))(
    'an installation is taken away although a statement of a killed process crosses its locks',
    async () => {
      const database = await (await postgresServer(kind)).freshDatabase()
      const pool = new pg.Pool({ connectionString: database.url(), max: 1 })
      const place = { schema: 'crashed', roles: 'single' } as const
      await postgres({ ...place, client: pool }).migrate()
      const other = new pg.Client(database.url())
      await other.connect()
      // Of two that wait for each other it is not this one that gives way.
      await other.query("SET deadlock_timeout = '1h'")
      await other.query('BEGIN')
      await other.query('LOCK TABLE crashed.tk_counters IN ROW EXCLUSIVE MODE')

      const dropped = dropInstallation(executorOf(pool)!, new Names({ ...place, tablePrefix: '' }))
      const taken = `SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        WHERE c.relkind = 'r' AND c.relname LIKE 'tk\\_%' AND l.mode = 'AccessExclusiveLock' AND l.granted
          AND EXISTS (SELECT FROM pg_locks w WHERE w.pid = l.pid AND NOT w.granted)`
      let table: unknown
      while (table === undefined) [table] = (await database.query(taken)).map((row) => row.relname)
      await other.query(`LOCK TABLE crashed.${table} IN ROW EXCLUSIVE MODE`)
      await other.query('COMMIT')
      await dropped

      expect(await database.query("SELECT FROM pg_namespace WHERE nspname = 'crashed'")).toEqual([])
      await other.end()
      await pool.end()
    },
  )
})
