/**
 * `tk.budgets.credit` and `tk.budgets.adjust`: prepaid amounts, and corrections of what is used.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { actorSchema, parse, textSchema } from '../kernel/validate.ts'
import type { LedgerEntry, NewEntry, PostedEntry } from '../storage/ledger-entries.ts'
import type { Window } from '../storage/ledger-records.ts'
import type { Storage } from '../storage/storage.ts'
import { formatAmount, type Limit, parseChange, parseLimit } from './amounts.ts'
import {
  accountSchema,
  ascending,
  budgetKey,
  budgetStatus,
  percentsSchema,
  windowSchema,
} from './budget-input.ts'
import type { BudgetAccount, BudgetStatus } from './budgets-api.ts'

export interface CreditInput {
  readonly account: BudgetAccount
  /** What was paid: one unit, for example `{ usd: '50.00' }`; more than zero. */
  readonly amount: Limit
  /** Share of it that the host keeps, as a decimal string of at most two decimals, '0' to '99.99';
   * default '0'. Taken first: of 50 paid with '20', 40 can be used. */
  readonly marginPercent?: string | undefined
  /** Your id of the payment, 1 to 128 letters, digits, `_ - . :`; one credit each, however often sent. */
  readonly idempotencyKey: string
  /** Thresholds of the budget, in percent, when this credit creates it; default none. */
  readonly alerts?: readonly number[] | undefined
  readonly actor?: string | undefined
}

export interface CreditResult {
  /** The prepaid budget as it is now; `null`: it was removed since this credit was first made. */
  readonly budget: BudgetStatus | null
  /** What was paid, what the limit rose by, and the difference; in the unit. */
  readonly paid: string
  readonly credited: string
  readonly margin: string
  /** True when this key had been credited before; then nothing was changed. */
  readonly replayed: boolean
}

export interface AdjustInput {
  readonly account: BudgetAccount
  /** A calendar window, whose running period is meant, or `lifetime`. */
  readonly window: Window
  /** Change of what is used: `{ usd: '-1.25' }` gives back, `{ usd: '0.40' }` charges. */
  readonly amount: Limit
  /** Why; kept with the entry and in the audit trail. 1 to 256 characters, no control characters. */
  readonly reason: string
  /** As for credits, which share these ids. */
  readonly idempotencyKey: string
  readonly actor?: string | undefined
}

export interface AdjustResult {
  /** `null`: it was removed since. */
  readonly budget: BudgetStatus | null
  readonly replayed: boolean
}

const keySchema = z
  .string()
  .regex(/^[\w.:-]{1,128}$/, 'use 1 to 128 of A-Z, a-z, 0-9, _, -, . and :')
const creditSchema = z.strictObject({
  account: accountSchema,
  amount: z.unknown(),
  marginPercent: z
    .string()
    .regex(/^\d{1,2}(\.\d{1,2})?$/, "expected a percentage such as '20', below 100")
    .default('0'),
  idempotencyKey: keySchema,
  alerts: percentsSchema.default([]),
  actor: actorSchema,
})
const adjustSchema = z.strictObject({
  account: accountSchema,
  window: windowSchema,
  amount: z.unknown(),
  reason: textSchema(256),
  idempotencyKey: keySchema,
  actor: actorSchema,
})

/**
 * Raises the lifetime budget of the account by what was paid less the margin; creates it first.
 *
 * @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND,
 *   TK_BUDGET_ENTRY_MISMATCH
 */
export async function creditBudget(
  storage: Storage,
  zone: string,
  input: CreditInput,
): Promise<CreditResult> {
  const { account, marginPercent, idempotencyKey, alerts, actor, ...asked } = parse(
    creditSchema,
    input,
  )
  const { unit, amount: paid } = parseLimit(asked.amount, 'amount')
  const limitChange = afterMargin(paid, basisPoints(marginPercent))
  if (limitChange === 0n) throw invalid('amount', 'nothing is left to credit')
  const { entry, line, replayed } = await post(storage, account, {
    id: idempotencyKey,
    unit,
    window: 'lifetime',
    zone,
    kind: 'credit',
    limitChange,
    postedChange: 0n,
    paid,
    note: '',
    alerts: ascending(alerts),
    actor,
    action: 'budget.credit',
    detail: {
      unit,
      paid: formatAmount(unit, paid),
      credited: formatAmount(unit, limitChange),
      margin: formatAmount(unit, paid - limitChange),
      idempotencyKey,
    },
  })
  return {
    budget: line && budgetStatus(account.tenantId, line),
    paid: formatAmount(unit, entry.paid),
    credited: formatAmount(unit, entry.limitChange),
    margin: formatAmount(unit, marginOf(entry)),
    replayed,
  }
}

/**
 * Corrects what is used in the running period: a credit note, or what the provider really billed.
 *
 * @throws TenantKeysError TK_INPUT_INVALID, also when what is used would fall below zero;
 *   TK_BUDGET_NOT_FOUND, TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND, TK_BUDGET_ENTRY_MISMATCH
 */
export async function adjustBudget(
  storage: Storage,
  zone: string,
  input: AdjustInput,
): Promise<AdjustResult> {
  const { account, window, reason, idempotencyKey, actor, ...asked } = parse(adjustSchema, input)
  const { unit, amount: postedChange } = parseChange(asked.amount, 'amount')
  const { line, replayed } = await post(storage, account, {
    id: idempotencyKey,
    unit,
    window,
    zone,
    kind: 'adjust',
    limitChange: 0n,
    postedChange,
    paid: 0n,
    note: reason,
    actor,
    action: 'budget.adjust',
    detail: { unit, window, change: formatAmount(unit, postedChange), reason, idempotencyKey },
  })
  return { budget: line && budgetStatus(account.tenantId, line), replayed }
}

interface Posting extends Omit<NewEntry, 'tenantId' | 'account'> {
  readonly actor: string
  readonly action: string
  readonly detail: Readonly<Record<string, string>>
}

async function post(
  storage: Storage,
  owner: BudgetAccount,
  { actor, action, detail, ...entry }: Posting,
): Promise<PostedEntry> {
  const { tenantId, account } = await budgetKey(storage, owner, entry)
  const audit = [{ tenantId, actor, action, target: account.id, detail }]
  return storage.ledger.post({ ...entry, tenantId, account }, { audit })
}

const MAX_BASIS_POINTS = 10_000n

function basisPoints(percent: string): bigint {
  const [whole = '', fraction = ''] = percent.split('.')
  return BigInt(whole) * 100n + BigInt(fraction.padEnd(2, '0'))
}

/** Rounded down: what cannot be divided is margin, never money that nobody paid. */
const afterMargin = (paid: bigint, margin: bigint): bigint =>
  (paid * (MAX_BASIS_POINTS - margin)) / MAX_BASIS_POINTS

const marginOf = ({ paid, limitChange }: LedgerEntry): bigint => paid - limitChange

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason })
