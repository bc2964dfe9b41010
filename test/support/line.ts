/**
 * A guard with a budget, for tests of waiting: its time stands still unless it is told to move.
 *
 * @module
 */
import { memory } from '../../src/adapters/memory/index.ts'
import type { BudgetGuard, ReserveOptions } from '../../src/budgets/budget-guard.ts'
import { storageBudgetGuard } from '../../src/budgets/storage-budget-guard.ts'
import type { ReserveItem, ReserveResult } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'
import {
  ask,
  codeOf,
  type LedgerBench,
  ledgerBench,
  settleOf,
} from '../../src/testing/storage-conformance/ledger-bench.ts'

export interface Line {
  readonly guard: BudgetGuard
  readonly clock: FakeClock
  readonly bench: LedgerBench
  readonly storage: Storage
  /** Answers as they come: the caller's name and the code, or `ok`. */
  readonly answers: string[]
  /** Asks for `amount`, notes the answer under `name`. */
  reserve(name: string, amount: bigint, options?: ReserveOptions): Caller
  settle(caller: Caller, actual: bigint): Promise<void>
}

export interface Caller {
  readonly item: ReserveItem
  readonly result: Promise<ReserveResult>
}

export async function line(
  limit: bigint,
  over: { readonly storage?: (clock: FakeClock) => Storage } = {},
): Promise<Line> {
  const clock = fakeClock()
  const storage = over.storage?.(clock) ?? memory({ clock })
  await storage.migrate()
  const bench = await ledgerBench(storage, { limit })
  const guard = storageBudgetGuard({ storage, clock, timers: clock, random: () => 1 })
  const answers: string[] = []
  return {
    guard,
    clock,
    bench,
    storage,
    answers,
    reserve: (name, amount, options) => {
      const item = ask(bench.tenantId, amount)
      const result = guard.reserve(item, options)
      result.then(
        (r) => answers.push(`${name} ${codeOf(r)}`),
        (error) => answers.push(`${name} threw ${(error as Error).name}`),
      )
      return { item, result }
    },
    settle: async ({ item }, actual) => {
      await guard.settle(settleOf(bench.tenantId, item.holdId, actual))
    },
  }
}

/** Lets everything happen that needs no time: microtasks, and what the event loop has at hand. */
export async function calm(): Promise<void> {
  for (let n = 0; n < 8; n++) await new Promise((resolve) => setImmediate(resolve))
}
