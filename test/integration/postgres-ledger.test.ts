import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { storageBudgetGuard } from '../../src/budgets/storage-budget-guard.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import type { AccountRef, ReserveItem } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import { ask, one, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { keyIdOf, NONE, newKey, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { type ReusedPostgres, reusedPostgres } from '../support/postgres-reused.ts'
import { POSTGRES_KINDS, skipsPostgres } from '../support/postgres-server.ts'

const PATH: readonly AccountRef[] = [
  { id: `key:${keyIdOf(1)}`, depth: 3 },
  { id: 'tenant:team', depth: 2 },
  { id: 'tenant:sub', depth: 1 },
  { id: 'tenant:org', depth: 0 },
]
const OWNERS = ['team', 'team', 'sub', 'org'] as const

async function tree(storage: Storage, limit = 1000n): Promise<void> {
  await tenants(storage, 'org', 'sub<org', 'team<sub', 'stranger')
  await storage.keys.create(newKey('team', 1), NONE)
  for (const [n, account] of PATH.entries()) {
    const budget = { unit: 'usd', window: 'month', zone: 'UTC', source: 'explicit', limit } as const
    await storage.ledger.setBudget({ ...budget, tenantId: OWNERS[n]!, account }, NONE)
  }
  const account = { id: 'tenant:stranger', depth: 0 }
  const budget = { unit: 'usd', window: 'month', zone: 'UTC', source: 'explicit', limit } as const
  await storage.ledger.setBudget({ ...budget, tenantId: 'stranger', account }, NONE)
}

const on = (amount: bigint, over: Partial<ReserveItem> = {}): ReserveItem =>
  ask('team', amount, { accounts: PATH, ...over })

for (const kind of POSTGRES_KINDS) {
  describe.skipIf(skipsPostgres(kind))(`the ledger on PostgreSQL (${kind})`, () => {
    let reused: ReusedPostgres
    let clock: FakeClock
    let storage: Storage
    /** Statements sent since the last look: each is one round trip. */
    let sent = 0
    const trips = (): number => {
      const before = sent
      sent = 0
      return before
    }

    beforeAll(async () => {
      reused = await reusedPostgres(kind)
      reused.store.pool.on('connect', (client: pg.PoolClient) => {
        const query = client.query as (...args: unknown[]) => unknown
        client.query = ((...args: unknown[]) => {
          sent += 1
          return query.apply(client, args)
        }) as typeof client.query
      })
    })
    afterAll(async () => {
      await reused.close()
    })

    const fresh = async (limit?: bigint): Promise<void> => {
      clock = fakeClock(Date.UTC(2027, 0, 15))
      storage = await reused.fresh(clock)
      await tree(storage, limit)
      trips()
    }

    test('an admitted reserve and a settle are one round trip each, alone and for a batch of 64', async () => {
      await fresh()
      const alone = on(1n)
      expect(one(await storage.ledger.reserve([alone])).ok).toBe(true)
      expect(trips()).toBe(1)
      expect(one(await storage.ledger.settle([settleOf('team', alone.holdId, 1n)])).ok).toBe(true)
      expect(trips()).toBe(1)

      const items = Array.from({ length: 64 }, () => on(1n))
      expect((await storage.ledger.reserve(items)).every((result) => result.ok)).toBe(true)
      expect(trips()).toBe(1)
      const settles = items.map((item) => settleOf('team', item.holdId, 1n))
      expect((await storage.ledger.settle(settles)).every((result) => result.ok)).toBe(true)
      expect(trips()).toBe(1)
      await storage.ledger.void([{ tenantId: 'team', holdId: uuidv7() }])
      expect(trips()).toBe(1)
    })

    test('a refusal is one round trip, and two when holds whose time is up stand in the way', async () => {
      await fresh(100n)
      const ask101 = await storage.ledger.reserve([on(101n)])
      expect(ask101[0]).toMatchObject({ ok: false, code: 'TK_BUDGET_EXHAUSTED' })
      expect(trips()).toBe(1)
      const live = on(60n)
      await storage.ledger.reserve([live])
      trips()
      expect(one(await storage.ledger.reserve([on(60n)])).ok).toBe(false)
      expect(trips()).toBe(1)
      clock.advance(60_000)
      expect(one(await storage.ledger.reserve([on(60n)])).ok).toBe(true)
      expect(trips()).toBe(2)
      // Nothing is due any more.
      expect(one(await storage.ledger.reserve([on(60n)])).ok).toBe(false)
      expect(trips()).toBe(1)
    })

    test('callers of one process share batches, and a lone one goes at once', async () => {
      await fresh()
      const guard = storageBudgetGuard({ storage, clock: { elapsedMs: () => 0 } })
      const lone = await guard.reserve(on(1n))
      expect(lone.ok).toBe(true)
      expect(trips()).toBe(1)
      const answers = await Promise.all(Array.from({ length: 200 }, () => guard.reserve(on(1n))))
      expect(answers.every((answer) => answer.ok)).toBe(true)
      expect(trips()).toBe(1)
      const settled = answers.map((answer) =>
        answer.ok ? guard.settle(settleOf('team', answer.holdId, 1n)) : null,
      )
      await Promise.all(settled)
      expect(trips()).toBe(1)
    })

    test('T-B12 overlapping paths in any order, settles, voids and sweeps from many connections end without a deadlock', async () => {
      await fresh(1_000_000n)
      const { ledger } = storage
      const shuffled = (n: number): readonly AccountRef[] => {
        const path = n % 3 === 0 ? PATH.slice(1) : n % 3 === 1 ? PATH : PATH.slice(2)
        return n % 2 === 0 ? path : [...path].reverse()
      }
      const work = Array.from({ length: 240 }, async (_, n) => {
        const items = Array.from({ length: 1 + (n % 4) }, (_unused, i) =>
          on(1n, { accounts: shuffled(n + i), ttlMs: n % 7 === 0 ? 1 : 60_000 }),
        )
        const holds = (await ledger.reserve(items)).flatMap((r) => (r.ok ? [r.holdId] : []))
        if (n % 5 === 0) await ledger.sweep(5)
        if (n % 3 === 0) await ledger.void(holds.map((holdId) => ({ tenantId: 'team', holdId })))
        else await ledger.settle(holds.map((holdId) => settleOf('team', holdId, 1n)))
        return holds.length
      })
      const held = (await Promise.all(work)).reduce((sum, n) => sum + n, 0)
      expect(held).toBe(600)
      const [org] = await ledger.budgets('org')
      const [total] = await storage.usage.totals({
        tenantId: null,
        fromMs: null,
        untilMs: null,
        by: [],
      })
      expect(org).toMatchObject({ held: 0n, posted: total?.costNanoUsd })
      const [row] = await reused.database.query(
        'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
      )
      expect(row?.deadlocks).toBe('0')
    })

    test('T-I1 a function that is given ids of another tenant answers as for none, and changes no row', async () => {
      await fresh()
      const { schema, pool } = reused.store
      const own = on(5n)
      await storage.ledger.reserve([own])
      const rows = async (): Promise<unknown> =>
        reused.database.query(
          `SELECT (SELECT jsonb_agg(c ORDER BY c.account_id) FROM ${schema}.tk_counters c) AS counters,
            (SELECT jsonb_agg(h) FROM ${schema}.tk_holds h) AS holds,
            (SELECT count(*) FROM ${schema}.api_key_usage_logs) AS usage`,
        )
      const before = await rows()
      const tenantId = 'stranger'
      const usage = settleOf('team', own.holdId, 1n)
      expect(await storage.ledger.reserve([{ ...on(1n), tenantId }])).toMatchObject([
        { ok: false, code: 'TK_INPUT_INVALID' },
      ])
      expect(await storage.ledger.preview({ ...on(1n), tenantId })).toMatchObject({
        code: 'TK_INPUT_INVALID',
      })
      const notFound = [{ ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND' }]
      expect(await storage.ledger.settle([{ ...usage, tenantId }])).toMatchObject(notFound)
      expect(await storage.ledger.void([{ holdId: own.holdId, tenantId }])).toMatchObject(notFound)
      const raise = { holdId: own.holdId, tenantId, sequence: 1, amounts: { usd: 9n }, ttlMs: 1 }
      expect(await storage.ledger.extend([raise])).toMatchObject(notFound)
      expect(await storage.ledger.hold({ holdId: own.holdId, tenantId })).toBeNull()
      // What the app role could call by itself.
      await pool.query(`SELECT ${schema}.tk_lock_accounts_v1($1::text::jsonb, $2::bigint)`, [
        JSON.stringify({ accounts: '{"tenant:team"}', tenants: '{stranger}' }),
        String(Date.UTC(2027, 5, 1)),
      ])
      const inner = pool.query(`SELECT ${schema}.tk_expire_v1(ARRAY[$1], 0)`, [own.holdId])
      await expect(inner).rejects.toMatchObject({ code: '42501' })
      expect(await rows()).toEqual(before)
      // Its own may still be settled.
      expect(one(await storage.ledger.settle([usage])).ok).toBe(true)
    })

    test('T-B9 the database refuses sums below zero and states that are none, whoever writes them', async () => {
      await fresh()
      const { schema } = reused.store
      const held = on(5n)
      await storage.ledger.reserve([held])
      await storage.ledger.settle([settleOf('team', held.holdId, 5n)])
      for (const change of [
        'UPDATE tk_counters SET posted = -1',
        'UPDATE tk_counters SET held = -1',
        'UPDATE tk_counters SET limit_amount = -1',
        "UPDATE tk_holds SET state = 'lost'",
        "UPDATE tk_holds SET paid_by = 'nobody'",
        'UPDATE api_key_usage_logs SET cost_nano_usd = -1',
        'UPDATE api_key_usage_logs SET overage_nano_usd = -1',
        'UPDATE api_key_usage_logs SET input_tokens = -1',
      ]) {
        const sql = change.replace('UPDATE ', `UPDATE ${schema}.`)
        await expect(reused.database.query(sql)).rejects.toMatchObject({ code: '23514' })
      }
    })

    test('T-B22 budgets that are set at once, and holds beside them, make one row', async () => {
      await fresh()
      const { ledger } = storage
      const account = { id: 'tenant:team', depth: 2 }
      const budget = { tenantId: 'team', account, unit: 'tokens', window: 'day' } as const
      const set = (n: number) =>
        ledger.setBudget(
          { ...budget, zone: 'UTC', limit: BigInt(100 + n), source: 'explicit' },
          { events: [{ id: `set-${n}`, kind: 'set', tenantId: 'team', payload: {} }] },
        )
      const reserve = () => ledger.reserve([on(0n, { amounts: { tokens: 1n } })])
      const work = Array.from({ length: 32 }, (_, n) => (n % 2 === 0 ? set(n) : reserve()))
      await Promise.all(work)
      const lines = (await ledger.budgets('team')).filter((line) => line.unit === 'tokens')
      expect(lines).toHaveLength(1)
      const [counted] = await reused.database.query(
        `SELECT count(*) FROM ${reused.store.schema}.tk_outbox WHERE kind = 'set'`,
      )
      expect(counted?.count).toBe('16')
    })

    test('a zone that the database does not know is refused at setBudget, by name', async () => {
      await fresh()
      const account = { id: 'tenant:team', depth: 2 }
      const budget = { tenantId: 'team', account, unit: 'tokens', window: 'day' } as const
      // Known to this process: what the runtime does not know never gets here.
      await reused.database.query(
        `CREATE OR REPLACE FUNCTION ${reused.store.schema}.tk_offset_ms_v1(zone text, at_ms bigint)
         RETURNS bigint LANGUAGE sql STABLE AS $$
           SELECT extract(epoch FROM now() AT TIME ZONE (zone || 'x'))::bigint $$`,
      )
      const set = storage.ledger.setBudget(
        { ...budget, zone: 'Europe/Berlin', limit: 1n, source: 'explicit' },
        NONE,
      )
      await expect(set).rejects.toMatchObject({
        code: 'TK_INPUT_INVALID',
        details: { field: 'zone' },
      })
    })
  })
}
