import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgres } from '../../src/adapters/postgres/index.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { ledgerBench } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { type ReusedPostgres, reusedPostgres } from '../support/postgres-reused.ts'
import { POSTGRES_KINDS, skipsPostgres } from '../support/postgres-server.ts'
import { SQL_BANK, type SqlSabotage } from './postgres-ledger-bank.ts'
import { runSuite } from './recording-runner.ts'

const kind = POSTGRES_KINDS.find((one) => !skipsPostgres(one))

describe.skipIf(kind === undefined)('sabotaged functions of the ledger in PostgreSQL', () => {
  let reused: ReusedPostgres
  beforeAll(async () => {
    reused = await reusedPostgres(kind!)
  })
  afterAll(async () => {
    await reused.close()
  })

  const definition = async (fn: string): Promise<string> => {
    const [row] = await reused.database.query('SELECT pg_get_functiondef($1::regproc) AS text', [
      `${reused.store.schema}.${fn}`,
    ])
    return String(row?.text)
  }

  /** Runs `work` over changed functions, and puts the true ones back. */
  async function sabotaged<T>(changes: SqlSabotage['changes'], work: () => Promise<T>): Promise<T> {
    const names = [...new Set(changes.map(([fn]) => fn))]
    const true_ = new Map<string, string>()
    for (const name of names) true_.set(name, await definition(name))
    const changed = new Map(true_)
    for (const [fn, from, to] of changes) {
      const text = changed.get(fn)!
      expect(text, `${fn} has no ${from}`).toContain(from)
      changed.set(fn, text.replaceAll(from, to))
    }
    try {
      for (const text of changed.values()) await reused.database.query(text)
      return await work()
    } finally {
      for (const text of true_.values()) await reused.database.query(text)
    }
  }

  const suite = (only: string, patience: { readonly patienceMs?: number } = {}) =>
    runSuite(
      {
        capabilities: { name: 'postgres', durable: true, multiProcess: true, multiHost: true },
        make: async ({ clock }) => ({
          storage: await reused.fresh(clock),
          reopen: async () => postgres({ ...reused.store.options, listen: undefined, clock }),
          dispose: async () => {},
        }),
      },
      { only, ...patience },
    )

  test('the bank holds no sabotage twice, and the cases pass without any', async () => {
    const changes = SQL_BANK.map((sabotage) => JSON.stringify(sabotage.changes))
    expect(new Set(changes).size).toBe(changes.length)
    for (const only of new Set(SQL_BANK.map((sabotage) => sabotage.only))) {
      const { passed, reasons } = await suite(only)
      expect([only, reasons]).toEqual([only, []])
      expect(passed).not.toEqual([])
    }
  })

  test.each(SQL_BANK)('caught: $what', async ({ only, changes }) => {
    const { failed } = await sabotaged(changes, () => suite(only, { patienceMs: 30_000 }))
    expect(failed).not.toEqual([])
  })

  /** A hold that was settled after a sweep had picked it, before it had its locks. */
  async function sweepsSettled(): Promise<string> {
    const clock = fakeClock()
    const storage = await reused.fresh(clock)
    const bench = await ledgerBench(storage, { limit: 100n })
    const holdId = await bench.hold(40n)
    await bench.settle(holdId, 30n)
    clock.advance(3_600_000)
    await reused.database.query(
      `SELECT ${reused.store.schema}.tk_expire_v1(ARRAY[$1, $2], $3::bigint)`,
      [holdId, uuidv7(), clock.nowMs()],
    )
    return (await storage.ledger.hold({ tenantId: 'acme', holdId }))!.state
  }

  test('caught: a sweep that does not look again at what it picked', async () => {
    expect(await sweepsSettled()).toBe('posted')
    const changes = [
      ['tk_expire_v1', "AND h.state = 'held' AND h.expires_at_ms <= now_ms", ''],
    ] as const
    expect(await sabotaged(changes, sweepsSettled)).toBe('expired')
  })
})
