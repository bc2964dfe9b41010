/**
 * What a pooled connection keeps of the last tenant, while statements fail, are cancelled and cut off
 * with their connection (T-I3): rows without a filter, and every function asked for ids of others.
 *
 * @module
 */
import pg from 'pg'
import {
  executorOf,
  type PgPoolClientLike,
  type PgPoolLike,
} from '../../src/adapters/postgres/clients.ts'
import type { PgExecutor } from '../../src/adapters/postgres/executor.ts'
import { postgres } from '../../src/adapters/postgres/index.ts'
import { stateOf } from '../../src/adapters/postgres/map-error.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { type Inhabitant, QUESTIONS } from './foreign-ids.ts'
import type { TestDatabase } from './postgres-server.ts'
import type { PostgresStore } from './postgres-store.ts'
import { connectionOf } from './postgres-walls.ts'
import { seeded } from './seeded.ts'

const TASKS = 64
/** Of so many statements one is followed by a signal to a server process that is at work. */
const SIGNAL_EVERY = 40
/** Of so many signals one ends the connection, the others cancel its statement. */
const CUT_EVERY = 20
const FIRST_CUT = 5

interface Counted {
  statements: number
  /** Statements that a signal cancelled. */
  cancelled: number
  /** Statements that ended with their connection. */
  cut: number
  /** Statements that the server refused for any other reason. */
  refused: number
  /** Statements by the functions of ours that they call. */
  readonly calls: Map<string, number>
}

/** The same pool, its statements and their ends counted. */
function countedPool(pool: pg.Pool, told: (counted: Counted) => void) {
  const counted: Counted = { statements: 0, cancelled: 0, cut: 0, refused: 0, calls: new Map() }
  type Asked = { text: string; values: unknown[] }
  const count = async (ask: (asked: Asked) => Promise<pg.QueryResult>, asked: Asked) => {
    counted.statements++
    for (const [fn] of asked.text.matchAll(/\btk_\w+_v1\b/g))
      counted.calls.set(fn, (counted.calls.get(fn) ?? 0) + 1)
    told(counted)
    try {
      return await ask(asked)
    } catch (error) {
      const state = stateOf(error)
      counted[
        state === '57014' ? 'cancelled' : state === null || state === '57P01' ? 'cut' : 'refused'
      ]++
      throw error
    }
  }
  const client: PgPoolLike = {
    totalCount: 0,
    query: (asked) => count((one) => pool.query(one), asked),
    connect: (told) => {
      const counting = (one: pg.PoolClient): PgPoolClientLike => ({
        query: (asked) => count((statement) => one.query(statement), asked),
        release: (destroy) => one.release(destroy),
        on: (event, listener) => one.on(event, listener),
        removeListener: (event, listener) => one.removeListener(event, listener),
      })
      pool.connect((error, one) => told?.(error, one && counting(one)))
      return undefined
    },
  }
  return { client, counted }
}

/** 64 tasks work through `client` until both are enough: the work, and what became of it. */
async function disturbed(
  store: PostgresStore,
  database: TestDatabase,
  work: (client: PgPoolLike) => { task(): Promise<void>; isEnough(): boolean },
): Promise<
  Omit<Counted, 'calls'> & { calls: Counted['calls']; outsiders: number; rowsOfOutsiders: number }
> {
  const watch = new pg.Client(database.url())
  watch.on('error', () => {})
  await watch.connect()
  let signals = 0
  const sent: Promise<unknown>[] = []
  const { client, counted } = countedPool(store.pool, ({ statements }) => {
    if (statements % SIGNAL_EVERY !== 0) return
    const end = ++signals % CUT_EVERY === FIRST_CUT ? 'pg_terminate_backend' : 'pg_cancel_backend'
    const sql = `SELECT ${end}(pid) FROM pg_stat_activity
      WHERE usename = $1 AND state = 'active' ORDER BY random() LIMIT 1`
    sent.push(watch.query(sql, [store.login]))
  })
  const { task, isEnough } = work(client)
  let running = true
  // The very same connections are used by others of the host, without any tenant.
  const outsiders = { outsiders: 0, rowsOfOutsiders: 0 }
  const outsider = (async () => {
    while (running) {
      const { rows } = await store.pool
        .query(`SELECT tenant_id FROM "${store.schema}".tenant_api_keys`)
        .catch(() => ({ rows: [] }))
      outsiders.outsiders++
      outsiders.rowsOfOutsiders += rows.length
    }
  })()
  const isDone = (): boolean => isEnough() && counted.cancelled > 0 && counted.cut > 0
  const tasks = Array.from({ length: TASKS }, async () => {
    while (!isDone()) await task()
  })
  await Promise.all(tasks)
  running = false
  await Promise.all([outsider, ...sent])
  await watch.end()
  return { ...counted, ...outsiders }
}

/** The tasks ask for the rows of 50 tenants. @param broken - a sabotage. */
export async function crossings(
  store: PostgresStore,
  database: TestDatabase,
  queries: number,
  broken: (executor: PgExecutor) => PgExecutor = (executor) => executor,
) {
  const TENANTS = 50
  const random = seeded(7)
  const counts = { queries: 0, rows: 0, crossings: 0 }
  const seen = await disturbed(store, database, (client) => {
    const connection = connectionOf(store, broken(executorOf(client)!))
    const sql = `SELECT tenant_id, pg_sleep(0.0002)::text FROM ${connection.names.table('tenant_api_keys')}`
    const task = async (): Promise<void> => {
      const tenantId = `t${random(TENANTS)}`
      const fate = random(100)
      const work = connection.read(tenantId, async ({ query }) => {
        for (let n = 0; n < 5; n++) {
          counts.queries += 1
          for (const row of await query(sql)) {
            counts[row.tenant_id === tenantId ? 'rows' : 'crossings'] += 1
          }
        }
        if (fate < 5) throw new Error('by the step')
        if (fate < 10) await query('SELECT 1/0')
      })
      await work.catch(() => {})
    }
    return { task, isEnough: () => counts.queries >= queries }
  })
  const { calls: _, outsiders, rowsOfOutsiders, ...ends } = seen
  return { ...counts, crossings: counts.crossings + rowsOfOutsiders, outsiders, ...ends }
}

/** What one function, or one table, told. */
export interface Told {
  asked: number
  /** Asked for an id of the tenant's own: how often its row was told. */
  own: number
  /** Asked for an id of another: how often anything was told that is not the tenant's own. */
  foreign: number
  /** No answer: cancelled, or cut off. */
  failed: number
}

/** The tasks ask, as one of the inhabitants, for what belongs to it and to others. */
export async function foreignAnswers(
  store: PostgresStore,
  database: TestDatabase,
  { inhabitants, questions }: { inhabitants: readonly Inhabitant[]; questions: number },
) {
  const random = seeded(11)
  const told = new Map<string, Told>()
  const crossings = new Set<string>()
  let asked = 0
  const seen = await disturbed(store, database, (client) => {
    const storage = postgres({ ...store.options, client, listen: undefined })
    const connection = connectionOf(store, executorOf(client)!)
    const task = async (): Promise<void> => {
      const { of, name, ask, hasOwn } = QUESTIONS[asked++ % QUESTIONS.length]!
      const mine = inhabitants[random(inhabitants.length)]!
      const other = inhabitants[random(inhabitants.length)]!
      const theirs = hasOwn && random(4) === 0 ? mine : other
      if (theirs === mine && !hasOwn) return
      const row = told.get(of) ?? { asked: 0, own: 0, foreign: 0, failed: 0 }
      told.set(of, row)
      row.asked++
      try {
        const rowsOf = await ask({ storage, connection }, mine, theirs)
        const foreign = rowsOf.filter((tenantId) => tenantId !== mine.id)
        if (rowsOf.length > foreign.length) row.own++
        if (foreign.length === 0) return
        row.foreign++
        crossings.add(`${name} as ${mine.id} for ${theirs.id}: ${foreign}`)
      } catch (error) {
        if (!TenantKeysError.isInstance(error) || !error.retryable) throw error
        row.failed++
      }
    }
    return { task, isEnough: () => asked >= questions }
  })
  return { ...seen, asked, told, crossings: [...crossings] }
}
