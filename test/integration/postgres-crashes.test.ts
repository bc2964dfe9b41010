import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { findDrifts } from '../../src/budgets/reconcile.ts'
import { ledgerBench } from '../../src/testing/storage-conformance/ledger-bench.ts'
import type { Endured } from '../support/endure.ts'
import { migrated, openStore } from '../support/open-store.ts'
import { startPostgres } from '../support/postgres-cluster.ts'
import { POSTGRES_KINDS, skipsPostgres } from '../support/postgres-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'
import { workersOf } from '../support/workers.ts'
import type { Order } from './storage-worker.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'
const PROCESSES = 3
const CALLERS = 4
/** Calls that a process has made when it counts as back at work. */
const AT_WORK = 20
const CRASHES = FULL ? 20 : 2

const { start, tell } = workersOf<Order>('test/integration/storage-worker.ts')
const fileOf = temporaryFiles()

const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []

describe.each(POSTGRES_KINDS)('PostgreSQL %s', (kind) => {
  it.skipIf(skipsPostgres(kind))(
    `T-B3 T-U3 a server killed under load ${CRASHES} times keeps all that it acknowledged`,
    async () => {
      const cluster = await startPostgres({ kind, fsync: true })
      try {
        const database = await cluster.freshDatabase()
        const spec = { ...(await migrated(database)), queryMs: 5000 }
        const store = openStore(spec)
        const tenantId = 'acme'
        await ledgerBench(store.storage, { limit: 10n ** 15n, tenantId })
        const workers = await Promise.all(
          Array.from({ length: PROCESSES }, () => start([JSON.stringify(spec)])),
        )
        const file = (n: number): string => fileOf(`acknowledged-${kind}-${n}.txt`)
        const enduring = workers.map((worker, n) =>
          tell<Endured>(worker, { do: 'endure', tenantId, callers: CALLERS, file: file(n) }),
        )
        const acknowledged = (): string[] => workers.flatMap((_, n) => linesOf(file(n)))
        const backMs: number[] = []
        for (let n = 0; n < CRASHES; n++) {
          // Every process has to be at work again before the next blow.
          const before = workers.map((_, w) => linesOf(file(w)).length)
          const startedMs = performance.now()
          while (workers.some((_, w) => linesOf(file(w)).length < before[w]! + AT_WORK)) {
            await new Promise((next) => setTimeout(next, 20))
          }
          backMs.push(performance.now() - startedMs)
          await new Promise((next) => setTimeout(next, Math.random() * 200))
          await cluster.stop('kill -9')
          await cluster.start()
        }
        await Promise.all(workers.map((worker) => tell(worker, { do: 'stop' })))
        const endured = await Promise.all(enduring)

        const told = acknowledged()
        const usage = await database.query(
          'SELECT id, cost_nano_usd AS cost FROM tenantkeys.api_key_usage_logs',
        )
        const events = await database.query(
          "SELECT id FROM tenantkeys.tk_outbox WHERE kind = 'usage'",
        )
        const snapshot = (await store.storage.ledger.audit(tenantId))!
        await store.close()
        console.table([
          {
            kind,
            crashes: CRASHES,
            acknowledged: told.length,
            'in the ledger': usage.length,
            outbox: events.length,
            'errors seen': JSON.stringify(
              endured.reduce<Record<string, number>>((all, one) => {
                for (const [code, n] of Object.entries(one.errors)) all[code] = (all[code] ?? 0) + n
                return all
              }, {}),
            ),
            'longest attempt, ms': Math.round(Math.max(...endured.map((one) => one.longestMs))),
            'longest until all are back, ms': Math.round(Math.max(...backMs)),
          },
        ])
        const ids = usage.map((row) => String(row.id))
        // Everyone went on until each call was answered: nothing is open, nothing is twice.
        expect(told.map((line) => line.split(' ')[0]).sort()).toEqual([...ids].sort())
        expect(events.map((row) => String(row.id)).sort()).toEqual([...ids].sort())
        const spent = usage.reduce((sum, row) => sum + BigInt(String(row.cost)), 0n)
        expect(spent).toBe(told.reduce((sum, line) => sum + BigInt(line.split(' ')[1]!), 0n))
        expect(snapshot.counters.map(({ posted, held }) => ({ posted, held }))).toEqual([
          { posted: spent, held: 0n },
        ])
        expect(findDrifts(snapshot, 0)).toEqual([])
      } finally {
        await cluster.close()
      }
    },
    600_000,
  )
})
