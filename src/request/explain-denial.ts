/**
 * Turns a refusal of the ledger into what a person or a caller can act on: which limit, what is used
 * and held, what would fit, when it resets.
 *
 * @module
 */
import { formatAmount } from '../budgets/amounts.ts'
import type { DenialDetails } from '../kernel/errors.ts'
import type { BudgetDenial } from '../storage/ledger-records.ts'

export function explainDenial(denial: BudgetDenial): { denial: DenialDetails; reason: string } {
  const text = (amount: bigint): string => formatAmount(denial.unit, amount)
  const details: DenialDetails = {
    account: denial.accountId,
    unit: denial.unit,
    window: denial.window,
    limit: text(denial.limit),
    used: text(denial.posted),
    held: text(denial.held),
    asked: text(denial.asked),
    wouldFit: text(denial.wouldFit),
    resetsAt: iso(denial.resetsAtMs),
    heldUntil: iso(denial.heldUntilMs),
    fitsAt: iso(denial.fitsAtMs),
  }
  const { account, window, limit, used, held, asked, wouldFit, resetsAt, fitsAt } = details
  const unit = denial.unit === 'usd' ? 'USD' : denial.unit
  const later =
    fitsAt !== null
      ? `it fits at ${fitsAt}`
      : resetsAt === null
        ? 'it never resets'
        : `it resets at ${resetsAt}`
  return {
    denial: details,
    reason:
      `account ${account} has ${used} of ${limit} ${unit} used and ${held} held (${window}); ` +
      `this call may take up to ${asked}, ${wouldFit} would fit, ${later}`,
  }
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())
