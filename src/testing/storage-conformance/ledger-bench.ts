/**
 * A tenant with one budget, and short words for what callers do to it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { uuidv7 } from '../../kernel/ids.ts'
import type {
  AccountRef,
  Amounts,
  ExtendResult,
  LineState,
  ReserveItem,
  ReserveResult,
  SettleItem,
  SettleResult,
  VoidResult,
  Window,
} from '../../storage/ledger-records.ts'
import type { Storage } from '../../storage/storage.ts'
import { there } from './case.ts'
import { call, NONE, tenants, usage } from './samples.ts'

export const usd = (amount: bigint): Amounts => ({ usd: amount })

export const TTL_MS = 60_000

export const tenantAccount = (tenantId: string, depth = 0): AccountRef => ({
  id: `tenant:${tenantId}`,
  depth,
})

/** A request for `amount` on `accounts`, with an id of its own. */
export const ask = (
  tenantId: string,
  amount: bigint,
  over: Partial<ReserveItem> = {},
): ReserveItem => ({
  holdId: uuidv7(),
  tenantId,
  accounts: [tenantAccount(tenantId)],
  amounts: usd(amount),
  ttlMs: TTL_MS,
  call: call(),
  ...over,
})

export const settleOf = (tenantId: string, holdId: string, actual: bigint): SettleItem => ({
  holdId,
  tenantId,
  actual: usd(actual),
  usage: usage(actual),
})

export interface LedgerBench {
  readonly tenantId: string
  reserve(amount: bigint, over?: Partial<ReserveItem>): Promise<ReserveResult>
  /** Reserves what must be admitted. @returns the hold id. */
  hold(amount: bigint, over?: Partial<ReserveItem>): Promise<string>
  extend(holdId: string, sequence: number, total: bigint): Promise<ExtendResult>
  settle(holdId: string, actual: bigint): Promise<SettleResult>
  void(holdId: string): Promise<VoidResult>
  setLimit(limit: bigint): Promise<void>
  /** The budget as it now is. */
  line(): Promise<LineState>
  /** Checks what is posted and held. */
  expect(posted: bigint, held: bigint): Promise<void>
}

/** @param options.ready - the tenant is there already. */
export async function ledgerBench(
  storage: Storage,
  options: {
    readonly limit: bigint
    readonly tenantId?: string
    readonly window?: Window
    readonly zone?: string
    readonly ready?: boolean
  },
): Promise<LedgerBench> {
  const { tenantId = 'acme', window = 'month', zone = 'UTC' } = options
  const { ledger } = storage
  const account = tenantAccount(tenantId)
  const budget = { tenantId, account, unit: 'usd', window, zone, source: 'explicit' } as const
  if (!options.ready) await tenants(storage, tenantId)
  await ledger.setBudget({ ...budget, limit: options.limit }, NONE)

  const line = async (): Promise<LineState> => {
    const lines = await ledger.budgets(tenantId)
    return there(lines.find((l) => l.accountId === account.id && l.window === window))
  }
  const reserve = async (amount: bigint, over?: Partial<ReserveItem>): Promise<ReserveResult> =>
    one(await ledger.reserve([ask(tenantId, amount, over)]))

  return {
    tenantId,
    reserve,
    hold: async (amount, over) => {
      const result = await reserve(amount, over)
      assert.ok(result.ok, `a hold of ${amount} was refused`)
      return result.holdId
    },
    extend: async (holdId, sequence, total) =>
      one(
        await ledger.extend([{ holdId, tenantId, sequence, amounts: usd(total), ttlMs: TTL_MS }]),
      ),
    settle: async (holdId, actual) =>
      one(await ledger.settle([settleOf(tenantId, holdId, actual)])),
    void: async (holdId) => one(await ledger.void([{ holdId, tenantId }])),
    setLimit: async (limit) => {
      await ledger.setBudget({ ...budget, limit }, NONE)
    },
    line,
    expect: async (posted, held) => {
      const now = await line()
      assert.deepEqual({ posted: now.posted, held: now.held }, { posted, held })
    },
  }
}

/** The only answer of a batch of one. */
export function one<T>(answers: readonly T[]): T {
  assert.equal(answers.length, 1)
  return there(answers[0])
}

/** The code of a refusal, or `ok`. */
export const codeOf = (result: { readonly ok: boolean; readonly code?: string }): string =>
  result.ok ? 'ok' : (result.code ?? 'no code')

export interface DrainedEvent {
  readonly id: string
  readonly kind: string
  readonly tenantId: string | null
  readonly payload: Readonly<Record<string, unknown>>
}

/** Every event now in the outbox, oldest first, taken and acknowledged. */
export async function drain(storage: Storage): Promise<readonly DrainedEvent[]> {
  const { leaseId, events } = await storage.outbox.lease({ limit: 1000, leaseMs: 60_000 })
  await storage.outbox.ack({ leaseId, ids: events.map((event) => event.id) })
  return events.map(({ id, kind, tenantId, payload }) => {
    return { id, kind, tenantId, payload: JSON.parse(payload) }
  })
}
