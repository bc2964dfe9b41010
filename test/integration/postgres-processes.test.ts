import type { ChildProcess, ForkOptions } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AccountRef } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { tenantAccount } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE, newKey, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { migrated, type OpenStore, openStore, type StoreSpec } from '../support/open-store.ts'
import {
  POSTGRES_KINDS,
  postgresServer,
  skipsPostgres,
  type TestDatabase,
} from '../support/postgres-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'
import { workersOf } from '../support/workers.ts'
import type { HeldResult, Order, RaceResult } from './storage-worker.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'
const PROCESSES = 4
const CALLERS = 64
const ROUNDS = FULL ? 100 : 6
const CAP = 5003n
const OFF_BY_MS = 10 * 60_000

const { start, tell } = workersOf<Order>('test/integration/storage-worker.ts')
const fileOf = temporaryFiles()

const sum = (amounts: readonly string[]): bigint =>
  amounts.reduce((total, amount) => total + BigInt(amount), 0n)

/** Amounts of 31 to 43, none of which divides the cap; all callers together ask for twice the cap. */
const amountsOf = (round: number): string[] =>
  Array.from({ length: CALLERS }, (_, n) => String(31 + ((n + round) % 13)))

/**
 * A tree for one round: each process calls with a key of a tenant of its own, all of them below one
 * organisation whose cap is the one that refuses. @returns the paths, leaf first.
 */
async function plant(storage: Storage, round: string): Promise<AccountRef[][]> {
  const budget = { unit: 'usd', window: 'month', zone: 'UTC', source: 'explicit' } as const
  const [org, team] = [`org-${round}`, `team-${round}`]
  await tenants(storage, org, `${team}<${org}`)
  const set = (tenantId: string, account: AccountRef, limit: bigint): Promise<unknown> =>
    storage.ledger.setBudget({ ...budget, tenantId, account, limit }, NONE)
  await set(org, tenantAccount(org), CAP)
  await set(team, tenantAccount(team, 1), CAP * 2n)
  return Promise.all(
    Array.from({ length: PROCESSES }, async (_, n) => {
      const tenantId = `tenant-${round}-${n}`
      const keyId = `key${`${round}x${n}`.padStart(13, '0')}`
      await tenants(storage, `${tenantId}<${team}`)
      await storage.keys.create(newKey(tenantId, n, { keyId }), NONE)
      const path = [
        { id: `key:${keyId}`, depth: 3 },
        tenantAccount(tenantId, 2),
        tenantAccount(team, 1),
        tenantAccount(org),
      ]
      for (const account of path.slice(0, 2)) await set(tenantId, account, CAP * 3n)
      return path
    }),
  )
}

const tenantOf = (path: readonly AccountRef[]): string => path[1]!.id.slice('tenant:'.length)

async function race(
  workers: readonly ChildProcess[],
  paths: readonly AccountRef[][],
  round: number,
  how: 'guard' | 'alone' | 'naive',
): Promise<{ granted: bigint; refused: number[] }> {
  const amounts = amountsOf(round)
  const results = await Promise.all(
    workers.map((worker, n) => {
      const accounts = paths[n]!
      return tell<RaceResult>(worker, {
        do: 'race',
        tenantId: tenantOf(accounts),
        accounts,
        amounts,
        how,
      })
    }),
  )
  return {
    granted: sum(results.flatMap((result) => result.granted)),
    refused: results.flatMap((result) => result.refused.map(Number)),
  }
}

/** Never above the cap, and no room left that would have fitted anyone. */
function judge({ granted, refused }: { granted: bigint; refused: number[] }): string | null {
  if (granted > CAP) return `granted ${granted} of ${CAP}`
  if (refused.length === 0) return 'nobody was refused'
  const room = Number(CAP - granted)
  return room < Math.min(...refused) ? null : `${room} left, ${Math.min(...refused)} refused`
}

const FAKETIME = readdirSync('/usr/lib')
  .map((folder) => join('/usr/lib', folder, 'faketime/libfaketime.so.1'))
  .find((file) => existsSync(file))
const skipsFaketime = FAKETIME === undefined && process.env.TENANTKEYS_REQUIRE_ALL !== '1'
if (FAKETIME === undefined)
  console.warn('SKIPPED: a clock ahead, by libfaketime; apt-get install libfaketime')

/** A clock that is off, made in the process itself. */
const PATCHED_DATE = `const Real = Date
globalThis.Date = class extends Real {
  constructor(...args) { args.length === 0 ? super(Real.now() - ${OFF_BY_MS}) : super(...args) }
  static now() { return Real.now() - ${OFF_BY_MS} }
}`

describe.each(POSTGRES_KINDS)(`${PROCESSES} processes on PostgreSQL %s`, (kind) => {
  describe.skipIf(skipsPostgres(kind))('', () => {
    let database: TestDatabase
    let spec: StoreSpec
    let store: OpenStore

    beforeAll(async () => {
      database = await (await postgresServer(kind)).freshDatabase()
      spec = await migrated(database)
      store = openStore(spec)
    })
    afterAll(() => store?.close())

    const startWorkers = (options: readonly ForkOptions[] = []): Promise<ChildProcess[]> =>
      Promise.all(
        Array.from({ length: PROCESSES }, (_, n) => start([JSON.stringify(spec)], options[n])),
      )

    it(`T-B1 ${CALLERS} callers in each, four levels deep, never pass the cap and leave no room that fits (${ROUNDS} rounds)`, async () => {
      const workers = await startWorkers()
      const startedMs = performance.now()
      const sums = {
        calls: 0,
        granted: 0n,
        refused: 0,
        overCap: 0,
        roomThatFits: 0,
        countersOff: 0,
      }
      const verdicts: string[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const paths = await plant(store.storage, `a${round}`)
        const how = round % 2 === 0 ? 'guard' : 'alone'
        const result = await race(workers, paths, round, how)
        sums.calls += PROCESSES * CALLERS
        sums.granted += result.granted
        sums.refused += result.refused.length
        const verdict = judge(result)
        if (verdict !== null) {
          sums[result.granted > CAP ? 'overCap' : 'roomThatFits']++
          verdicts.push(`${how}: ${verdict}`)
        }
        const [line] = await store.storage.ledger.budgets(`org-a${round}`)
        if (line?.posted !== result.granted || line.held !== 0n) {
          sums.countersOff++
          verdicts.push(`${how}: ${line?.posted} posted, ${line?.held} held of ${result.granted}`)
        }
      }
      const seconds = (performance.now() - startedMs) / 1000
      console.table([
        {
          kind,
          rounds: ROUNDS,
          calls: sums.calls,
          'granted of all caps': `${sums.granted} of ${CAP * BigInt(ROUNDS)}`,
          refused: sums.refused,
          'rounds over the cap': sums.overCap,
          'rounds with room that fits': sums.roomThatFits,
          'rounds with counters off': sums.countersOff,
          seconds: Math.round(seconds),
        },
      ])
      expect(verdicts).toEqual([])
    }, 900_000)

    it('T-B2 the same callers that read first and then write do pass it', async () => {
      const workers = await startWorkers()
      const verdicts: (string | null)[] = []
      for (let round = 0; round < 3; round++) {
        const paths = await plant(store.storage, `b${round}`)
        verdicts.push(judge(await race(workers, paths, round, 'naive')))
      }
      expect(verdicts.join()).toContain(`of ${CAP}`)
    })

    const ahead = (): ForkOptions => ({
      env: {
        ...process.env,
        LD_PRELOAD: FAKETIME,
        FAKETIME: '+10m',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      },
    })
    const behind = (): ForkOptions => {
      const file = fileOf('date.mjs')
      writeFileSync(file, PATCHED_DATE)
      return { execArgv: ['--import', file] }
    }
    it('T-B18 clocks 10 minutes behind in one of them, by its own Date, and ahead in another, by libfaketime: the same result, and the same lives of holds', async () => {
      const workers = await startWorkers(skipsFaketime ? [behind()] : [behind(), ahead()])
      const paths = await plant(store.storage, 'c')
      expect(judge(await race(workers, paths, 1, 'guard'))).toBeNull()

      const tenantId = tenantOf(paths[0]!)
      // Half of what the clocks are off by: by the one that is ahead, the holds would be over.
      const ttlMs = OFF_BY_MS / 2
      const before = (await store.storage.epoch()).nowMs
      const held = await Promise.all(
        workers.map((worker) => tell<HeldResult>(worker, { do: 'hold', tenantId, ttlMs })),
      )
      const after = (await store.storage.epoch()).nowMs
      const off = held.map(({ hereMs }) => Math.round((hereMs - after) / 60_000) + 0)
      expect(off).toEqual([-10, skipsFaketime ? 0 : 10, 0, 0])
      for (const { expiresAtMs } of held) {
        expect(expiresAtMs).toBeGreaterThanOrEqual(before + ttlMs)
        expect(expiresAtMs).toBeLessThanOrEqual(after + ttlMs)
      }
      // Whoever sweeps: not before the store's time, and then at once.
      const early: number[] = []
      for (const worker of workers) early.push(await tell<number>(worker, { do: 'sweep' }))
      const states = (): Promise<(string | undefined)[]> =>
        Promise.all(
          held.map(
            async ({ holdId }) => (await store.storage.ledger.hold({ tenantId, holdId }))?.state,
          ),
        )
      expect(new Set(await states())).toEqual(new Set(['held']))
      // By the one that is behind, they are not over yet.
      await database.query(
        'UPDATE tenantkeys.tk_holds SET expires_at_ms = $1::bigint WHERE id = ANY ($2)',
        [after, held.map(({ holdId }) => holdId)],
      )
      const swept = await tell(workers[0]!, { do: 'sweep' })
      console.table(
        held.map(({ expiresAtMs }, n) => ({
          kind,
          process: n,
          'clock off, min': off[n],
          'TTL counts from, ms after it was asked': expiresAtMs - ttlMs - before,
          'ms until all had answered': after - before,
          'swept before its time': early[n],
          'swept when it was due': n === 0 ? swept : '',
        })),
      )
      expect(early).toEqual(workers.map(() => 0))
      expect(swept).toBe(PROCESSES)
      expect(new Set(await states())).toEqual(new Set(['expired']))
    })
  })
})
