/**
 * A drift of the ledger as a finding.
 *
 * @module
 */
import { formatAmount } from '../../budgets/amounts.ts'
import type { BudgetDrift } from '../../budgets/check.ts'
import type { Finding } from '../../storage/inspection.ts'

export function driftFinding(drift: BudgetDrift): Finding {
  const subject = 'ledger'
  const message = 'holdId' in drift ? holdMessage(drift) : lineMessage(drift)
  if (drift.repaired)
    return { subject, severity: 'info', message: `mended: ${message}`, hint: null }
  const hint =
    drift.kind === 'parent_below_children'
      ? 'see who wrote to the counters; tk.budgets.adjust corrects what is used'
      : 'run tenantkeys doctor --apply'
  return { subject, severity: 'error', message, hint }
}

const HOLDS = {
  hold_unswept: 'is live though its time is up',
  usage_missing: 'is posted without a usage row',
  hold_missing: 'has a usage row and is not there',
  hold_differs: 'and its usage row disagree',
} as const

type HoldDrift = Extract<BudgetDrift, { holdId: unknown }>
type LineDrift = Extract<BudgetDrift, { line: unknown }>

function holdMessage({ kind, holdId, tenantId }: HoldDrift): string {
  return `hold ${holdId} of ${tenantId} ${HOLDS[kind]}`
}

function lineMessage({ kind, line, expected, found }: LineDrift): string {
  const { accountId, unit, window } = line
  const [is, should] = [formatAmount(unit, found), formatAmount(unit, expected)]
  const where = `${accountId}, ${unit} per ${window}`
  switch (kind) {
    case 'posted':
      return `${where}: used is ${is}, the usage rows say ${should}`
    case 'held':
      return `${where}: held is ${is}, the live holds say ${should}`
    case 'negative':
      return `${where}: a sum is ${is}, below zero`
    case 'parent_below_children':
      return `${where}: used is ${is}, below it ${should}`
  }
}
