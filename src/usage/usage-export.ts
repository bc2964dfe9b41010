/**
 * Usage rows as text for other programs: CSV for spreadsheets, NDJSON for everything else. Rows are
 * read page by page and never all in memory.
 *
 * @module
 */
import { usagePayload } from '../budgets/ledger.ts'
import { formatUsd } from '../budgets/money.ts'
import type { UsageRecord } from '../storage/ledger-records.ts'

export type ExportFormat = 'csv' | 'ndjson'

type Cell = string | number | boolean | null

const usd = (nanoUsd: bigint | null): string | null =>
  nanoUsd === null ? null : formatUsd(nanoUsd)
const time = (ms: number): string => new Date(ms).toISOString()

const COLUMNS: Readonly<Record<string, (row: UsageRecord) => Cell>> = {
  id: (row) => row.id,
  call_id: (row) => row.callId,
  tenant_id: (row) => row.tenantId,
  key_id: (row) => row.keyId,
  scope: (row) => row.scope,
  provider: (row) => row.provider,
  operation: (row) => row.operation,
  model: (row) => row.model,
  served_model: (row) => row.servedModel,
  started_at: (row) => time(row.startedAtMs),
  settled_at: (row) => time(row.settledAtMs),
  duration_ms: (row) => row.durationMs,
  outcome: (row) => row.outcome,
  quality: (row) => row.quality,
  http_status: (row) => row.httpStatus,
  input_tokens: (row) => row.tokens.input,
  cache_read_tokens: (row) => row.tokens.cacheRead,
  cache_write_tokens: (row) => row.tokens.cacheWrite,
  cache_write_1h_tokens: (row) => row.tokens.cacheWrite1h,
  input_audio_tokens: (row) => row.tokens.inputAudio,
  output_tokens: (row) => row.tokens.output,
  reasoning_tokens: (row) => row.tokens.reasoning,
  output_audio_tokens: (row) => row.tokens.outputAudio,
  counts: (row) => JSON.stringify(row.counts),
  cost_usd: (row) => usd(row.costNanoUsd),
  provider_cost_usd: (row) => usd(row.providerCostNanoUsd),
  charged_usd: (row) => usd(row.chargedNanoUsd),
  paid_by: (row) => row.paidBy,
  billable: (row) => row.billable,
  price_id: (row) => row.priceId,
  response_bytes: (row) => row.responseBytes,
  tags: (row) => JSON.stringify(row.tags),
}

/** One text for each page of rows; CSV begins with a line of column names. */
export async function* usageText(
  pages: AsyncIterable<readonly UsageRecord[]>,
  format: ExportFormat,
): AsyncGenerator<string> {
  if (format === 'csv') yield csvLine(Object.keys(COLUMNS))
  const line = format === 'csv' ? csvRow : jsonRow
  for await (const rows of pages) if (rows.length > 0) yield rows.map(line).join('')
}

/** Fields as in the event of the row: amounts are decimal strings of nano-USD. */
const jsonRow = (row: UsageRecord): string => `${JSON.stringify(usagePayload(row))}\n`

const csvRow = (row: UsageRecord): string =>
  csvLine(Object.values(COLUMNS).map((valueIn) => valueIn(row)))

/** RFC 4180. */
const csvLine = (cells: readonly Cell[]): string => `${cells.map(csvCell).join(',')}\r\n`

/**
 * Texts come from tenants and providers, and a spreadsheet runs what begins like a formula: such a
 * text gets an apostrophe before it (OWASP, CSV injection).
 */
function csvCell(cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell !== 'string') return String(cell)
  const inert = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n;]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert
}
