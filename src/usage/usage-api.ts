/**
 * `tk.usage`: what was used, straight from the usage rows that the ledger wrote.
 *
 * @module
 */
import * as z from 'zod'
import { usagePayload } from '../budgets/ledger.ts'
import { formatUsd } from '../budgets/money.ts'
import { withDecimalJson } from '../kernel/decimal-json.ts'
import { fromBase64Url, fromUtf8, toBase64Url, utf8 } from '../kernel/encoding.ts'
import { idSchema, pageFields, parse, textSchema, timeSchema } from '../kernel/validate.ts'
import type { UsageRecord } from '../storage/ledger-records.ts'
import type { Page, Storage, UsageFilter, UsageQuery, UsageTotal } from '../storage/storage.ts'
import { type Statement, type StatementInput, usageStatement } from './statement.ts'
import { type ExportFormat, usageText } from './usage-export.ts'
import {
  filterFields,
  filterOf,
  invalid,
  queryFields,
  type UsageFilterInput,
  type UsageQueryInput,
  usageQueryOf,
} from './usage-query.ts'

/** One group. As JSON its amounts are decimal strings. */
export type UsageRow = UsageTotal & {
  readonly costUsd: string
  readonly billableCostUsd: string
  readonly chargedUsd: string
  /** Of the calls whose duration was measured, in ms; `null`: of none. */
  readonly averageDurationMs: number | null
}

interface PageInput {
  /** Cursor of an earlier page. */
  readonly after?: string | null | undefined
  /** 1 to 1,000; default 100. */
  readonly limit?: number | undefined
}

export interface UsageListInput extends UsageFilterInput, PageInput {
  readonly tenantId: string
}

export interface UsageExportInput extends UsageFilterInput {
  /** Default: one tenant after the other, in order of id. */
  readonly tenantId?: string | undefined
  readonly format: ExportFormat
}

export interface UsageApi {
  /**
   * Sums of calls, tokens and money, in order of what they are grouped by. Sums over all groups equal
   * the usage rows, and those equal what the ledger posted.
   *
   * @throws TenantKeysError TK_INPUT_INVALID, also when there are more than 10,000 groups: see `page`
   */
  query(input?: UsageQueryInput): Promise<readonly UsageRow[]>
  /** The same, page by page. Groups that appear meanwhile before the cursor are not seen. */
  page(input?: UsageQueryInput & PageInput): Promise<Page<UsageRow>>
  /** The usage rows themselves, in order of settlement. */
  list(input: UsageListInput): Promise<Page<UsageRecord>>
  /**
   * The usage rows as text, a part for each thousand. CSV has a line of column names, amounts in US
   * dollars as exact decimals, and an apostrophe before texts that a spreadsheet would take for a
   * formula; NDJSON is what sinks get.
   *
   * @throws TenantKeysError TK_INPUT_INVALID, before anything is read
   */
  export(input: UsageExportInput): AsyncIterable<string>
  /** What a tenant owes for a month, with lines by scope, provider and model.
   * @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_NOT_FOUND */
  statement(input: StatementInput): Promise<Statement>
}

const MAX_GROUPS = 10_000
const EXPORT_PAGE = 1000
const MAX_CURSOR = 8192

const cursorSchema = z.string().max(MAX_CURSOR).nullable().default(null)
const querySchema = z.strictObject(queryFields)
const pageSchema = querySchema.extend({ ...pageFields, after: cursorSchema })
const listSchema = z.strictObject({ ...filterFields, ...pageFields, tenantId: idSchema })
const exportSchema = z.strictObject({
  ...filterFields,
  tenantId: idSchema.optional(),
  format: z.enum(['csv', 'ndjson']),
})
const groupSchema = z.array(textSchema(512).nullable())
const placeSchema = z.tuple([timeSchema, textSchema(256)])

export function usageApi(storage: Storage, { zone }: { readonly zone: string }): UsageApi {
  const nowMs = async (): Promise<number> => (await storage.epoch()).nowMs

  async function* rowsOf(
    tenantId: string,
    filter: UsageFilter,
  ): AsyncGenerator<readonly UsageRecord[]> {
    let after: { readonly settledAtMs: number; readonly id: string } | null = null
    for (;;) {
      const rows: readonly UsageRecord[] = await storage.usage.list({
        ...filter,
        tenantId,
        after,
        limit: EXPORT_PAGE,
      })
      yield rows
      if (rows.length < EXPORT_PAGE) return
      after = rows.at(-1)!
    }
  }

  async function* exported({
    tenantId,
    ...read
  }: z.output<typeof exportSchema>): AsyncGenerator<readonly UsageRecord[]> {
    const filter = filterOf(read, read.zone ?? zone, await nowMs())
    for await (const id of tenantId ? [tenantId] : tenantIds(storage)) yield* rowsOf(id, filter)
  }

  return {
    query: async (input = {}) => {
      const read = parse(querySchema, input)
      const query = usageQueryOf(read, read.zone ?? zone, await nowMs())
      const totals = await storage.usage.totals({ ...query, limit: MAX_GROUPS + 1 })
      if (totals.length > MAX_GROUPS) {
        throw invalid('by', `there are more than ${MAX_GROUPS} groups`, 'read them with usage.page')
      }
      return totals.map(rowOf)
    },
    page: async (input = {}) => {
      const { after, limit, ...read } = parse(pageSchema, input)
      const query = usageQueryOf(read, read.zone ?? zone, await nowMs())
      const from = after === null ? null : readCursor(groupSchema, after)
      if (from && (from.length === 0 || from.length !== query.by.length)) {
        throw invalid('after', NO_CURSOR)
      }
      const totals = await storage.usage.totals({ ...query, after: from, limit: limit + 1 })
      const items = totals.slice(0, limit)
      const next = totals.length > limit ? writeCursor(groupOf(items.at(-1)!, query)) : null
      return { items: items.map(rowOf), next }
    },
    list: async (input) => {
      const { tenantId, after, limit, ...read } = parse(listSchema, input)
      const filter = filterOf(read, read.zone ?? zone, await nowMs())
      const place = after === null ? null : readCursor(placeSchema, after)
      const from = place && { settledAtMs: place[0], id: place[1] }
      const rows = await storage.usage.list({ ...filter, tenantId, after: from, limit: limit + 1 })
      const items = rows.slice(0, limit)
      const last = items.at(-1)
      const next = rows.length > limit ? writeCursor([last!.settledAtMs, last!.id]) : null
      return { items: items.map(listed), next }
    },
    export: (input) => {
      const read = parse(exportSchema, input)
      return usageText(exported(read), read.format)
    },
    statement: (input) => usageStatement(storage, zone, input),
  }
}

function rowOf(total: UsageTotal): UsageRow {
  const { timedCalls, durationMs } = total
  return withDecimalJson({
    ...total,
    costUsd: formatUsd(total.costNanoUsd),
    billableCostUsd: formatUsd(total.billableCostNanoUsd),
    chargedUsd: formatUsd(total.chargedNanoUsd),
    averageDurationMs: timedCalls === 0 ? null : durationMs / timedCalls,
  })
}

const listed = (row: UsageRecord): UsageRecord =>
  Object.defineProperty({ ...row }, 'toJSON', { value: () => usagePayload(row) })

const groupOf = (total: UsageTotal, { by }: UsageQuery): readonly (string | null)[] =>
  by.map((d) => (d.startsWith('tag:') ? total.tags[d.slice(4)]! : total[d as 'tenant']))

async function* tenantIds(storage: Storage): AsyncGenerator<string> {
  let after: string | null = null
  do {
    const page = await storage.tenants.list({ parentId: null, after, limit: 1000 })
    for (const { id } of page.items) yield id
    after = page.next
  } while (after !== null)
}

const NO_CURSOR = 'not a cursor of this query'

const writeCursor = (place: readonly unknown[]): string => toBase64Url(utf8(JSON.stringify(place)))

function readCursor<S extends z.ZodType>(schema: S, cursor: string): z.output<S> {
  try {
    return schema.parse(JSON.parse(fromUtf8(fromBase64Url(cursor)!)))
  } catch {
    throw invalid('after', NO_CURSOR)
  }
}
