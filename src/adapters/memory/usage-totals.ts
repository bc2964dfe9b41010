/**
 * Sums of usage rows in memory.
 *
 * @module
 */
import type { UsageRecord } from '../../storage/ledger-records.ts'
import type {
  UsageAttribute,
  UsageDimension,
  UsageQuery,
  UsageTotal,
} from '../../storage/storage.ts'

type Values = readonly (string | null)[]

const TAG = 'tag:'

export function totalsOf(rows: readonly UsageRecord[], query: UsageQuery): readonly UsageTotal[] {
  const { by, days, after = null, limit = Number.POSITIVE_INFINITY } = query
  const groups = new Map<string, { readonly values: Values; readonly rows: UsageRecord[] }>()
  for (const row of rows) {
    const values = by.map((dimension) => dimensionOf(row, dimension, days))
    if (!isComplete(values)) continue
    const name = JSON.stringify(values)
    const group = groups.get(name) ?? { values, rows: [] }
    groups.set(name, group)
    group.rows.push(row)
  }
  return [...groups.values()]
    .filter(({ values }) => after === null || compare(values, after) > 0)
    .sort((a, b) => compare(a.values, b.values))
    .slice(0, limit)
    .map((group) => totalOf(by, group.values, group.rows))
}

const isComplete = (values: readonly (string | null | undefined)[]): values is Values =>
  !values.includes(undefined)

/** `undefined`: on none of the days. */
function dimensionOf(
  row: UsageRecord,
  dimension: UsageDimension,
  days: UsageQuery['days'],
): string | null | undefined {
  if (dimension === 'tenant') return row.tenantId
  if (dimension !== 'day') return attributeOf(row, dimension)
  return days?.find((d) => d.fromMs <= row.settledAtMs && row.settledAtMs < d.untilMs)?.day
}

export function attributeOf(row: UsageRecord, attribute: UsageAttribute): string | null {
  switch (attribute) {
    case 'key':
      return row.keyId
    case 'scope':
      return row.scope
    case 'provider':
      return row.provider
    case 'model':
      return row.model
    case 'operation':
      return row.operation
    case 'billable':
      return String(row.billable)
    default: {
      const tag = attribute.slice(TAG.length)
      return Object.hasOwn(row.tags, tag) ? row.tags[tag]! : null
    }
  }
}

/** Absent values come first, as SQL sorts them. */
function compare(a: Values, b: Values): number {
  for (const [i, left] of a.entries()) {
    const right = b[i] ?? null
    if (left === right) continue
    if (left === null || right === null) return left === null ? -1 : 1
    return left < right ? -1 : 1
  }
  return 0
}

function totalOf(
  by: readonly UsageDimension[],
  values: Values,
  rows: readonly UsageRecord[],
): UsageTotal {
  const at = (dimension: UsageDimension): string | null => values[by.indexOf(dimension)] ?? null
  const tags = by.filter((d) => d.startsWith(TAG)).map((d) => [d.slice(TAG.length), at(d)])
  const count = (is: (row: UsageRecord) => boolean): number => rows.filter(is).length
  const sum = (of: (row: UsageRecord) => number | null): number =>
    rows.reduce((all, row) => all + (of(row) ?? 0), 0)
  const money = (of: (row: UsageRecord) => bigint): bigint =>
    rows.reduce((all, row) => all + of(row), 0n)
  return {
    tenant: at('tenant'),
    key: at('key'),
    scope: at('scope'),
    provider: at('provider'),
    model: at('model'),
    operation: at('operation'),
    billable: at('billable'),
    day: at('day'),
    tags: Object.fromEntries(tags),
    calls: rows.length,
    completedCalls: count((row) => row.outcome === 'completed'),
    estimatedCalls: count((row) => row.quality === 'estimated'),
    unknownCalls: count((row) => row.quality === 'unknown'),
    billableCalls: count((row) => row.billable),
    cacheHitCalls: count((row) => (row.tokens.cacheRead ?? 0) > 0),
    inputTokens: sum((row) => row.tokens.input),
    cacheReadTokens: sum((row) => row.tokens.cacheRead),
    cacheWriteTokens: sum((row) => row.tokens.cacheWrite),
    cacheWrite1hTokens: sum((row) => row.tokens.cacheWrite1h),
    inputAudioTokens: sum((row) => row.tokens.inputAudio),
    outputTokens: sum((row) => row.tokens.output),
    reasoningTokens: sum((row) => row.tokens.reasoning),
    outputAudioTokens: sum((row) => row.tokens.outputAudio),
    costNanoUsd: money((row) => row.costNanoUsd),
    billableCostNanoUsd: money((row) => (row.billable ? row.costNanoUsd : 0n)),
    chargedNanoUsd: money((row) => row.chargedNanoUsd),
    credits: money((row) => row.amounts.credits ?? 0n),
    timedCalls: count((row) => row.durationMs !== null),
    durationMs: sum((row) => row.durationMs),
    responseBytes: sum((row) => row.responseBytes),
  }
}
