/**
 * The BudgetGuard port: holds money before a call and posts what it cost after. The default is the
 * ledger over Storage; it owns the outbox, so that money and usage event become durable in one step.
 *
 * - BG-1 All limits of a path admit, or none holds anything.
 * - BG-2 `posted` never passes a limit while every actual is at most its hold and settles in time.
 * - BG-3 Of N callers racing for the last amount, exactly as many win as would one by one (T-B1).
 * - BG-4 reserve, settle and void are idempotent by hold id; other parameters are a mismatch (T-B4).
 * - BG-5 A settle after expiry is recorded once, as late, in the period of its hold (T-B6).
 * - BG-6 An actual above its hold is posted in full, flagged, and denies the next (T-B7).
 * - BG-7 A refused caller consumes nothing.
 * - BG-8 Only a reserve waits, only when it is contended, and never past its deadline; then it gets
 *   the last refusal. A waiter whose budget becomes exhausted is refused at once.
 * - BG-9 With equal amounts, long enough waits and no expiry exactly as many are admitted as one by
 *   one, in one process and in several.
 * - BG-10 In a batch waiters come before newcomers, oldest first; a smaller one that fits may pass.
 * - BG-11 A settle or void of this process wakes its waiters at once.
 * - BG-12 A waiter whose signal aborts leaves the line and holds nothing when it is told.
 *
 * @module
 */
import type {
  AccountRef,
  Amounts,
  ExtendItem,
  ExtendResult,
  ReserveItem,
  ReserveResult,
  SettleItem,
  SettleResult,
  VoidItem,
  VoidResult,
} from '../storage/ledger-records.ts'

/** How long a reserve may wait while the budget is only held by others. */
export interface ReserveOptions {
  /** In milliseconds; default 0: not at all. */
  readonly waitMs?: number | undefined
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined
}

export interface BudgetGuard {
  readonly contractVersion: 1
  /**
   * With `waitMs` a contended caller waits in line until holds settle (BG-8 to BG-12).
   * @throws the signal's reason when it aborts while waiting
   */
  reserve(item: ReserveItem, options?: ReserveOptions): Promise<ReserveResult>
  /** As reserve decides, but holds nothing. */
  preview(item: {
    readonly tenantId: string
    readonly accounts: readonly AccountRef[]
    readonly amounts: Amounts
    readonly paidBy?: 'tenant' | 'platform'
  }): Promise<ReserveResult>
  extend(item: ExtendItem): Promise<ExtendResult>
  settle(item: SettleItem): Promise<SettleResult>
  void(item: VoidItem): Promise<VoidResult>
}
