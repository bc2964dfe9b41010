/**
 * Rows 4 to 8: holding money on a path of four budgets, in SQLite and in PostgreSQL.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { hashAndLookUp } from './baselines/verify.mjs'
import { guardOf, ledgerParts, postgresStores, sqliteStores } from './lib/ledger-stores.mjs'
import { compareLoads } from './lib/load.mjs'
import { row } from './lib/rows.mjs'
import { admitted, plantTrees, requests, reserveItem } from './lib/scene.mjs'

const CALLERS = 64
const POOL = 10
const TREES = 64
const BY_HAND = 'the same statements by hand, one transaction each'

export const parts = {
  'SQLite, one caller': { run: sqliteAlone },
  'SQLite, 64 callers': { run: sqliteTogether },
  'PostgreSQL, one caller': { run: postgresAlone },
  'PostgreSQL, 64 callers, one path': { run: postgresHot },
  'PostgreSQL, 64 callers, a path each': { run: postgresSpread },
}

async function sqliteAlone({ rounds, quick }) {
  const internals = await ledgerParts()
  const { storage, paths, byHand, pathsByHand } = await sqliteStores(internals, {
    synchronous: 'NORMAL',
  })
  const guard = guardOf(internals, storage)
  const issuer = internals.localKeyIssuer({
    storage,
    peppers: [{ id: 'pep', key: randomBytes(32) }],
  })
  const { tenantId } = paths[0]
  const draft = { tenantId, actor: 'bench', name: 'key', brand: 'tk', scopes: ['a'] }
  const { key } = await issuer.issue({ ...draft, environment: 'live', expiresAtMs: null })
  const lookUp = hashAndLookUp([key])
  const { ours, hand } = await compareLoads(
    {
      ours: {
        prepare: async (count) => requests(paths, count),
        run: async (item) => {
          if (!(await issuer.verify(key)).ok) throw new Error('the key is refused')
          return admitted(await guard.reserve(item))
        },
      },
      hand: {
        prepare: async (count) => requests(pathsByHand, count),
        run: (item) => {
          lookUp(key)
          return admitted(byHand.reserve(item))
        },
      },
    },
    { rounds, quick, callers: 1 },
  )
  const operation = 'verify + reserve, SQLite NORMAL, one caller'
  return {
    rows: [
      row(
        { row: 4, operation, baselineName: BY_HAND, gate: 1.25, moonshot: 1.1 },
        ours.ns,
        hand.ns,
      ),
    ],
    skipped: [
      {
        row: 4,
        operation: 'verify + reserve beside better-auth on the same file',
        reason: 'its SQLite adapter needs better-sqlite3, which is not among the peers of --peers',
      },
    ],
  }
}

async function sqliteTogether({ rounds, quick }) {
  const internals = await ledgerParts()
  const { storage, paths, byHand, pathsByHand } = await sqliteStores(internals, {
    synchronous: 'FULL',
  })
  const guard = guardOf(internals, storage)
  const { ours, hand } = await compareLoads(
    {
      ours: {
        prepare: async (count) => requests(paths, count),
        run: async (item) => admitted(await guard.reserve(item)),
      },
      hand: {
        prepare: async (count) => requests(pathsByHand, count),
        run: (item) => admitted(byHand.reserve(item)),
      },
    },
    { rounds, quick, callers: CALLERS },
  )
  const operation = `reserve, SQLite FULL, ${CALLERS} callers`
  const spec = { row: 5, operation, baselineName: BY_HAND, ratioIs: 'times', gate: 8, moonshot: 14 }
  return { rows: [row(spec, ours.ns, hand.ns)] }
}

async function postgresAlone({ rounds, quick }) {
  const internals = await ledgerParts()
  const stores = await postgresStores(internals, { pool: 1 })
  const { storage, paths, byHand, pathsByHand } = stores
  try {
    const guard = guardOf(internals, storage)
    const figures = await compareLoads(
      {
        ours: {
          prepare: async (count) => requests(paths, count),
          run: async (item) => admitted(await guard.reserve(item)),
        },
        hand: {
          prepare: async (count) => requests(pathsByHand, count),
          run: async (item) => admitted(await byHand.reserve(item)),
        },
        once: {
          prepare: async (count) => requests(pathsByHand, count),
          run: (item) => byHand.reserveOnce(item),
        },
      },
      { rounds, quick, callers: 1 },
    )
    const trips = await tripsOf(stores.pool, () => guard.reserve(reserveItem(paths[0])))
    const operation = 'reserve, PostgreSQL, one caller'
    const { ours, hand, once } = figures
    return {
      rows: [
        row(
          {
            row: 6,
            operation,
            baselineName: 'the same writes by hand, a transaction of 5 prepared statements',
            gate: 1.1,
            moonshot: 0.7,
          },
          ours.ns,
          hand.ns,
        ),
        row(
          { row: 6, operation, baselineName: 'the same writes in one prepared statement by hand' },
          ours.ns,
          once.ns,
        ),
      ],
      notes: [`Row 6: ${trips} per admitted reserve, counted; exactly 1 is asked.`, about(stores)],
    }
  } finally {
    await stores.close()
  }
}

async function postgresHot(settings) {
  const internals = await ledgerParts()
  const stores = await postgresStores(internals, { pool: POOL })
  try {
    const guard = guardOf(internals, stores.storage)
    const { ours, hand } = await manyCallers(guard, stores, settings)
    const exact = await capIsExact(internals, stores)
    const spec = { row: 7, baselineName: `one full reserve each by hand, pool ${POOL}` }
    const operation = `reserve, PostgreSQL, ${CALLERS} callers, one path`
    return {
      rows: [
        row({ ...spec, operation, ratioIs: 'times', gate: 8, moonshot: 15 }, ours.ns, hand.ns),
        row({ ...spec, operation: `${operation}, p99`, gate: 0.2 }, ours.p99, hand.p99),
      ],
      notes: [exact, about(stores)],
    }
  } finally {
    await stores.close()
  }
}

async function postgresSpread(settings) {
  const internals = await ledgerParts()
  const stores = await postgresStores(internals, { pool: POOL, trees: settings.quick ? 4 : TREES })
  try {
    const guard = guardOf(internals, stores.storage)
    const { ours, hand } = await manyCallers(guard, stores, settings)
    const operation = `reserve, PostgreSQL, ${CALLERS} callers, ${stores.paths.length} paths apart`
    const baselineName = `one full reserve each by hand, pool ${POOL}`
    return {
      rows: [
        row(
          { row: 8, operation, baselineName, ratioIs: 'times', gate: 3, moonshot: 4.5 },
          ours.ns,
          hand.ns,
        ),
      ],
      notes: [about(stores)],
    }
  } finally {
    await stores.close()
  }
}

const manyCallers = (guard, { paths, byHand, pathsByHand }, { rounds, quick }) =>
  compareLoads(
    {
      ours: {
        prepare: async (count) => requests(paths, count),
        run: async (item) => admitted(await guard.reserve(item)),
      },
      hand: {
        prepare: async (count) => requests(pathsByHand, count),
        run: async (item) => admitted(await byHand.reserve(item)),
      },
    },
    { rounds, quick, callers: CALLERS },
  )

/** More callers than the budget has room for: what is admitted must be exactly what fits. */
async function capIsExact(internals, { storage }) {
  const guard = guardOf(internals, storage)
  const [room, asks] = [1000, 1200]
  const tree = await plantCapped(storage, BigInt(room) * 5n)
  const answers = await Promise.all(
    Array.from({ length: asks }, () => guard.reserve(reserveItem(tree))),
  )
  const admittedCount = answers.filter(({ ok }) => ok).length
  const [line] = await storage.ledger.budgets(tree.tenantId)
  const isExact = admittedCount === room && line.held === line.limit
  if (!isExact) throw new Error(`the cap was not exact: ${admittedCount} of ${room}`)
  return `Row 7: of ${asks} asks at once on a budget with room for ${room}, ${admittedCount} were admitted.`
}

/** A tree whose names no other has. */
async function plantCapped(storage, limit) {
  const renamed = {
    ...storage,
    tenants: {
      ...storage.tenants,
      create: ({ id, parentId, ...rest }, also) =>
        storage.tenants.create(
          { id: `capped-${id}`, parentId: parentId && `capped-${parentId}`, ...rest },
          also,
        ),
    },
    ledger: {
      ...storage.ledger,
      setBudget: ({ tenantId, account, ...rest }, also) => {
        const id = `capped-${tenantId}`
        return storage.ledger.setBudget(
          { ...rest, tenantId: id, account: { ...account, id: `tenant:${id}` } },
          also,
        )
      },
    },
  }
  const [{ tenantId, accounts }] = await plantTrees(renamed, 1, limit)
  return {
    tenantId: `capped-${tenantId}`,
    accounts: accounts.map(({ id, depth }) => ({ id: id.replace(':', ':capped-'), depth })),
  }
}

/** Statements that one operation sends, whoever takes which connection. */
async function tripsOf(pool, run) {
  let sent = 0
  const { query } = pool
  pool.query = (...args) => {
    sent++
    return query.apply(pool, args)
  }
  const { connect } = pool
  // query() itself calls it with a callback; a caller of ours would wait for what it returns.
  pool.connect = (taken) => {
    if (taken) return connect.call(pool, taken)
    throw new Error('an interactive transaction is more than one round trip')
  }
  const times = 100
  for (let i = 0; i < times; i++) await run()
  Object.assign(pool, { query, connect })
  return `${sent / times} round trips`
}

const about = ({ version }) => `PostgreSQL ${version}, started for this run, fsync on.`
