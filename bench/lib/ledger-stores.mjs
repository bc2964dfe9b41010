/**
 * The stores that the benches of the ledger measure, each twice: one that tenantkeys writes, and one
 * with the same tables for what is written by hand. PostgreSQL is started for the run, with fsync on.
 *
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { postgresByHand } from '../baselines/postgres-ledger.mjs'
import { sqliteByHand } from '../baselines/sqlite-ledger.mjs'
import { plantTrees, reserveItem, settleItem } from './scene.mjs'
import { importInternals, importSource, ROOT } from './subject.mjs'

const require = createRequire(join(ROOT, 'package.json'))

/** @returns the parts of tenantkeys that the benches call. */
export const ledgerParts = () =>
  importInternals({
    guard: 'budgets/storage-budget-guard.ts',
    issuer: 'keys/local-key-issuer.ts',
    sqlite: 'adapters/sqlite/index.ts',
    postgres: 'adapters/postgres/index.ts',
    clock: 'kernel/clock.ts',
  })

export const guardOf = ({ storageBudgetGuard, systemMonotonicClock }, storage) =>
  storageBudgetGuard({ storage, clock: systemMonotonicClock })

/** @param synchronous - `NORMAL` or `FULL`, for both sides. */
export async function sqliteStores(parts, { synchronous, trees = 1 }) {
  const Database = require('libsql')
  const folder = mkdtempSync(join(tmpdir(), 'tenantkeys-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const open = async (name) => {
    const database = new Database(join(folder, name))
    const storage = parts.sqlite({ database, synchronous })
    await storage.migrate()
    return { database, storage, paths: await plantTrees(storage, trees) }
  }
  const [ours, theirs] = [await open('ours.db'), await open('by-hand.db')]
  const template = await templateOf(theirs, (table) => {
    const row = theirs.database.prepare(`SELECT * FROM ${table}`).safeIntegers(true).get()
    return withoutSequence(row)
  })
  return {
    storage: ours.storage,
    paths: ours.paths,
    byHand: sqliteByHand(theirs.database, template),
    pathsByHand: theirs.paths,
  }
}

/** @param pool - connections of each side. */
export async function postgresStores(parts, { trees = 1, pool }) {
  const pg = require('pg')
  const { binariesOf, startPostgres } = await importSource({
    cluster: 'test/support/postgres-cluster.ts',
    kinds: 'test/support/postgres-kinds.ts',
  })
  const kind = binariesOf('debian-15') === null ? 'embedded-18' : 'debian-15'
  const server = await startPostgres({ kind, fsync: true, settings: { shared_buffers: '256MB' } })
  await server.role('bench_app')
  const poolOf = (user, max = pool) =>
    new pg.Pool({ connectionString: server.url('postgres', user), max })
  const [app, owner, admin] = [poolOf('bench_app'), poolOf('postgres'), poolOf('postgres', 1)]
  const ours = parts.postgres({ client: app, admin, roles: { members: ['bench_app'] } })
  const theirs = parts.postgres({ client: owner, schema: 'by_hand', roles: 'single' })
  const open = async (storage) => {
    await storage.migrate()
    return { storage, paths: await plantTrees(storage, trees) }
  }
  const [own, hand] = [await open(ours), await open(theirs)]
  const template = await templateOf(hand, async (table) => {
    const { rows } = await owner.query(`SELECT * FROM by_hand.${table}`)
    return withoutSequence(rows[0])
  })
  return {
    server,
    storage: ours,
    pool: app,
    paths: own.paths,
    byHand: postgresByHand(owner, 'by_hand', template),
    pathsByHand: hand.paths,
    version: (await server.query('SHOW server_version'))[0].server_version,
    close: async () => {
      await Promise.all([app.end(), owner.end(), admin.end()])
      await server.close()
    },
  }
}

/** libsql adds how long the statement took. */
const withoutSequence = ({ sequence: _, _metadata, ...row }) => row

/** One call, so that there is a row of each kind to copy: what the store writes when it reserves, and
 * when it settles. */
async function templateOf({ storage, paths }, read) {
  const item = reserveItem(paths[0])
  await storage.ledger.reserve([item])
  const hold = await read('tk_holds')
  await storage.ledger.settle([settleItem(item)])
  const { actual } = await read('tk_holds')
  return { hold, actual, usage: await read('api_key_usage_logs'), event: await read('tk_outbox') }
}
