/**
 * `memory()`: a store that lives and dies with the process, for tests, demos and single-process
 * hosts whose budgets may start anew. It keeps every clause of the Storage port.
 *
 * @module
 */
import * as z from 'zod'
import { systemWallClock, type WallClock } from '../../kernel/clock.ts'
import { objectWith, parse } from '../../kernel/validate.ts'
import type { Storage } from '../../storage/storage.ts'
import { ledgerCommands } from './ledger.ts'
import { outboxCommands } from './outbox.ts'
import { dekCommands, secretCommands } from './secrets.ts'
import { MemoryState } from './state.ts'
import { keyCommands, tenantCommands } from './tenants-keys.ts'
import { auditCommands, usageCommands } from './usage.ts'

export interface MemoryOptions {
  /** Where the store takes its time from; for tests. Default: the system's clock. */
  readonly clock?: WallClock | undefined
}

const optionsSchema = z.strictObject({
  clock: objectWith<WallClock>(['nowMs'], 'expected a clock with nowMs()').default(systemWallClock),
})

/** @throws TenantKeysError TK_CONFIG_INVALID naming the option. */
export function memory(options: MemoryOptions = {}): Storage {
  const state = new MemoryState(parse(optionsSchema, options, 'options', 'TK_CONFIG_INVALID').clock)
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
    pin: (name, value) =>
      state.run(() => {
        const stored = state.pins.get(name)
        if (stored === undefined) state.pins.set(name, value)
        return stored ?? value
      }),
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
