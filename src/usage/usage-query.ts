/**
 * What callers say about the usage they mean, as a query for a store: named periods become moments,
 * and days are drawn in a time zone here, since databases disagree about zones.
 *
 * @module
 */
import * as z from 'zod'
import { isZone, periodOf } from '../budgets/windows.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { idSchema, textSchema, timeSchema } from '../kernel/validate.ts'
import type {
  UsageAttribute,
  UsageDay,
  UsageDimension,
  UsageFilter,
  UsageQuery,
} from '../storage/storage.ts'

/** The calendar day or month that runs now, or the one before it. */
export type UsagePeriod = 'today' | 'yesterday' | 'this_month' | 'last_month'

/** Which usage is meant. What is left out narrows nothing; `null` means calls that have no such value. */
export interface UsageFilterInput {
  readonly keyId?: string | null | undefined
  readonly scope?: string | null | undefined
  readonly provider?: string | undefined
  readonly model?: string | undefined
  /** `chat`, `responses`, `embeddings` ... */
  readonly operation?: string | undefined
  /** True: what tenants are billed; false: what their own credentials paid. */
  readonly billable?: boolean | undefined
  /** Tags of the call's context and their values. */
  readonly tags?: Readonly<Record<string, string | null>> | undefined
  /** Settled at or after, in ms since the epoch. */
  readonly fromMs?: number | undefined
  /** Settled before. */
  readonly untilMs?: number | undefined
  /** In place of the two. */
  readonly period?: UsagePeriod | undefined
  /** IANA zone of `period` and of days; default the installation's. */
  readonly zone?: string | undefined
}

export interface UsageQueryInput extends UsageFilterInput {
  /** Default: all tenants. */
  readonly tenantId?: string | undefined
  /** What to group by, at most 8; default nothing: one grand total. `day` needs a time range of at most
   * 400 days; `tag:team` groups by the tag `team`. */
  readonly by?: readonly UsageDimension[] | undefined
}

const MAX_DAYS = 400
const TAG_NAME = /^[A-Za-z0-9_.-]{1,64}$/
const PLAIN = ['tenant', 'day', 'key', 'scope', 'provider', 'model', 'operation', 'billable']

const valueSchema = textSchema(512)
/** As many as one call may have. */
const MAX_TAGS = 16

const isDimension = (value: unknown): value is UsageDimension =>
  typeof value === 'string' &&
  (PLAIN.includes(value) || (value.startsWith('tag:') && isTagName(value.slice(4))))

const isTagName = (name: string): boolean => TAG_NAME.test(name) && name !== '__proto__'

export const zoneSchema = z.string().refine(isZone, 'not a known time zone')

export const filterFields = {
  keyId: valueSchema.nullable().optional(),
  scope: valueSchema.nullable().optional(),
  provider: valueSchema.optional(),
  model: valueSchema.optional(),
  operation: valueSchema.optional(),
  billable: z.boolean().optional(),
  tags: z
    .record(z.string().refine(isTagName, 'not a name of a tag'), textSchema(256).nullable())
    .refine((tags) => Object.keys(tags).length <= MAX_TAGS, `at most ${MAX_TAGS} tags may be given`)
    .optional(),
  fromMs: timeSchema.nullable().default(null),
  untilMs: timeSchema.nullable().default(null),
  period: z.enum(['today', 'yesterday', 'this_month', 'last_month']).optional(),
  zone: zoneSchema.optional(),
}

export const queryFields = {
  ...filterFields,
  tenantId: idSchema.nullable().default(null),
  by: z
    .array(
      z.custom<UsageDimension>(isDimension, `expected one of ${PLAIN.join(', ')} or tag:<name>`),
    )
    .max(8)
    .default([]),
}

interface Range {
  readonly fromMs: number | null
  readonly untilMs: number | null
}

type ReadFilter = z.output<z.ZodObject<typeof filterFields>>
type ReadQuery = z.output<z.ZodObject<typeof queryFields>>

/** @param nowMs - the store's time. */
export function filterOf(read: ReadFilter, zone: string, nowMs: number): UsageFilter {
  const { keyId: key, scope, provider, model, operation, billable, tags = {} } = read
  const given = { key, scope, provider, model, operation, billable: textOf(billable) }
  const tagged = Object.entries(tags).map(([name, value]) => [`tag:${name}`, value] as const)
  const asked = [...Object.entries(given), ...tagged].filter(([, value]) => value !== undefined)
  const where = Object.fromEntries(asked) as Partial<Record<UsageAttribute, string | null>>
  return { ...rangeOf(read, zone, nowMs), where }
}

const textOf = (flag: boolean | undefined): string | undefined =>
  flag === undefined ? undefined : String(flag)

/** @throws TenantKeysError TK_INPUT_INVALID */
export function usageQueryOf(read: ReadQuery, zone: string, nowMs: number): UsageQuery {
  const by = [...new Set(read.by)]
  const filter = filterOf(read, zone, nowMs)
  const { tenantId } = read
  if (!by.includes('day')) return { ...filter, tenantId, by }
  const { fromMs, untilMs } = filter
  if (fromMs === null) throw invalid('fromMs', 'needed to group by day')
  return { ...filter, tenantId, by, days: daysBetween(fromMs, untilMs ?? nowMs + 1, zone) }
}

function rangeOf({ fromMs, untilMs, period }: ReadFilter, zone: string, nowMs: number): Range {
  if (period === undefined) {
    if (fromMs !== null && untilMs !== null && untilMs <= fromMs) {
      throw invalid('untilMs', 'must be after fromMs')
    }
    return { fromMs, untilMs }
  }
  if (fromMs !== null || untilMs !== null) {
    throw invalid('period', 'give either a period or fromMs and untilMs')
  }
  const window = period === 'today' || period === 'yesterday' ? 'day' : 'month'
  const present = periodOf(window, zone, nowMs)
  const isNow = period === 'today' || period === 'this_month'
  const { startMs, endMs } = isNow ? present : periodOf(window, zone, present.startMs - 1)
  return { fromMs: startMs, untilMs: endMs }
}

/** The days of the zone that overlap the range; the rows of the first and last are cut by the range. */
function daysBetween(fromMs: number, untilMs: number, zone: string): readonly UsageDay[] {
  const days: UsageDay[] = []
  for (let atMs = fromMs; atMs < untilMs; ) {
    const { startMs, endMs } = periodOf('day', zone, atMs)
    days.push({ day: dateOf(startMs, zone), fromMs: startMs, untilMs: endMs! })
    if (days.length > MAX_DAYS) throw invalid('by', `at most ${MAX_DAYS} days`)
    atMs = endMs!
  }
  return days
}

/** `2026-01-15`. Days have names of their own also where midnight is skipped. */
function dateOf(startMs: number, zone: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    calendar: 'gregory',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  }).formatToParts(startMs)
  const part = (type: string): string => parts.find((p) => p.type === type)!.value
  return `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}`
}

export const invalid = (field: string, reason: string, hint?: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason, ...(hint && { hint }) })
