/**
 * The plans of one installation: finding one by name, and holding each version to what it was when it
 * was first given to a tenant.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Storage } from '../storage/storage.ts'
import { planSource } from './plan-rows.ts'
import type { Plan } from './plans.ts'

export interface PlanBookOptions {
  readonly storage: Pick<Storage, 'pin'>
  readonly plans: ReadonlyMap<string, Plan>
  /** Takes the place of a name that is not known; `null`: such a name is an error. */
  readonly defaultPlan: string | null
}

export class PlanBook {
  readonly #options: PlanBookOptions
  /** Versions that were compared with what the store remembers. */
  readonly #confirmed = new Set<Plan>()

  constructor(options: PlanBookOptions) {
    this.#options = options
  }

  all(): readonly Plan[] {
    return [...this.#options.plans.values()]
  }

  installed(name: string): Plan | null {
    return this.#options.plans.get(name) ?? null
  }

  /**
   * The plan to put a tenant on.
   *
   * @param name - `undefined`: none was asked for, which is the default plan, if there is one.
   * @throws TenantKeysError TK_PLAN_UNKNOWN when neither it nor a default plan is known;
   *   TK_CONFIG_INVALID when its content is not what this version was before.
   */
  async resolve(name: string | undefined): Promise<Plan | null> {
    const { defaultPlan } = this.#options
    const plan = this.installed(name ?? '') ?? this.installed(defaultPlan ?? '')
    if (plan === null) {
      if (name === undefined) return null
      throw new TenantKeysError('TK_PLAN_UNKNOWN', { field: 'plan' })
    }
    await this.confirm(plan)
    return plan
  }

  /** Two processes, or two releases, must not mean different things by `pro@3`: nobody could tell
   * from the rows who has which. @throws TenantKeysError TK_CONFIG_INVALID */
  async confirm(plan: Plan): Promise<void> {
    if (this.#confirmed.has(plan)) return
    const text = contentOf(plan)
    if ((await this.#options.storage.pin(planSource(plan.plan), text)) !== text) {
      throw new TenantKeysError('TK_CONFIG_INVALID', {
        field: `options.plans.${plan.plan.name}.version`,
        reason: 'tenants were given this version with other content',
        hint: 'raise the version whenever the plan changes',
      })
    }
    this.#confirmed.add(plan)
  }
}

/** The same text for the same content, in whatever order it was written. */
function contentOf({ budgets, credentials }: Plan): string {
  const rows = budgets
    .map(({ unit, window, zone, limit, counts, alerts }) =>
      JSON.stringify([unit, window, zone, String(limit), counts, alerts]),
    )
    .sort()
  return `${credentials ?? 'as it is'} ${rows.join(' ')}`
}
