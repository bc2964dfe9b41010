import { describe, expect, test } from 'vitest'
import { setBudget } from '../../src/budgets/counters.ts'
import { extend, preview, reserve, settle, sweep, voidHold } from '../../src/budgets/ledger.ts'
import type { AccountRef, Window } from '../../src/storage/ledger-records.ts'
import { ask, settleOf, TTL_MS, usd } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { MapRows } from '../support/map-rows.ts'

const tenant: AccountRef = { id: 'tenant:acme', depth: 0 }
const key: AccountRef = { id: 'key:1', depth: 1 }

function budget(rows: MapRows, account: AccountRef, limit: bigint, window: Window = 'month'): void {
  const where = { tenantId: 'acme', account, unit: 'usd', window, zone: 'UTC' } as const
  setBudget(rows, { ...where, limit, source: 'explicit' })
}

const counter = (rows: MapRows, id = tenant.id) => rows.counters.find((c) => c.accountId === id)!

function held(rows: MapRows, amount: bigint, ttlMs = TTL_MS): string {
  const result = reserve(rows, ask('acme', amount, { ttlMs }))
  if (!result.ok) throw new Error(result.code)
  return result.holdId
}

describe('sums', () => {
  test('T-B10 a million calls of one token at $0.02 per million tokens cost exactly 20,000,000 nUSD', () => {
    const rows = new MapRows()
    budget(rows, tenant, 20_000_000n, 'lifetime')
    const item = ask('acme', 20n)
    const settled = settleOf('acme', item.holdId, 20n)
    let float = 0
    for (let n = 0; n < 1_000_000; n++) {
      if (!reserve(rows, item).ok || !settle(rows, settled).ok) throw new Error(`call ${n} failed`)
      // One hold after the other; its rows are thrown away so that a million fit.
      rows.holds.clear()
      rows.usage.length = 0
      rows.events.length = 0
      float += 0.02 / 1_000_000
    }
    expect(counter(rows).posted).toBe(20_000_000n)
    expect(counter(rows).held).toBe(0n)
    expect(reserve(rows, ask('acme', 1n)).ok).toBe(false)
    // Why no float ever enters a sum.
    expect(float).not.toBe(0.02)
  })

  test('counters are charged leaf first, then by id, unit and window, however a store returns them', () => {
    const rows = new MapRows()
    budget(rows, tenant, 100n, 'month')
    budget(rows, key, 100n, 'month')
    budget(rows, tenant, 100n, 'lifetime')
    budget(rows, { id: 'key:0', depth: 1 }, 100n, 'lifetime')
    rows.counters.reverse()
    const accounts = [tenant, { id: 'key:0', depth: 1 }, key]
    const result = reserve(rows, ask('acme', 1n, { accounts }))
    if (!result.ok) throw new Error(result.code)
    expect(result.lines.map((l) => `${l.accountId} ${l.window}`)).toEqual([
      'key:0 lifetime',
      'key:1 month',
      'tenant:acme lifetime',
      'tenant:acme month',
    ])
    const order = rows.hold(result.holdId)!.lines.map((l) => `${l.accountId} ${l.window}`)
    expect(order).toEqual(result.lines.map((l) => `${l.accountId} ${l.window}`))
  })

  test('BG-7 a refused reserve, extend, settle or void writes nothing at all', () => {
    const rows = new MapRows()
    budget(rows, tenant, 100n)
    const holdId = held(rows, 60n)
    const other = held(rows, 10n)
    settle(rows, settleOf('acme', other, 10n))
    const before = rows.writes
    const at = { tenantId: 'acme', holdId }
    expect(reserve(rows, ask('acme', 31n)).ok).toBe(false)
    expect(reserve(rows, ask('acme', 61n, { holdId })).ok).toBe(false)
    expect(preview(rows, ask('acme', 31n)).ok).toBe(false)
    expect(extend(rows, { ...at, sequence: 1, amounts: usd(91n), ttlMs: 1 }).ok).toBe(false)
    expect(extend(rows, { ...at, sequence: 1, amounts: usd(59n), ttlMs: 1 }).ok).toBe(false)
    expect(settle(rows, settleOf('acme', other, 11n)).ok).toBe(false)
    expect(settle(rows, settleOf('other', holdId, 1n)).ok).toBe(false)
    expect(voidHold(rows, { tenantId: 'acme', holdId: other }).ok).toBe(false)
    expect(rows.writes).toBe(before)
  })

  test('a replay writes nothing', () => {
    const rows = new MapRows()
    budget(rows, tenant, 100n)
    const item = ask('acme', 60n)
    const raise = {
      tenantId: 'acme',
      holdId: item.holdId,
      sequence: 1,
      amounts: usd(70n),
      ttlMs: 1,
    }
    reserve(rows, item)
    extend(rows, raise)
    let before = rows.writes
    expect(reserve(rows, item).ok).toBe(true)
    expect(extend(rows, raise).ok).toBe(true)
    expect(rows.writes).toBe(before)
    settle(rows, settleOf('acme', item.holdId, 5n))
    before = rows.writes
    expect(settle(rows, settleOf('acme', item.holdId, 5n)).ok).toBe(true)
    expect(rows.writes).toBe(before)
  })
})

describe('the latest end of what is held', () => {
  test('it grows with every hold and extend, and is forgotten when nothing is held', () => {
    const rows = new MapRows()
    const startMs = rows.nowMs
    budget(rows, tenant, 100n)
    expect(counter(rows).heldUntilMs).toBe(0)
    const long = held(rows, 10n, 5000)
    const short = held(rows, 10n, 1000)
    expect(counter(rows).heldUntilMs).toBe(startMs + 5000)
    const raise = { tenantId: 'acme', holdId: short, sequence: 1, amounts: usd(10n), ttlMs: 9000 }
    extend(rows, raise)
    expect(counter(rows).heldUntilMs).toBe(startMs + 9000)
    voidHold(rows, { tenantId: 'acme', holdId: short })
    // Still an upper bound: which hold ends last is not looked up.
    expect(counter(rows).heldUntilMs).toBe(startMs + 9000)
    settle(rows, settleOf('acme', long, 1n))
    expect(counter(rows).heldUntilMs).toBe(0)
  })
})

describe('periods', () => {
  const lastMs = Date.UTC(2026, 0, 31, 23, 59, 59, 999)
  const january = (rows: MapRows) =>
    rows.history({
      accountId: tenant.id,
      unit: 'usd',
      window: 'month',
      periodStartMs: Date.UTC(2026, 0, 1),
    })

  test('T-B17 a roll keeps the sums of the period that ended, and later posts change them there', () => {
    const rows = new MapRows(lastMs)
    budget(rows, tenant, 100n)
    settle(rows, settleOf('acme', held(rows, 5n), 5n))
    const [a, b, c, d] = [held(rows, 10n), held(rows, 20n), held(rows, 30n), held(rows, 1n)]
    rows.nowMs += 1
    expect(preview(rows, ask('acme', 100n)).ok).toBe(true)
    expect(january(rows)).toMatchObject({ posted: 5n, held: 61n })

    settle(rows, settleOf('acme', a, 9n))
    expect(january(rows)).toMatchObject({ posted: 14n, held: 51n })
    voidHold(rows, { tenantId: 'acme', holdId: b })
    expect(january(rows)).toMatchObject({ posted: 14n, held: 31n })
    const raise = { tenantId: 'acme', holdId: d, sequence: 1, amounts: usd(4n), ttlMs: 1 }
    extend(rows, raise)
    expect(january(rows)).toMatchObject({ posted: 14n, held: 34n })
    rows.nowMs += TTL_MS
    expect(sweep(rows, 10)).toBe(2)
    expect(january(rows)).toMatchObject({ posted: 14n, held: 0n })
    settle(rows, settleOf('acme', c, 31n))
    expect(january(rows)).toMatchObject({ posted: 45n, held: 0n })
    expect(counter(rows)).toMatchObject({ posted: 0n, held: 0n })
  })

  test('T-B17 a period in which nothing was asked leaves no history of its own', () => {
    const rows = new MapRows(lastMs)
    budget(rows, tenant, 100n)
    held(rows, 10n)
    rows.nowMs = Date.UTC(2026, 5, 15)
    expect(reserve(rows, ask('acme', 100n)).ok).toBe(true)
    expect(rows.histories.size).toBe(1)
    expect(counter(rows).periodStartMs).toBe(Date.UTC(2026, 5, 1))
  })

  test('T-B17 each line of a hold settles into its own period', () => {
    const rows = new MapRows(lastMs)
    budget(rows, tenant, 100n)
    budget(rows, tenant, 100n, 'lifetime')
    const holdId = held(rows, 10n)
    rows.nowMs += 1
    settle(rows, settleOf('acme', holdId, 10n))
    const sums = rows.counters.map((c) => `${c.window} ${c.posted}`).sort()
    expect(sums).toEqual(['lifetime 10', 'month 0'])
    expect(january(rows)).toMatchObject({ posted: 10n, held: 0n })
  })
})

describe('budgets that come and go', () => {
  test('a hold of a removed budget releases nothing on the one that was set after it', () => {
    const rows = new MapRows()
    budget(rows, tenant, 100n)
    const old = held(rows, 50n)
    rows.counters.length = 0
    rows.nowMs += 1
    budget(rows, tenant, 100n)
    held(rows, 30n)
    voidHold(rows, { tenantId: 'acme', holdId: old })
    expect(counter(rows).held).toBe(30n)
  })

  test('what is held never falls below zero, also when both happened in one millisecond', () => {
    const rows = new MapRows()
    budget(rows, tenant, 100n)
    const old = held(rows, 50n)
    rows.counters.length = 0
    budget(rows, tenant, 100n)
    voidHold(rows, { tenantId: 'acme', holdId: old })
    expect(counter(rows).held).toBe(0n)
    expect(reserve(rows, ask('acme', 101n)).ok).toBe(false)
  })

  test('a budget set while calls are in flight starts at zero and does not hear of them', () => {
    const rows = new MapRows()
    const before = held(rows, 50n)
    budget(rows, tenant, 100n)
    expect(counter(rows).held).toBe(0n)
    settle(rows, settleOf('acme', before, 50n))
    expect(counter(rows)).toMatchObject({ posted: 0n, held: 0n })
  })
})

describe('sweeps', () => {
  test('a refused caller sweeps at most 64 holds, wherever they are, and tries once more', () => {
    const rows = new MapRows()
    budget(rows, tenant, 100n)
    for (let n = 0; n < 100; n++) held(rows, 1n)
    rows.nowMs += TTL_MS
    expect(reserve(rows, ask('acme', 65n))).toMatchObject({ code: 'TK_BUDGET_CONTENDED' })
    expect(counter(rows).held).toBe(36n)
    expect(reserve(rows, ask('acme', 65n)).ok).toBe(true)
    expect(counter(rows).held).toBe(65n)
  })

  test('money that is spent is not looked for under expired holds', () => {
    const rows = new MapRows()
    budget(rows, tenant, 100n)
    held(rows, 10n)
    rows.nowMs += TTL_MS
    expect(reserve(rows, ask('acme', 101n))).toMatchObject({ code: 'TK_BUDGET_EXHAUSTED' })
    expect(rows.events).toEqual([])
  })
})
