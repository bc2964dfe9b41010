/**
 * Ties the exporter to the calls of its process: what settles is exported soon, and with
 * `whenFull: 'reject'` nothing new begins while too many events wait.
 *
 * @module
 */
import type { BudgetGuard } from '../budgets/budget-guard.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import type { Exporter } from './exporter.ts'

/** A call under way is settled whatever waits: it has been paid for. */
export function gatedBudgetGuard(
  guard: BudgetGuard,
  exporter: Pick<Exporter, 'isFull' | 'nudge'>,
): BudgetGuard {
  return {
    ...guard,
    reserve: async (item, options) => {
      if (exporter.isFull()) throw new TenantKeysError('TK_OUTBOX_FULL')
      return guard.reserve(item, options)
    },
    settle: async (item) => {
      const result = await guard.settle(item)
      exporter.nudge()
      return result
    },
  }
}
