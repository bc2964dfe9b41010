/**
 * Sums of usage rows in SQLite, made by the database. Values are parameters; what is put into the text
 * of a statement is ours.
 *
 * @module
 */
import type {
  UsageAttribute,
  UsageDimension,
  UsageFilter,
  UsageQuery,
  UsageTotal,
} from '../../storage/storage.ts'
import type { SqliteRow, SqliteValue } from './client.ts'
import { SqliteRowReader } from './decode.ts'

interface Expression {
  readonly sql: string
  readonly params: readonly SqliteValue[]
}

const COLUMN_OF: ReadonlyMap<UsageDimension, string> = new Map<UsageDimension, string>([
  ['tenant', 'tenant_id'],
  ['key', 'key_id'],
  ['scope', 'scope'],
  ['provider', 'provider'],
  ['model', 'model'],
  ['operation', 'operation'],
  ['billable', "CASE billable WHEN 1 THEN 'true' ELSE 'false' END"],
  ['day', "json_extract(days.value, '$.day')"],
])

const TAG = 'tag:'

function expressionOf(dimension: UsageDimension): Expression {
  const column = COLUMN_OF.get(dimension)
  if (column !== undefined) return { sql: column, params: [] }
  // The name of a tag has no quote: whoever takes it from outside sees to that.
  return { sql: 'json_extract(tags, ?)', params: [`$."${dimension.slice(TAG.length)}"`] }
}

const NANO_PER_USD = 1_000_000_000n

/** Dollars and the rest are summed apart: SQLite's SUM stops at 64 bits, and never rounds here. */
const money = (name: string, value: string): string =>
  `SUM(${value} / ${NANO_PER_USD}) AS ${name}_whole, SUM(${value} % ${NANO_PER_USD}) AS ${name}_rest`

const SUMS = [
  'COUNT(*) AS calls',
  "SUM(outcome = 'completed') AS completed",
  "SUM(quality = 'estimated') AS estimated",
  "SUM(quality = 'unknown') AS unknown",
  'SUM(billable) AS billable_calls',
  'SUM(COALESCE(cache_read_tokens, 0) > 0) AS cache_hits',
  'SUM(input_tokens) AS input',
  'SUM(COALESCE(cache_read_tokens, 0)) AS cache_read',
  'SUM(COALESCE(cache_write_tokens, 0)) AS cache_write',
  'SUM(COALESCE(cache_write_1h_tokens, 0)) AS cache_write_1h',
  'SUM(COALESCE(input_audio_tokens, 0)) AS input_audio',
  'SUM(output_tokens) AS output',
  'SUM(COALESCE(reasoning_tokens, 0)) AS reasoning',
  'SUM(COALESCE(output_audio_tokens, 0)) AS output_audio',
  money('cost', 'cost_nano_usd'),
  money('billable_cost', '(cost_nano_usd * billable)'),
  money('charged', 'charged_nano_usd'),
  money('credits', "CAST(COALESCE(json_extract(amounts, '$.credits'), '0') AS INTEGER)"),
  'COUNT(duration_ms) AS timed',
  'SUM(COALESCE(duration_ms, 0)) AS duration',
  'SUM(COALESCE(response_bytes, 0)) AS bytes',
].join(', ')

/** What narrows a query down; one whose values are `null` is left out. */
type Condition = readonly [sql: string, values: readonly SqliteValue[] | null]

const only = (value: SqliteValue): readonly SqliteValue[] | null =>
  value === null ? null : [value]

export function conditionsOf(
  { tenantId, fromMs, untilMs, where = {} }: UsageFilter & { readonly tenantId: string | null },
  more: readonly Condition[],
): { readonly text: string; readonly params: readonly SqliteValue[] } {
  const attributes = Object.entries(where).map(([attribute, value]): Condition => {
    const { sql, params } = expressionOf(attribute as UsageAttribute)
    return [`${sql} IS ?`, [...params, value ?? null]]
  })
  const conditions: readonly Condition[] = [
    ['tenant_id = ?', only(tenantId)],
    ['settled_at_ms >= ?', only(fromMs)],
    ['settled_at_ms < ?', only(untilMs)],
    ...attributes,
    ...more,
  ]
  const asked = conditions.filter(([, values]) => values !== null)
  return {
    text: asked.length > 0 ? `WHERE ${asked.map(([sql]) => sql).join(' AND ')}` : '',
    params: asked.flatMap(([, values]) => values ?? []),
  }
}

export function totalsStatement(query: UsageQuery): { sql: string; params: SqliteValue[] } {
  const { by, days = [], after = null, limit } = query
  const groups = by.map(expressionOf)
  const join = by.includes('day')
    ? `JOIN json_each(?) AS days ON settled_at_ms >= json_extract(days.value, '$.fromMs')
        AND settled_at_ms < json_extract(days.value, '$.untilMs')`
    : ''
  const { text: where, params } = conditionsOf(query, after ? [behind(groups, after)] : [])
  const names = groups.map((_, n) => `group_${n}`).join(', ')
  const columns = groups.map(({ sql }, n) => `${sql} AS group_${n}`)
  const grouped = by.length > 0 ? `GROUP BY ${names} ORDER BY ${names}` : ''
  return {
    sql: `SELECT ${[...columns, SUMS].join(', ')} FROM api_key_usage_logs ${join}
      ${where} ${grouped} LIMIT ?`,
    params: [
      ...groups.flatMap((group) => group.params),
      ...(join === '' ? [] : [JSON.stringify(days)]),
      ...params,
      limit ?? -1,
    ],
  }
}

/** Groups behind another in their order, in which absent values come first. */
function behind(groups: readonly Expression[], after: readonly (string | null)[]): Condition {
  const sides = groups.map(({ sql }) => `${sql} IS NOT NULL, COALESCE(${sql}, '')`).join(', ')
  const marks = groups.map(() => '?, ?').join(', ')
  const values = after.flatMap((value): SqliteValue[] => [value === null ? 0 : 1, value ?? ''])
  const params = groups.flatMap((group) => [...group.params, ...group.params])
  return [`(${sides}) > (${marks})`, [...params, ...values]]
}

export function totalOf(columns: SqliteRow, by: readonly UsageDimension[]): UsageTotal {
  const row = new SqliteRowReader('api_key_usage_logs', columns)
  const calls = row.int('calls')
  // A sum over no rows is NULL.
  const sum = (column: string): number => (calls === 0 ? 0 : row.int(column))
  const exact = (name: string): bigint =>
    calls === 0 ? 0n : row.money(`${name}_whole`) * NANO_PER_USD + row.money(`${name}_rest`)
  const at = (dimension: UsageDimension): string | null => {
    const n = by.indexOf(dimension)
    return n < 0 ? null : row.textOrNull(`group_${n}`)
  }
  const tags = by.filter((d) => d.startsWith(TAG)).map((d) => [d.slice(TAG.length), at(d)])
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
    calls,
    completedCalls: sum('completed'),
    estimatedCalls: sum('estimated'),
    unknownCalls: sum('unknown'),
    billableCalls: sum('billable_calls'),
    cacheHitCalls: sum('cache_hits'),
    inputTokens: sum('input'),
    cacheReadTokens: sum('cache_read'),
    cacheWriteTokens: sum('cache_write'),
    cacheWrite1hTokens: sum('cache_write_1h'),
    inputAudioTokens: sum('input_audio'),
    outputTokens: sum('output'),
    reasoningTokens: sum('reasoning'),
    outputAudioTokens: sum('output_audio'),
    costNanoUsd: exact('cost'),
    billableCostNanoUsd: exact('billable_cost'),
    chargedNanoUsd: exact('charged'),
    credits: exact('credits'),
    timedCalls: sum('timed'),
    durationMs: sum('duration'),
    responseBytes: sum('bytes'),
  }
}
