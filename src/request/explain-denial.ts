/**
 * Turns a refusal of the ledger into what a person or a caller can act on: which limit, what is used
 * and held, what would fit, when it resets.
 *
 * @module
 */
import { formatUsd } from '../budgets/money.ts'
import type { DenialDetails } from '../kernel/errors.ts'
import type { BudgetDenial } from '../storage/ledger-records.ts'

export function explainDenial(denial: BudgetDenial): { denial: DenialDetails; reason: string } {
  const details: DenialDetails = {
    account: denial.accountId,
    window: denial.window,
    limitUsd: formatUsd(denial.limit),
    usedUsd: formatUsd(denial.posted),
    heldUsd: formatUsd(denial.held),
    askedUsd: formatUsd(denial.asked),
    wouldFitUsd: formatUsd(denial.wouldFit),
    resetsAt: iso(denial.resetsAtMs),
    heldUntil: iso(denial.heldUntilMs),
  }
  const { account, window, limitUsd, usedUsd, heldUsd, askedUsd, wouldFitUsd, resetsAt } = details
  const resets = resetsAt === null ? 'it never resets' : `it resets at ${resetsAt}`
  return {
    denial: details,
    reason:
      `account ${account} has ${usedUsd} of ${limitUsd} USD used and ${heldUsd} held (${window}); ` +
      `this call may cost up to ${askedUsd}, ${wouldFitUsd} would fit, ${resets}`,
  }
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())
