import pg from 'pg'
import { describe, expect, it } from 'vitest'
import type { AccountRef, LineState } from '../../src/storage/ledger-records.ts'
import {
  ask,
  ledgerBench,
  one,
  settleOf,
  tenantAccount,
  usd,
} from '../../src/testing/storage-conformance/ledger-bench.ts'
import { keyIdOf, NONE, newKey, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { migrated, openStore } from '../support/open-store.ts'
import {
  POSTGRES_KINDS,
  postgresServer,
  skipsPostgres,
  type TestDatabase,
} from '../support/postgres-server.ts'

const WAITING = `SELECT 1 FROM pg_stat_activity
  WHERE datname = current_database() AND wait_event_type = 'Lock'`

/** Functions wait ten seconds for a lock (postgres-walls.ts holds each to it); those of a test less. */
async function haveLessTime(database: TestDatabase): Promise<void> {
  const functions = await database.query(
    `SELECT p.oid::regprocedure::text AS name FROM pg_proc p
     WHERE p.pronamespace = 'tenantkeys'::regnamespace
       AND p.proconfig::text LIKE '%lock_timeout=10000%'`,
  )
  const shorter = functions.map(({ name }) => `ALTER FUNCTION ${name} SET lock_timeout = 50`)
  await database.query(shorter.join(';'))
}

describe.each(POSTGRES_KINDS)('PostgreSQL %s', (kind) => {
  it.skipIf(skipsPostgres(kind))(
    'T-B1 a counter whose lock was waited for counts like the others, on every level of the path',
    async () => {
      const database = await (await postgresServer(kind)).freshDatabase()
      const { storage, close } = openStore(await migrated(database))
      const { ledger } = storage
      await tenants(storage, 'org', 'team<org', 'acme<team')
      const path: AccountRef[] = ['acme', 'team', 'org'].map((id, n) => tenantAccount(id, 2 - n))
      const budget = { unit: 'usd', window: 'month', zone: 'UTC', source: 'explicit' } as const
      for (const [n, tenantId] of ['acme', 'team', 'org'].entries()) {
        await ledger.setBudget({ ...budget, tenantId, account: path[n]!, limit: 100n }, NONE)
      }
      const other = new pg.Client(database.url())
      await other.connect()

      /** Changes the counter of `account` in a transaction that ends when `command` waits for it. */
      const whileLocked = async <T>(account: AccountRef, command: () => Promise<T>): Promise<T> => {
        await other.query('BEGIN')
        await other.query(
          'UPDATE tenantkeys.tk_counters SET posted = posted + 1 WHERE account_id = $1',
          [account.id],
        )
        let over = false
        const answer = command().finally(() => {
          over = true
        })
        while (!over && (await database.query(WAITING)).length === 0);
        await other.query('COMMIT')
        return answer
      }
      const charged = (result: { readonly ok: boolean; readonly lines?: readonly LineState[] }) =>
        result.lines?.map((line) => line.accountId)
      const all = path.map((account) => account.id)

      for (const account of path) {
        const first = ask('acme', 5n, { accounts: path })
        const again = ask('acme', 1n, { accounts: path })
        const [reserved] = await whileLocked(account, () => ledger.reserve([first]))
        expect(charged(reserved!)).toEqual(all)
        const extend = { holdId: first.holdId, tenantId: 'acme', sequence: 1, ttlMs: 60_000 }
        const extended = await whileLocked(account, () =>
          ledger.extend([{ ...extend, amounts: usd(7n) }]),
        )
        expect(one(extended).ok).toBe(true)
        const [settled] = await whileLocked(account, () =>
          ledger.settle([settleOf('acme', first.holdId, 6n)]),
        )
        expect(charged(settled!)).toEqual(all)
        await ledger.reserve([again])
        await whileLocked(account, () => ledger.void([{ holdId: again.holdId, tenantId: 'acme' }]))
      }
      await other.end()

      // Three calls of 6, and the four changes of the other transaction on each level.
      for (const tenantId of ['acme', 'team', 'org']) {
        const line = one(await ledger.budgets(tenantId))
        expect({ posted: line.posted, held: line.held }).toEqual({ posted: 22n, held: 0n })
      }
      await close()
    },
  )

  it.skipIf(skipsPostgres(kind))(
    'T-B13 a pool is locked where its depth puts it, by every command',
    async () => {
      const database = await (await postgresServer(kind)).freshDatabase()
      const { storage, close } = openStore(await migrated(database))
      const { ledger } = storage
      await tenants(storage, 'org', 'team<org', 'acme<team')
      await storage.keys.create(newKey('org', 1), NONE)
      const pool: AccountRef = { id: `key:${keyIdOf(1)}`, depth: 1 }
      const path: AccountRef[] = ['acme', 'team', 'org'].map((id, n) => tenantAccount(id, 2 - n))
      const [acme, team, org] = path as [AccountRef, AccountRef, AccountRef]
      const budget = { unit: 'usd', window: 'month', zone: 'UTC', source: 'explicit' } as const
      const set = (
        tenantId: string,
        account: AccountRef,
        limit: bigint,
        overflow: AccountRef | null,
      ) => ledger.setBudget({ ...budget, tenantId, account, limit, overflow }, NONE)
      await set('org', pool, 1000n, null)
      await set('org', org, 1000n, null)
      await set('team', team, 1n, pool)
      await set('acme', acme, 1000n, null)

      const other = new pg.Client(database.url())
      await other.connect()
      /** At depth 1 the pool comes before the team, whose lock somebody else has. */
      const locksPoolFirst = async (command: () => Promise<unknown>): Promise<boolean> => {
        await other.query('BEGIN')
        await other.query('SELECT 1 FROM tenantkeys.tk_counters WHERE account_id = $1 FOR UPDATE', [
          team.id,
        ])
        let over = false
        const running = command().finally(() => {
          over = true
        })
        while (!over && (await database.query(WAITING)).length === 0);
        const free = await database.query(
          'SELECT 1 FROM tenantkeys.tk_counters WHERE account_id = $1 FOR UPDATE SKIP LOCKED',
          [pool.id],
        )
        await other.query('COMMIT')
        await running
        return free.length === 0
      }
      const hold = async (ttlMs = 60_000): Promise<string> => {
        const item = ask('acme', 5n, { accounts: path, ttlMs })
        const result = one(await ledger.reserve([item]))
        expect(result.ok && result.overflows).toHaveLength(1)
        return item.holdId
      }
      const commands: Record<string, () => Promise<unknown>> = {
        reserve: () => hold(),
        extend: async () => {
          const extend = { holdId: await held.extend, tenantId: 'acme', sequence: 1, ttlMs: 60_000 }
          return ledger.extend([{ ...extend, amounts: usd(6n) }])
        },
        settle: async () => ledger.settle([settleOf('acme', await held.settle, 1n)]),
        void: async () => ledger.void([{ holdId: await held.void, tenantId: 'acme' }]),
        sweep: () => ledger.sweep(1),
      }
      const held = { extend: hold(), settle: hold(), void: hold(), sweep: hold(1) }
      await Promise.all(Object.values(held))
      for (const [name, command] of Object.entries(commands)) {
        expect(await locksPoolFirst(command), name).toBe(true)
      }
      await other.end()
      await close()
    },
  )

  it.skipIf(skipsPostgres(kind))(
    'ST-1 T-U9 a batch in which an id comes twice, and that is refused as busy, has done nothing',
    async () => {
      const database = await (await postgresServer(kind)).freshDatabase()
      const { storage, close } = openStore(await migrated(database))
      const { ledger } = storage
      const acme = await ledgerBench(storage, { limit: 100n, tenantId: 'acme' })
      const globex = await ledgerBench(storage, { limit: 100n, tenantId: 'globex' })
      await haveLessTime(database)
      const [first, second] = [ask('acme', 1n), ask('globex', 2n)] as const
      const other = new pg.Client(database.url())
      await other.connect()
      await other.query('BEGIN')
      await other.query('SELECT 1 FROM tenantkeys.tk_counters WHERE tenant_id = $1 FOR UPDATE', [
        'globex',
      ])
      // The id that comes again is decided after all that came before it, with what is locked.
      const batch = [first, first, second]
      const refused = ledger.reserve(batch)
      await expect(refused).rejects.toMatchObject({ code: 'TK_STORE_BUSY', outcome: 'none' })
      await acme.expect(0n, 0n)
      expect(await ledger.hold({ tenantId: 'acme', holdId: first.holdId })).toBeNull()
      await other.query('ROLLBACK')
      await other.end()
      expect((await ledger.reserve(batch)).map((r) => r.ok && r.replayed)).toEqual([
        false,
        true,
        false,
      ])
      await acme.expect(0n, 1n)
      await globex.expect(0n, 2n)
      await close()
    },
  )

  it.skipIf(skipsPostgres(kind))(
    'T-U9 a call behind a lock that is never given back is refused as busy, and has done nothing',
    async () => {
      const database = await (await postgresServer(kind)).freshDatabase()
      const { storage, close } = openStore(await migrated(database))
      const { ledger } = storage
      const bench = await ledgerBench(storage, { limit: 1000n, tenantId: 'acme' })
      const [first, second] = [await bench.hold(10n), await bench.hold(20n)]
      const due = ask('acme', 5n, { ttlMs: 1 })
      await ledger.reserve([due])
      await haveLessTime(database)
      const extension = { holdId: first, tenantId: 'acme', sequence: 1, ttlMs: 60_000 }
      const reserved = ask('acme', 1n)
      const commands: Record<string, () => Promise<unknown>> = {
        reserve: () => ledger.reserve([reserved]),
        preview: () => ledger.preview(reserved),
        extend: () => ledger.extend([{ ...extension, amounts: usd(11n) }]),
        settle: () => ledger.settle([settleOf('acme', first, 9n)]),
        void: () => ledger.void([{ holdId: second, tenantId: 'acme' }]),
        sweep: () => ledger.sweep(1),
      }
      const before = await ledger.audit('acme')
      const other = new pg.Client(database.url())
      await other.connect()
      await other.query('BEGIN')
      await other.query('SELECT 1 FROM tenantkeys.tk_counters FOR UPDATE')
      for (const [name, command] of Object.entries(commands)) {
        const error = await command().catch((thrown: unknown) => thrown)
        expect(error, name).toMatchObject({ code: 'TK_STORE_BUSY', retryable: true })
        expect(error, name).toMatchObject({ outcome: 'none' })
      }
      await other.query('ROLLBACK')
      await other.end()
      expect({ ...(await ledger.audit('acme')), nowMs: 0 }).toEqual({ ...before, nowMs: 0 })
      for (const [name, command] of Object.entries(commands)) {
        await expect(command(), name).resolves.toBeDefined()
      }
      await bench.expect(9n, 1n)
      await close()
    },
  )
})
