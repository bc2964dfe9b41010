/**
 * `tk.tenants`: the tenant tree, as far as creating and reading it.
 *
 * @module
 */
import * as z from 'zod'
import { actorSchema, idSchema, pageFields, parse } from '../kernel/validate.ts'
import type { CredentialSource, TenantRecord } from '../storage/records.ts'
import type { Page, Storage } from '../storage/storage.ts'

export interface CreateTenant {
  /** 1 to 64 of `A-Z a-z 0-9 _ -`; never changes. */
  readonly id: string
  /** The tenant above it, for example a reseller; default none. Its budgets bind this one too. */
  readonly parentId?: string | null | undefined
  /** Whose provider credentials its calls use; default `tenant`: only its own, else refused. */
  readonly credentials?: CredentialSource | undefined
  /** Who does it, for the audit trail; default `system`. */
  readonly actor?: string | undefined
}

export interface TenantsApi {
  /** @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_EXISTS, TK_TENANT_NOT_FOUND (parent) */
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
  credentials: z.enum(['tenant', 'platform']).default('tenant'),
  actor: actorSchema,
})
const listSchema = z.strictObject({ ...pageFields, parentId: idSchema.nullable().default(null) })

export function tenantsApi(storage: Storage): TenantsApi {
  return {
    create: async (input) => {
      const { actor, ...tenant } = parse(createSchema, input)
      const detail = { credentials: tenant.credentials, parent: tenant.parentId ?? '' }
      const audit = [
        {
          tenantId: tenant.id,
          actor,
          action: 'tenant.create',
          target: `tenant:${tenant.id}`,
          detail,
        },
      ]
      return storage.tenants.create(tenant, { audit })
    },
    get: async (tenantId) => storage.tenants.get(parse(idSchema, tenantId, 'tenantId')),
    list: async (query = {}) => storage.tenants.list(parse(listSchema, query)),
  }
}
