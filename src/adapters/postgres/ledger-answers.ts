/**
 * What the functions of the ledger answer: columns, item by item; and the counters of the batch, which
 * the lines of all items point to.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import type { BudgetDenial, LineState, Window } from '../../storage/ledger-records.ts'
import { elementsOf } from './array-text.ts'

/** The counters of a batch; `null`: it touched none. */
export interface CounterColumns {
  readonly accounts: readonly string[] | null
  readonly units: readonly string[] | null
  readonly windows: readonly Window[] | null
  readonly limits: string | null
  readonly ends: readonly (number | null)[] | null
}

export type Line = Pick<LineState, 'accountId' | 'unit' | 'window' | 'limit' | 'resetsAtMs'>

/** By their number in the batch, which starts at 1; what they have in common for all items. */
export function linesIn(columns: CounterColumns): readonly Line[] {
  const { accounts, units, windows, ends } = columns
  const limits = elementsOf(columns.limits)
  return (accounts ?? []).map((accountId, i) => ({
    accountId,
    unit: units![i]!,
    window: windows![i]!,
    limit: BigInt(limits[i]!),
    resetsAtMs: ends![i] ?? null,
  }))
}

export function stateOf(line: Line, posted: bigint, held: bigint): LineState {
  const { accountId, unit, window, limit, resetsAtMs } = line
  return { accountId, unit, window, limit, posted, held, resetsAtMs }
}

/** What a function says of a refusal beside its line. */
export interface DenialColumns {
  readonly asked: string
  readonly fit: string
  readonly until: number | null
  readonly at: number | null
}

export const denialOf = (state: LineState, denial: DenialColumns): BudgetDenial => ({
  ...state,
  asked: BigInt(denial.asked),
  wouldFit: BigInt(denial.fit),
  heldUntilMs: denial.until,
  fitsAtMs: denial.at,
})

/** By the number of a refusal in `ledger-sql/decide.ts`. */
export const REFUSALS = [
  null,
  'TK_REQUEST_TOO_LARGE',
  'TK_BUDGET_EXHAUSTED',
  'TK_RATE_LIMITED',
  'TK_BUDGET_CONTENDED',
] as const

/** True when holds whose time is up stand in the way: the call is made once more, with the locks that
 * ending them needs. */
export const isAgain = (answer: unknown): boolean =>
  typeof answer === 'object' && answer !== null && 'again' in answer

/** Whatever the function wrote is written. */
export const unreadable = (): TenantKeysError =>
  new TenantKeysError(
    'TK_STORE_CORRUPT',
    { reason: 'the answer of a function cannot be read' },
    { outcome: 'unknown' },
  )
