/**
 * The child processes of sqlite-processes.test.ts: each opens the same file and does what it is told
 * over IPC, one order at a time, answering each.
 *
 * @module
 */
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import type { ReserveItem, SettleItem } from '../../src/storage/ledger-records.ts'
import { ask, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE } from '../../src/testing/storage-conformance/samples.ts'

export type Order =
  | { readonly do: 'migrate'; readonly tenantId: string }
  | { readonly do: 'race'; readonly tenantId: string; readonly amounts: readonly string[] }
  | { readonly do: 'revoke'; readonly tenantId: string; readonly keyId: string }
  | { readonly do: 'loop'; readonly tenantId: string }

/** What a race came to: amounts as decimal text, since IPC carries no bigint. */
export interface RaceResult {
  readonly granted: readonly string[]
  readonly refused: readonly string[]
}

const BATCH = 8
const [, , file = ''] = process.argv
const storage = sqlite({ file, synchronous: 'NORMAL', busyTimeoutMs: 60_000 })

process.on('message', (order: Order) => {
  obey(order).then(
    (answer) => process.send?.(answer ?? 'done'),
    (error: unknown) => process.send?.({ failed: JSON.stringify(error) }),
  )
})
process.send?.('ready')

async function obey(order: Order): Promise<unknown> {
  const { tenantId } = order
  switch (order.do) {
    case 'migrate':
      await storage.migrate()
      return storage.tenants.create({ id: tenantId, parentId: null, credentials: 'tenant' }, NONE)
    case 'race':
      return race(tenantId, order.amounts.map(BigInt))
    case 'revoke':
      return storage.keys.setState({ tenantId, keyId: order.keyId, state: 'revoked' }, NONE)
    case 'loop':
      return loop(tenantId)
  }
}

/** One caller each, all at once; what was granted is settled at once for what was held. */
async function race(tenantId: string, amounts: readonly bigint[]): Promise<RaceResult> {
  const granted: string[] = []
  const refused: string[] = []
  const caller = async (amount: bigint): Promise<void> => {
    const item = ask(tenantId, amount)
    const [result] = await storage.ledger.reserve([item])
    if (!result?.ok) {
      refused.push(String(amount))
      return
    }
    granted.push(String(amount))
    await storage.ledger.settle([settleOf(tenantId, item.holdId, amount)])
  }
  await Promise.all(amounts.map(caller))
  return { granted, refused }
}

/** Reserves and settles batches until the process is killed. */
async function loop(tenantId: string): Promise<void> {
  for (let n = 0n; ; n++) {
    const items: ReserveItem[] = Array.from({ length: BATCH }, () =>
      ask(tenantId, 50n, { holdId: uuidv7() }),
    )
    await storage.ledger.reserve(items)
    process.send?.('reserved')
    const settles: SettleItem[] = items.map(({ holdId }) => settleOf(tenantId, holdId, n % 50n))
    await storage.ledger.settle(settles)
  }
}
