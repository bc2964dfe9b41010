/**
 * `definePlans()`: what each plan of the host's gives a tenant, in code or data. Plans have versions,
 * because a plan becomes rows: editing one changes nobody until `tk.plans.apply()` is called.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { ID_PATTERN } from '../kernel/ids.ts'
import { parse } from '../kernel/validate.ts'
import type { Window } from '../storage/ledger-records.ts'
import type { CredentialSource, PlanRef } from '../storage/records.ts'
import type { PlanBudget, PlanChange } from '../storage/storage.ts'
import { type Limit, parseLimit } from './amounts.ts'
import { ascending, percentsSchema, windowSchema } from './budget-input.ts'
import { isZone } from './windows.ts'

/** A budget that every tenant on the plan gets on its own account; the fields of `tk.budgets.set`. */
export interface PlanBudgetDefinition {
  readonly window: Window
  /** One unit and its limit, for example `{ usd: '20.00' }` or `{ requests: 10_000 }`. */
  readonly limit: Limit
  /** IANA time zone in which periods begin; default the installation's. It cannot change for a
   * tenant that has the budget already. */
  readonly zone?: string | undefined
  /** `platform`: calls that the tenant's own credential pays for are not counted. Default `all`. */
  readonly counts?: 'all' | 'platform' | undefined
  /** Percentages of the limit at which one event each is written per period; 1 to 1000. */
  readonly alerts?: readonly number[] | undefined
}

export interface PlanDefinition {
  /** 1, 2, 3 ...; to be raised with every change of the plan. */
  readonly version: number
  /** At most one for each unit and window; an empty list limits nothing. */
  readonly budgets: readonly PlanBudgetDefinition[]
  /** Whose provider credentials the tenants on this plan use: a pooled free tier says `platform`, a
   * dedicated one `tenant`. Left out: each tenant's setting stays as it is. */
  readonly credentials?: CredentialSource | undefined
}

/** By name: 1 to 64 of `A-Z a-z 0-9 _ -`. */
export type PlanDefinitions = Readonly<Record<string, PlanDefinition>>

/** A plan with its amounts read and its defaults filled in. */
export type Plan = PlanChange & { readonly plan: PlanRef }

const planSchema = z.strictObject({
  version: z.int().min(1),
  budgets: z
    .array(
      z.strictObject({
        window: windowSchema,
        limit: z.unknown(),
        zone: z.string().refine(isZone, 'not a known time zone').optional(),
        counts: z.enum(['all', 'platform']).default('all'),
        alerts: percentsSchema.default([]),
      }),
    )
    .max(64),
  credentials: z.enum(['tenant', 'platform']).optional(),
})
const nameSchema = z.string().regex(ID_PATTERN, 'use 1 to 64 of A-Z, a-z, 0-9, _ and -')
const plansSchema = z.looseObject({})

/**
 * Checks plans before they are used as option `plans`, and gives them back as they are.
 *
 * @throws TenantKeysError TK_CONFIG_INVALID naming for example `plans.pro.budgets[0].limit.usd`.
 */
export function definePlans<P extends PlanDefinitions>(plans: P): P {
  readPlans(plans, { field: 'plans', zone: 'UTC' })
  return plans
}

/**
 * @param field - put before the path of an offending field.
 * @param zone - of budgets that name none.
 * @throws TenantKeysError TK_CONFIG_INVALID
 */
export function readPlans(
  plans: PlanDefinitions,
  { field, zone }: { readonly field: string; readonly zone: string },
): ReadonlyMap<string, Plan> {
  parse(plansSchema, plans, field, 'TK_CONFIG_INVALID')
  // A Map, so that `constructor` and the like are names as any other (T-I7). Of the given object:
  // the copy lacks a key named `__proto__`, which is a name too.
  return new Map(
    Object.entries(plans).map(([name, given]) => {
      parse(nameSchema, name, `${field}.${name}`, 'TK_CONFIG_INVALID')
      return [name, readPlan(name, given, { field: `${field}.${name}`, zone })]
    }),
  )
}

function readPlan(
  name: string,
  given: PlanDefinition,
  { field, zone }: { readonly field: string; readonly zone: string },
): Plan {
  const read = parse(planSchema, given, field, 'TK_CONFIG_INVALID')
  const budgets = read.budgets.map((budget, i): PlanBudget => {
    const { unit, amount: limit } = readLimit(budget.limit, `${field}.budgets[${i}].limit`)
    const { window, counts, alerts } = budget
    return { unit, window, zone: budget.zone ?? zone, limit, counts, alerts: ascending(alerts) }
  })
  for (const [i, { unit, window }] of budgets.entries()) {
    const first = budgets.findIndex((other) => other.unit === unit && other.window === window)
    if (first !== i) {
      throw invalid(`${field}.budgets[${i}]`, 'this unit has a limit in this window already')
    }
  }
  return { plan: { name, version: read.version }, budgets, credentials: read.credentials ?? null }
}

/** An amount of the configuration: the same rules as elsewhere, under the code of an option. */
function readLimit(limit: unknown, field: string): ReturnType<typeof parseLimit> {
  try {
    return parseLimit(limit, field)
  } catch (error) {
    if (!TenantKeysError.isInstance(error)) throw error
    throw new TenantKeysError('TK_CONFIG_INVALID', error.details)
  }
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_CONFIG_INVALID', { field, reason })
