/**
 * Ledgers whose rows a test can change behind the store's back: in memory through its tables, in
 * SQLite through a second connection.
 *
 * @module
 */
import { memory } from '../../src/adapters/memory/index.ts'
import { ledgerCommands } from '../../src/adapters/memory/ledger.ts'
import { outboxCommands } from '../../src/adapters/memory/outbox.ts'
import { MemoryState } from '../../src/adapters/memory/state.ts'
import { keyCommands, tenantCommands } from '../../src/adapters/memory/tenants-keys.ts'
import { auditCommands, usageCommands } from '../../src/adapters/memory/usage.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { Counter, Hold } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'
import { tamper } from './sqlite.ts'

type Sums = Partial<Pick<Counter, 'posted' | 'held'>>

export interface TamperedLedger {
  readonly name: string
  readonly storage: Storage
  readonly clock: FakeClock
  /** Sets sums of every counter of an account. */
  counter(accountId: string, sums: Sums): void
  /** Likewise of its ended periods. */
  history(accountId: string, sums: Sums): void
  hold(id: string, change: Partial<Pick<Hold, 'state'>>): void
  dropHold(id: string): void
  dropUsage(id: string): void
}

export function tamperedMemory(): TamperedLedger {
  const clock = fakeClock()
  const state = new MemoryState(clock)
  const storage: Storage = {
    ...memory({ clock }),
    tenants: tenantCommands(state),
    keys: keyCommands(state),
    ledger: ledgerCommands(state),
    usage: usageCommands(state),
    outbox: outboxCommands(state),
    audit: auditCommands(state),
  }
  return {
    name: 'memory',
    storage,
    clock,
    counter: (accountId, sums) => {
      const rows = state.counters.get(accountId) ?? []
      state.counters.set(
        accountId,
        rows.map((row) => ({ ...row, ...sums })),
      )
    },
    history: (accountId, sums) => {
      for (const row of [...state.history.values()].filter((r) => r.accountId === accountId)) {
        const { unit, window, periodStartMs } = row
        const key = [accountId, unit, window, periodStartMs].join('\0')
        state.history.set(key, { ...row, ...sums })
      }
    },
    hold: (id, change) => state.holds.set(id, { ...state.holds.get(id)!, ...change }),
    dropHold: (id) => void state.holds.delete(id),
    dropUsage: (id) => void state.usage.delete(id),
  }
}

const assignments = (sums: Sums): string =>
  Object.entries(sums)
    .map(([column, value]) => `${column} = ${value}`)
    .join(', ')

export function tamperedSqlite(file: string): TamperedLedger {
  const clock = fakeClock()
  const storage = sqlite({ file, clock, synchronous: 'NORMAL' })
  return {
    name: 'sqlite',
    storage,
    clock,
    counter: (accountId, sums) =>
      tamper(file, `UPDATE tk_counters SET ${assignments(sums)} WHERE account_id = '${accountId}'`),
    history: (accountId, sums) =>
      tamper(
        file,
        `UPDATE tk_counter_history SET ${assignments(sums)} WHERE account_id = '${accountId}'`,
      ),
    hold: (id, { state }) =>
      tamper(file, `UPDATE tk_holds SET state = '${state}' WHERE id = '${id}'`),
    dropHold: (id) => tamper(file, `DELETE FROM tk_holds WHERE id = '${id}'`),
    dropUsage: (id) => tamper(file, `DELETE FROM api_key_usage_logs WHERE id = '${id}'`),
  }
}
