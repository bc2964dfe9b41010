/**
 * Turns a refusal of the ledger into what a person or a caller can act on: which limit, what is used
 * and held, what would fit, when it resets.
 *
 * @module
 */
import { formatAmount } from '../budgets/amounts.ts'
import type { BudgetDenial } from '../storage/ledger-records.ts'

/** A refusal, its amounts as text in its unit: US dollars for `usd`, whole numbers for the others. */
export interface DenialDetails {
  /** `tenant:<id>` or `key:<id>`. */
  readonly account: string
  readonly unit: BudgetDenial['unit']
  readonly window: BudgetDenial['window']
  readonly limit: string
  readonly used: string
  readonly held: string
  readonly asked: string
  /** The largest hold that the whole path would admit now. */
  readonly wouldFit: string
  /** ISO 8601; `null`: this budget never resets. */
  readonly resetsAt: string | null
  /** When calls in flight release what they hold at the latest; `null`: nothing is held. */
  readonly heldUntil: string | null
  /** Sliding limits: when the same call would fit; `null` for the others. */
  readonly fitsAt: string | null
}

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
