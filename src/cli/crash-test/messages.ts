/**
 * What a crash test and its worker processes say to each other.
 *
 * @module
 */
import type { ErrorCode } from '../../kernel/errors.ts'
import type { StoreSpec } from '../stores/store.ts'

/** The first message to a worker. */
export interface WorkerTask {
  readonly spec: StoreSpec
  /** Its journal; made when it is not there. */
  readonly journal: string
  readonly callers: number
  readonly holdTtlMs: number
}

/** To a worker: make no more calls, end those under way, then exit. */
export const STOP = 'stop'

export interface WorkerReport {
  readonly admitted: number
  readonly refused: number
  readonly voided: number
  /** Settles that were acknowledged. */
  readonly acknowledged: number
  /** Answers of the store that it did not give, such as TK_STORE_BUSY; each was asked again. */
  readonly retried: number
  readonly lateSettles: number
  /** In ms, since the last report. */
  readonly reserveMs: readonly number[]
  readonly settleMs: readonly number[]
  /** Set when the worker cannot go on. */
  readonly failed: ErrorCode | null
}
