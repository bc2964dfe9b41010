/**
 * Row 15: settling a hold on a path of four budgets, with its usage row and its event in the outbox.
 *
 * @module
 */
import { guardOf, ledgerParts, postgresStores, sqliteStores } from './lib/ledger-stores.mjs'
import { compareLoads } from './lib/load.mjs'
import { row } from './lib/rows.mjs'
import { ACTUAL, admitted, holdsOf, settleItem } from './lib/scene.mjs'

const CALLERS = 64
const POOL = 10
const BY_HAND = 'the same writes by hand, one transaction each'

export const parts = {
  'SQLite, one caller': { run: (settings) => onSqlite(settings, 'NORMAL', 1) },
  'SQLite, 64 callers': { run: (settings) => onSqlite(settings, 'FULL', CALLERS) },
  'PostgreSQL, one caller': { run: (settings) => onPostgres(settings, 1) },
  'PostgreSQL, 64 callers': { run: (settings) => onPostgres(settings, CALLERS) },
}

async function onSqlite(settings, synchronous, callers) {
  const internals = await ledgerParts()
  const stores = await sqliteStores(internals, { synchronous })
  const figures = await compareSettles(internals, stores, { ...settings, callers })
  return { rows: [rowOf(`SQLite ${synchronous}`, callers, figures)] }
}

async function onPostgres(settings, callers) {
  const internals = await ledgerParts()
  const stores = await postgresStores(internals, { pool: callers === 1 ? 1 : POOL })
  try {
    const figures = await compareSettles(internals, stores, { ...settings, callers })
    return {
      rows: [rowOf('PostgreSQL', callers, figures)],
      notes: [`PostgreSQL ${stores.version}, started for this run, fsync on.`],
    }
  } finally {
    await stores.close()
  }
}

/** The holds are made before the clock is started. */
function compareSettles(internals, { storage, paths, byHand, pathsByHand }, settings) {
  const guard = guardOf(internals, storage)
  return compareLoads(
    {
      ours: {
        prepare: async (count) =>
          (await holdsOf((items) => storage.ledger.reserve(items), paths, count)).map(settleItem),
        run: async (item) => admitted(await guard.settle(item)),
      },
      hand: {
        prepare: async (count) => {
          const reserve = async (items) => {
            for (const item of items) admitted(await byHand.reserve(item))
          }
          const items = await holdsOf(reserve, pathsByHand, count)
          return items.map((item) => ({ ...item, actual: ACTUAL }))
        },
        run: async (item) => admitted(await byHand.settle(item)),
      },
    },
    settings,
  )
}

function rowOf(store, callers, { ours, hand }) {
  const spec = { row: 15, baselineName: BY_HAND }
  const operation = `settle, ${store}, ${callers === 1 ? 'one caller' : `${callers} callers`}`
  const target = callers === 1 ? { gate: 1.15 } : { ratioIs: 'times', gate: 8, moonshot: 15 }
  return row({ ...spec, operation, ...target }, ours.ns, hand.ns)
}
