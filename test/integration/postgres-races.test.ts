/**
 * Moments between two statements of one command: what others commit there is neither missed nor
 * overwritten. READ COMMITTED gives each statement a view of its own.
 *
 * @module
 */
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { postgres } from '../../src/adapters/postgres/index.ts'
import { findDrifts } from '../../src/budgets/reconcile.ts'
import {
  ask,
  codeOf,
  one,
  settleOf,
  tenantAccount,
} from '../../src/testing/storage-conformance/ledger-bench.ts'
import { goodAlso, NONE, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { HOST_ROLE, migrated, type OpenStore, openStore, ROLES } from '../support/open-store.ts'
import {
  POSTGRES_KINDS,
  postgresServer,
  skipsPostgres,
  type TestDatabase,
} from '../support/postgres-server.ts'

const BUDGET = { unit: 'usd', window: 'month', zone: 'UTC' } as const

describe.each(POSTGRES_KINDS.filter((kind) => !skipsPostgres(kind)))('PostgreSQL %s', (kind) => {
  let database: TestDatabase
  let store: OpenStore
  let other: pg.Client

  beforeAll(async () => {
    database = await (await postgresServer(kind)).freshDatabase()
    store = openStore(await migrated(database))
    other = new pg.Client(database.url())
    await other.connect()
  })

  afterEach(() => other.query('ROLLBACK'))

  afterAll(async () => {
    await other.end()
    await store.close()
  })

  /** Until so many statements wait for a lock of a row. */
  const waiting = async (count: number): Promise<void> => {
    const sql = `SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`
    while ((await database.query(sql)).length < count);
  }

  const budget = async (tenantId: string, limit: bigint): Promise<void> => {
    const of = { ...BUDGET, tenantId, account: tenantAccount(tenantId), source: 'explicit' }
    await store.storage.ledger.setBudget({ ...of, limit }, NONE)
  }

  const sums = async (tenantId: string): Promise<object> => {
    const { posted, held } = one(await store.storage.ledger.budgets(tenantId))
    return { posted, held }
  }

  it('T-B1 a reserve that waits while a plan puts other budgets in place is held to those', async () => {
    const { storage } = store
    await tenants(storage, 'plans')
    const change = (version: number, window: 'month' | 'day', limit: bigint) =>
      storage.tenants.setPlan(
        {
          tenantId: 'plans',
          plan: { name: 'pro', version },
          credentials: null,
          onlyIfOlder: false,
          budgets: [{ ...BUDGET, window, limit }],
        },
        goodAlso('plans', `change-${version}`),
      )
    await change(1, 'month', 3n)
    await other.query('BEGIN')
    await other.query("SELECT 1 FROM tenantkeys.tk_audit_heads WHERE root_id = 'plans' FOR UPDATE")
    const changed = change(2, 'day', 4n)
    await waiting(1)
    const reserved = storage.ledger.reserve([ask('plans', 5n)])
    await waiting(2)
    await other.query('COMMIT')
    await changed
    expect((await reserved).map(codeOf)).toEqual(['TK_BUDGET_EXHAUSTED'])
  })

  it('T-B5 a void that waits gives back also what was reserved meanwhile', async () => {
    const { storage } = store
    await tenants(storage, 'first', 'second')
    await budget('first', 100n)
    await budget('second', 100n)
    const there = ask('first', 10n)
    const late = ask('second', 10n)
    await storage.ledger.reserve([there])
    await other.query('BEGIN')
    await other.query(
      "SELECT 1 FROM tenantkeys.tk_counters WHERE account_id = 'tenant:first' FOR UPDATE",
    )
    const voided = storage.ledger.void([there, late])
    await waiting(1)
    await storage.ledger.reserve([late])
    await other.query('COMMIT')
    expect((await voided).map(codeOf)).toEqual(['ok', 'ok'])
    expect(await sums('second')).toEqual({ posted: 0n, held: 0n })
  })

  it('T-B1 a budget that another caller has just made keeps what it holds when it is set', async () => {
    const { storage } = store
    await tenants(storage, 'twice')
    const pool = new pg.Pool({ connectionString: database.url(HOST_ROLE), max: 2 })
    // Between its two looks at the counters.
    const gated = {
      totalCount: 0,
      query: (config: pg.QueryConfig) => pool.query(config),
      connect: async () => {
        const client = await pool.connect()
        const before = async (text: string): Promise<void> => {
          if (/^SELECT r\.account_id/.test(text)) await budget('twice', 100n)
          if (/^UPDATE "tenantkeys"\."tk_counters"/.test(text)) {
            let over = false
            const done = storage.ledger.reserve([ask('twice', 10n)]).finally(() => {
              over = true
            })
            later.push(done)
            const sql = `SELECT 1 FROM pg_stat_activity
              WHERE datname = current_database() AND wait_event_type = 'Lock'`
            while (!over && (await database.query(sql)).length === 0);
          }
        }
        return {
          query: async (config: pg.QueryConfig) => {
            await before(config.text)
            return client.query(config)
          },
          release: (destroy?: boolean) => client.release(destroy),
          on: client.on.bind(client),
          removeListener: client.removeListener.bind(client),
        }
      },
    }
    const later: Promise<unknown>[] = []
    const slow = postgres({ client: gated as never, roles: ROLES })
    const of = { ...BUDGET, tenantId: 'twice', account: tenantAccount('twice'), source: 'explicit' }
    await slow.ledger.setBudget({ ...of, limit: 50n }, NONE)
    await Promise.all(later)
    await pool.end()
    expect(later).toHaveLength(1)
    expect(await sums('twice')).toEqual({ posted: 0n, held: 10n })
  })

  it('a call that began before a budget above it was committed is no drift of that budget', async () => {
    const { ledger, usage } = store.storage
    await tenants(store.storage, 'above', 'below<above')
    await budget('below', 100n)
    const path = [tenantAccount('below', 1), tenantAccount('above', 0)]
    const pool = new pg.Pool({ connectionString: database.url(HOST_ROLE), max: 1 })
    const item = ask('below', 10n, { accounts: path })
    let reserved = 0
    const gated = {
      totalCount: 0,
      query: (config: pg.QueryConfig) => pool.query(config),
      connect: async () => {
        const client = await pool.connect()
        return {
          query: async (config: pg.QueryConfig) => {
            if (config.text === 'COMMIT') {
              // The budget has its time already, and nobody else sees it.
              const result = one(await ledger.reserve([item]))
              reserved = result.ok ? result.lines.length : 0
            }
            return client.query(config)
          },
          release: (destroy?: boolean) => client.release(destroy),
          on: client.on.bind(client),
          removeListener: client.removeListener.bind(client),
        }
      },
    }
    const slow = postgres({ client: gated as never, roles: ROLES })
    const of = { ...BUDGET, tenantId: 'above', account: tenantAccount('above'), source: 'explicit' }
    await slow.ledger.setBudget({ ...of, limit: 50n }, NONE)
    await pool.end()
    expect(reserved).toBe(1)
    await ledger.settle([settleOf('below', item.holdId, 10n)])
    const snapshot = (await ledger.audit('above'))!
    const made = snapshot.counters.find((counter) => counter.tenantId === 'above')!
    const row = await usage.get({ tenantId: 'below', id: item.holdId })
    expect(row!.startedAtMs).toBeGreaterThanOrEqual(made.createdAtMs)
    expect(findDrifts(snapshot, 0)).toEqual([])
    // Had it been there long before, the call would have had to charge it.
    const counters = snapshot.counters.map((counter) =>
      counter === made ? { ...made, createdAtMs: row!.startedAtMs - 300_000 } : counter,
    )
    expect(findDrifts({ ...snapshot, counters }, 0)).toMatchObject([
      { kind: 'parent_below_children', tenantId: 'above', expected: 10n, found: 0n },
    ])
  })

  it('T-B12 a plan that is put in place and a period that ends do not wait for each other', async () => {
    const { storage } = store
    await tenants(storage, 'rolls')
    await budget('rolls', 100n)
    await other.query('BEGIN')
    await other.query(
      "SELECT 1 FROM tenantkeys.tk_counters WHERE account_id = 'tenant:rolls' FOR UPDATE",
    )
    const changed = storage.tenants.setPlan(
      {
        tenantId: 'rolls',
        plan: { name: 'pro', version: 1 },
        credentials: null,
        onlyIfOlder: false,
        budgets: [],
      },
      NONE,
    )
    await waiting(1)
    await other.query("SET LOCAL lock_timeout = '100ms'")
    // As every roll does.
    const ended = other.query(`INSERT INTO tenantkeys.tk_counter_history
      (account_id, unit, period, period_start_ms, tenant_id, posted, held)
      VALUES ('tenant:rolls', 'usd', 'month', 0, 'rolls', 0, 0)`)
    await expect(ended.then(() => 'written')).resolves.toBe('written')
    await other.query('COMMIT')
    await changed
  })

  it('T-B2 of a settle and a void of one hold without budgets only one happens', async () => {
    const { storage } = store
    await tenants(storage, 'free')
    const hold = ask('free', 10n)
    await storage.ledger.reserve([hold])
    await other.query('BEGIN')
    await other.query('SELECT 1 FROM tenantkeys.tk_holds WHERE id = $1 FOR UPDATE', [hold.holdId])
    const voided = storage.ledger.void([hold])
    await waiting(1)
    const settled = storage.ledger.settle([settleOf('free', hold.holdId, 5n)])
    await waiting(2)
    await other.query('COMMIT')
    const answers = [...(await voided), ...(await settled)].map(codeOf).sort()
    expect(answers).toEqual(['TK_BUDGET_HOLD_MISMATCH', 'ok'])
  })

  it('T-B1 a counter keeps its sums when database and runtime do not agree on its zone', async () => {
    const { ledger } = store.storage
    await tenants(store.storage, 'zones')
    await budget('zones', 100n)
    await ledger.reserve([ask('zones', 10n)])
    // As if the month before went on for a while by the rules of the database.
    await other.query(`UPDATE tenantkeys.tk_counters
      SET period_end_ms = period_start_ms + 5000000000, period_start_ms = period_start_ms - 1000
      WHERE account_id = 'tenant:zones'`)
    await expect(budget('zones', 50n)).rejects.toMatchObject({ code: 'TK_STORE_CONFLICT' })
    const [counter] = await other
      .query("SELECT held FROM tenantkeys.tk_counters WHERE account_id = 'tenant:zones'")
      .then(({ rows }) => rows)
    expect(counter).toEqual({ held: '10' })
    // What still runs there has not ended, whatever this process knows of the zone; and the other way.
    const periods = { tenantId: 'zones', account: tenantAccount('zones'), unit: 'usd' }
    const ended = async () =>
      (await ledger.periods({ ...periods, window: 'month', limit: 9 }))?.ended.length
    expect(await ended()).toBe(0)
    await other.query(`UPDATE tenantkeys.tk_counters SET period_end_ms = period_start_ms + 1000
      WHERE account_id = 'tenant:zones'`)
    expect(await ended()).toBe(1)
  })
})
