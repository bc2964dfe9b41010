/**
 * The child processes of waiting.test.ts: each has a guard of its own on the same file, and lets its
 * callers wait.
 *
 * @module
 */
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { storageBudgetGuard } from '../../src/budgets/storage-budget-guard.ts'
import { systemMonotonicClock } from '../../src/kernel/clock.ts'
import { ask, codeOf, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'

/** Amounts as decimal text, since IPC carries no bigint. */
export interface WaitOrder {
  readonly tenantId: string
  readonly callers: number
  readonly hold: string
  readonly cost: string
}

/** One code per caller; `ok`: admitted. */
export interface WaitResult {
  readonly codes: readonly string[]
}

const [, , file = ''] = process.argv
const storage = sqlite({ file, synchronous: 'NORMAL', busyTimeoutMs: 60_000 })
const guard = storageBudgetGuard({ storage, clock: systemMonotonicClock })

async function caller({ tenantId, hold, cost }: WaitOrder): Promise<string> {
  const item = ask(tenantId, BigInt(hold), { ttlMs: 600_000 })
  const result = await guard.reserve(item, { waitMs: 600_000 })
  // The call itself: others come in between.
  await new Promise((next) => setImmediate(next))
  if (result.ok) await guard.settle(settleOf(tenantId, item.holdId, BigInt(cost)))
  return codeOf(result)
}

process.on('message', (order: WaitOrder) => {
  Promise.all(Array.from({ length: order.callers }, () => caller(order))).then(
    (codes) => process.send?.({ codes } satisfies WaitResult),
    (error: unknown) => process.send?.({ codes: [JSON.stringify(error)] } satisfies WaitResult),
  )
})
process.send?.('ready')
