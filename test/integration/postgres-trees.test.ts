import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { findDrifts } from '../../src/budgets/reconcile.ts'
import { EDGES, partialHolds, plantForest, ROOTS, type Walked } from '../support/forest.ts'
import { migrated, openStore } from '../support/open-store.ts'
import {
  POSTGRES_KINDS,
  postgresServer,
  skipsPostgres,
  type TestDatabase,
} from '../support/postgres-server.ts'
import { workersOf } from '../support/workers.ts'
import type { Order } from './storage-worker.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'
const PROCESSES = 4
const WALKERS = 8
const SECONDS = FULL ? 60 : 2

const { start, tell } = workersOf<Order>('test/integration/storage-worker.ts')

/** Parents that hold less than the accounts below them, as one statement sees it. */
async function parentsBelow(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query(
    `SELECT p.account_id, p.held, sum(c.held) AS below
      FROM unnest($1::text[], $2::text[]) AS edge (child, parent)
      JOIN tenantkeys.tk_counters c ON c.account_id = edge.child
      JOIN tenantkeys.tk_counters p ON p.account_id = edge.parent
      GROUP BY p.account_id, p.unit, p.period, p.held HAVING p.held < sum(c.held)`,
    [EDGES.map(([child]) => child), EDGES.map(([, parent]) => parent)],
  )
  return rows.map((row) => JSON.stringify(row))
}

/** As the server counts them, after every session has told. */
async function deadlocks(database: TestDatabase): Promise<number> {
  const sql = 'SELECT deadlocks FROM pg_stat_database WHERE datname = $1'
  return Number((await database.server.query(sql, [database.name]))[0]?.deadlocks)
}

describe.each(POSTGRES_KINDS)('trees of accounts on PostgreSQL %s', (kind) => {
  it.skipIf(skipsPostgres(kind))(
    `T-B12 T-B13 ${PROCESSES * WALKERS} callers on overlapping paths: no deadlock, no partial hold, parents hold what is below them (${SECONDS} s)`,
    async () => {
      const database = await (await postgresServer(kind)).freshDatabase()
      const spec = await migrated(database)
      const store = openStore(spec)
      await plantForest(store.storage)
      const workers = await Promise.all(
        Array.from({ length: PROCESSES }, () =>
          start([JSON.stringify({ ...spec, connections: WALKERS })]),
        ),
      )
      const walking = Promise.all(
        workers.map((worker, seed) =>
          tell<Walked>(worker, { do: 'walk', seed, walkers: WALKERS, forMs: SECONDS * 1000 }),
        ),
      )
      const watch = new pg.Client(database.url())
      await watch.connect()
      let looks = 0
      for (let over = false; !over; looks++) {
        over = await Promise.race([
          walking.then(() => true),
          new Promise<boolean>((next) => setTimeout(next, 50, false)),
        ])
        expect(await parentsBelow(watch)).toEqual([])
      }
      await watch.end()
      const walked = await walking
      await Promise.all(workers.map((worker) => tell(worker, { do: 'close' })))
      // What was left to itself expires.
      await new Promise((next) => setTimeout(next, 500))
      while ((await store.storage.ledger.sweep(64)) > 0);

      const total = (pick: (one: Walked) => number): number =>
        walked.reduce((sum, one) => sum + pick(one), 0)
      const found = await deadlocks(database)
      console.table([
        {
          kind,
          seconds: SECONDS,
          operations: total((one) => one.operations),
          admitted: total((one) => one.admitted),
          'refused by depth': [0, 1, 2, 3].map((d) => total((one) => one.refusedAt[d]!)).join(' '),
          overflowed: total((one) => one.overflowed),
          deadlocks: found,
          'looks at the parents': looks,
        },
      ])
      expect(walked.flatMap((one) => one.failures)).toEqual([])
      expect(found).toBe(0)
      for (const depth of [0, 1, 2, 3])
        expect(total((one) => one.refusedAt[depth]!)).toBeGreaterThan(0)
      expect(total((one) => one.overflowed)).toBeGreaterThan(0)
      for (const root of ROOTS) {
        const snapshot = (await store.storage.ledger.audit(root))!
        expect(snapshot.holds.length).toBeGreaterThan(0)
        expect(partialHolds(snapshot.holds)).toEqual([])
        expect(findDrifts(snapshot, 0)).toEqual([])
        expect(snapshot.counters.map((counter) => counter.held)).toEqual(
          snapshot.counters.map(() => 0n),
        )
      }
      await store.close()
    },
    300_000,
  )

  it.skipIf(skipsPostgres(kind))('the server does count a deadlock', async () => {
    const database = await (await postgresServer(kind)).freshDatabase()
    await database.query('CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)')
    const lock = async (
      first: number,
      second: number,
      met: () => Promise<void>,
    ): Promise<boolean> => {
      const client = new pg.Client(database.url())
      await client.connect()
      try {
        await client.query(
          `BEGIN; SET deadlock_timeout = '50ms'; SELECT * FROM t WHERE n = ${first} FOR UPDATE`,
        )
        await met()
        await client.query(`SELECT * FROM t WHERE n = ${second} FOR UPDATE`)
        return true
      } catch {
        return false
      } finally {
        await client.end()
      }
    }
    let waiting = 2
    let go = (): void => {}
    const both = new Promise<void>((resolve) => {
      go = resolve
    })
    const met = (): Promise<void> => {
      if (--waiting === 0) go()
      return both
    }
    const won = await Promise.all([lock(1, 2, met), lock(2, 1, met)])
    expect(won.filter(Boolean)).toHaveLength(1)
    while ((await deadlocks(database)) === 0) await new Promise((next) => setTimeout(next, 50))
    expect(await deadlocks(database)).toBe(1)
  })
})
