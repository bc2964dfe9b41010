/**
 * `tk.budgets.recommend`: what a limit should be, from what was used. A report: start low, observe,
 * raise by need; the host decides (S0.35).
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { parse } from '../kernel/validate.ts'
import type { Unit, Window } from '../storage/ledger-records.ts'
import type { Storage } from '../storage/storage.ts'
import { formatAmount } from './amounts.ts'
import { accountSchema, budgetKey, windowSchema } from './budget-input.ts'
import type { BudgetAccount } from './budgets-api.ts'

export interface RecommendInput {
  readonly account: BudgetAccount
  /** A window of calendar periods, `minute` to `month`. */
  readonly window: Window
  /** Default `usd`. */
  readonly unit?: Unit | undefined
  /** How many ended periods to look back; 1 to 366, default 6. */
  readonly periods?: number | undefined
  /** Room above the highest use, in percent of it; 0 to 1000, default 25. */
  readonly marginPercent?: number | undefined
}

export interface Recommendation {
  /** `observe`: no period has ended yet. `raise`: the highest use and its margin do not fit.
   * `lower`: they fit twice. `keep`: neither. */
  readonly action: 'observe' | 'raise' | 'lower' | 'keep'
  /** Text is in the unit: US dollars for `usd`. */
  readonly limit: string
  /** The highest use with its margin, in whole cents for `usd`; the present limit while observing. */
  readonly recommended: string
  readonly recommendedAmount: bigint
  /** What ended periods used, newest first; those without any call are not among them. */
  readonly used: readonly { readonly periodStartMs: number; readonly used: string }[]
}

export interface RecommendApi {
  /** Changes nothing. @throws TenantKeysError TK_INPUT_INVALID, TK_BUDGET_NOT_FOUND,
   *   TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND */
  recommend(input: RecommendInput): Promise<Recommendation>
}

const PERIODIC: ReadonlySet<Window> = new Set<Window>(['minute', 'hour', 'day', 'week', 'month'])
const recommendSchema = z.strictObject({
  account: accountSchema,
  window: windowSchema.refine((window) => PERIODIC.has(window), 'expected minute to month'),
  unit: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,31}$/, 'use 1 to 32 of a-z, 0-9 and _')
    .default('usd'),
  periods: z.int().min(1).max(366).default(6),
  marginPercent: z.int().min(0).max(1000).default(25),
})

export function recommendApi(storage: Storage): RecommendApi {
  return {
    recommend: async (input) => {
      const { account, window, unit, periods, marginPercent } = parse(recommendSchema, input)
      const key = await budgetKey(storage, account, { window, unit })
      const found = await storage.ledger.periods({ ...key, limit: periods })
      if (!found) throw new TenantKeysError('TK_BUDGET_NOT_FOUND', { tenantId: account.tenantId })
      const { limit, ended } = found
      const { action, recommended } = recommend({
        limit,
        used: ended.map((period) => period.posted),
        marginPercent,
        step: unit === 'usd' ? NANO_PER_CENT : 1n,
      })
      return {
        action,
        limit: formatAmount(unit, limit),
        recommended: formatAmount(unit, recommended),
        recommendedAmount: recommended,
        used: ended.map(({ periodStartMs, posted }) => {
          return { periodStartMs, used: formatAmount(unit, posted) }
        }),
      }
    },
  }
}

const NANO_PER_CENT = 10_000_000n

/** @param step - the recommendation is rounded up to a multiple of this. */
export function recommend({
  limit,
  used,
  marginPercent,
  step,
}: {
  readonly limit: bigint
  readonly used: readonly bigint[]
  readonly marginPercent: number
  readonly step: bigint
}): Pick<Recommendation, 'action'> & { readonly recommended: bigint } {
  if (used.length === 0) return { action: 'observe', recommended: limit }
  const peak = [...used].sort((a, b) => (a < b ? 1 : -1))[0]!
  const wanted = peak * BigInt(100 + marginPercent)
  const recommended = ((wanted + 100n * step - 1n) / (100n * step)) * step
  if (recommended > limit) return { action: 'raise', recommended }
  return { action: recommended * 2n <= limit ? 'lower' : 'keep', recommended }
}
