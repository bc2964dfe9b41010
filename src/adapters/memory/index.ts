/**
 * `memory()`: a store that lives and dies with the process, for tests, demos and single-process
 * hosts whose budgets may start anew. It keeps every clause of the Storage port.
 *
 * @module
 */
import type { Storage } from '../../storage/storage.ts'
import { ledgerCommands } from './ledger.ts'
import { dekCommands, secretCommands } from './secrets.ts'
import { type MemoryOptions, MemoryState } from './state.ts'
import { keyCommands, tenantCommands } from './tenants-keys.ts'
import { auditCommands, outboxCommands, usageCommands } from './usage.ts'

export type { MemoryOptions } from './state.ts'

export function memory(options: MemoryOptions = {}): Storage {
  const state = new MemoryState(options)
  return {
    contractVersion: 1,
    capabilities: { name: 'memory', durable: false, multiProcess: false, multiHost: false },
    migrate: async () => state.open(),
    close: async () => state.close(),
    epoch: () => state.run(() => state.reading()),
    epochNow: () => {
      state.open()
      return state.reading()
    },
    tenants: tenantCommands(state),
    keys: keyCommands(state),
    secrets: secretCommands(state),
    deks: dekCommands(state),
    ledger: ledgerCommands(state),
    usage: usageCommands(state),
    outbox: outboxCommands(state),
    audit: auditCommands(state),
  }
}
