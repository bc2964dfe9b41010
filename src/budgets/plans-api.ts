/**
 * `tk.plans`: puts tenants on plans, and moves them to the present version of a plan.
 *
 * @module
 */
import * as z from 'zod'
import { type ErrorCode, TenantKeysError } from '../kernel/errors.ts'
import { actorSchema, idSchema, pageFields, parse } from '../kernel/validate.ts'
import type { CredentialSource, PlanRef, TenantRecord } from '../storage/records.ts'
import type { Storage } from '../storage/storage.ts'
import { formatAmount } from './amounts.ts'
import { isOlder } from './plan-rows.ts'
import type { Plan } from './plans.ts'
import type { PlanBook } from './plans-book.ts'

export interface AssignPlan {
  readonly tenantId: string
  /** Name of a plan of `options.plans`; `null`: of no plan, which removes what the plan had made. */
  readonly plan: string | null
  /** Who does it, for the audit trail; default `system`. */
  readonly actor?: string | undefined
}

export interface ApplyPlan {
  readonly plan: string
  /** How many tenants to look at; 1 to 1000, default 100. */
  readonly limit?: number | undefined
  /** `next` of the call before; default from the start. */
  readonly after?: string | null | undefined
  readonly actor?: string | undefined
}

/** What one call of `apply` did. */
export interface PlanApplication {
  /** Tenants that had an older version and have the present one now. */
  readonly moved: number
  /** Tenants that had the present version, or a later one of another release, or left meanwhile. */
  readonly unchanged: number
  /** Tenants that could not be moved and have what they had, for example because a budget of theirs
   * would change its zone. */
  readonly refused: readonly { readonly tenantId: string; readonly code: ErrorCode }[]
  /** Cursor of the next call; `null`: all tenants were looked at. */
  readonly next: string | null
}

/** The plan a tenant is on. */
export interface TenantPlan extends PlanRef {
  readonly tenantId: string
  /** Version in the options of this process; `null`: it has no such plan. */
  readonly installedVersion: number | null
  /** True when `apply` would move the tenant. */
  readonly newerInstalled: boolean
}

export interface AssignedPlan extends TenantPlan {
  /** True when the name was not known and the default plan took its place. */
  readonly defaulted: boolean
}

/** A plan as the options of this process have it. */
export interface PlanInfo extends PlanRef {
  /** `null`: each tenant's setting stays as it is. */
  readonly credentials: CredentialSource | null
  readonly budgets: readonly {
    readonly window: string
    readonly unit: string
    /** US dollars for `usd`, whole numbers otherwise. */
    readonly limit: string
    readonly zone: string
  }[]
}

export interface PlansApi {
  /**
   * Puts a tenant on the present version of a plan, with all budgets in one step. Budgets that the
   * old plan had too keep what is used and held; one that was `set` by itself is left alone.
   *
   * @returns `null` when the tenant was taken off its plan.
   * @throws TenantKeysError TK_PLAN_UNKNOWN, TK_TENANT_NOT_FOUND, TK_INPUT_INVALID,
   *   TK_CONFIG_INVALID when this version of the plan was another before.
   */
  assign(input: AssignPlan): Promise<AssignedPlan | null>
  /**
   * Moves tenants from older versions of a plan to the present one, a page at a time. Safe to repeat
   * and to stop anywhere: a tenant is moved once, in one step. Never to an earlier version.
   *
   * @throws TenantKeysError TK_PLAN_UNKNOWN, TK_INPUT_INVALID, TK_CONFIG_INVALID as `assign`
   */
  apply(input: ApplyPlan): Promise<PlanApplication>
  /** The plans of this process, in the order of the options. */
  list(): Promise<readonly PlanInfo[]>
  /** @returns `null` when the tenant is on no plan. @throws TenantKeysError TK_TENANT_NOT_FOUND */
  of(tenantId: string): Promise<TenantPlan | null>
}

/** A name that is not known is told as such, also when no plan could be called so. */
const planNameSchema: z.ZodString = z.string().min(1).max(64)
const assignSchema = z.strictObject({
  tenantId: idSchema,
  plan: planNameSchema.nullable(),
  actor: actorSchema,
})
const applySchema = z.strictObject({ plan: planNameSchema, ...pageFields, actor: actorSchema })

export function plansApi(storage: Storage, book: PlanBook): PlansApi {
  const describe = ({ id, plan }: TenantRecord): TenantPlan | null => {
    if (plan === null) return null
    const installed = book.installed(plan.name)?.plan ?? null
    return {
      tenantId: id,
      ...plan,
      installedVersion: installed?.version ?? null,
      newerInstalled: isOlder(plan, installed),
    }
  }
  return {
    assign: async (input) => {
      const { tenantId, plan: name, actor } = parse(assignSchema, input)
      const plan = name === null ? null : await book.resolve(name)
      const change = plan ?? { plan: null, budgets: [], credentials: null }
      const defaulted = plan !== null && plan.plan.name !== name
      const detail = { ...detailOf(plan), ...(defaulted ? { defaulted: 'true' } : {}) }
      const audit = [
        { tenantId, actor, action: 'plan.assign', target: `tenant:${tenantId}`, detail },
      ]
      const tenant = await storage.tenants.setPlan(
        { tenantId, onlyIfOlder: false, ...change },
        { audit },
      )
      const described = tenant && describe(tenant)
      return described && { ...described, defaulted }
    },
    apply: async (input) => {
      const { plan: name, after, limit, actor } = parse(applySchema, input)
      const plan = book.installed(name)
      if (plan === null) throw new TenantKeysError('TK_PLAN_UNKNOWN', { field: 'plan' })
      await book.confirm(plan)
      const page = await storage.tenants.listByPlan({ plan: name, after, limit })
      const outcomes: { tenantId: string; outcome: Outcome }[] = []
      for (const tenant of page.items) {
        const outcome = await move(storage, tenant, plan, actor)
        outcomes.push({ tenantId: tenant.id, outcome })
      }
      const count = (wanted: Outcome): number =>
        outcomes.filter(({ outcome }) => outcome === wanted).length
      return {
        moved: count('moved'),
        unchanged: count('unchanged'),
        refused: outcomes.flatMap(({ tenantId, outcome: code }) =>
          code === 'moved' || code === 'unchanged' ? [] : [{ tenantId, code }],
        ),
        next: page.next,
      }
    },
    list: async () => book.all().map(infoOf),
    of: async (tenantId) => {
      const tenant = await storage.tenants.get(parse(idSchema, tenantId, 'tenantId'))
      if (!tenant) throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
      return describe(tenant)
    },
  }
}

type Outcome = 'moved' | 'unchanged' | ErrorCode

async function move(
  storage: Storage,
  { id: tenantId, plan: before }: TenantRecord,
  plan: Plan,
  actor: string,
): Promise<Outcome> {
  if (!isOlder(before, plan.plan)) return 'unchanged'
  const audit = [
    {
      tenantId,
      actor,
      action: 'plan.apply',
      target: `tenant:${tenantId}`,
      detail: { ...detailOf(plan), before: String(before?.version) },
    },
  ]
  try {
    const change = { tenantId, onlyIfOlder: true, ...plan }
    return (await storage.tenants.setPlan(change, { audit })) ? 'moved' : 'unchanged'
  } catch (error) {
    // A matter of this tenant alone; whatever the store suffers from concerns them all.
    if (TenantKeysError.isInstance(error) && error.code === 'TK_INPUT_INVALID') return error.code
    throw error
  }
}

const detailOf = (plan: Plan | null): Record<string, string> =>
  plan === null
    ? { plan: '' }
    : {
        plan: plan.plan.name,
        version: String(plan.plan.version),
        credentials: plan.credentials ?? '',
      }

const infoOf = ({ plan, credentials, budgets }: Plan): PlanInfo => ({
  ...plan,
  credentials,
  budgets: budgets.map(({ window, unit, limit, zone }) => ({
    window,
    unit,
    limit: formatAmount(unit, limit),
    zone,
  })),
})
