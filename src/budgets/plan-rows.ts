/**
 * The rules for plans as rows: which budgets of a tenant a plan makes, changes and removes. Beside
 * `ledger.ts`; memory and SQLite run them inside one transaction.
 *
 * @module
 */
import type { Counter } from '../storage/ledger-records.ts'
import type { PlanRef, TenantRecord } from '../storage/records.ts'
import type { NewBudget, PlanChange } from '../storage/storage.ts'

/** What becomes of the budgets on the tenant's own account. */
export interface PlanRows {
  /** To be removed first: counters that a plan made and the present one does not have. */
  readonly remove: readonly Counter[]
  /** For `setBudget`, which keeps the sums of those that are there. */
  readonly set: readonly NewBudget[]
}

/** @param before - every counter of the tenant's own account. */
export function planRows(
  { id, path }: TenantRecord,
  { plan, budgets }: PlanChange,
  before: readonly Counter[],
): PlanRows {
  const account = { id: `tenant:${id}`, depth: path.length - 1 }
  const source = plan === null ? '' : planSource(plan)
  const made = before.filter((counter) => isOfPlan(counter))
  const explicit = before.filter((counter) => !isOfPlan(counter))
  return {
    remove: made.filter((counter) => !budgets.some((budget) => isSame(counter, budget))),
    set: budgets
      .filter((budget) => !explicit.some((counter) => isSame(counter, budget)))
      .map((budget) => ({ ...budget, tenantId: id, account, source })),
  }
}

/** The tenant as the change leaves it. */
export const onPlan = (tenant: TenantRecord, { plan, credentials }: PlanChange): TenantRecord => ({
  ...tenant,
  plan,
  credentials: credentials ?? tenant.credentials,
})

/** True when a tenant is on the plan that is offered, but at an earlier version. */
export const isOlder = (has: PlanRef | null, offered: PlanRef | null): boolean =>
  has !== null && has.name === offered?.name && has.version < offered.version

/** `source` of the budgets that a plan makes, for example `plan:pro@3`. */
export const planSource = ({ name, version }: PlanRef): string => `plan:${name}@${version}`

const isOfPlan = ({ source }: Counter): boolean => source.startsWith('plan:')

const isSame = (
  a: Pick<Counter, 'unit' | 'window'>,
  b: Pick<Counter, 'unit' | 'window'>,
): boolean => a.unit === b.unit && a.window === b.window
