/**
 * Compares a ledger with itself: counters with the entries that made them, holds with usage rows,
 * parents with what is below them (threats.md 4.6). Pure; what it names, `repair.ts` mends.
 *
 * @module
 */
import type { ChargedUsage, LedgerSnapshot, Repair, Sums } from '../storage/ledger-entries.ts'
import type { Counter, Hold, HoldLine } from '../storage/ledger-records.ts'
import { amountOf, isLine, lineOf, sameAmounts, sameCounter } from './ledger-lines.ts'
import { MIN_HOLD_AGE_MS } from './prune.ts'
import { periodOf } from './windows.ts'

/** Something that is not as it must be. Amounts are in the smallest unit. */
export type Drift =
  | {
      /**
       * - `posted`: what is used is not the sum of the usage rows and adjustments of its period.
       * - `held`: what is held is not the sum of the live holds.
       * - `negative`: a sum is below zero.
       * - `parent_below_children`: less is used than directly below it.
       */
      readonly kind: 'posted' | 'held' | 'negative' | 'parent_below_children'
      readonly tenantId: string
      readonly line: HoldLine
      /** For `parent_below_children` and `negative`: the least that it must be. */
      readonly expected: bigint
      readonly found: bigint
    }
  | {
      /**
       * - `hold_unswept`: a hold is live though its time was up more than the grace ago.
       * - `usage_missing`: a posted hold without a usage row.
       * - `hold_missing`: a usage row of the last 48 h without a hold.
       * - `hold_differs`: hold and usage row disagree about state or amounts.
       */
      readonly kind: 'hold_unswept' | 'usage_missing' | 'hold_missing' | 'hold_differs'
      readonly tenantId: string
      readonly holdId: string
    }

/** @param graceMs - how long after its expiry a hold may wait for a sweep. */
export function findDrifts(snapshot: LedgerSnapshot, graceMs: number): readonly Drift[] {
  const sums = compareSums(snapshot)
  return [
    ...sums.flatMap(sumDrifts),
    ...pairDrifts(snapshot),
    ...snapshot.holds
      .filter((h) => h.state === 'held' && h.expiresAtMs + graceMs < snapshot.nowMs)
      .map((h): Drift => ({ kind: 'hold_unswept', tenantId: h.tenantId, holdId: h.id })),
    ...parentDrifts(snapshot),
  ]
}

/** How each counter whose sums have drifted is to be set. */
export function counterRepairs(snapshot: LedgerSnapshot): readonly Repair[] {
  return compareSums(snapshot)
    .filter((c) => sumDrifts(c).length > 0)
    .map(({ tenantId, line, found, expected, heldUntilMs }) => ({
      kind: 'counter',
      tenantId,
      line,
      was: found,
      // Entries that add up to less than nothing are no amount either.
      becomes: { posted: atLeastZero(expected.posted), held: atLeastZero(expected.held) },
      heldUntilMs,
    }))
}

/** How holds and usage rows that do not match are to be mended. */
export function pairRepairs(drifts: readonly Drift[]): readonly Repair[] {
  return drifts.flatMap((drift): Repair[] => {
    if (!('holdId' in drift) || drift.kind === 'hold_unswept') return []
    const { tenantId, holdId } = drift
    return [{ kind: drift.kind === 'usage_missing' ? 'usage' : 'hold', tenantId, holdId }]
  })
}

interface Comparison {
  readonly tenantId: string
  readonly line: HoldLine
  readonly found: Sums
  readonly expected: Sums
  readonly heldUntilMs: number
}

interface Expected {
  posted: bigint
  held: bigint
  heldUntilMs: number
}

const keyOf = (line: HoldLine): string =>
  `${line.accountId}\0${line.unit}\0${line.window}\0${line.periodStartMs}`

const budgetOf = ({ accountId, unit, window }: Omit<HoldLine, 'periodStartMs'>): string =>
  `${accountId}\0${unit}\0${window}`

/** Every line whose counter is there, beside what its entries and holds say. */
function compareSums(snapshot: LedgerSnapshot): readonly Comparison[] {
  const counters = new Map(snapshot.counters.map((c) => [budgetOf(c), c]))
  const expected = expectedSums(snapshot, counters)
  const compare = (counter: Counter, line: HoldLine, found: Sums): Comparison => {
    const { posted = 0n, held = 0n, heldUntilMs = 0 } = expected.get(keyOf(line)) ?? {}
    const sums = { posted: found.posted, held: found.held }
    const { tenantId } = counter
    return { tenantId, line: plainLine(line), found: sums, expected: { posted, held }, heldUntilMs }
  }
  const running = snapshot.counters.map((c) => compare(c, lineOf(c), c))
  const ended = snapshot.history.flatMap((past) => {
    const counter = counters.get(budgetOf(past))
    // Periods from before this counter was made belong to one that was removed since.
    const isOwn =
      counter &&
      past.periodStartMs >= periodOf(counter.window, counter.zone, counter.createdAtMs).startMs
    return isOwn ? [compare(counter, past, past)] : []
  })
  return [...running, ...ended]
}

const plainLine = ({ accountId, unit, window, periodStartMs }: HoldLine): HoldLine => ({
  accountId,
  unit,
  window,
  periodStartMs,
})

function expectedSums(
  snapshot: LedgerSnapshot,
  counters: ReadonlyMap<string, Counter>,
): ReadonlyMap<string, Expected> {
  const sums = new Map<string, Expected>()
  /** `null` for a line that its counter does not know: it was made later. */
  const at = (line: HoldLine, sinceMs: number): Expected | null => {
    const counter = counters.get(budgetOf(line))
    if (!counter || counter.createdAtMs > sinceMs) return null
    const key = keyOf(line)
    const known = sums.get(key) ?? { posted: 0n, held: 0n, heldUntilMs: 0 }
    sums.set(key, known)
    return known
  }
  for (const { lines, amounts, startedAtMs } of snapshot.usage) {
    for (const line of lines) {
      const sum = line.window === 'concurrent' ? null : at(line, startedAtMs)
      if (sum) sum.posted += amountOf(amounts, line.unit)
    }
  }
  for (const entry of snapshot.entries) {
    const sum = at(entry, entry.atMs)
    if (sum) sum.posted += entry.postedChange
  }
  for (const hold of snapshot.holds) {
    if (hold.state !== 'held') continue
    for (const line of hold.lines) {
      const sum = at(line, hold.createdAtMs)
      const amount = amountOf(hold.amounts, line.unit)
      if (!sum || amount === 0n) continue
      sum.held += amount
      sum.heldUntilMs = Math.max(sum.heldUntilMs, hold.expiresAtMs)
    }
  }
  return sums
}

function sumDrifts({ tenantId, line, found, expected }: Comparison): readonly Drift[] {
  return (['posted', 'held'] as const).flatMap((kind): Drift[] => {
    const where = { tenantId, line, found: found[kind] }
    const drifts: Drift[] = []
    if (found[kind] < 0n) drifts.push({ kind: 'negative', ...where, expected: 0n })
    if (found[kind] !== atLeastZero(expected[kind])) {
      drifts.push({ kind, ...where, expected: atLeastZero(expected[kind]) })
    }
    return drifts
  })
}

function pairDrifts({ holds, usage, nowMs }: LedgerSnapshot): readonly Drift[] {
  const rows = new Map(usage.map((row) => [row.id, row]))
  const known = new Set(holds.map((hold) => hold.id))
  const unmatched = usage.filter(
    (row) => !known.has(row.id) && row.settledAtMs > nowMs - MIN_HOLD_AGE_MS,
  )
  return [
    ...holds.flatMap((hold): Drift[] => {
      const kind = pairDrift(hold, rows.get(hold.id))
      return kind === null ? [] : [{ kind, tenantId: hold.tenantId, holdId: hold.id }]
    }),
    ...unmatched.map(({ tenantId, id }): Drift => ({ kind: 'hold_missing', tenantId, holdId: id })),
  ]
}

function pairDrift(
  hold: Hold,
  row: ChargedUsage | undefined,
): 'usage_missing' | 'hold_differs' | null {
  const isPosted = hold.state === 'posted' || hold.state === 'late_posted'
  if (!row) return isPosted ? 'usage_missing' : null
  return hold.state === row.state && sameAmounts(hold.actual, row.amounts) ? null : 'hold_differs'
}

/** A budget is seen by calls from when the transaction that made it is committed, which is a while
 * after the time it carries: calls that began in between were never charged to it. */
const SEEN_AFTER_MS = 300_000

/** Of calls that began when both were there, and that both count, the parent saw each. */
function parentDrifts(snapshot: LedgerSnapshot): readonly Drift[] {
  const budgets = new Map(snapshot.counters.map((c) => [budgetOf(c), c]))
  const parents = new Map(snapshot.tenants.map((t) => [t.id, t.parentId]))
  const below = new Map<string, bigint>()
  for (const row of snapshot.usage) {
    // Once per row: a pool beside the child may carry the same call on another line.
    const charged = new Map<string, { readonly parent: Counter; readonly amount: bigint }>()
    for (const line of row.lines) {
      const child = budgets.get(budgetOf(line))
      const parent = child && parentOf(child, parents, budgets)
      if (!parent || parent.periodStartMs !== line.periodStartMs) continue
      if (parent.createdAtMs > row.startedAtMs) continue
      const isCharged = row.lines.some((l) => isLine(parent, l))
      if (!isCharged && row.startedAtMs < parent.createdAtMs + SEEN_AFTER_MS) continue
      charged.set(budgetOf(parent), { parent, amount: amountOf(row.amounts, line.unit) })
    }
    for (const [key, { amount }] of charged) below.set(key, (below.get(key) ?? 0n) + amount)
  }
  return [...below].flatMap(([key, expected]): Drift[] => {
    const parent = budgets.get(key)!
    const found = parent.posted - adjustmentsOf(snapshot, parent)
    if (found >= expected || mayOverflow(snapshot, parent)) return []
    const { tenantId } = parent
    return [{ kind: 'parent_below_children', tenantId, line: lineOf(parent), expected, found }]
  })
}

/** The budget directly above one of the same kind; `undefined` when there is none, or when the two do
 * not count the same. */
function parentOf(
  child: Counter,
  parents: ReadonlyMap<string, string | null>,
  budgets: ReadonlyMap<string, Counter>,
): Counter | undefined {
  if (child.window === 'concurrent' || child.counts !== 'all') return undefined
  const above = child.accountId.startsWith('key:') ? child.tenantId : parents.get(child.tenantId)
  const { unit, window, zone } = child
  const parent = above
    ? budgets.get(budgetOf({ accountId: `tenant:${above}`, unit, window }))
    : null
  return parent && parent.counts === 'all' && parent.zone === zone ? parent : undefined
}

const adjustmentsOf = ({ entries }: LedgerSnapshot, counter: Counter): bigint =>
  entries
    .filter((e) => keyOf(e) === keyOf(counter) && e.atMs >= counter.createdAtMs)
    .reduce((sum, e) => sum + e.postedChange, 0n)

/** What a pool took over is not on the parent's own line. */
const mayOverflow = ({ holds }: LedgerSnapshot, parent: Counter): boolean =>
  parent.overflow !== null ||
  holds.some((h) => h.overflows.some((o) => sameCounter(parent, o.from)))

const atLeastZero = (amount: bigint): bigint => (amount > 0n ? amount : 0n)
