/**
 * `tk.budgets`: limits in money, tokens, requests and other units, on tenants and keys.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { actorSchema, idSchema, parse } from '../kernel/validate.ts'
import type { AccountRef, Unit, Window } from '../storage/ledger-records.ts'
import type { BudgetKey, Storage } from '../storage/storage.ts'
import { formatAmount, type Limit, parseLimit } from './amounts.ts'
import {
  accountId,
  accountSchema,
  ascending,
  budgetKey,
  budgetStatus,
  percentsSchema,
  windowSchema,
} from './budget-input.ts'
import { type CheckInput, type CheckResult, checkBudgets } from './check.ts'
import {
  type AdjustInput,
  type AdjustResult,
  adjustBudget,
  type CreditInput,
  type CreditResult,
  creditBudget,
} from './credit.ts'
import { MIN_HOLD_AGE_MS } from './prune.ts'
import { isZone } from './windows.ts'

/** Whose budget: a tenant's (which binds all below it), or one of its keys'. */
export interface BudgetAccount {
  readonly tenantId: string
  readonly keyId?: string | undefined
}

export interface BudgetRef {
  readonly account: BudgetAccount
  /** A calendar period in `zone`, `lifetime` (prepaid), or one of the limits without periods. */
  readonly window: Window
  /** Default `usd`. */
  readonly unit?: Unit | undefined
  readonly actor?: string | undefined
}

export interface SetBudget extends Omit<BudgetRef, 'unit'> {
  /** One unit and its limit, for example `{ usd: '20.00' }`; zero refuses everything that costs. */
  readonly limit: Limit
  /** IANA time zone in which periods begin; default the installation's. Fixed once set. */
  readonly zone?: string | undefined
  /** `platform`: calls that the tenant's own credential pays for are not counted. Default `all`. */
  readonly counts?: 'all' | 'platform' | undefined
  /** Account whose budgets of the same unit take a whole call that this one refuses. It must belong
   * to the tenant or to one above it. Visible on receipts and as an event. Default none. */
  readonly overflowTo?: BudgetAccount | undefined
  /** Percentages of the limit at which one event each is written per period; 1 to 1000. */
  readonly alerts?: readonly number[] | undefined
}

/** A budget as it stands now. Text is in the unit: US dollars for `usd`, whole numbers otherwise. */
export interface BudgetStatus {
  readonly account: { readonly tenantId: string; readonly keyId: string | null }
  readonly window: Window
  readonly unit: Unit
  readonly limit: string
  readonly used: string
  /** Held by calls in flight. */
  readonly held: string
  /** The same in the smallest unit; for `usd` nano-USD. */
  readonly limitAmount: bigint
  readonly usedAmount: bigint
  readonly heldAmount: bigint
  /** `null`: never. */
  readonly resetsAtMs: number | null
}

export interface BudgetsApi {
  /** Creates a budget at zero, or changes the limit and keeps what is used. A limit below what is
   * used refuses at once. @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND */
  set(input: SetBudget): Promise<BudgetStatus>
  /** `null` when there is none. */
  get(ref: Omit<BudgetRef, 'actor'>): Promise<BudgetStatus | null>
  /** Every budget of a tenant and of its keys. */
  list(query: { tenantId: string }): Promise<readonly BudgetStatus[]>
  /** @returns false when there was none. */
  remove(ref: BudgetRef): Promise<boolean>
  /** Prepaid: raises the account's lifetime budget, or creates it; once per `idempotencyKey`.
   * @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND,
   *   TK_BUDGET_ENTRY_MISMATCH */
  credit(input: CreditInput): Promise<CreditResult>
  /** Corrects what is used, never below zero; once per `idempotencyKey`.
   * @throws TenantKeysError as credit, and TK_BUDGET_NOT_FOUND */
  adjust(input: AdjustInput): Promise<AdjustResult>
  /** Compares counters, holds and usage rows, names each drift, and mends them with `repair: true`.
   * Reads every usage row of the tenants checked: a task for a quiet hour.
   * @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_NOT_FOUND */
  check(input?: CheckInput): Promise<CheckResult>
  /** Forgets holds that are finished for `olderThanMs` (at least and by default 48 h) and whose
   * events were exported; at most `limit`, 1 to 10,000, default 1,000. Usage rows stay.
   * @returns how many. @throws TenantKeysError TK_INPUT_INVALID */
  prune(input?: { olderThanMs?: number; limit?: number }): Promise<number>
}

const unitSchema = z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'use 1 to 32 of a-z, 0-9 and _')
const setSchema = z.strictObject({
  account: accountSchema,
  window: windowSchema,
  limit: z.unknown(),
  zone: z.string().min(1).max(64).optional(),
  counts: z.enum(['all', 'platform']).default('all'),
  overflowTo: accountSchema.optional(),
  alerts: percentsSchema.default([]),
  actor: actorSchema,
})
const refFields = {
  account: accountSchema,
  window: windowSchema,
  unit: unitSchema.default('usd'),
}
const getSchema = z.strictObject(refFields)
const removeSchema = z.strictObject({ ...refFields, actor: actorSchema })
const listSchema = z.strictObject({ tenantId: idSchema })
const pruneSchema = z.strictObject({
  olderThanMs: z.int().min(MIN_HOLD_AGE_MS).default(MIN_HOLD_AGE_MS),
  limit: z.int().min(1).max(10_000).default(1000),
})

export function budgetsApi(storage: Storage, defaults: { readonly zone: string }): BudgetsApi {
  const find = async (
    account: BudgetAccount,
    window: Window,
    unit: Unit,
  ): Promise<BudgetStatus | null> => {
    const id = accountId(account)
    const lines = await storage.ledger.budgets(account.tenantId)
    const line = lines.find((l) => l.accountId === id && l.window === window && l.unit === unit)
    return line ? budgetStatus(account.tenantId, line) : null
  }
  return {
    set: async (input) => {
      const {
        account,
        window,
        zone = defaults.zone,
        counts,
        alerts,
        actor,
        ...asked
      } = parse(setSchema, input)
      const { unit, amount: limit } = parseLimit(asked.limit, 'limit')
      if (!isZone(zone)) throw invalid('zone', 'not a known time zone')
      const key = await budgetKey(storage, account, { window, unit })
      const overflow =
        asked.overflowTo === undefined ? null : await poolRef(storage, key, asked.overflowTo)
      const detail = { window, zone, unit, limit: formatAmount(unit, limit) }
      const audit = [
        { tenantId: account.tenantId, actor, action: 'budget.set', target: key.account.id, detail },
      ]
      await storage.ledger.setBudget(
        { ...key, zone, limit, counts, overflow, alerts: ascending(alerts), source: 'explicit' },
        { audit },
      )
      const set = await find(account, window, unit)
      if (!set) throw new TenantKeysError('TK_STORE_CONFLICT', { tenantId: account.tenantId })
      return set
    },
    get: async (ref) => {
      const { account, window, unit } = parse(getSchema, ref)
      return find(account, window, unit)
    },
    list: async (query) => {
      const { tenantId } = parse(listSchema, query)
      return (await storage.ledger.budgets(tenantId)).map((line) => budgetStatus(tenantId, line))
    },
    remove: async (ref) => {
      const { account, window, unit, actor } = parse(removeSchema, ref)
      const key = await budgetKey(storage, account, { window, unit })
      const detail = { window, unit }
      const audit = [
        {
          tenantId: account.tenantId,
          actor,
          action: 'budget.remove',
          target: key.account.id,
          detail,
        },
      ]
      return storage.ledger.removeBudget(key, { audit })
    },
    credit: (input) => creditBudget(storage, defaults.zone, input),
    adjust: (input) => adjustBudget(storage, defaults.zone, input),
    check: (input = {}) => checkBudgets(storage, input),
    prune: async (input = {}) => storage.ledger.prune(parse(pruneSchema, input)),
  }
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason })

/** A pool belongs to the tenant itself or to one above it, so that its ancestors lie on every path
 * that overflows into it. */
async function poolRef(storage: Storage, key: BudgetKey, pool: BudgetAccount): Promise<AccountRef> {
  const { unit, window } = key
  const { account } = await budgetKey(storage, pool, { unit, window })
  const tenant = await storage.tenants.get(key.tenantId)
  if (!tenant?.path.includes(pool.tenantId)) {
    throw invalid('overflowTo', 'the pool must belong to the tenant or to one above it')
  }
  if (account.id === key.account.id) throw invalid('overflowTo', 'a budget cannot be its own pool')
  return account
}
