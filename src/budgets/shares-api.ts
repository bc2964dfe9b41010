/**
 * `tk.budgets.rebalance`: divides a tenant's limit anew among those below it.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { actorSchema, idSchema, parse } from '../kernel/validate.ts'
import type { NewAudit } from '../storage/also.ts'
import type { LineState, Unit, Window } from '../storage/ledger-records.ts'
import type { BudgetKey, NewLimit, Storage } from '../storage/storage.ts'
import { formatAmount, type Limit, parseLimit } from './amounts.ts'
import { accountSchema, budgetKey, windowSchema } from './budget-input.ts'
import type { BudgetAccount } from './budgets-api.ts'
import { positive } from './ledger-lines.ts'
import { shares } from './shares.ts'

export interface RebalanceBudgets {
  /** The tenant whose limit is divided. */
  readonly parent: { readonly tenantId: string }
  /** The window of all budgets concerned. */
  readonly window: Window
  /** Their unit; default `usd`. */
  readonly unit?: Unit | undefined
  /** Tenants below the parent, their keys and its own; each must have such a budget already. */
  readonly members: readonly {
    readonly account: BudgetAccount
    /** What it gets in any case, for example `{ usd: '1.00' }`. What it has used and holds is
     * guaranteed too, so that nobody is stopped by a new division. */
    readonly guaranteed: Limit
    /** The rest is divided in proportion to this: whole numbers of whatever the host values. */
    readonly observedValue: number | bigint
  }[]
  /** The most that one of them gets; default the parent's limit. */
  readonly max?: Limit | undefined
  /** True computes and changes nothing; default false. */
  readonly dryRun?: boolean | undefined
  readonly actor?: string | undefined
}

export interface Rebalanced {
  readonly unit: Unit
  readonly window: Window
  /** The parent's limit, which is the sum of the limits below. Text is in the unit. */
  readonly total: string
  readonly applied: boolean
  /** In the order of the input. */
  readonly members: readonly {
    readonly account: BudgetAccount
    readonly before: string
    readonly limit: string
    readonly limitAmount: bigint
  }[]
}

export interface SharesApi {
  /**
   * Gives each member what is guaranteed to it and its share of the rest of the parent's limit. All
   * limits change in one step, or none does; they are explicit from then on, so plans leave them alone.
   *
   * @throws TenantKeysError TK_INPUT_INVALID; TK_BUDGET_NOT_FOUND when one has no such budget;
   *   TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND; TK_STORE_CONFLICT when calls kept changing the sums.
   */
  rebalance(input: RebalanceBudgets): Promise<Rebalanced>
}

const rebalanceSchema = z.strictObject({
  parent: z.strictObject({ tenantId: idSchema }),
  window: windowSchema,
  unit: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,31}$/, 'use 1 to 32 of a-z, 0-9 and _')
    .default('usd'),
  members: z
    .array(
      z.strictObject({
        account: accountSchema,
        guaranteed: z.unknown(),
        observedValue: z.union([z.int().min(0), z.bigint().min(0n)]),
      }),
    )
    .min(1)
    .max(1000),
  max: z.unknown().optional(),
  dryRun: z.boolean().default(false),
  actor: actorSchema,
})

/** How often the division is made anew because calls have changed the sums meanwhile. */
const ATTEMPTS = 5

export function sharesApi(storage: Storage): SharesApi {
  return {
    rebalance: async (given) => {
      const input = parse(rebalanceSchema, given)
      const amount = (limit: unknown, field: string): bigint => amountIn(input.unit, limit, field)
      const wanted: Wanted = {
        ...input,
        members: input.members.map((member, i) => ({
          ...member,
          guaranteed: amount(member.guaranteed, `members[${i}].guaranteed`),
        })),
        max: input.max === undefined ? undefined : amount(input.max, 'max'),
      }
      for (let attempt = 1; ; attempt++) {
        const division = await divide(storage, wanted)
        if (input.dryRun) return report(wanted, division)
        try {
          const limits = division.members.map(({ after }) => after)
          await storage.ledger.setLimits(limits, { audit: auditOf(wanted, division) })
          return report(wanted, division)
        } catch (error) {
          const isStale = TenantKeysError.isInstance(error) && error.code === 'TK_STORE_CONFLICT'
          if (!isStale || attempt === ATTEMPTS) throw error
        }
      }
    },
  }
}

type Input = z.output<typeof rebalanceSchema>
type Wanted = Omit<Input, 'members' | 'max'> & {
  readonly members: readonly (Input['members'][number] & { readonly guaranteed: bigint })[]
  readonly max: bigint | undefined
}

interface Division {
  readonly total: bigint
  readonly members: readonly {
    readonly account: BudgetAccount
    readonly before: bigint
    readonly after: NewLimit
  }[]
}

async function divide(storage: Storage, wanted: Wanted): Promise<Division> {
  const { parent, window, unit } = wanted
  const { line } = await find(storage, { account: parent, window, unit })
  const total = line.limit
  const found = await Promise.all(
    wanted.members.map(async ({ account, guaranteed, observedValue }, i) => {
      await checkBelow(storage, parent.tenantId, account, `members[${i}].account`)
      const { key, line } = await find(storage, { account, window, unit })
      const floor = guaranteed + positive(line.posted + line.held - guaranteed)
      return { account, key, before: line.limit, floor, observedValue }
    }),
  )
  if (found.reduce((all, { floor }) => all + floor, 0n) > total) {
    throw invalid('members', 'what is guaranteed and used is more than the limit of the parent')
  }
  const parts = shares({
    totalNanoUsd: total,
    maxNanoUsd: wanted.max,
    members: found.map(({ key, floor, observedValue }) => ({
      id: key.account.id,
      guaranteed: floor,
      weight: observedValue,
    })),
  })
  const members = found.map(({ account, key, before }) => {
    return { account, before, after: { ...key, limit: parts.get(key.account.id)! } }
  })
  return { total, members }
}

/** @throws TenantKeysError TK_BUDGET_NOT_FOUND, TK_TENANT_NOT_FOUND, TK_KEY_NOT_FOUND */
async function find(
  storage: Storage,
  at: { readonly account: BudgetAccount; readonly window: Window; readonly unit: Unit },
): Promise<{ readonly key: BudgetKey; readonly line: LineState }> {
  const { account, window, unit } = at
  const key = await budgetKey(storage, account, { window, unit })
  const lines = await storage.ledger.budgets(account.tenantId)
  const line = lines.find(
    (l) => l.accountId === key.account.id && l.window === window && l.unit === unit,
  )
  if (!line) throw new TenantKeysError('TK_BUDGET_NOT_FOUND', { tenantId: account.tenantId })
  return { key, line }
}

async function checkBelow(
  storage: Storage,
  parentId: string,
  { tenantId, keyId }: BudgetAccount,
  field: string,
): Promise<void> {
  const tenant = await storage.tenants.get(tenantId)
  const isBelow = tenant?.path.includes(parentId) && (tenantId !== parentId || keyId !== undefined)
  if (tenant && !isBelow) throw invalid(field, 'it must lie below the parent')
}

function auditOf({ actor, window, unit }: Wanted, { members }: Division): readonly NewAudit[] {
  return members.map(({ before, after: { tenantId, account, limit } }) => ({
    tenantId,
    actor,
    action: 'budget.rebalance',
    target: account.id,
    detail: { window, unit, before: formatAmount(unit, before), limit: formatAmount(unit, limit) },
  }))
}

function report({ window, unit, dryRun }: Wanted, { total, members }: Division): Rebalanced {
  return {
    unit,
    window,
    total: formatAmount(unit, total),
    applied: !dryRun,
    members: members.map(({ account, before, after }) => ({
      account,
      before: formatAmount(unit, before),
      limit: formatAmount(unit, after.limit),
      limitAmount: after.limit,
    })),
  }
}

function amountIn(unit: Unit, limit: unknown, field: string): bigint {
  const read = parseLimit(limit, field)
  if (read.unit !== unit) throw invalid(field, 'expected an amount in the unit of the budgets')
  return read.amount
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason })
