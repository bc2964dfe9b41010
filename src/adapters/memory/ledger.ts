/**
 * The ledger in memory: the rules of `budgets/ledger.ts` over Maps.
 *
 * @module
 */
import {
  budgetsOf,
  checkOwner,
  isPeriodOver,
  periodsOf,
  setBudget,
  setLimit,
} from '../../budgets/counters.ts'
import { postEntry } from '../../budgets/entries.ts'
import * as rules from '../../budgets/ledger.ts'
import { checkPrune } from '../../budgets/prune.ts'
import { repairLedger } from '../../budgets/repair.ts'
import { type RepriceRows, repriceUsage } from '../../budgets/reprice.ts'
import type { Counter, HoldLine, PeriodHistory } from '../../storage/ledger-records.ts'
import type { LedgerCommands } from '../../storage/storage.ts'
import { prune, snapshot } from './ledger-upkeep.ts'
import type { MemoryState } from './state.ts'
import { copy, keyOf } from './table.ts'

export function ledgerCommands(state: MemoryState): LedgerCommands {
  /** Items one after the other, in one step. */
  const each = <I, R>(
    items: readonly I[],
    rule: (rows: rules.LedgerRows, item: I) => R,
  ): Promise<R[]> =>
    state.run((nowMs) => {
      const rows = rowsOf(state, nowMs)
      return items.map((item) => rule(rows, item))
    })
  return {
    setBudget: (budget, also) =>
      state.run((nowMs) => {
        state.tenant(budget.tenantId)
        checkOwner(budget, (keyId) => state.keys.get(keyId)?.tenantId ?? null)
        const counter = setBudget(rowsOf(state, nowMs), budget)
        state.write(also, nowMs)
        return counter
      }),
    setLimits: (limits, also) =>
      state.run((nowMs) => {
        const rows = rowsOf(state, nowMs)
        const counters = limits.map((limit) => setLimit(rows, limit))
        state.write(also, nowMs)
        return counters
      }),
    removeBudget: ({ tenantId, account, unit, window }, also) =>
      state.run((nowMs) => {
        const all = state.counters.get(account.id) ?? []
        const rest = all.filter(
          (c) => c.tenantId !== tenantId || c.unit !== unit || c.window !== window,
        )
        if (rest.length === all.length) return false
        state.counters.set(account.id, rest)
        state.write(also, nowMs)
        return true
      }),
    budgets: (tenantId) =>
      state.run((nowMs) => {
        const own = [...state.counters.values()].filter((all) => all[0]?.tenantId === tenantId)
        return budgetsOf(
          rowsOf(state, nowMs),
          own.map((all) => all[0]!.accountId),
        )
      }),
    periods: ({ tenantId, account, unit, window, limit }) =>
      state.run((nowMs) => {
        const isOne = (row: Pick<Counter, 'accountId' | 'unit' | 'window'>): boolean =>
          row.accountId === account.id && row.unit === unit && row.window === window
        const counter = (state.counters.get(account.id) ?? []).find(isOne)
        if (counter?.tenantId !== tenantId) return null
        const isOver = isPeriodOver(counter, nowMs)
        return periodsOf(counter, [...state.history.values()].filter(isOne), { isOver, limit })
      }),
    reserve: (items) => each(items, rules.reserve),
    preview: (item) => state.look((nowMs) => rules.preview(rowsOf(state, nowMs), item)),
    extend: (items) => each(items, rules.extend),
    settle: (items) => each(items, rules.settle),
    void: (items) => each(items, rules.voidHold),
    sweep: (limit) => state.run((nowMs) => rules.sweep(rowsOf(state, nowMs), limit)),
    hold: ({ tenantId, holdId }) =>
      state.run(() => {
        const hold = state.holds.get(holdId)
        return hold?.tenantId === tenantId ? hold : null
      }),
    post: (entry, also) =>
      state.run((nowMs) => {
        state.tenant(entry.tenantId)
        checkOwner(entry, (keyId) => state.keys.get(keyId)?.tenantId ?? null)
        const posted = postEntry(rowsOf(state, nowMs), entry)
        if (!posted.replayed) state.write(also, nowMs)
        return posted
      }),
    audit: (tenantId) => state.run((nowMs) => snapshot(state, tenantId, nowMs)),
    repair: (repair, also) =>
      state.run((nowMs) => {
        const mended = repairLedger(rowsOf(state, nowMs), repair)
        if (mended) state.write(also, nowMs)
        return mended
      }),
    reprice: (item, also) =>
      state.run((nowMs) => {
        const repriced = repriceUsage(rowsOf(state, nowMs), item)
        if (repriced) state.write(also, nowMs)
        return repriced && copy(repriced)
      }),
    prune: (query) =>
      state.run((nowMs) => {
        checkPrune(query)
        return prune(state, query, nowMs)
      }),
  }
}

const historyKey = (line: HoldLine | PeriodHistory): string =>
  keyOf(line.accountId, line.unit, line.window, line.periodStartMs)

export function rowsOf(state: MemoryState, nowMs: number): RepriceRows {
  return {
    nowMs,
    tenantPath: (tenantId) => state.tenants.get(tenantId)?.path ?? [],
    countersOf: (accountId) => state.counters.get(accountId) ?? [],
    putCounter: (counter) => {
      const { accountId, unit, window } = counter
      const others = (state.counters.get(accountId) ?? []).filter(
        (c) => c.unit !== unit || c.window !== window,
      )
      state.counters.set(accountId, [...others, counter])
    },
    history: (line) => state.history.get(historyKey(line)) ?? null,
    putHistory: (row) => state.history.set(historyKey(row), row),
    hold: (id) => state.holds.get(id) ?? null,
    putHold: (given) => {
      const hold = copy(given)
      state.holds.set(hold.id, hold)
      if (hold.state === 'held') state.live.set(hold.id, hold)
      else state.live.delete(hold.id)
    },
    expiredHolds: (limit) =>
      [...state.live.values()]
        .filter((hold) => hold.expiresAtMs <= nowMs)
        .sort((a, b) => a.expiresAtMs - b.expiresAtMs || (a.id < b.id ? -1 : 1))
        .slice(0, limit),
    usageRow: (tenantId, id) => {
      const row = state.usage.get(id)
      return row?.tenantId === tenantId ? row : null
    },
    addUsage: (row) => state.usage.set(row.id, copy(row)),
    setUsage: (row) => state.usage.set(row.id, copy(row)),
    addEvent: (event) => state.addEvent(event, nowMs),
    entry: (tenantId, id) => state.entries.get(keyOf(tenantId, id)) ?? null,
    addEntry: (entry) => state.entries.set(keyOf(entry.tenantId, entry.id), copy(entry)),
  }
}
