/**
 * A family of accounts and short words for limits of every unit and window on them.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type {
  AccountRef,
  Amounts,
  LineState,
  ReserveItem,
  ReserveResult,
  SettleResult,
  Window,
} from '../../storage/ledger-records.ts'
import type { NewBudget, Storage } from '../../storage/storage.ts'
import { there } from './case.ts'
import { ask, one, settleOf, tenantAccount } from './ledger-bench.ts'
import { keyIdOf, NONE, newKey, tenants } from './samples.ts'

export const ORG = tenantAccount('org', 0)
export const TEAM = tenantAccount('team', 1)
export const KEY: AccountRef = { id: `key:${keyIdOf(1)}`, depth: 2 }
/** A key of the organisation that nobody calls with. */
export const POOL: AccountRef = { id: `key:${keyIdOf(2)}`, depth: 1 }
/** Leaf first. */
export const PATH = [KEY, TEAM, ORG]

const OWNERS: Readonly<Record<string, string>> = {
  [ORG.id]: 'org',
  [TEAM.id]: 'team',
  [KEY.id]: 'team',
  [POOL.id]: 'org',
}

export interface Family {
  readonly storage: Storage
  /** Sets `limit` units per window. */
  limit(
    account: AccountRef,
    unit: string,
    window: Window,
    limit: bigint,
    over?: Partial<NewBudget>,
  ): Promise<void>
  remove(account: AccountRef, unit: string, window: Window): Promise<void>
  reserve(amounts: Amounts, over?: Partial<ReserveItem>): Promise<ReserveResult>
  /** Reserves what must be admitted. @returns the hold id. */
  hold(amounts: Amounts, over?: Partial<ReserveItem>): Promise<string>
  settle(holdId: string, actual: Amounts): Promise<SettleResult>
  void(holdId: string): Promise<void>
  extend(holdId: string, sequence: number, amounts: Amounts): Promise<string>
  line(account: AccountRef, unit: string, window: Window): Promise<LineState>
  /** What is posted and held, as `posted/held`. */
  sums(account: AccountRef, unit: string, window: Window): Promise<string>
  /** Every budget of the family. */
  all(): Promise<readonly LineState[]>
}

/** The organisation with a team, the team's key, and a pool; no limits yet. */
export async function family(storage: Storage): Promise<Family> {
  const { ledger } = storage
  const tenantId = 'team'
  await tenants(storage, 'org', 'team<org')
  await storage.keys.create(newKey('team', 1), NONE)
  await storage.keys.create(newKey('org', 2), NONE)

  const all = async (): Promise<readonly LineState[]> => [
    ...(await ledger.budgets('org')),
    ...(await ledger.budgets('team')),
  ]
  const line: Family['line'] = async ({ id }, unit, window) => {
    const isIt = (l: LineState): boolean =>
      l.accountId === id && l.unit === unit && l.window === window
    return there((await all()).find(isIt))
  }
  const reserve: Family['reserve'] = async (amounts, over) =>
    one(await ledger.reserve([ask(tenantId, 0n, { accounts: PATH, amounts, ...over })]))
  return {
    storage,
    limit: async (account, unit, window, limit, over) => {
      const key = { tenantId: there(OWNERS[account.id]), account, unit, window }
      await ledger.setBudget({ ...key, zone: 'UTC', source: 'explicit', limit, ...over }, NONE)
    },
    remove: async (account, unit, window) => {
      const key = { tenantId: there(OWNERS[account.id]), account, unit, window }
      assert.equal(await ledger.removeBudget(key, NONE), true)
    },
    reserve,
    hold: async (amounts, over) => {
      const result = await reserve(amounts, over)
      assert.ok(result.ok, result.ok ? '' : `refused: ${result.code}`)
      return result.holdId
    },
    settle: async (holdId, actual) =>
      one(await ledger.settle([{ ...settleOf(tenantId, holdId, actual.usd ?? 0n), actual }])),
    void: async (holdId) => {
      assert.equal(one(await ledger.void([{ holdId, tenantId }])).ok, true)
    },
    extend: async (holdId, sequence, amounts) => {
      const item = { holdId, tenantId, sequence, amounts, ttlMs: 60_000 }
      const result = one(await ledger.extend([item]))
      return result.ok ? 'ok' : result.code
    },
    line,
    sums: async (account, unit, window) => {
      const { posted, held } = await line(account, unit, window)
      return `${posted}/${held}`
    },
    all,
  }
}
