/**
 * `tk.budgets.check`: compares the ledger with itself on a live store, and mends it when asked to.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidv7 } from '../kernel/ids.ts'
import { actorSchema, idSchema, parse } from '../kernel/validate.ts'
import type { Also } from '../storage/also.ts'
import type { LedgerSnapshot, Repair } from '../storage/ledger-entries.ts'
import type { Storage } from '../storage/storage.ts'
import { counterRepairs, type Drift, findDrifts, pairRepairs } from './reconcile.ts'

export interface CheckInput {
  /** This tenant and all below it; default every tenant, one root after the other. */
  readonly tenantId?: string | undefined
  /** Mends what can be mended; default false, which changes nothing. */
  readonly repair?: boolean | undefined
  /** How long after its expiry a hold may wait for a sweep, in ms; default 60,000. */
  readonly graceMs?: number | undefined
  readonly actor?: string | undefined
}

export type BudgetDrift = Drift & {
  /** True when a last look, after the repair, found it gone. */
  readonly repaired: boolean
}

export interface CheckResult {
  /** Nothing is wrong, or nothing any more. */
  readonly ok: boolean
  readonly drifts: readonly BudgetDrift[]
}

const checkSchema = z.strictObject({
  tenantId: idSchema.optional(),
  repair: z.boolean().default(false),
  graceMs: z.int().min(0).max(86_400_000).default(60_000),
  actor: actorSchema,
})

type Check = z.output<typeof checkSchema>

/** @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_NOT_FOUND */
export async function checkBudgets(storage: Storage, input: CheckInput): Promise<CheckResult> {
  const check = parse(checkSchema, input)
  const drifts: BudgetDrift[] = []
  const { tenantId } = check
  // One tree after the other: what is compared is in memory at once.
  for await (const id of tenantId === undefined ? rootIds(storage) : [tenantId]) {
    drifts.push(...(await checkTree(storage, id, check)))
  }
  return { ok: drifts.every((drift) => drift.repaired), drifts }
}

async function* rootIds(storage: Storage): AsyncGenerator<string> {
  let after: string | null = null
  do {
    const page = await storage.tenants.list({ parentId: null, after, limit: 1000 })
    for (const { id, parentId } of page.items) if (parentId === null) yield id
    after = page.next
  } while (after !== null)
}

async function checkTree(
  storage: Storage,
  tenantId: string,
  { repair, graceMs, actor }: Check,
): Promise<BudgetDrift[]> {
  const found = findDrifts(await read(storage, tenantId), graceMs)
  if (!repair || found.length === 0) return found.map((drift) => ({ ...drift, repaired: false }))

  // Counters come last: they are set to what holds and usage rows say once those are right.
  if (found.some((drift) => drift.kind === 'hold_unswept')) {
    while ((await storage.ledger.sweep(64)) > 0);
  }
  await mend(storage, pairRepairs(found), actor)
  await mend(storage, counterRepairs(await read(storage, tenantId)), actor)

  const left = findDrifts(await read(storage, tenantId), graceMs)
  const remaining = new Set(left.map(nameOf))
  const named = new Set(found.map(nameOf))
  return [
    ...found.map((drift) => ({ ...drift, repaired: !remaining.has(nameOf(drift)) })),
    ...left.filter((d) => !named.has(nameOf(d))).map((drift) => ({ ...drift, repaired: false })),
  ]
}

async function read(storage: Storage, tenantId: string): Promise<LedgerSnapshot> {
  const snapshot = await storage.ledger.audit(tenantId)
  if (snapshot) return snapshot
  throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
}

async function mend(storage: Storage, repairs: readonly Repair[], actor: string): Promise<void> {
  for (const repair of repairs) await storage.ledger.repair(repair, noted(repair, actor))
}

/** Each repair is an act of the audit trail and an event. */
function noted(repair: Repair, actor: string): Also {
  const { kind, tenantId } = repair
  const target = repair.kind === 'counter' ? repair.line.accountId : `hold:${repair.holdId}`
  const detail = repair.kind === 'counter' ? counterDetail(repair) : { kind }
  return {
    audit: [{ tenantId, actor, action: 'budget.repair', target, detail }],
    events: [
      {
        id: `repair.${uuidv7()}`,
        kind: 'budget.repaired',
        tenantId,
        payload: { target, ...detail },
      },
    ],
  }
}

function counterDetail({ kind, line, was, becomes }: Repair & { readonly kind: 'counter' }) {
  return {
    kind,
    unit: line.unit,
    window: line.window,
    periodStartMs: String(line.periodStartMs),
    postedBefore: String(was.posted),
    posted: String(becomes.posted),
    heldBefore: String(was.held),
    held: String(becomes.held),
  }
}

function nameOf(drift: Drift): string {
  if ('holdId' in drift) return `${drift.kind} ${drift.holdId}`
  const { accountId, unit, window, periodStartMs } = drift.line
  return `${drift.kind} ${accountId} ${unit} ${window} ${periodStartMs}`
}
