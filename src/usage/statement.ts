/**
 * What one tenant owes for one month: the sums of its usage rows by scope, provider and model. A call
 * belongs to the month in which it was settled, so a month that is over changes only when a call of it
 * is given the price that was missing (`usage.reprice`, event `usage.repriced`).
 *
 * @module
 */
import * as z from 'zod'
import { formatUsd, NANO_PER_USD } from '../budgets/money.ts'
import { periodOf } from '../budgets/windows.ts'
import { withDecimalJson } from '../kernel/decimal-json.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { idSchema, parse } from '../kernel/validate.ts'
import type { Storage, UsageTotal } from '../storage/storage.ts'
import { invalid, zoneSchema } from './usage-query.ts'

export interface StatementInput {
  readonly tenantId: string
  /** `2026-01`. */
  readonly month: string
  /** IANA zone of the month; default the installation's. */
  readonly zone?: string | undefined
}

/** Sums of one line, or of all; amounts are exact. As JSON they are decimal strings. */
export interface StatementSums {
  readonly calls: number
  /** Of these, those whose tokens are an estimate of ours, or not known. */
  readonly estimatedCalls: number
  readonly unknownCalls: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costNanoUsd: bigint
  readonly costUsd: string
  /** What the tenant is billed, with markup. */
  readonly chargedNanoUsd: bigint
  readonly chargedUsd: string
}

export interface StatementLine extends StatementSums {
  /** `null`: calls of no scope. */
  readonly scope: string | null
  readonly provider: string | null
  readonly model: string | null
  /** False: paid by the tenant's own credential, shown and not charged. */
  readonly billable: boolean
}

export interface Statement {
  readonly tenantId: string
  readonly month: string
  readonly zone: string
  readonly fromMs: number
  readonly untilMs: number
  /** True once the month is over by the store's clock: no call is added any more. One without a price
   * may still be given it by `usage.reprice`; such calls are among `estimatedCalls`. */
  readonly final: boolean
  /** In order of scope, provider and model. */
  readonly lines: readonly StatementLine[]
  /** The same by scope only, billable and not. */
  readonly scopes: readonly (StatementSums & { readonly scope: string | null })[]
  readonly total: StatementSums
  /** The charged total in whole cents: rounded half up, once. Lines are not rounded, so they add up. */
  readonly invoiceUsd: string
}

const statementSchema = z.strictObject({
  tenantId: idSchema,
  month: z
    .string()
    .regex(/^(?:19[7-9]|[2-9]\d\d)\d-(?:0[1-9]|1[0-2])$/, 'expected a month such as 2026-01'),
  zone: zoneSchema.optional(),
})

const MAX_LINES = 10_000

/** @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_NOT_FOUND */
export async function usageStatement(
  storage: Storage,
  defaultZone: string,
  input: StatementInput,
): Promise<Statement> {
  const { tenantId, month, zone = defaultZone } = parse(statementSchema, input)
  if ((await storage.tenants.get(tenantId)) === null) {
    throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
  }
  const [year = 0, number = 0] = month.split('-').map(Number)
  const { startMs, endMs } = periodOf('month', zone, Date.UTC(year, number - 1, 15))
  // Read first: what is settled later than this is of a later moment.
  const { nowMs } = await storage.epoch()
  const totals = await storage.usage.totals({
    tenantId,
    fromMs: startMs,
    untilMs: endMs,
    by: ['scope', 'provider', 'model', 'billable'],
    limit: MAX_LINES + 1,
  })
  if (totals.length > MAX_LINES) throw invalid('month', `it has more than ${MAX_LINES} lines`)
  const total = sumsOf(totals)
  return {
    tenantId,
    month,
    zone,
    fromMs: startMs,
    untilMs: endMs!,
    final: nowMs >= endMs!,
    lines: totals.map(lineOf),
    scopes: [...new Set(totals.map(({ scope }) => scope))].map((scope) =>
      withDecimalJson({ scope, ...sumsOf(totals.filter((t) => t.scope === scope)) }),
    ),
    total: withDecimalJson(total),
    invoiceUsd: inCents(total.chargedNanoUsd),
  }
}

function lineOf(total: UsageTotal): StatementLine {
  const { scope, provider, model, billable } = total
  return withDecimalJson({
    scope,
    provider,
    model,
    billable: billable === 'true',
    ...sumsOf([total]),
  })
}

function sumsOf(totals: readonly UsageTotal[]): StatementSums {
  const count = (of: (total: UsageTotal) => number): number => totals.reduce((n, t) => n + of(t), 0)
  const costNanoUsd = totals.reduce((n, t) => n + t.costNanoUsd, 0n)
  const chargedNanoUsd = totals.reduce((n, t) => n + t.chargedNanoUsd, 0n)
  return {
    calls: count((t) => t.calls),
    estimatedCalls: count((t) => t.estimatedCalls),
    unknownCalls: count((t) => t.unknownCalls),
    inputTokens: count((t) => t.inputTokens),
    outputTokens: count((t) => t.outputTokens),
    costNanoUsd,
    costUsd: formatUsd(costNanoUsd),
    chargedNanoUsd,
    chargedUsd: formatUsd(chargedNanoUsd),
  }
}

const NANO_PER_CENT = NANO_PER_USD / 100n

/** Half a cent becomes a whole one. */
const inCents = (nanoUsd: bigint): string =>
  formatUsd(((nanoUsd + NANO_PER_CENT / 2n) / NANO_PER_CENT) * NANO_PER_CENT)
