/**
 * The ledger's part of the Storage port: budgets, and calls that are held and settled.
 *
 * @module
 */
import type { Also } from './also.ts'
import type {
  LedgerSnapshot,
  NewEntry,
  PostedEntry,
  PruneQuery,
  Repair,
  Repricing,
} from './ledger-entries.ts'
import type {
  AccountRef,
  Amounts,
  Counter,
  ExtendItem,
  ExtendResult,
  Hold,
  LineState,
  PeriodHistory,
  ReserveItem,
  ReserveResult,
  SettleItem,
  SettleResult,
  Unit,
  UsageRecord,
  VoidItem,
  VoidResult,
  Window,
} from './ledger-records.ts'

export interface BudgetKey {
  readonly tenantId: string
  readonly account: AccountRef
  readonly unit: Unit
  readonly window: Window
}

export interface NewBudget extends BudgetKey {
  readonly zone: string
  readonly limit: bigint
  /** Default `all`. */
  readonly counts?: 'all' | 'platform'
  /** Pool that takes over what this budget refuses; its tenant must lie on this account's path.
   * Default `null`: none. */
  readonly overflow?: AccountRef | null
  /** Ascending percentages of the limit, 1 to 1000; default none. */
  readonly alerts?: readonly number[]
  readonly source: string
}

export interface NewLimit extends BudgetKey {
  readonly limit: bigint
}

export interface BudgetPeriods {
  readonly limit: bigint
  readonly ended: readonly PeriodHistory[]
}

export interface LedgerCommands {
  /** Creates a counter at zero, or changes the limit of the one that is there and keeps its sums.
   * @throws TK_TENANT_NOT_FOUND; TK_INPUT_INVALID when the account is neither the tenant's own nor
   *   that of a key of its, or when the zone of an existing one would change. */
  setBudget(budget: NewBudget, also: Also): Promise<Counter>
  /**
   * Changes the limits of budgets that are there, all of them or none, and nothing else of them but
   * that they are `explicit` from now on.
   * @throws TK_BUDGET_NOT_FOUND when a tenant has no such budget; TK_STORE_CONFLICT when a limit would
   *   be below what is posted and held.
   */
  setLimits(limits: readonly NewLimit[], also: Also): Promise<readonly Counter[]>
  /** @returns false when there was none. Holds in flight settle without it. */
  removeBudget(budget: BudgetKey, also: Also): Promise<boolean>
  /** Counters of one tenant's accounts, rolled to the present, by account id, unit, window. */
  budgets(tenantId: string): Promise<readonly LineState[]>
  /** The limit of a budget and its ended periods, newest first, at most `limit` of them; periods that
   * no call touched are left out. `null`: the tenant has no such budget. */
  periods(query: BudgetKey & { readonly limit: number }): Promise<BudgetPeriods | null>
  reserve(items: readonly ReserveItem[]): Promise<readonly ReserveResult[]>
  /** As reserve decides, but holds nothing. */
  preview(item: {
    readonly tenantId: string
    readonly accounts: readonly AccountRef[]
    readonly amounts: Amounts
    readonly paidBy?: 'tenant' | 'platform'
  }): Promise<ReserveResult>
  extend(items: readonly ExtendItem[]): Promise<readonly ExtendResult[]>
  settle(items: readonly SettleItem[]): Promise<readonly SettleResult[]>
  void(items: readonly VoidItem[]): Promise<readonly VoidResult[]>
  /** Expires at most `limit` holds whose time is up. @returns how many. */
  sweep(limit: number): Promise<number>
  hold(at: { readonly tenantId: string; readonly holdId: string }): Promise<Hold | null>
  /** Changes a counter by an entry; `also` is written when it is new. The account is checked as by
   * setBudget. @throws TK_TENANT_NOT_FOUND, TK_BUDGET_NOT_FOUND, TK_BUDGET_ENTRY_MISMATCH,
   *   TK_INPUT_INVALID */
  post(entry: NewEntry, also: Also): Promise<PostedEntry>
  /** Everything a reconciliation compares, of a tenant and all below it; `null`: no such tenant. It
   * reads every usage row of theirs. */
  audit(tenantId: string): Promise<LedgerSnapshot | null>
  /** @returns false when there was nothing to mend any more; then `also` is not written. */
  repair(repair: Repair, also: Also): Promise<boolean>
  /**
   * Gives a usage row its price: writes the row, an entry for each budget in US dollars that it was
   * charged to, their counters or history, an event `usage.repriced` and `also` in one step.
   * @returns the row as it now is; `null` when the tenant has no such row or it says something else by
   *   now, and nothing was written.
   * @throws TK_INPUT_INVALID when what is used would fall below zero or leave 64 bits;
   *   TK_BUDGET_ENTRY_MISMATCH
   */
  reprice(item: Repricing, also: Also): Promise<UsageRecord | null>
  /** Forgets finished holds, none of whose events waits in the outbox, oldest id first; usage rows
   * stay. A pruned hold that was settled refuses its id for good, by its usage row.
   * @returns how many. @throws TK_INPUT_INVALID */
  prune(query: PruneQuery): Promise<number>
}
