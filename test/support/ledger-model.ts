/**
 * The ledger as its rules are told, not as they are built: no counters, no history. What a budget has
 * posted and held is summed over all holds whenever somebody asks.
 *
 * @module
 */
import { periodOf } from '../../src/budgets/windows.ts'
import type { AccountRef, HoldState, LineState, Window } from '../../src/storage/ledger-records.ts'

export interface ModelBudget {
  /** A budget that was removed and set again is another one. */
  readonly serial: number
  readonly tenantId: string
  readonly account: AccountRef
  readonly window: Window
  readonly zone: string
  limit: bigint
}

interface ModelLine {
  readonly accountId: string
  readonly window: Window
  readonly serial: number
  readonly periodStartMs: number
}

export interface ModelHold {
  readonly id: string
  readonly tenantId: string
  readonly accounts: readonly AccountRef[]
  readonly asked: bigint
  readonly lines: readonly ModelLine[]
  state: HoldState
  amount: bigint
  actual: bigint
  sequence: number
  expiresAtMs: number
}

/** An answer without `heldUntilMs`, which the port only bounds from below. */
type Answer = Readonly<Record<string, unknown>>

const MISMATCH = { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' } as const
const NOT_FOUND = { ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND' } as const

export class LedgerModel {
  nowMs = 0
  readonly budgets: ModelBudget[] = []
  readonly holds: ModelHold[] = []
  readonly events: string[] = []
  readonly #paths: Readonly<Record<string, readonly string[]>>
  #serial = 0

  /** @param paths - tenant to the ids from its root down to it. */
  constructor(paths: Readonly<Record<string, readonly string[]>>) {
    this.#paths = paths
  }

  setBudget(budget: Omit<ModelBudget, 'serial'>): void {
    const known = this.#find(budget.account.id, budget.window)
    if (known) known.limit = budget.limit
    else this.budgets.push({ ...budget, serial: this.#serial++ })
  }

  removeBudget(accountId: string, window: Window): boolean {
    const at = this.budgets.findIndex((b) => b.account.id === accountId && b.window === window)
    if (at >= 0) this.budgets.splice(at, 1)
    return at >= 0
  }

  reserve(
    id: string,
    tenantId: string,
    accounts: readonly AccountRef[],
    amount: bigint,
    ttlMs: number,
  ): Answer {
    const known = this.holds.find((h) => h.id === id)
    if (known) {
      const same =
        known.tenantId === tenantId &&
        known.asked === amount &&
        JSON.stringify(known.accounts) === JSON.stringify(accounts)
      if (!same) return { ...MISMATCH, denial: null }
      const { expiresAtMs } = known
      return { ok: true, holdId: id, expiresAtMs, lines: this.#linesOf(known), replayed: true }
    }
    const refused = this.#refuse(tenantId, accounts, amount)
    if (refused) return refused
    const path = this.#path(accounts)
    const expiresAtMs = this.nowMs + ttlMs
    const lines = path.map((b) => ({
      accountId: b.account.id,
      window: b.window,
      serial: b.serial,
      periodStartMs: this.#period(b).startMs,
    }))
    this.holds.push({
      ...{ id, tenantId, accounts, lines, amount, expiresAtMs },
      ...{ asked: amount, state: 'held', actual: 0n, sequence: 0 },
    })
    return {
      ok: true,
      holdId: id,
      expiresAtMs,
      lines: path.map((b) => this.state(b)),
      replayed: false,
    }
  }

  preview(tenantId: string, accounts: readonly AccountRef[], amount: bigint): Answer {
    // Whether a preview sweeps is the store's choice: look at the world as after one.
    const before = this.holds.map((h) => h.state)
    const events = this.events.length
    const refused = this.#refuse(tenantId, accounts, amount)
    const answer = refused ?? {
      ok: true,
      holdId: '',
      expiresAtMs: this.nowMs,
      lines: this.#path(accounts).map((b) => this.state(b)),
      replayed: false,
    }
    for (const [n, state] of before.entries()) this.holds[n]!.state = state
    this.events.length = events
    return answer
  }

  extend(id: string, tenantId: string, sequence: number, total: bigint, ttlMs: number): Answer {
    const hold = this.#own(id, tenantId)
    if (!hold) return { ...NOT_FOUND, denial: null }
    const { expiresAtMs } = hold
    if (sequence === hold.sequence && total === hold.amount) return { ok: true, expiresAtMs }
    if (hold.state !== 'held' || expiresAtMs <= this.nowMs) {
      return { ok: false, code: 'TK_BUDGET_HOLD_LOST', denial: null }
    }
    if (sequence <= hold.sequence || total < hold.amount) return { ...MISMATCH, denial: null }
    const live = (): readonly ModelBudget[] =>
      this.#path(hold.accounts).filter((b) => hold.lines.some((l) => this.#isLine(b, l)))
    const refused = this.#refuseOn(live, total - hold.amount)
    if (refused) return refused
    hold.amount = total
    hold.sequence = sequence
    hold.expiresAtMs = Math.max(expiresAtMs, this.nowMs + ttlMs)
    return { ok: true, expiresAtMs: hold.expiresAtMs }
  }

  settle(id: string, tenantId: string, actual: bigint): Answer {
    const hold = this.#own(id, tenantId)
    if (!hold) return NOT_FOUND
    const replayed = hold.state === 'posted' || hold.state === 'late_posted'
    if (hold.state === 'voided' || (replayed && hold.actual !== actual)) return MISMATCH
    if (!replayed) {
      const late = hold.state === 'expired' || hold.expiresAtMs <= this.nowMs
      hold.state = late ? 'late_posted' : 'posted'
      hold.actual = actual
      this.events.push(id)
    }
    const over = actual - hold.amount
    const overage = { usd: over > 0n ? over : 0n }
    return { ok: true, state: hold.state, lines: this.#linesOf(hold), overage, replayed }
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
    const { account, window, limit } = budget
    const mine = this.holds.filter((h) => h.lines.some((l) => this.#isLine(budget, l)))
    const sum = (states: readonly HoldState[], value: (h: ModelHold) => bigint): bigint =>
      mine.filter((h) => states.includes(h.state)).reduce((a, h) => a + value(h), 0n)
    return {
      accountId: account.id,
      unit: 'usd',
      window,
      limit,
      posted: sum(['posted', 'late_posted'], (h) => h.actual),
      held: sum(['held'], (h) => h.amount),
      resetsAtMs: this.#period(budget).endMs,
    }
  }

  /** When the last hold that holds something ends; what `heldUntilMs` must not be earlier than. */
  latestEnd(accountId: string, window: Window): number {
    const budget = this.#find(accountId, window)
    const live = this.holds.filter(
      (h) =>
        h.state === 'held' &&
        h.amount > 0n &&
        budget &&
        h.lines.some((l) => this.#isLine(budget, l)),
    )
    return Math.max(0, ...live.map((h) => h.expiresAtMs))
  }

  #own(id: string, tenantId: string): ModelHold | undefined {
    return this.holds.find((h) => h.id === id && h.tenantId === tenantId)
  }

  #find(accountId: string, window: Window): ModelBudget | undefined {
    return this.budgets.find((b) => b.account.id === accountId && b.window === window)
  }

  #period(budget: ModelBudget): { startMs: number; endMs: number | null } {
    return periodOf(budget.window, budget.zone, this.nowMs)
  }

  #isLine(budget: ModelBudget, line: ModelLine): boolean {
    return line.serial === budget.serial && line.periodStartMs === this.#period(budget).startMs
  }

  #path(accounts: readonly AccountRef[]): readonly ModelBudget[] {
    const order = (b: ModelBudget): string => `${9 - b.account.depth} ${b.account.id} ${b.window}`
    return this.budgets
      .filter((b) => accounts.some((a) => a.id === b.account.id))
      .sort((a, b) => (order(a) < order(b) ? -1 : 1))
  }

  #linesOf(hold: ModelHold): readonly LineState[] {
    return this.#path(hold.accounts)
      .filter((b) => hold.lines.some((l) => l.accountId === b.account.id && l.window === b.window))
      .map((b) => this.state(b))
  }

  #refuse(tenantId: string, accounts: readonly AccountRef[], amount: bigint): Answer | null {
    const above = this.#paths[tenantId] ?? []
    if (this.#path(accounts).some((b) => !above.includes(b.tenantId))) {
      return { ok: false, code: 'TK_INPUT_INVALID', denial: null }
    }
    return this.#refuseOn(() => this.#path(accounts), amount)
  }

  #refuseOn(path: () => readonly ModelBudget[], asked: bigint): Answer | null {
    const refused = this.#judge(path(), asked)
    if (refused?.code !== 'TK_BUDGET_CONTENDED' || this.sweep(64) === 0) return refused
    return this.#judge(path(), asked)
  }

  #judge(path: readonly ModelBudget[], asked: bigint): Answer | null {
    const lines = path.map((b) => this.state(b))
    const room = (l: LineState): bigint => l.limit - l.posted - l.held
    const refusing = lines.filter((l) => asked > room(l))
    const spent = refusing.find((l) => l.posted + asked > l.limit)
    const named = spent ?? refusing[0]
    if (!named) return null
    const rooms = lines.map(room).sort((a, b) => (a < b ? -1 : 1))
    const wouldFit = rooms[0]! > 0n ? rooms[0]! : 0n
    const code = spent ? 'TK_BUDGET_EXHAUSTED' : 'TK_BUDGET_CONTENDED'
    return { ok: false, code, denial: { ...named, asked, wouldFit } }
  }
}
