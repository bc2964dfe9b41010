/**
 * Entries: changes of a budget that no call made (credits, adjustments), and what a reconciliation
 * reads and writes. The rules are `budgets/entries.ts`, `budgets/reconcile.ts`, `budgets/repair.ts`.
 *
 * @module
 */
import type {
  Counter,
  Hold,
  HoldLine,
  LineState,
  PeriodHistory,
  Unit,
  UsageRecord,
  Window,
} from './ledger-records.ts'
import type { BudgetKey } from './storage.ts'

/** `credit`: prepaid money raised the limit. `adjust`: what is used was corrected. */
export type EntryKind = 'credit' | 'adjust'

/** One change of one counter; appended, never changed. */
export interface LedgerEntry {
  /** The caller's idempotency key, unique within the tenant. */
  readonly id: string
  readonly tenantId: string
  readonly accountId: string
  readonly unit: Unit
  readonly window: Window
  /** The period that was running when it was written. */
  readonly periodStartMs: number
  readonly kind: EntryKind
  /** Not negative; 0 for `adjust`. */
  readonly limitChange: bigint
  /** 0 for `credit`; negative gives back. */
  readonly postedChange: bigint
  /** What was paid for a credit: its change of the limit and the margin; 0 for `adjust`. */
  readonly paid: bigint
  /** Why, in the host's words; empty for `credit`. */
  readonly note: string
  readonly atMs: number
}

export interface NewEntry
  extends BudgetKey,
    Pick<LedgerEntry, 'id' | 'kind' | 'limitChange' | 'postedChange' | 'paid' | 'note'> {
  /** Of a budget that a credit has to create; an existing one keeps its own. */
  readonly zone: string
  /** Likewise; default none. */
  readonly alerts?: readonly number[]
}

export interface PostedEntry {
  readonly entry: LedgerEntry
  /** The budget as it is now; `null`: it was removed since the entry was first posted. */
  readonly line: LineState | null
  /** True when this id had been posted before. */
  readonly replayed: boolean
}

/** What a usage row says about money. */
export type ChargedUsage = Pick<
  UsageRecord,
  'id' | 'tenantId' | 'state' | 'lines' | 'amounts' | 'startedAtMs' | 'settledAtMs'
>

/** The ledger of a tenant and of all below it, at one moment; counters are not rolled. */
export interface LedgerSnapshot {
  readonly nowMs: number
  readonly tenants: readonly { readonly id: string; readonly parentId: string | null }[]
  readonly counters: readonly Counter[]
  /** Ended periods of these counters. */
  readonly history: readonly PeriodHistory[]
  readonly holds: readonly Hold[]
  readonly usage: readonly ChargedUsage[]
  readonly entries: readonly LedgerEntry[]
}

export interface Sums {
  readonly posted: bigint
  readonly held: bigint
}

/**
 * One mend, made only if what it is based on is still so.
 * - `counter`: sets the sums of a line, in its counter or in its history.
 * - `usage`: writes the usage row, and its event, that a posted hold lacks.
 * - `hold`: makes the hold of a usage row say what the row says.
 */
export type Repair =
  | {
      readonly kind: 'counter'
      readonly tenantId: string
      readonly line: HoldLine
      readonly was: Sums
      readonly becomes: Sums
      /** When the last of the live holds of this line expires; 0: none. */
      readonly heldUntilMs: number
    }
  | { readonly kind: 'usage' | 'hold'; readonly tenantId: string; readonly holdId: string }

/** A price for a usage row that had none; made only if the row still says what it was read to say. */
export interface Repricing {
  readonly tenantId: string
  /** Of the usage row. */
  readonly id: string
  readonly was: Pick<UsageRecord, 'priceId' | 'costNanoUsd'>
  readonly becomes: Pick<UsageRecord, 'costNanoUsd' | 'chargedNanoUsd' | 'quality'> & {
    readonly priceId: string
  }
}

export interface PruneQuery {
  /** Age in ms since a hold has ended; at least 172,800,000 (48 h). */
  readonly olderThanMs: number
  /** At most so many rows, 1 to 10,000. */
  readonly limit: number
}
