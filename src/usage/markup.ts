/**
 * What the host adds to the cost of a call when it bills the tenant (S4.42, S4.43).
 *
 * @module
 */
import * as z from 'zod'
import { idSchema, parse } from '../kernel/validate.ts'
import { ratioSchema } from './host-price.ts'
import { ONE, type Ratio } from './rate.ts'

/**
 * One rule. A tenant's own wins over its plan's, a plan's over the one that names neither; without any
 * the tenant is billed the cost.
 */
export interface Markup {
  /** Shown on usage rows; 1 to 64 letters, digits, `. _ -`. */
  readonly id: string
  /** Shown beside it; change it with the ratio. Default `unversioned`. */
  readonly version?: string | undefined
  /** Whole numbers from 1 to 1,000,000: `[3, 2]` is 50 % on top, `[1055, 1000]` 5.5 %. */
  readonly ratio: Ratio
  readonly tenantId?: string | undefined
  /** The name of a plan, in whatever version. */
  readonly plan?: string | undefined
}

/** The rule that holds for a tenant; `id` is what its price ids end with, `null` without a rule. */
export interface AppliedMarkup {
  readonly id: string | null
  readonly ratio: Ratio
}

export interface MarkupBook {
  of(tenant: { readonly id: string; readonly plan: string | null }): AppliedMarkup
}

const nameSchema = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/)

const schema = z
  .array(
    z
      .strictObject({
        id: nameSchema,
        version: nameSchema.default('unversioned'),
        ratio: ratioSchema,
        tenantId: idSchema.optional(),
        plan: z.string().min(1).max(64).optional(),
      })
      .refine(({ tenantId, plan }) => tenantId === undefined || plan === undefined, {
        path: ['plan'],
        error: 'expected a tenant or a plan, not both',
      }),
  )
  .max(10_000)

const NONE: AppliedMarkup = { id: null, ratio: ONE }

/** @throws TenantKeysError TK_CONFIG_INVALID naming the field: also two rules for the same tenants. */
export function readMarkups(markups: readonly Markup[] | undefined): MarkupBook {
  const rules = new Map<string, AppliedMarkup>()
  const unique = schema.superRefine((list, context) => {
    const seen = new Set<string>()
    list.forEach((rule, i) => {
      const message = 'there is a markup for the same tenants already'
      if (seen.has(keyOf(rule))) context.addIssue({ code: 'custom', path: [i], message })
      seen.add(keyOf(rule))
    })
  })
  for (const rule of parse(unique, markups ?? [], 'options.markups', 'TK_CONFIG_INVALID')) {
    rules.set(keyOf(rule), { id: `${rule.id}@${rule.version}`, ratio: rule.ratio })
  }
  return {
    of: ({ id, plan }) =>
      rules.get(keyOf({ tenantId: id })) ??
      (plan === null ? undefined : rules.get(keyOf({ plan }))) ??
      rules.get(keyOf({})) ??
      NONE,
  }
}

const keyOf = ({ tenantId, plan }: Pick<Markup, 'tenantId' | 'plan'>): string =>
  tenantId !== undefined ? `tenant:${tenantId}` : plan !== undefined ? `plan:${plan}` : ''
