/**
 * Budgets as the host names them and sees them: schemas, the account behind a name, a counter as a
 * status.
 *
 * @module
 */
import * as z from 'zod'
import { withDecimalJson } from '../kernel/decimal-json.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { idSchema } from '../kernel/validate.ts'
import type { LineState, Window } from '../storage/ledger-records.ts'
import type { BudgetKey, Storage } from '../storage/storage.ts'
import { WINDOWS } from '../storage/vocabulary.ts'
import { formatAmount } from './amounts.ts'
import type { BudgetAccount, BudgetStatus } from './budgets-api.ts'

export const accountSchema = z.strictObject({
  tenantId: idSchema,
  keyId: z
    .string()
    .regex(/^[0-9A-Za-z]{16}$/, 'expected 16 letters and digits')
    .optional(),
})
export const windowSchema = z.enum(WINDOWS as [Window, ...Window[]])
export const percentsSchema = z.array(z.int().min(1).max(1000)).max(16)

export const ascending = (percents: readonly number[]): number[] =>
  [...new Set(percents)].sort((a, b) => a - b)

export const accountId = ({ tenantId, keyId }: BudgetAccount): string =>
  keyId === undefined ? `tenant:${tenantId}` : `key:${keyId}`

/** Finds the account's place in the tree. @throws TenantKeysError TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND */
export async function budgetKey(
  storage: Storage,
  owner: BudgetAccount,
  what: Pick<BudgetKey, 'unit' | 'window'>,
): Promise<BudgetKey> {
  const { tenantId, keyId } = owner
  const tenant = await storage.tenants.get(tenantId)
  if (!tenant) throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
  if (keyId !== undefined && !(await storage.keys.get({ tenantId, keyId }))) {
    throw new TenantKeysError('TK_KEY_NOT_FOUND', { tenantId, keyId })
  }
  const depth = keyId === undefined ? tenant.path.length - 1 : tenant.path.length
  return { tenantId, account: { id: accountId(owner), depth }, ...what }
}

export function budgetStatus(tenantId: string, line: LineState): BudgetStatus {
  const { unit, window, limit, posted, held, resetsAtMs } = line
  const keyId = line.accountId.startsWith('key:') ? line.accountId.slice(4) : null
  return withDecimalJson({
    account: { tenantId, keyId },
    window,
    unit,
    limit: formatAmount(unit, limit),
    used: formatAmount(unit, posted),
    held: formatAmount(unit, held),
    limitAmount: limit,
    usedAmount: posted,
    heldAmount: held,
    resetsAtMs,
  })
}
