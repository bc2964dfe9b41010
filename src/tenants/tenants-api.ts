/**
 * `tk.tenants`: the tenant tree, as far as creating and reading it.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { actorSchema, idSchema, pageFields, parse } from '../kernel/validate.ts'
import type { CredentialSource, TenantRecord } from '../storage/records.ts'
import type { Page, PlanChange, Storage } from '../storage/storage.ts'

export interface CreateTenant {
  /** 1 to 64 of `A-Z a-z 0-9 _ -`; never changes. */
  readonly id: string
  /** The tenant above it, for example a reseller; default none. Its budgets bind this one too. */
  readonly parentId?: string | null | undefined
  /** Whose provider credentials its calls use; default `tenant`: only its own, else refused. */
  readonly credentials?: CredentialSource | undefined
  /** Plan to start with, whose budgets are made in the same step; `null`: none. Default: the
   * installation's `defaultPlan`, if it has one. */
  readonly plan?: string | null | undefined
  /** Who does it, for the audit trail; default `system`. */
  readonly actor?: string | undefined
}

export interface TenantsApi {
  /** @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_EXISTS, TK_TENANT_NOT_FOUND (parent),
   *   TK_PLAN_UNKNOWN, TK_CONFIG_INVALID (plan) */
  create(input: CreateTenant): Promise<TenantRecord>
  /** @returns `null` when there is none. */
  get(tenantId: string): Promise<TenantRecord | null>
  /** Children of `parentId`, or every tenant; in order of id. */
  list(query?: {
    parentId?: string
    after?: string | null
    limit?: number
  }): Promise<Page<TenantRecord>>
}

const createSchema = z.strictObject({
  id: idSchema,
  parentId: idSchema.nullable().default(null),
  credentials: z.enum(['tenant', 'platform']).optional(),
  plan: z.string().min(1).max(64).nullable().optional(),
  actor: actorSchema,
})
const listSchema = z.strictObject({ ...pageFields, parentId: idSchema.nullable().default(null) })

/** Finds the plan for a name, or the default plan when none is asked for. */
export type ResolvePlan = (name: string | undefined) => Promise<PlanChange | null>

export function tenantsApi(storage: Storage, resolvePlan: ResolvePlan): TenantsApi {
  return {
    create: async (input) => {
      const { actor, plan: name, credentials: asked, ...tenant } = parse(createSchema, input)
      const plan = name === null ? null : await resolvePlan(name)
      const planned = plan?.credentials ?? null
      if (asked !== undefined && planned !== null && asked !== planned) {
        throw new TenantKeysError('TK_INPUT_INVALID', {
          field: 'credentials',
          reason: 'the plan sets another credential source',
        })
      }
      const credentials = planned ?? asked ?? 'tenant'
      const detail = {
        credentials,
        parent: tenant.parentId ?? '',
        ...(plan?.plan ? { plan: `${plan.plan.name}@${plan.plan.version}` } : {}),
      }
      const audit = [
        {
          tenantId: tenant.id,
          actor,
          action: 'tenant.create',
          target: `tenant:${tenant.id}`,
          detail,
        },
      ]
      return storage.tenants.create({ ...tenant, credentials, plan }, { audit })
    },
    get: async (tenantId) => storage.tenants.get(parse(idSchema, tenantId, 'tenantId')),
    list: async (query = {}) => storage.tenants.list(parse(listSchema, query)),
  }
}
