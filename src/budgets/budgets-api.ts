/**
 * `tk.budgets`: limits in money on tenants and keys.
 *
 * @module
 */
import * as z from 'zod'
import { withDecimalJson } from '../kernel/decimal-json.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { actorSchema, idSchema, parse } from '../kernel/validate.ts'
import type { AccountRef, LineState, Window } from '../storage/ledger-records.ts'
import type { BudgetKey, Storage } from '../storage/storage.ts'
import { formatUsd, parseUsd } from './money.ts'
import { isZone, WINDOWS } from './windows.ts'

/** Whose budget: a tenant's (which binds all below it), or one of its keys'. */
export interface BudgetAccount {
  readonly tenantId: string
  readonly keyId?: string | undefined
}

export interface BudgetRef {
  readonly account: BudgetAccount
  /** `month`: calendar month in `zone`. `lifetime`: never resets (prepaid). */
  readonly window: Window
  readonly actor?: string | undefined
}

export interface SetBudget extends BudgetRef {
  /** US dollars as a decimal string, at most nine decimals; `'0'` refuses every priced call. */
  readonly limit: { readonly usd: string }
  /** IANA time zone in which a month begins; default the installation's. Fixed once set. */
  readonly zone?: string | undefined
}

/** A budget as it stands now. Money as decimal strings of US dollars and as nano-USD. */
export interface BudgetStatus {
  readonly account: { readonly tenantId: string; readonly keyId: string | null }
  readonly window: Window
  readonly limitUsd: string
  readonly usedUsd: string
  /** Held by calls in flight. */
  readonly heldUsd: string
  readonly limitNanoUsd: bigint
  readonly usedNanoUsd: bigint
  readonly heldNanoUsd: bigint
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
}

const accountSchema = z.strictObject({
  tenantId: idSchema,
  keyId: z
    .string()
    .regex(/^[0-9A-Za-z]{16}$/, 'expected 16 letters and digits')
    .optional(),
})
const windowSchema = z.enum(WINDOWS as [Window, ...Window[]])
const setSchema = z.strictObject({
  account: accountSchema,
  window: windowSchema,
  limit: z.strictObject({ usd: z.unknown() }),
  zone: z.string().min(1).max(64).optional(),
  actor: actorSchema,
})
const getSchema = z.strictObject({ account: accountSchema, window: windowSchema })
const removeSchema = z.strictObject({
  account: accountSchema,
  window: windowSchema,
  actor: actorSchema,
})
const listSchema = z.strictObject({ tenantId: idSchema })

export function budgetsApi(storage: Storage, defaults: { readonly zone: string }): BudgetsApi {
  const find = async (ref: Pick<BudgetRef, 'account' | 'window'>): Promise<BudgetStatus | null> => {
    const { id } = accountId(ref.account)
    const lines = await storage.ledger.budgets(ref.account.tenantId)
    const line = lines.find((l) => l.accountId === id && l.window === ref.window)
    return line ? status(ref.account.tenantId, line) : null
  }
  return {
    set: async (input) => {
      const { account, window, limit, zone = defaults.zone, actor } = parse(setSchema, input)
      const amount = parseUsd(limit.usd, 'limit.usd')
      if (!isZone(zone))
        throw new TenantKeysError('TK_INPUT_INVALID', {
          field: 'zone',
          reason: 'not a known time zone',
        })
      const key = await budgetKey(storage, account, window)
      const detail = { window, zone, limitUsd: formatUsd(amount) }
      const audit = [
        { tenantId: account.tenantId, actor, action: 'budget.set', target: key.account.id, detail },
      ]
      await storage.ledger.setBudget({ ...key, zone, limit: amount, source: 'explicit' }, { audit })
      const set = await find({ account, window })
      if (!set) throw new TenantKeysError('TK_STORE_CONFLICT', { tenantId: account.tenantId })
      return set
    },
    get: async (ref) => find(parse(getSchema, ref)),
    list: async (query) => {
      const { tenantId } = parse(listSchema, query)
      return (await storage.ledger.budgets(tenantId)).map((line) => status(tenantId, line))
    },
    remove: async (ref) => {
      const { account, window, actor } = parse(removeSchema, ref)
      const key = await budgetKey(storage, account, window)
      const audit = [
        {
          tenantId: account.tenantId,
          actor,
          action: 'budget.remove',
          target: key.account.id,
          detail: { window },
        },
      ]
      return storage.ledger.removeBudget(key, { audit })
    },
  }
}

const accountId = ({ tenantId, keyId }: BudgetAccount): { id: string } => ({
  id: keyId === undefined ? `tenant:${tenantId}` : `key:${keyId}`,
})

/** Finds the account's place in the tree. @throws TenantKeysError TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND */
async function budgetKey(
  storage: Storage,
  owner: BudgetAccount,
  window: Window,
): Promise<BudgetKey> {
  const { tenantId, keyId } = owner
  const tenant = await storage.tenants.get(tenantId)
  if (!tenant) throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
  if (keyId !== undefined && !(await storage.keys.get({ tenantId, keyId }))) {
    throw new TenantKeysError('TK_KEY_NOT_FOUND', { tenantId, keyId })
  }
  const depth = keyId === undefined ? tenant.path.length - 1 : tenant.path.length
  const account: AccountRef = { ...accountId(owner), depth }
  return { tenantId, account, unit: 'usd', window }
}

function status(tenantId: string, line: LineState): BudgetStatus {
  const keyId = line.accountId.startsWith('key:') ? line.accountId.slice(4) : null
  return withDecimalJson({
    account: { tenantId, keyId },
    window: line.window,
    limitUsd: formatUsd(line.limit),
    usedUsd: formatUsd(line.posted),
    heldUsd: formatUsd(line.held),
    limitNanoUsd: line.limit,
    usedNanoUsd: line.posted,
    heldNanoUsd: line.held,
    resetsAtMs: line.resetsAtMs,
  })
}
