import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { findDrifts } from '../../src/budgets/reconcile.ts'
import {
  LEAVES,
  partialHolds,
  plantForest,
  ROOTS,
  SHELVES,
  type Walked,
} from '../support/forest.ts'
import { migrated, openStore } from '../support/open-store.ts'
import { startPostgres } from '../support/postgres-cluster.ts'
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
/** In full 60 s; the short form is a number of steps, however long they take. */
const FORM = FULL ? { forMs: 60_000, steps: 1e9 } : { forMs: 600_000, steps: 20 }

const { start, tell } = workersOf<Order>('test/integration/storage-worker.ts')

/** The shelves of the forest on which less is held above than below, as one statement sees them. */
async function shelvesTooLow(client: pg.Client): Promise<string[]> {
  const rows = SHELVES.flatMap(({ above, below }, shelf) => [
    ...above.map((account) => ({ shelf, account, side: 1 })),
    ...below.map((account) => ({ shelf, account, side: -1 })),
  ])
  const found = await client.query(
    `SELECT s.shelf, sum(c.held * s.side) AS over
      FROM json_to_recordset($1) AS s (shelf int, account text, side int)
      JOIN tenantkeys.tk_counters c ON c.account_id = s.account
      GROUP BY s.shelf HAVING sum(c.held * s.side) < 0`,
    [JSON.stringify(rows)],
  )
  return found.rows.map((row) => `${SHELVES[row.shelf]!.above}: ${row.over}`)
}

/** As the server counts them, after every session has told. */
async function deadlocks(database: TestDatabase): Promise<number> {
  const sql = 'SELECT deadlocks FROM pg_stat_database WHERE datname = $1'
  return Number((await database.server.query(sql, [database.name]))[0]?.deadlocks)
}

/** The first of them, as the server describes it. */
const deadlocksIn = (logs: string): string =>
  /ERROR: {2}deadlock detected[\s\S]{0,4000}/.exec(logs)?.[0] ?? 'none in the log'

describe.each(POSTGRES_KINDS)('trees of accounts on PostgreSQL %s', (kind) => {
  it.skipIf(skipsPostgres(kind))(
    `T-B12 T-B13 ${PROCESSES * WALKERS} callers on overlapping paths: no deadlock, no partial hold, parents hold what is below them`,
    async () => {
      // A server of its own, whose log tells who waited for whom.
      await using cluster = await startPostgres({ kind })
      const database = await cluster.freshDatabase()
      const spec = await migrated(database)
      const store = openStore(spec)
      await plantForest(store.storage)
      const workers = await Promise.all(
        Array.from({ length: PROCESSES }, () =>
          start([JSON.stringify({ ...spec, connections: WALKERS })]),
        ),
      )
      const startedMs = performance.now()
      const walking = Promise.all(
        workers.map((worker, seed) =>
          tell<Walked>(worker, { do: 'walk', seed, walkers: WALKERS, ...FORM }),
        ),
      )
      const watch = new pg.Client(database.url())
      watch.on('error', () => {})
      await watch.connect()
      let looks = 0
      const tooLow: string[] = []
      for (let over = false; !over; looks++) {
        over = await Promise.race([
          walking.then(() => true),
          new Promise<boolean>((next) => setTimeout(next, 50, false)),
        ])
        tooLow.push(...(await shelvesTooLow(watch)))
      }
      const walked = await walking
      const seconds = Math.round((performance.now() - startedMs) / 1000)
      await Promise.all(workers.map((worker) => tell(worker, { do: 'close' })))
      // What was left to itself expires.
      await new Promise((next) => setTimeout(next, 500))
      while ((await store.storage.ledger.sweep(64)) > 0);

      const total = (pick: (one: Walked) => number): number =>
        walked.reduce((sum, one) => sum + pick(one), 0)
      const found = await deadlocks(database)
      const snapshots = await Promise.all(
        ROOTS.map(async (root) => (await store.storage.ledger.audit(root))!),
      )
      const partial = snapshots.flatMap(({ holds }) => partialHolds(holds))
      const drifts = snapshots.flatMap((snapshot) => findDrifts(snapshot, 0))
      const leftHeld = snapshots.flatMap(({ counters }) => counters).filter((c) => c.held !== 0n)
      console.table([
        {
          kind,
          seconds,
          operations: total((one) => one.operations),
          admitted: total((one) => one.admitted),
          'refused by depth': [0, 1, 2, 3].map((d) => total((one) => one.refusedAt[d]!)).join(' '),
          overflowed: total((one) => one.overflowed),
          deadlocks: found,
          'looks at the parents': looks,
          'parents too low': tooLow.length,
          'partial holds': partial.length,
          'counters left held': leftHeld.length,
          drifts: drifts.length,
        },
      ])
      expect(tooLow).toEqual([])
      expect(walked.flatMap((one) => one.failures)).toEqual([])
      expect(found, deadlocksIn(cluster.logs())).toBe(0)
      for (const depth of [0, 1, 2, 3])
        expect(total((one) => one.refusedAt[depth]!)).toBeGreaterThan(0)
      expect(total((one) => one.overflowed)).toBeGreaterThan(0)
      for (const { holds } of snapshots) expect(holds.length).toBeGreaterThan(0)
      expect(partial).toEqual([])
      expect(drifts).toEqual([])
      expect(leftHeld).toEqual([])
      // What is looked for can be found.
      expect(await shelvesTooLow(watch)).toEqual([])
      await database.query('UPDATE tenantkeys.tk_counters SET held = 1 WHERE account_id = $1', [
        LEAVES[0]!.path[0]!.id,
      ])
      expect(await shelvesTooLow(watch)).toEqual([`${LEAVES[0]!.path[1]!.id}: -1`])
      await watch.end()
      await store.close()
    },
    1_800_000,
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
