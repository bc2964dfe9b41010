/**
 * The child processes of the tests with several processes on one store: each opens it and does what
 * it is told over IPC, one order at a time, answering each.
 *
 * @module
 */
import pg from 'pg'
import { storageBudgetGuard } from '../../src/budgets/storage-budget-guard.ts'
import { systemMonotonicClock } from '../../src/kernel/clock.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import type { AccountRef, ReserveItem, SettleItem } from '../../src/storage/ledger-records.ts'
import { ask, settleOf, tenantAccount } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE } from '../../src/testing/storage-conformance/samples.ts'
import { callOnAndOn } from '../support/endure.ts'
import { type WalkOrder, walkForest } from '../support/forest.ts'
import { openStore, type StoreSpec } from '../support/open-store.ts'
import { obeyOrders } from '../support/workers.ts'

export type Order =
  | { readonly do: 'migrate'; readonly tenantId: string }
  | RaceOrder
  | { readonly do: 'revoke'; readonly tenantId: string; readonly keyId: string }
  | { readonly do: 'loop'; readonly tenantId: string }
  | { readonly do: 'hold'; readonly tenantId: string; readonly ttlMs: number }
  | { readonly do: 'sweep' }
  | ({ readonly do: 'walk' } & WalkOrder)
  | {
      readonly do: 'endure'
      readonly tenantId: string
      readonly callers: number
      /** Where the ids of settled calls go. */
      readonly file: string
    }
  /** Answered at once; what endures ends with its next answer. */
  | { readonly do: 'stop' }
  | { readonly do: 'close' }

interface RaceOrder {
  readonly do: 'race'
  readonly tenantId: string
  /** Default: the tenant's own account. */
  readonly accounts?: readonly AccountRef[]
  readonly amounts: readonly string[]
  /** `guard`: callers share batches, as they do behind `createTenantKeys`; `alone`, the default: each
   * asks the store by itself; `naive`: reads, decides, and then writes, over the same rows. */
  readonly how?: 'guard' | 'alone' | 'naive'
}

/** What a race came to: amounts as decimal text, since IPC carries no bigint. */
export interface RaceResult {
  readonly granted: readonly string[]
  readonly refused: readonly string[]
}

export interface HeldResult {
  readonly holdId: string
  readonly expiresAtMs: number
  /** What this process takes for the time. */
  readonly hereMs: number
}

const BATCH = 8
const spec = JSON.parse(process.argv[2] ?? '') as StoreSpec
const store = openStore(spec)
const { storage } = store
const guard = storageBudgetGuard({ storage, clock: systemMonotonicClock })

let stopping = false

obeyOrders(obey)

async function obey(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'migrate':
      await storage.migrate()
      return storage.tenants.create(
        { id: order.tenantId, parentId: null, credentials: 'tenant' },
        NONE,
      )
    case 'race':
      return race(order)
    case 'revoke':
      return storage.keys.setState(
        { tenantId: order.tenantId, keyId: order.keyId, state: 'revoked' },
        NONE,
      )
    case 'loop':
      return loop(order.tenantId)
    case 'hold':
      return hold(order.tenantId, order.ttlMs)
    case 'sweep':
      return storage.ledger.sweep(64)
    case 'walk':
      return walkForest(storage, order)
    case 'endure':
      return callOnAndOn(storage, order, () => !stopping)
    case 'stop':
      stopping = true
      return 'stopping'
    case 'close':
      return store.close()
  }
}

/** One caller each, all at once; what was granted is settled at once for what was held. */
async function race(order: RaceOrder): Promise<RaceResult> {
  const { tenantId, accounts = [tenantAccount(tenantId)], how = 'alone' } = order
  if (how === 'naive') return naiveRace(accounts, order.amounts)
  const granted: string[] = []
  const refused: string[] = []
  const caller = async (amount: bigint): Promise<void> => {
    const item = ask(tenantId, amount, { accounts })
    const settling = settleOf(tenantId, item.holdId, amount)
    const [result] =
      how === 'guard' ? [await guard.reserve(item)] : await storage.ledger.reserve([item])
    if (!result?.ok) {
      refused.push(String(amount))
      return
    }
    granted.push(String(amount))
    if (how === 'guard') await guard.settle(settling)
    else await storage.ledger.settle([settling])
  }
  await Promise.all(order.amounts.map(BigInt).map(caller))
  return { granted, refused }
}

/** The sabotage: what is written is right, but it was decided by what was read before. */
async function naiveRace(
  accounts: readonly AccountRef[],
  amounts: readonly string[],
): Promise<RaceResult> {
  if (spec.kind !== 'postgres') throw new Error('only for PostgreSQL')
  const pool = new pg.Pool({ connectionString: spec.url, max: 8 })
  const ids = accounts.map((account) => account.id)
  const granted: string[] = []
  const refused: string[] = []
  const hasRoom = async (amount: string): Promise<boolean> => {
    const { rows } = await pool.query(
      `SELECT count(*) AS tight FROM tenantkeys.tk_counters
        WHERE account_id = ANY ($1) AND posted + held + $2::bigint > limit_amount`,
      [ids, amount],
    )
    return rows[0].tight === '0'
  }
  const write = async (amount: string): Promise<void> => {
    await pool.query(
      // Rows are locked in one order: this is about reading first, not deadlocks.
      `WITH locked AS (SELECT account_id FROM tenantkeys.tk_counters
          WHERE account_id = ANY ($1) ORDER BY account_id FOR UPDATE)
        UPDATE tenantkeys.tk_counters c SET posted = c.posted + $2::bigint
        FROM locked WHERE c.account_id = locked.account_id`,
      [ids, amount],
    )
  }
  // All of them read before one of them writes, however the processes take turns.
  const rooms = await Promise.all(amounts.map(hasRoom))
  for (const [n, amount] of amounts.entries()) (rooms[n] ? granted : refused).push(amount)
  await Promise.all(granted.map(write))
  await pool.end()
  return { granted, refused }
}

async function hold(tenantId: string, ttlMs: number): Promise<HeldResult> {
  const item = ask(tenantId, 1n, { ttlMs })
  const [result] = await storage.ledger.reserve([item])
  if (!result?.ok) throw new Error(`a hold was refused: ${result?.code}`)
  return { holdId: item.holdId, expiresAtMs: result.expiresAtMs, hereMs: Date.now() }
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
