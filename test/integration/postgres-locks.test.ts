import pg from 'pg'
import { describe, expect, it } from 'vitest'
import type { AccountRef, LineState } from '../../src/storage/ledger-records.ts'
import {
  ask,
  one,
  settleOf,
  tenantAccount,
  usd,
} from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { migrated, openStore } from '../support/open-store.ts'
import { POSTGRES_KINDS, postgresServer, skipsPostgres } from '../support/postgres-server.ts'

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
        const waiting = `SELECT 1 FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`
        while (!over && (await database.query(waiting)).length === 0);
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
})
