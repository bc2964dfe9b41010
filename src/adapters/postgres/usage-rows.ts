/**
 * Usage rows: one per settled hold, with the lines it was charged on.
 *
 * @module
 */

import type { SettleItem, UsageDraft, UsageRecord } from '../../storage/ledger-records.ts'
import { flagsText, numbersText, textsText } from './array-text.ts'
import type { PgQueries } from './executor.ts'
import type { Names } from './names.ts'
import { usageOf } from './rows.ts'
import { USAGE_COLUMNS, type UsageColumn } from './usage-columns.ts'

type Value = string | number | bigint | boolean | null

/** What a settle says about a call, by column; types as in {@link USAGE_COLUMNS}. */
const VALUES: Readonly<Record<UsageColumn, (usage: UsageDraft) => Value>> = {
  call_id: (u) => u.callId,
  key_id: (u) => u.keyId,
  scope: (u) => u.scope,
  operation: (u) => u.operation,
  provider: (u) => u.provider,
  model: (u) => u.model,
  served_model: (u) => u.servedModel,
  price_id: (u) => u.priceId,
  outcome: (u) => u.outcome,
  quality: (u) => u.quality,
  http_status: (u) => u.httpStatus,
  input_tokens: (u) => u.tokens.input,
  cache_read_tokens: (u) => u.tokens.cacheRead,
  cache_write_tokens: (u) => u.tokens.cacheWrite,
  cache_write_1h_tokens: (u) => u.tokens.cacheWrite1h,
  input_audio_tokens: (u) => u.tokens.inputAudio,
  output_tokens: (u) => u.tokens.output,
  reasoning_tokens: (u) => u.tokens.reasoning,
  output_audio_tokens: (u) => u.tokens.outputAudio,
  counts: (u) => JSON.stringify(u.counts),
  cost_nano_usd: (u) => u.costNanoUsd,
  provider_cost_nano_usd: (u) => u.providerCostNanoUsd,
  charged_nano_usd: (u) => u.chargedNanoUsd,
  billable: (u) => u.billable,
  paid_by: (u) => u.paidBy,
  secret_id: (u) => u.secretId,
  secret_version: (u) => u.secretVersion,
  tags: (u) => JSON.stringify(u.tags),
  duration_ms: (u) => u.durationMs,
  response_bytes: (u) => u.responseBytes,
}

const COLUMNS = Object.entries(VALUES) as [UsageColumn, (usage: UsageDraft) => Value][]

/** The usage of a batch, each column as one array. */
export function usageColumns(drafts: readonly UsageDraft[]): Record<string, string> {
  const columns: Record<string, string> = {}
  for (const [column, read] of COLUMNS) {
    const values = drafts.map(read)
    columns[column] =
      USAGE_COLUMNS[column] === 'text'
        ? textsText(values as (string | null)[])
        : USAGE_COLUMNS[column] === 'boolean'
          ? flagsText(values as boolean[])
          : numbersText(values as (number | bigint | null)[])
  }
  return columns
}

const bigintText = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? String(value) : value

/** What a settle says, as fields of the JSON of its event, without the braces around them. */
export const draftText = ({ actual, usage }: SettleItem): string =>
  JSON.stringify({ amounts: actual, ...usage }, bigintText).slice(1, -1)

export const USAGE_ROW = `tenant_id, id, state, lines, amounts, overage_nano_usd::text,
  started_at_ms::text, settled_at_ms::text, ${Object.entries(USAGE_COLUMNS)
    .map(([column, type]) => (type === 'text' ? column : `${column}::text`))
    .join(', ')}`

export async function findUsage(
  tx: PgQueries,
  names: Names,
  at: { readonly tenantId: string; readonly id: string },
  lock: '' | 'FOR UPDATE' = '',
): Promise<UsageRecord | null> {
  const [row] = await tx.query(
    `SELECT ${USAGE_ROW} FROM ${names.table('api_key_usage_logs')}
     WHERE tenant_id = $1 AND id = $2 ${lock}`,
    [at.tenantId, at.id],
  )
  return row ? usageOf(row) : null
}

export async function addUsage(tx: PgQueries, names: Names, usage: UsageRecord): Promise<void> {
  const given = usageColumns([usage])
  const own: Record<string, string> = {
    tenant_id: usage.tenantId,
    id: usage.id,
    state: usage.state,
    lines: JSON.stringify(usage.lines),
    amounts: JSON.stringify(usage.amounts, bigintText),
    overage_nano_usd: String(usage.overageNanoUsd),
    started_at_ms: String(usage.startedAtMs),
    settled_at_ms: String(usage.settledAtMs),
  }
  const values = [
    ...Object.keys(own).map((column, i) =>
      column.endsWith('_ms') || column.endsWith('_usd') ? `$${i + 1}::bigint` : `$${i + 1}`,
    ),
    ...COLUMNS.map(([column], i) => {
      const at = Object.keys(own).length + i + 1
      return `($${at}::${USAGE_COLUMNS[column]}[])[1]`
    }),
  ]
  await tx.query(
    `INSERT INTO ${names.table('api_key_usage_logs')}
       (${[...Object.keys(own), ...COLUMNS.map(([column]) => column)].join(', ')})
     VALUES (${values.join(', ')})`,
    [...Object.values(own), ...COLUMNS.map(([column]) => given[column]!)],
  )
}

/** What a new price changes of a row. */
export async function repriceRow(tx: PgQueries, names: Names, usage: UsageRecord): Promise<void> {
  const { tenantId, id, priceId, costNanoUsd, chargedNanoUsd, quality } = usage
  await tx.query(
    `UPDATE ${names.table('api_key_usage_logs')}
     SET price_id = $3, cost_nano_usd = $4::bigint, charged_nano_usd = $5::bigint, quality = $6
     WHERE tenant_id = $1 AND id = $2`,
    [tenantId, id, priceId, String(costNanoUsd), String(chargedNanoUsd), quality],
  )
}
