/**
 * The usage rows' part of the Storage port: sums and lists.
 *
 * @module
 */
import type { UsageRecord } from './ledger-records.ts'

/** What usage rows are told apart by. `billable` is `true` or `false` as text; `tag:team` is the tag
 * `team`. */
export type UsageAttribute =
  | 'key'
  | 'scope'
  | 'provider'
  | 'model'
  | 'operation'
  | 'billable'
  | `tag:${string}`

/** What usage can be grouped by. */
export type UsageDimension = 'tenant' | 'day' | UsageAttribute

/** Which usage rows are meant. */
export interface UsageFilter {
  /** Settled at or after; `null`: from the start. */
  readonly fromMs: number | null
  /** Settled before; `null`: until now. */
  readonly untilMs: number | null
  /** Only rows with these values; `null`: that have none. Default: all. */
  readonly where?: Readonly<Partial<Record<UsageAttribute, string | null>>>
}

export interface UsageDay {
  /** For example `2026-01-15`. */
  readonly day: string
  readonly fromMs: number
  readonly untilMs: number
}

export interface UsageQuery extends UsageFilter {
  /** `null`: all tenants. */
  readonly tenantId: string | null
  readonly by: readonly UsageDimension[]
  /** With `day` among `by`: the days, ascending, that do not overlap; rows of no such day are left out. */
  readonly days?: readonly UsageDay[]
  /** Groups behind this one: its values, in the order of `by`. Default: from the first. */
  readonly after?: readonly (string | null)[] | null
  /** At most so many groups; default all. */
  readonly limit?: number
}

/** One group; the dimensions not asked for are `null`. */
export interface UsageTotal {
  readonly tenant: string | null
  readonly key: string | null
  readonly scope: string | null
  readonly provider: string | null
  readonly model: string | null
  readonly operation: string | null
  readonly billable: string | null
  readonly day: string | null
  /** Of the tags asked for, without `tag:`. */
  readonly tags: Readonly<Record<string, string | null>>
  /** Attempts that were charged, also with nothing. */
  readonly calls: number
  /** Of these: answered to the end. */
  readonly completedCalls: number
  readonly estimatedCalls: number
  readonly unknownCalls: number
  readonly billableCalls: number
  /** Of these: part of the input came from the provider's cache. */
  readonly cacheHitCalls: number
  readonly inputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly cacheWrite1hTokens: number
  readonly inputAudioTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly outputAudioTokens: number
  readonly costNanoUsd: bigint
  /** The part of the cost that billable calls made. */
  readonly billableCostNanoUsd: bigint
  readonly chargedNanoUsd: bigint
  /** Units of the host's own, as budgets of the unit `credits` count them. */
  readonly credits: bigint
  /** Calls whose duration was measured, and the sum of their durations. */
  readonly timedCalls: number
  readonly durationMs: number
  readonly responseBytes: number
}

export interface UsageListQuery extends UsageFilter {
  readonly tenantId: string
  /** Rows behind this one; `null`: from the first. */
  readonly after: { readonly settledAtMs: number; readonly id: string } | null
  readonly limit: number
}

export interface UsageCommands {
  /** In order of the dimensions asked for, absent values first. Summed by the store: at most `limit`
   * groups are in memory. */
  totals(query: UsageQuery): Promise<readonly UsageTotal[]>
  /** In order of settlement, then of id. */
  list(query: UsageListQuery): Promise<readonly UsageRecord[]>
  get(at: { readonly tenantId: string; readonly id: string }): Promise<UsageRecord | null>
}
