/**
 * `tk.usage`: what was used, straight from the usage rows that the ledger wrote.
 *
 * @module
 */
import * as z from 'zod'
import { formatUsd } from '../budgets/money.ts'
import { withDecimalJson } from '../kernel/decimal-json.ts'
import { idSchema, parse, timeSchema } from '../kernel/validate.ts'
import type { Storage, UsageDimension, UsageTotal } from '../storage/storage.ts'

export interface UsageQueryInput {
  /** Default: all tenants. */
  readonly tenantId?: string | undefined
  /** Settled at or after, in ms since the epoch. */
  readonly fromMs?: number | undefined
  /** Settled before. */
  readonly untilMs?: number | undefined
  /** What to group by; default nothing: one grand total. */
  readonly by?: readonly UsageDimension[] | undefined
}

export type UsageRow = UsageTotal & { readonly costUsd: string }

export interface UsageApi {
  /** Sums of calls, tokens and cost. Sums over all groups equal what the ledger posted. */
  query(input?: UsageQueryInput): Promise<readonly UsageRow[]>
}

const querySchema = z
  .strictObject({
    tenantId: idSchema.nullable().default(null),
    fromMs: timeSchema.nullable().default(null),
    untilMs: timeSchema.nullable().default(null),
    by: z
      .array(z.enum(['tenant', 'key', 'scope', 'provider', 'model']))
      .max(5)
      .default([]),
  })
  .refine(({ fromMs, untilMs }) => fromMs === null || untilMs === null || untilMs > fromMs, {
    path: ['untilMs'],
    error: 'must be after fromMs',
  })

export function usageApi(storage: Storage): UsageApi {
  return {
    query: async (input = {}) => {
      const query = parse(querySchema, input)
      const totals = await storage.usage.totals({ ...query, by: [...new Set(query.by)] })
      return totals.map((total) =>
        withDecimalJson({ ...total, costUsd: formatUsd(total.costNanoUsd) }),
      )
    },
  }
}
