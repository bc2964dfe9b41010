import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { findDrifts } from '../../src/budgets/reconcile.ts'
import { install } from '../support/installation.ts'
import { migrated, openStore, type StoreSpec } from '../support/open-store.ts'
import {
  POSTGRES_KINDS,
  type PostgresKind,
  postgresServer,
  skipsPostgres,
} from '../support/postgres-server.ts'
import { chat, type ProviderServer, startProvider } from '../support/provider-server.ts'
import { queryAll, temporaryFiles } from '../support/sqlite.ts'
import { workersOf } from '../support/workers.ts'

/** A live call extends its hold, so this is only how long the hold of a killed
 * one stands. */
const HOLD_TTL_MS = 2000
const FULL = process.env.TENANTKEYS_FORCE === '1'

interface Scene {
  readonly spec: StoreSpec
  /** Reads the tables behind the store's back; `t` puts our schema before their names. */
  rows(sql: (t: (table: string) => string) => string): Promise<Record<string, unknown>[]>
}

const fileOf = temporaryFiles()
const { start, next, kill } = workersOf('test/integration/killed-worker.ts')
let server: ProviderServer

beforeAll(async () => {
  server = await startProvider(chat)
})
afterAll(() => server.close())

async function onSqlite(): Promise<Scene> {
  const file = fileOf('killed-calls.db')
  const storage = sqlite({ file })
  await storage.migrate()
  await storage.close()
  return {
    spec: { kind: 'sqlite', file },
    rows: async (sql) =>
      queryAll(
        file,
        sql((t) => t),
      ),
  }
}

async function onPostgres(kind: PostgresKind): Promise<Scene> {
  const database = await (await postgresServer(kind)).freshDatabase()
  const spec = await migrated(database)
  return { spec, rows: (sql) => database.query(sql((t) => `tenantkeys.${t}`)) }
}

const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []

async function killMany(name: string, { spec, rows }: Scene, kills: number): Promise<void> {
  const acknowledged = fileOf(`acknowledged-${name}.txt`)
  const exported = fileOf(`exported-${name}.txt`)
  const { storage, close } = openStore(spec)
  const scene = await install(server.baseUrl, { storage, migrate: false, monthlyUsd: '1000.00' })
  const seenBefore = server.requests.length

  for (let n = 0; n < kills; n++) {
    const args = [
      JSON.stringify(spec),
      server.baseUrl,
      scene.key,
      acknowledged,
      exported,
      String(HOLD_TTL_MS),
    ]
    const child = await start(args)
    for (let calls = 0; calls < n % 5; calls++) await next(child)
    // Real processes, real time: where the kill lands is what this test is about.
    await new Promise((over) => setTimeout(over, Math.random() * 50))
    await kill(child)
  }

  // What the killed have left: their holds expire, their leases end.
  const isLive = async (): Promise<boolean> =>
    (await rows((t) => `SELECT id FROM ${t('tk_holds')} WHERE state = 'held'`)).length > 0
  while (await isLive()) {
    if ((await storage.ledger.sweep(64)) === 0) await new Promise((over) => setTimeout(over, 20))
  }
  const events: string[] = linesOf(exported)
  while ((await storage.outbox.backlog({ limit: 1 })).waiting > 0) {
    const leased = await storage.outbox.lease({ limit: 1000, leaseMs: 60_000 })
    events.push(...leased.events.map(({ kind, id }) => `${kind} ${id}`))
    await storage.outbox.ack({ leaseId: leased.leaseId, ids: leased.events.map((e) => e.id) })
    if (leased.events.length === 0) await new Promise((over) => setTimeout(over, 20))
  }
  const budgets = (await storage.ledger.budgets('acme')).filter((line) => line.unit === 'usd')
  const drifts = findDrifts((await storage.ledger.audit('acme'))!, 0)
  await close()

  const usage = await rows(
    (t) => `SELECT id, cost_nano_usd AS cost FROM ${t('api_key_usage_logs')}`,
  )
  const expired = await rows((t) => `SELECT id FROM ${t('tk_holds')} WHERE state = 'expired'`)
  const inLedger = usage.map((row) => String(row.id))
  const asUsage = events.filter((line) => line.startsWith('usage ')).map((line) => line.slice(6))
  const asUnknown = events.filter((line) => line.startsWith('unknown_spend '))
  const told = linesOf(acknowledged)
  const seen = server.requests.length - seenBefore
  console.table([
    {
      store: name,
      kills,
      'seen by the provider': seen,
      acknowledged: told.length,
      'in the ledger': inLedger.length,
      exported: new Set(asUsage).size,
      'delivered twice': asUsage.length - new Set(asUsage).size,
      'unknown spend': new Set(asUnknown).size,
      'held after the TTL': String(budgets[0]?.held),
    },
  ])
  expect(inLedger.length).toBeGreaterThan(0)
  expect(new Set(inLedger).size).toBe(inLedger.length)
  const known = new Set(inLedger)
  expect(told.filter((id) => !known.has(id))).toEqual([])
  expect([...new Set(asUsage)].sort()).toEqual([...inLedger].sort())
  expect(inLedger.length).toBeLessThanOrEqual(seen)
  expect(new Set(asUnknown).size).toBe(expired.length)
  expect(budgets).toHaveLength(1)
  expect(budgets[0]?.held).toBe(0n)
  expect(budgets[0]?.posted).toBe(usage.reduce((sum, row) => sum + BigInt(String(row.cost)), 0n))
  expect(drifts).toEqual([])
}

describe('T-B3 T-U3 kills between reserve, call, settle, outbox and export lose nothing and double nothing', () => {
  const sqliteKills = FULL ? 200 : 12
  it(`SQLite (${sqliteKills} kills)`, async () => {
    await killMany('sqlite', await onSqlite(), sqliteKills)
  }, 900_000)

  const postgresKills = FULL ? 200 : 10
  for (const kind of POSTGRES_KINDS) {
    it.skipIf(skipsPostgres(kind))(
      `PostgreSQL ${kind} (${postgresKills} kills)`,
      async () => {
        await killMany(kind, await onPostgres(kind), postgresKills)
      },
      900_000,
    )
  }
})
