import { describe, expect, test } from 'vitest'
import { budgetsApi } from '../../src/budgets/budgets-api.ts'
import type { BudgetDrift } from '../../src/budgets/check.ts'
import type { Counter } from '../../src/storage/ledger-records.ts'
import {
  ask,
  settleOf,
  TTL_MS,
  tenantAccount,
} from '../../src/testing/storage-conformance/ledger-bench.ts'
import { ALL, call, NONE, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { temporaryFiles } from '../support/sqlite.ts'
import { type TamperedLedger, tamperedMemory, tamperedSqlite } from '../support/tampered-ledger.ts'

const fileOf = temporaryFiles()
const PATH = [tenantAccount('acme', 1), tenantAccount('org', 0)]
const DAY_MS = 86_400_000

/** An organisation and its tenant, both with a monthly budget; one call of 30 posted, one of 20 held. */
async function ledgerOf(make: () => TamperedLedger) {
  const ledger = make()
  const { storage } = ledger
  await storage.migrate()
  await tenants(storage, 'org', 'acme<org')
  for (const { id, depth } of PATH) {
    const tenantId = id.slice('tenant:'.length)
    const budget = { tenantId, account: { id, depth }, unit: 'usd', window: 'month' } as const
    await storage.ledger.setBudget(
      { ...budget, zone: 'UTC', limit: 100n, source: 'explicit' },
      NONE,
    )
  }
  const reserve = async (amount: bigint): Promise<string> => {
    const item = ask('acme', amount, { accounts: PATH, call: call({ keyId: null }) })
    const [result] = await storage.ledger.reserve([item])
    expect(result).toMatchObject({ ok: true })
    return item.holdId
  }
  const settle = async (holdId: string, amount: bigint): Promise<void> => {
    const [result] = await storage.ledger.settle([settleOf('acme', holdId, amount)])
    expect(result).toMatchObject({ ok: true })
  }
  const settled = await reserve(30n)
  await settle(settled, 30n)
  const live = await reserve(20n)
  return {
    ...ledger,
    reserve,
    settle,
    settled,
    live,
    api: budgetsApi(storage, { zone: 'UTC' }),
    sums: async () => {
      const { counters } = (await storage.ledger.audit('org'))!
      return Object.fromEntries(counters.map((c: Counter) => [c.accountId, [c.posted, c.held]]))
    },
  }
}

type Ledger = Awaited<ReturnType<typeof ledgerOf>>

const kindsOf = (drifts: readonly BudgetDrift[]): string[] =>
  drifts
    .map((d) => `${d.kind} ${'holdId' in d ? 'hold' : d.line.accountId}`)
    .sort((a, b) => (a < b ? -1 : 1))

const HONEST = { 'tenant:org': [30n, 20n], 'tenant:acme': [30n, 20n] }

const PLANTED: readonly {
  readonly name: string
  plant(ledger: Ledger): void
  readonly named: readonly string[]
  /** What the counters must say after the repair. */
  readonly sums?: object
}[] = [
  {
    name: 'a counter that lost what was posted',
    plant: (l) => l.counter('tenant:acme', { posted: 29n }),
    named: ['posted tenant:acme'],
  },
  {
    name: 'a counter that counted twice',
    plant: (l) => l.counter('tenant:acme', { posted: 60n }),
    named: ['posted tenant:acme'],
  },
  {
    name: 'a counter that holds what no hold holds',
    plant: (l) => l.counter('tenant:org', { held: 21n }),
    named: ['held tenant:org'],
  },
  {
    name: 'a counter below zero',
    plant: (l) => l.counter('tenant:acme', { posted: -1n, held: -2n }),
    named: [
      'held tenant:acme',
      'negative tenant:acme',
      'negative tenant:acme',
      'posted tenant:acme',
    ],
  },
  {
    name: 'a parent that saw less than its children',
    plant: (l) => l.counter('tenant:org', { posted: 10n }),
    named: ['parent_below_children tenant:org', 'posted tenant:org'],
  },
  {
    name: 'a posted hold without its usage row',
    plant: (l) => l.dropUsage(l.settled),
    named: ['posted tenant:acme', 'posted tenant:org', 'usage_missing hold'],
  },
  {
    name: 'a usage row without its hold',
    plant: (l) => l.dropHold(l.settled),
    named: ['hold_missing hold'],
  },
  {
    name: 'a settled hold that came back to life',
    plant: (l) => l.hold(l.settled, { state: 'held' }),
    named: ['held tenant:acme', 'held tenant:org', 'hold_differs hold'],
  },
  {
    name: 'a live hold that was lost',
    plant: (l) => l.dropHold(l.live),
    named: ['held tenant:acme', 'held tenant:org'],
    sums: { 'tenant:org': [30n, 0n], 'tenant:acme': [30n, 0n] },
  },
  {
    name: 'a hold that nobody swept',
    plant: (l) => l.clock.advance(TTL_MS + 60_001),
    named: ['hold_unswept hold'],
    sums: { 'tenant:org': [30n, 0n], 'tenant:acme': [30n, 0n] },
  },
]

const STORES: readonly [string, (name: string) => TamperedLedger][] = [
  ['memory', () => tamperedMemory()],
  ['sqlite', (name) => tamperedSqlite(fileOf(name))],
]

describe.each(STORES)('reconciliation of %s', (store, make) => {
  let files = 0
  const start = (): Promise<Ledger> => ledgerOf(() => make(`reconcile-${store}-${files++}.db`))

  test('a ledger that only its own rules have touched has no drift, through every kind of change', async () => {
    const ledger = await start()
    const { api, clock, storage } = ledger
    await api.adjust({
      account: { tenantId: 'acme' },
      window: 'month',
      amount: { usd: '-0.00000001' },
      reason: 'credit note',
      idempotencyKey: 'note-1',
    })
    await api.credit({ account: { tenantId: 'acme' }, amount: { usd: '1' }, idempotencyKey: 'p' })
    const [late, voided] = [await ledger.reserve(5n), await ledger.reserve(5n)]
    await storage.ledger.void([{ tenantId: 'acme', holdId: voided }])
    clock.advance(TTL_MS)
    await storage.ledger.sweep(10)
    await ledger.settle(late, 7n)
    expect(await api.check()).toEqual({ ok: true, drifts: [] })
    clock.advance(31 * DAY_MS)
    await ledger.settle(ledger.live, 11n)
    await ledger.settle(await ledger.reserve(4n), 4n)
    expect(await api.check({ tenantId: 'org' })).toEqual({ ok: true, drifts: [] })
    expect(await api.check({ tenantId: 'acme' })).toEqual({ ok: true, drifts: [] })
  })

  test('a budget that was made, removed or set anew in the middle of a period is no drift', async () => {
    const ledger = await start()
    const { api, clock } = ledger
    const org = { account: { tenantId: 'org' }, window: 'month' } as const
    clock.advance(1)
    await api.remove(org)
    clock.advance(1)
    await api.set({ ...org, limit: { usd: '1' } })
    await ledger.settle(ledger.live, 20n)
    await ledger.settle(await ledger.reserve(3n), 3n)
    expect(await api.check()).toEqual({ ok: true, drifts: [] })
    clock.advance(31 * DAY_MS)
    await ledger.settle(await ledger.reserve(3n), 3n)
    expect(await api.check()).toEqual({ ok: true, drifts: [] })
  })

  test('a period that ended before a budget was set anew is not compared', async () => {
    const ledger = await start()
    const { api, clock } = ledger
    await ledger.settle(ledger.live, 20n)
    clock.advance(31 * DAY_MS)
    await ledger.settle(await ledger.reserve(3n), 3n)
    await api.remove({ account: { tenantId: 'acme' }, window: 'month' })
    clock.advance(1)
    await api.set({ account: { tenantId: 'acme' }, window: 'month', limit: { usd: '1' } })
    await ledger.settle(await ledger.reserve(3n), 3n)
    expect(await api.check()).toEqual({ ok: true, drifts: [] })
  })

  test('a hold that waits for its sweep, and one that was forgotten in time, are no drift', async () => {
    const ledger = await start()
    const { api, clock, storage, settled } = ledger
    clock.advance(TTL_MS + 60_000)
    expect(await api.check()).toEqual({ ok: true, drifts: [] })
    expect((await api.check({ graceMs: 59_999 })).drifts).toHaveLength(1)
    await storage.ledger.sweep(10)
    const { leaseId, events } = await storage.outbox.lease({ limit: 1000, leaseMs: 1000 })
    await storage.outbox.ack({ leaseId, ids: events.map((event) => event.id) })
    clock.advance(2 * DAY_MS)
    expect(await api.prune()).toBe(2)
    expect(await storage.ledger.hold({ tenantId: 'acme', holdId: settled })).toBeNull()
    expect(await api.check()).toEqual({ ok: true, drifts: [] })
  })

  test.each(PLANTED)('$name is named, then mended', async ({ plant, named, sums = HONEST }) => {
    const ledger = await start()
    const { api, storage } = ledger
    plant(ledger)
    const found = await api.check()
    expect(kindsOf(found.drifts)).toEqual(named)
    expect(found.ok).toBe(false)
    expect(kindsOf((await api.check()).drifts)).toEqual(named)

    const mended = await api.check({ repair: true, actor: 'ops' })
    expect(kindsOf(mended.drifts)).toEqual(named)
    expect(mended.drifts.map((drift) => drift.repaired)).toEqual(named.map(() => true))
    expect(mended.ok).toBe(true)
    expect(await api.check()).toEqual({ ok: true, drifts: [] })
    expect(await ledger.sums()).toEqual(sums)

    const { items } = await storage.audit.list({ rootId: 'org', ...ALL })
    const { events } = await storage.outbox.lease({ limit: 1000, leaseMs: 1000 })
    const repairs = items.filter((row) => row.action === 'budget.repair')
    expect(repairs.every((row) => row.actor === 'ops')).toBe(true)
    expect(events.filter((event) => event.kind === 'budget.repaired')).toHaveLength(repairs.length)
    // A sweep says so by its own event.
    if (!named.includes('hold_unswept hold')) expect(repairs.length).toBeGreaterThan(0)
  })

  test('a drift of an ended period is named with its period, and mended there', async () => {
    const ledger = await start()
    const { api, clock } = ledger
    await ledger.settle(ledger.live, 20n)
    clock.advance(31 * DAY_MS)
    await ledger.settle(await ledger.reserve(4n), 4n)
    ledger.history('tenant:acme', { posted: 49n })
    const { drifts } = await api.check({ repair: true })
    expect(drifts).toEqual([
      {
        kind: 'posted',
        tenantId: 'acme',
        line: {
          accountId: 'tenant:acme',
          unit: 'usd',
          window: 'month',
          periodStartMs: Date.UTC(2026, 0, 1),
        },
        expected: 50n,
        found: 49n,
        repaired: true,
      },
    ])
    expect(await ledger.sums()).toEqual({ 'tenant:org': [4n, 0n], 'tenant:acme': [4n, 0n] })
  })

  test('a usage row that was restored from its hold is charged, counted once, and exported', async () => {
    const ledger = await start()
    const { api, storage, settled } = ledger
    const first = await storage.outbox.lease({ limit: 1000, leaseMs: 1000 })
    await storage.outbox.ack({ leaseId: first.leaseId, ids: first.events.map((e) => e.id) })
    ledger.dropUsage(settled)
    await api.check({ repair: true })
    expect(await storage.usage.get({ tenantId: 'acme', id: settled })).toMatchObject({
      costNanoUsd: 30n,
      quality: 'unknown',
      amounts: { usd: 30n },
    })
    const { events } = await storage.outbox.lease({ limit: 1000, leaseMs: 1000 })
    expect(events.filter((event) => event.id === settled)).toHaveLength(1)
  })

  test('a repair that is overtaken by a call does not undo the call', async () => {
    const ledger = await start()
    const { storage } = ledger
    ledger.counter('tenant:acme', { posted: 25n })
    let overtaken = false
    const slow = {
      ...storage,
      ledger: {
        ...storage.ledger,
        repair: async (...args: Parameters<typeof storage.ledger.repair>) => {
          if (!overtaken) {
            overtaken = true
            await ledger.settle(await ledger.reserve(3n), 3n)
          }
          return storage.ledger.repair(...args)
        },
      },
    }
    const first = await budgetsApi(slow, { zone: 'UTC' }).check({ repair: true })
    expect(first.ok).toBe(false)
    expect(await ledger.sums()).toMatchObject({ 'tenant:acme': [28n, 20n] })
    expect((await ledger.api.check({ repair: true })).ok).toBe(true)
    expect(await ledger.sums()).toMatchObject({ 'tenant:acme': [33n, 20n] })
  })

  test('bad input is refused by name, and an unknown tenant is not a healthy one', async () => {
    const { api } = await start()
    await expect(api.check({ tenantId: 'nobody' })).rejects.toMatchObject({
      code: 'TK_TENANT_NOT_FOUND',
    })
    await expect(api.check({ graceMs: -1 })).rejects.toMatchObject({
      code: 'TK_INPUT_INVALID',
      details: { field: 'graceMs' },
    })
    await expect(api.prune({ olderThanMs: 1 })).rejects.toMatchObject({
      code: 'TK_INPUT_INVALID',
      details: { field: 'olderThanMs' },
    })
    expect(await api.prune()).toBe(0)
  })
})
