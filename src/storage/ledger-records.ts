/**
 * The rows and commands of the ledger. The rules that work on them are `budgets/ledger.ts`; the
 * memory and SQLite stores run those rules inside one transaction.
 *
 * @module
 */

/**
 * `minute` to `month` are calendar periods in the budget's zone (weeks begin on Monday, ISO 8601).
 * `lifetime` never resets (prepaid). `call` limits each call alone. `concurrent` limits live holds.
 * `rate_second` and `rate_minute` slide: any stretch of that length sees at most the limit.
 */
export type Window =
  | 'minute'
  | 'hour'
  | 'day'
  | 'week'
  | 'month'
  | 'lifetime'
  | 'call'
  | 'concurrent'
  | 'rate_second'
  | 'rate_minute'

/**
 * What is counted: `usd` (nano-USD), `tokens` (input and output), `requests`, `calls` (1 each, for
 * concurrency), `bytes` (of the request body), and units of the host's own such as `credits`.
 */
export type Unit = string

/** Amounts by unit; a unit that is absent is not asked for. */
export type Amounts = Readonly<Record<Unit, bigint>>

/** Sub-buckets of a sliding window, newest first; `newest` is the index of the running one. */
export interface RateBuckets {
  readonly newest: number
  readonly counts: readonly bigint[]
}

/**
 * One account on a call's path. `id` is `tenant:<tenantId>` or `key:<keyId>`; `depth` is 0 at the
 * root of the tenant tree and grows towards the key. Paths are given leaf first.
 */
export interface AccountRef {
  readonly id: string
  readonly depth: number
}

/** One limit on one account, with the running sums of its current period. */
export interface Counter {
  readonly accountId: string
  readonly depth: number
  /** The tenant that owns the account. */
  readonly tenantId: string
  readonly unit: Unit
  readonly window: Window
  /** IANA name; decides where a month begins. */
  readonly zone: string
  readonly limit: bigint
  readonly periodStartMs: number
  readonly posted: bigint
  readonly held: bigint
  /** No hold of this period that holds anything expires later than this; 0 when nothing is held. */
  readonly heldUntilMs: number
  /** Sliding windows only; empty otherwise. */
  readonly buckets: RateBuckets
  /** `platform`: calls that a tenant's own credential pays for are not counted. */
  readonly counts: 'all' | 'platform'
  /** Account whose counters of this unit take a whole hold that this one refuses; `null`: none. */
  readonly overflow: AccountRef | null
  /** Percentages of the limit at which one event each is written per period, ascending. */
  readonly alerts: readonly number[]
  /** The highest of them already reported in this period; 0: none. */
  readonly alertedPercent: number
  /** `explicit`, or the plan and version that made the row, for example `plan:pro@3`. */
  readonly source: string
  readonly createdAtMs: number
}

/** Sums of a period that has ended. Late settles still change it. */
export interface PeriodHistory {
  readonly accountId: string
  readonly unit: Unit
  readonly window: Window
  readonly periodStartMs: number
  readonly posted: bigint
  readonly held: bigint
}

/** One charge of a hold: which counter, in which period. */
export interface HoldLine {
  readonly accountId: string
  readonly unit: Unit
  readonly window: Window
  readonly periodStartMs: number
}

export type HoldState = 'held' | 'posted' | 'voided' | 'expired' | 'late_posted'

export interface Hold {
  /** UUIDv7 made by the caller: also the id of the attempt and of its usage row. */
  readonly id: string
  readonly tenantId: string
  readonly state: HoldState
  readonly accounts: readonly AccountRef[]
  readonly lines: readonly HoldLine[]
  /** Held per unit; every line of that unit holds it. */
  readonly amounts: Amounts
  /** As first asked: a replay of the same id must ask the same. */
  readonly asked: Amounts
  /** Posted per unit; zero before it is settled. */
  readonly actual: Amounts
  readonly extendSequence: number
  /** Lines that a pool took over; they are not among `lines`, the pool's are. */
  readonly overflows: readonly Overflow[]
  /** Whose credential pays, as asked: says which counters an extension is charged to. */
  readonly paidBy: 'tenant' | 'platform'
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** What the event of an expiry must say about the call. Ids only. */
  readonly call: CallIds
}

/** A line that refused, and the pool whose lines took its place. */
export interface Overflow {
  readonly from: HoldLine
  /** Account of the pool. */
  readonly to: string
}

/** Who called what; ids and names, never content. */
export interface CallIds {
  /** Joins the attempts of one call. */
  readonly callId: string
  readonly keyId: string | null
  readonly scope: string | null
  readonly provider: string
  readonly model: string
  readonly priceId: string | null
}

/** State of one line after an operation. */
export interface LineState {
  readonly accountId: string
  readonly unit: Unit
  readonly window: Window
  readonly limit: bigint
  readonly posted: bigint
  readonly held: bigint
  /** `null`: never. */
  readonly resetsAtMs: number | null
}

/** Why a reserve was refused, and what would have fitted. */
export interface BudgetDenial extends LineState {
  readonly asked: bigint
  /** The largest amount of this unit that the whole path would admit now. */
  readonly wouldFit: bigint
  /** When the calls in flight release what they hold at the latest; `null` when nothing is held. */
  readonly heldUntilMs: number | null
  /** Sliding windows: when the same ask would fit; `null` for the others, or never. */
  readonly fitsAtMs: number | null
}

export type RefusalCode =
  | 'TK_BUDGET_EXHAUSTED'
  | 'TK_BUDGET_CONTENDED'
  | 'TK_RATE_LIMITED'
  | 'TK_REQUEST_TOO_LARGE'

export interface ReserveItem {
  readonly holdId: string
  readonly tenantId: string
  /** Leaf first, root last. */
  readonly accounts: readonly AccountRef[]
  /** Not negative. */
  readonly amounts: Amounts
  /** Whose credential pays; counters that count `platform` calls only ignore the tenant's. Default
   * `platform`: every counter counts. */
  readonly paidBy?: 'tenant' | 'platform'
  /** Milliseconds until the hold expires by the store's clock, 1 to 86,400,000. */
  readonly ttlMs: number
  readonly call: CallIds
}

export type ReserveResult =
  | {
      readonly ok: true
      readonly holdId: string
      readonly expiresAtMs: number
      readonly lines: readonly LineState[]
      readonly overflows: readonly Overflow[]
      /** True when this id had been admitted before. */
      readonly replayed: boolean
    }
  | {
      readonly ok: false
      readonly code: RefusalCode
      readonly denial: BudgetDenial
    }
  | {
      readonly ok: false
      readonly code: 'TK_BUDGET_HOLD_MISMATCH' | 'TK_INPUT_INVALID'
      readonly denial: null
    }

export interface ExtendItem {
  readonly holdId: string
  readonly tenantId: string
  /** 1, 2, 3 ...; a repeated number with the same totals is the same request again. */
  readonly sequence: number
  /** Absolute totals, not increments; at least what is held already. */
  readonly amounts: Amounts
  readonly ttlMs: number
}

export type ExtendResult =
  | { readonly ok: true; readonly expiresAtMs: number }
  | {
      readonly ok: false
      readonly code: RefusalCode
      readonly denial: BudgetDenial
    }
  | {
      readonly ok: false
      readonly code:
        | 'TK_BUDGET_HOLD_NOT_FOUND'
        | 'TK_BUDGET_HOLD_MISMATCH'
        | 'TK_BUDGET_HOLD_LOST'
        | 'TK_INPUT_INVALID'
      readonly denial: null
    }

export interface SettleItem {
  readonly holdId: string
  readonly tenantId: string
  readonly actual: Amounts
  readonly usage: UsageDraft
}

export type SettleResult =
  | {
      readonly ok: true
      readonly state: 'posted' | 'late_posted'
      readonly lines: readonly LineState[]
      /** Actual above what was held, per unit; posted in full all the same. */
      readonly overage: Amounts
      readonly replayed: boolean
    }
  | {
      readonly ok: false
      readonly code: 'TK_BUDGET_HOLD_NOT_FOUND' | 'TK_BUDGET_HOLD_MISMATCH' | 'TK_INPUT_INVALID'
    }

export interface VoidItem {
  readonly holdId: string
  readonly tenantId: string
}

export type VoidResult =
  | { readonly ok: true; readonly replayed: boolean }
  | {
      readonly ok: false
      readonly code: 'TK_BUDGET_HOLD_NOT_FOUND' | 'TK_BUDGET_HOLD_MISMATCH' | 'TK_INPUT_INVALID'
    }

/** Tokens by class. `input` and `output` are totals; the others are parts of them; `null`: the
 * provider does not report it. */
export interface TokenUsage {
  readonly input: number
  readonly cacheRead: number | null
  readonly cacheWrite: number | null
  /** Part of `cacheWrite`: kept for one hour. */
  readonly cacheWrite1h: number | null
  readonly inputAudio: number | null
  readonly output: number
  readonly reasoning: number | null
  readonly outputAudio: number | null
}

/** `measured`: counted by the provider. `estimated`: ours, from what was delivered. `unknown`: the
 * call may have cost something that nobody counted. */
export type UsageQuality = 'measured' | 'estimated' | 'unknown'

/** How a call ended, from the caller's side. */
export type CallOutcome = 'completed' | 'aborted' | 'broken' | 'unreadable'

/** What settle is told about the call; the store adds id, times and the lines charged. */
export interface UsageDraft extends CallIds {
  /** What was asked of the provider: `chat`, `responses`, `embeddings`, `images` ... */
  readonly operation: string
  readonly servedModel: string | null
  readonly outcome: CallOutcome
  readonly quality: UsageQuality
  readonly httpStatus: number | null
  readonly tokens: TokenUsage
  /** Other counts that are billed, such as `web_search_requests`, `images` or `seconds`; finite, at
   * least 0; empty when there are none. */
  readonly counts: Readonly<Record<string, number>>
  /** By our prices. */
  readonly costNanoUsd: bigint
  /** A gateway's own figure for the call; `null`: it gave none. */
  readonly providerCostNanoUsd: bigint | null
  /** What the tenant is billed, cost with its markup; 0 when it is not billable. */
  readonly chargedNanoUsd: bigint
  readonly paidBy: 'tenant' | 'platform'
  /** False when the tenant's own credential paid. */
  readonly billable: boolean
  readonly secretId: string | null
  readonly secretVersion: number | null
  /** The host's own labels from the context of the call, at most 16. */
  readonly tags: Readonly<Record<string, string>>
  /** From the request to the end of its answer, in ms; `null`: not measured. */
  readonly durationMs: number | null
  /** Bytes of the answer's body, decoded, that the caller was given before the call was settled: of a
   * stream up to its end marker, of an answer that was read whole all of it. `null`: not known, as of
   * callbacks and of errors that reported usage. */
  readonly responseBytes: number | null
}

/** One attempt of one call, as it was charged. Its id is the hold's. */
export interface UsageRecord extends UsageDraft {
  readonly id: string
  readonly tenantId: string
  readonly state: 'posted' | 'late_posted'
  /** The counters charged, for reconciliation. */
  readonly lines: readonly HoldLine[]
  /** What each line was charged, by unit. */
  readonly amounts: Amounts
  readonly overageNanoUsd: bigint
  readonly startedAtMs: number
  readonly settledAtMs: number
}
