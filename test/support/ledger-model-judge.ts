/**
 * What the model of the ledger is made of, and how it decides on a path.
 *
 * @module
 */
import type {
  AccountRef,
  Amounts,
  HoldState,
  LineState,
  Overflow,
  Unit,
  Window,
} from '../../src/storage/ledger-records.ts'

export interface BudgetSetting {
  limit: bigint
  counts: 'all' | 'platform'
  overflow: AccountRef | null
  alerts: readonly number[]
}

export interface ModelBudget extends BudgetSetting {
  readonly serial: number
  readonly tenantId: string
  readonly account: AccountRef
  readonly unit: Unit
  readonly window: Window
  readonly zone: string
  readonly createdAtMs: number
  /** Sliding windows: what was taken, and when. */
  readonly taken: { readonly atMs: number; readonly amount: bigint }[]
  /** Period and percentage last reported. */
  reported: { readonly periodStartMs: number; readonly percent: number }
}

export interface ModelLine {
  readonly budget: ModelBudget
  readonly periodStartMs: number
}

export type Payer = 'tenant' | 'platform'

export interface ModelHold {
  readonly id: string
  readonly tenantId: string
  readonly accounts: readonly AccountRef[]
  readonly paidBy: Payer
  readonly asked: Amounts
  readonly lines: readonly ModelLine[]
  readonly overflows: readonly Overflow[]
  readonly createdAtMs: number
  state: HoldState
  amounts: Amounts
  actual: Amounts
  sequence: number
  expiresAtMs: number
}

/** An answer without `heldUntilMs`, which the port only bounds from below. */
export type Answer = Readonly<Record<string, unknown>>

export interface Question {
  readonly tenantId: string
  readonly accounts: readonly AccountRef[]
  readonly amounts: Amounts
  readonly paidBy: Payer
}

export interface Verdict {
  readonly budgets: readonly ModelBudget[]
  readonly overflows: readonly Overflow[]
  readonly refused: Answer | null
  readonly contended: boolean
}

/** What a decision looks at. */
export interface World {
  readonly nowMs: number
  readonly budgets: readonly ModelBudget[]
  /** Tenant to the ids from its root down to it. */
  readonly paths: Readonly<Record<string, readonly string[]>>
  state(budget: ModelBudget): LineState
  period(budget: ModelBudget): { readonly startMs: number }
  /** What a sliding window counts at a moment. */
  slidingSum(budget: ModelBudget, atMs: number): bigint
}

const LASTING = [
  'TK_REQUEST_TOO_LARGE',
  'TK_BUDGET_EXHAUSTED',
  'TK_RATE_LIMITED',
  'TK_BUDGET_CONTENDED',
]
/** A tenth of each sliding window: as coarse as the port says it is. */
export const TENTH_MS: Partial<Record<Window, number>> = { rate_second: 100, rate_minute: 6000 }

export const of = (amounts: Amounts, unit: Unit): bigint => amounts[unit] ?? 0n
const least = (values: readonly bigint[]): bigint =>
  [...values].sort((a, b) => (a < b ? -1 : 1))[0]!
export const most = (a: bigint, b: bigint): bigint => (a > b ? a : b)
export const keeps = (b: ModelBudget): boolean => b.window !== 'call' && !TENTH_MS[b.window]

export const counts = (b: ModelBudget, paidBy: Payer): boolean =>
  b.counts === 'all' || paidBy === 'platform'

/** The budgets of some accounts: leaf first, then by account, unit and window. */
export function inOrder(
  { budgets }: Pick<World, 'budgets'>,
  accountIds: readonly string[],
): readonly ModelBudget[] {
  const order = ({ account, unit, window }: ModelBudget): string =>
    `${9 - account.depth} ${account.id} ${unit} ${window}`
  return budgets
    .filter((b) => accountIds.includes(b.account.id))
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

/** @param by.hold - the hold that asks for more; `null`: a new one, which pools may take. */
export function judge(
  world: World,
  path: readonly ModelBudget[],
  asked: Amounts,
  by: { readonly hold: ModelHold | null; readonly paidBy: Payer },
): Verdict {
  const lineOf = (b: ModelBudget): LineState => {
    const given = by.hold && b.window === 'call' ? of(by.hold.amounts, b.unit) : null
    return given === null ? world.state(b) : { ...world.state(b), posted: given }
  }
  const room = (b: ModelBudget): bigint => {
    const { limit, posted, held } = lineOf(b)
    return limit - posted - held
  }
  const codeOf = (b: ModelBudget): string | null => {
    const amount = of(asked, b.unit)
    if (amount === 0n || amount <= room(b)) return null
    if (b.window === 'call') return 'TK_REQUEST_TOO_LARGE'
    if (TENTH_MS[b.window]) return 'TK_RATE_LIMITED'
    return lineOf(b).posted + amount > b.limit ? 'TK_BUDGET_EXHAUSTED' : 'TK_BUDGET_CONTENDED'
  }
  const rank = (b: ModelBudget): number => LASTING.indexOf(codeOf(b)!)
  const worst = (all: readonly ModelBudget[]): ModelBudget =>
    all.reduce((a, b) => (rank(b) < rank(a) ? b : a))
  const poolOf = (b: ModelBudget): readonly ModelBudget[] => {
    if (by.hold || !b.overflow || path.some((p) => p.account.id === b.overflow!.id)) return []
    const pool = inOrder(world, [b.overflow.id]).filter(
      (p) => p.unit === b.unit && counts(p, by.paidBy),
    )
    return pool.every((p) => world.paths[b.tenantId]!.includes(p.tenantId)) ? pool : []
  }
  const admits = (b: ModelBudget): boolean => codeOf(b) === null
  const moved = path.filter((b) => !admits(b) && poolOf(b).length > 0 && poolOf(b).every(admits))
  const stuck = path.filter((b) => !admits(b) && !moved.includes(b))
  if (stuck.length === 0) {
    const ids = new Set([...path, ...moved.flatMap(poolOf)].filter((b) => !moved.includes(b)))
    const all = inOrder(
      world,
      world.budgets.map((b) => b.account.id),
    )
    const overflows = moved.map((b) => {
      const { account, unit, window } = b
      const periodStartMs = world.period(b).startMs
      return { from: { accountId: account.id, unit, window, periodStartMs }, to: b.overflow!.id }
    })
    const contended = moved.some((b) => codeOf(b) === 'TK_BUDGET_CONTENDED')
    return { budgets: all.filter((b) => ids.has(b)), overflows, refused: null, contended }
  }
  const inTheWay = stuck.map((b) => {
    const pool = poolOf(b).filter((p) => !admits(p))
    return pool.length > 0 && rank(worst(pool)) > rank(b) ? worst(pool) : b
  })
  const named = worst(inTheWay)
  const code = codeOf(named)
  const rooms = path
    .filter((b) => b.unit === named.unit)
    .map((b) => most(room(b), poolOf(b).length > 0 ? least(poolOf(b).map(room)) : room(b)))
  const denial = {
    ...lineOf(named),
    asked: of(asked, named.unit),
    wouldFit: most(least(rooms), 0n),
    fitsAtMs: code === 'TK_RATE_LIMITED' ? fitsAt(world, inTheWay, asked) : null,
  }
  const contended = code === 'TK_BUDGET_CONTENDED'
  return { budgets: [], overflows: [], refused: { ok: false, code, denial }, contended }
}

/** Looked for tenth by tenth. */
function fitsAt(world: World, refusing: readonly ModelBudget[], asked: Amounts): number | null {
  let latest = world.nowMs
  for (const b of refusing) {
    const tenth = TENTH_MS[b.window]
    if (!tenth) continue
    if (of(asked, b.unit) > b.limit) return null
    let atMs = Math.floor(world.nowMs / tenth) * tenth
    while (world.slidingSum(b, atMs) + of(asked, b.unit) > b.limit) atMs += tenth
    latest = Math.max(latest, atMs)
  }
  return latest
}
