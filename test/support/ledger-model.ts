/**
 * The ledger as its rules are told, not as they are built: no counters, no sub-buckets, no history.
 * What a budget has posted and held is summed over all holds whenever somebody asks.
 *
 * @module
 */
import { periodOf } from '../../src/budgets/windows.ts'
import type {
  Amounts,
  HoldState,
  LineState,
  Overflow,
  Unit,
  Window,
} from '../../src/storage/ledger-records.ts'
import {
  type Answer,
  type BudgetSetting,
  counts,
  inOrder,
  judge,
  keeps,
  type ModelBudget,
  type ModelHold,
  type ModelLine,
  most,
  of,
  type Question,
  TENTH_MS,
  type Verdict,
  type World,
} from './ledger-model-judge.ts'

export type { BudgetSetting, Question } from './ledger-model-judge.ts'

const MISMATCH = { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' } as const
const NOT_FOUND = { ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND' } as const
const same = (a: Amounts, b: Amounts): boolean =>
  Object.keys({ ...a, ...b }).every((unit) => of(a, unit) === of(b, unit))
export class LedgerModel implements World {
  nowMs = 0
  readonly budgets: ModelBudget[] = []
  readonly holds: ModelHold[] = []
  readonly events: string[] = []
  readonly paths: Readonly<Record<string, readonly string[]>>
  #serial = 0

  /** @param paths - tenant to the ids from its root down to it. */
  constructor(paths: Readonly<Record<string, readonly string[]>>) {
    this.paths = paths
  }

  setBudget(
    key: Pick<ModelBudget, 'tenantId' | 'account' | 'unit' | 'window' | 'zone'>,
    setting: BudgetSetting,
  ): void {
    const known = this.#find(key.account.id, key.unit, key.window)
    if (known) {
      Object.assign(known, setting)
      this.#alert(known)
      return
    }
    const fresh = { taken: [], reported: { periodStartMs: 0, percent: 0 } }
    const serial = this.#serial++
    this.budgets.push({ ...key, ...setting, ...fresh, serial, createdAtMs: this.nowMs })
  }

  removeBudget(accountId: string, unit: Unit, window: Window): boolean {
    const known = this.#find(accountId, unit, window)
    if (known) this.budgets.splice(this.budgets.indexOf(known), 1)
    return known !== undefined
  }

  reserve(id: string, asked: Question, ttlMs: number): Answer {
    const known = this.holds.find((h) => h.id === id)
    if (known) {
      const repeats =
        known.tenantId === asked.tenantId &&
        known.paidBy === asked.paidBy &&
        same(known.asked, asked.amounts) &&
        JSON.stringify(known.accounts) === JSON.stringify(asked.accounts)
      if (!repeats) return { ...MISMATCH, denial: null }
      const { expiresAtMs, overflows } = known
      const lines = this.#path(this.#accountsOf(known))
        .filter((b) => (keeps(b) ? this.#isOn(known, b) : this.#charges(known, b)))
        .map((b) => this.state(b))
      return { ok: true, holdId: id, expiresAtMs, lines, overflows, replayed: true }
    }
    const { refused, budgets, overflows } = this.#decide(asked)
    if (refused) return refused
    const expiresAtMs = this.nowMs + ttlMs
    for (const b of budgets) this.#take(b, of(asked.amounts, b.unit))
    this.holds.push({
      ...{ ...asked, id, overflows, expiresAtMs, createdAtMs: this.nowMs },
      lines: budgets.filter(keeps).map((budget) => this.#lineOf(budget)),
      ...{ asked: asked.amounts, state: 'held', actual: {}, sequence: 0 },
    })
    for (const { from, to } of overflows) {
      const amount = of(asked.amounts, from.unit)
      this.events.push(
        `overflow ${id} ${from.accountId} ${from.unit} ${from.window} ${to} ${amount}`,
      )
    }
    const lines = budgets.map((b) => this.state(b))
    return { ok: true, holdId: id, expiresAtMs, lines, overflows, replayed: false }
  }

  preview(asked: Question): Answer {
    // Whether a preview sweeps is the store's choice: look at the world as after one.
    const before = this.holds.map((h) => h.state)
    const events = this.events.length
    const { refused, budgets, overflows } = this.#decide(asked)
    const lines = budgets.map((b) => this.state(b))
    const expiresAtMs = this.nowMs
    const answer = refused ?? {
      ...{ ok: true, holdId: '', expiresAtMs, lines, overflows, replayed: false },
    }
    for (const [n, state] of before.entries()) this.holds[n]!.state = state
    this.events.length = events
    return answer
  }

  extend(id: string, tenantId: string, sequence: number, totals: Amounts, ttlMs: number): Answer {
    const hold = this.#own(id, tenantId)
    if (!hold) return { ...NOT_FOUND, denial: null }
    const { expiresAtMs } = hold
    if (sequence === hold.sequence && same(totals, hold.amounts)) return { ok: true, expiresAtMs }
    if (hold.state !== 'held' || expiresAtMs <= this.nowMs) {
      return { ok: false, code: 'TK_BUDGET_HOLD_LOST', denial: null }
    }
    const units = Object.keys({ ...totals, ...hold.amounts })
    const more = Object.fromEntries(units.map((u) => [u, of(totals, u) - of(hold.amounts, u)]))
    const shrinks = Object.values(more).some((amount) => amount < 0n)
    if (sequence <= hold.sequence || shrinks) return { ...MISMATCH, denial: null }
    const charged = (): readonly ModelBudget[] =>
      this.#path(this.#accountsOf(hold)).filter((b) => this.#charges(hold, b))
    const { refused } = this.#swept(() =>
      judge(this, charged(), more, { hold, paidBy: hold.paidBy }),
    )
    if (refused) return refused
    for (const b of charged()) this.#take(b, of(more, b.unit))
    hold.amounts = totals
    hold.sequence = sequence
    hold.expiresAtMs = Math.max(expiresAtMs, this.nowMs + ttlMs)
    return { ok: true, expiresAtMs: hold.expiresAtMs }
  }

  settle(id: string, tenantId: string, actual: Amounts): Answer {
    const hold = this.#own(id, tenantId)
    if (!hold) return NOT_FOUND
    const replayed = hold.state === 'posted' || hold.state === 'late_posted'
    if (hold.state === 'voided' || (replayed && !same(hold.actual, actual))) return MISMATCH
    if (!replayed) {
      const late = hold.state === 'expired' || hold.expiresAtMs <= this.nowMs
      hold.state = late ? 'late_posted' : 'posted'
      hold.actual = actual
      this.events.push(id)
      const touched = hold.lines.filter((l) => this.#isRunning(l) && of(actual, l.budget.unit) > 0n)
      for (const { budget } of touched) this.#alert(budget)
    }
    const overage = Object.fromEntries(
      Object.keys(hold.actual).map((u) => [u, most(of(hold.actual, u) - of(hold.amounts, u), 0n)]),
    )
    const lines = this.#path(this.#accountsOf(hold))
      .filter((b) => this.#isOn(hold, b))
      .map((b) => this.state(b))
    return { ok: true, state: hold.state, lines, overage, replayed }
  }

  void(id: string, tenantId: string): Answer {
    const hold = this.#own(id, tenantId)
    if (!hold) return NOT_FOUND
    if (hold.state === 'posted' || hold.state === 'late_posted') return MISMATCH
    const replayed = hold.state === 'voided'
    hold.state = 'voided'
    return { ok: true, replayed }
  }

  sweep(limit: number): number {
    const due = this.holds
      .filter((h) => h.state === 'held' && h.expiresAtMs <= this.nowMs)
      .sort((a, b) => a.expiresAtMs - b.expiresAtMs || (a.id < b.id ? -1 : 1))
      .slice(0, limit)
    for (const hold of due) {
      hold.state = 'expired'
      this.events.push(`${hold.id}.expired`)
    }
    return due.length
  }

  state(budget: ModelBudget): LineState {
    const { account, unit, window, limit } = budget
    const mine = this.holds.filter((h) => this.#lineIn(h, budget))
    const sum = (states: readonly HoldState[], value: (h: ModelHold) => Amounts): bigint =>
      mine.filter((h) => states.includes(h.state)).reduce((a, h) => a + of(value(h), unit), 0n)
    const posted = window === 'concurrent' ? 0n : sum(['posted', 'late_posted'], (h) => h.actual)
    const used = posted + this.slidingSum(budget, this.nowMs)
    const held = sum(['held'], (h) => h.amounts)
    const resetsAtMs = this.period(budget).endMs
    return { accountId: account.id, unit, window, limit, posted: used, held, resetsAtMs }
  }

  /** When the last hold that holds something ends; what `heldUntilMs` must not be earlier than. */
  latestEnd(accountId: string, unit: Unit, window: Window): number {
    const budget = this.#find(accountId, unit, window)
    const live = this.holds.filter(
      (h) => h.state === 'held' && of(h.amounts, unit) > 0n && budget && this.#lineIn(h, budget),
    )
    return Math.max(0, ...live.map((h) => h.expiresAtMs))
  }

  #own(id: string, tenantId: string): ModelHold | undefined {
    return this.holds.find((h) => h.id === id && h.tenantId === tenantId)
  }

  #find(accountId: string, unit: Unit, window: Window): ModelBudget | undefined {
    return this.budgets.find(
      (b) => b.account.id === accountId && b.unit === unit && b.window === window,
    )
  }

  period(budget: ModelBudget): { startMs: number; endMs: number | null } {
    return periodOf(budget.window, budget.zone, this.nowMs)
  }

  #lineOf(budget: ModelBudget): ModelLine {
    return { budget, periodStartMs: this.period(budget).startMs }
  }

  #isRunning({ budget, periodStartMs }: ModelLine): boolean {
    return this.budgets.includes(budget) && periodStartMs === this.period(budget).startMs
  }

  /** The hold's line on this very budget, in the running period. */
  #lineIn(hold: ModelHold, budget: ModelBudget): boolean {
    return hold.lines.some((l) => l.budget === budget && this.#isRunning(l))
  }

  /** True when the hold was charged to a budget of that name, whichever it was. */
  #isOn(hold: ModelHold, { account, unit, window }: ModelBudget): boolean {
    return hold.lines.some(
      ({ budget: b }) => b.account.id === account.id && b.unit === unit && b.window === window,
    )
  }

  /** Whether an extension asks this budget. */
  #charges(hold: ModelHold, b: ModelBudget): boolean {
    if (b.createdAtMs > hold.createdAtMs) return false
    if (keeps(b)) return this.#lineIn(hold, b)
    const isFrom = ({ from }: Overflow): boolean =>
      from.accountId === b.account.id && from.unit === b.unit && from.window === b.window
    if (!counts(b, hold.paidBy) || hold.overflows.some(isFrom)) return false
    return (
      hold.accounts.some((a) => a.id === b.account.id) ||
      hold.overflows.some((o) => o.to === b.account.id && o.from.unit === b.unit)
    )
  }

  #accountsOf({ accounts, overflows }: ModelHold): readonly string[] {
    return [...accounts.map((a) => a.id), ...overflows.map((o) => o.to)]
  }

  #path(accountIds: readonly string[]): readonly ModelBudget[] {
    return inOrder(this, accountIds)
  }

  #take(b: ModelBudget, amount: bigint): void {
    if (TENTH_MS[b.window]) b.taken.push({ atMs: this.nowMs, amount })
  }

  /** What counts at a moment: the running tenth and the ten before it. */
  slidingSum(b: ModelBudget, atMs: number): bigint {
    const tenth = TENTH_MS[b.window]
    if (!tenth) return 0n
    const first = Math.floor(atMs / tenth) - 10
    const counted = b.taken.filter((t) => Math.floor(t.atMs / tenth) >= first)
    return counted.reduce((sum, t) => sum + t.amount, 0n)
  }

  #alert(b: ModelBudget): void {
    const periodStartMs = this.period(b).startMs
    const { limit, posted, resetsAtMs } = this.state(b)
    const before = b.reported.periodStartMs === periodStartMs ? b.reported.percent : 0
    if (posted === 0n || TENTH_MS[b.window]) return
    for (const percent of b.alerts.filter(
      (p) => p > before && posted * 100n >= limit * BigInt(p),
    )) {
      b.reported = { periodStartMs, percent }
      const elapsed = BigInt(this.nowMs - Math.max(periodStartMs, b.createdAtMs))
      const atMs = this.nowMs + Number(((limit - posted) * elapsed) / posted)
      const isBefore = elapsed > 0n && (resetsAtMs === null || atMs < resetsAtMs)
      const exhausted = posted >= limit ? this.nowMs : isBefore ? atMs : null
      const name = `${b.account.id} ${b.unit} ${b.window}`
      this.events.push(`threshold ${name} ${percent} ${limit} ${posted} ${exhausted}`)
    }
  }

  #decide({ tenantId, accounts, amounts, paidBy }: Question): Verdict {
    const above = this.paths[tenantId] ?? []
    const path = (): readonly ModelBudget[] => this.#path(accounts.map((a) => a.id))
    if (path().some((b) => !above.includes(b.tenantId))) {
      const refused = { ok: false, code: 'TK_INPUT_INVALID', denial: null }
      return { budgets: [], overflows: [], refused, contended: false }
    }
    const counted = (): readonly ModelBudget[] => path().filter((b) => counts(b, paidBy))
    return this.#swept(() => judge(this, counted(), amounts, { hold: null, paidBy }))
  }

  #swept(judge: () => Verdict): Verdict {
    const first = judge()
    return first.contended && this.sweep(64) > 0 ? judge() : first
  }
}
