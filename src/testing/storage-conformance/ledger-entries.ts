/**
 * ST-15, ST-16: credits and adjustments, the snapshot of a reconciliation, repairs, and the end of old
 * holds.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { uuidv7 } from '../../kernel/ids.ts'
import { atOnce, type ConformanceCase, rejects, there } from './case.ts'
import { ask, codeOf, drain, ledgerBench, one, settleOf, TTL_MS } from './ledger-bench.ts'
import { ALL, badAlso, goodAlso, NONE, newCredit, tenants } from './samples.ts'

const HOLD_AGE_MS = 172_800_000
const adjustment = { kind: 'adjust', limitChange: 0n, paid: 0n, note: 'credit note' } as const

export const entryCases: readonly ConformanceCase[] = [
  {
    title: 'ST-15 a credit creates the prepaid budget, the next one raises it',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'acme')
      const first = await storage.ledger.post(newCredit('acme', 'pay-1', 40n), NONE)
      assert.deepEqual(first.entry, {
        id: 'pay-1',
        tenantId: 'acme',
        accountId: 'tenant:acme',
        unit: 'usd',
        window: 'lifetime',
        periodStartMs: 0,
        kind: 'credit',
        limitChange: 40n,
        postedChange: 0n,
        paid: 40n,
        note: '',
        atMs: clock.nowMs(),
      })
      assert.equal(first.replayed, false)
      const second = await storage.ledger.post(newCredit('acme', 'pay-2', 2n), NONE)
      assert.equal(second.line?.limit, 42n)
      assert.deepEqual(await storage.ledger.budgets('acme'), [second.line])
    },
  },
  {
    title: 'ST-15 the same entry again, also 64 times at once and later, changes nothing more',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'acme')
      const credit = newCredit('acme', 'pay-1', 40n)
      const all = await Promise.all(
        atOnce(64, (n) => storage.ledger.post(credit, goodAlso('acme', `credit-${n}`))),
      )
      assert.equal(all.filter((posted) => !posted.replayed).length, 1)
      clock.advance(40 * 86_400_000)
      const again = await storage.ledger.post(credit, goodAlso('acme', 'again'))
      assert.deepEqual(again.entry, all[0]?.entry)
      assert.equal(again.line?.limit, 40n)
      assert.equal((await storage.audit.list({ rootId: 'acme', ...ALL })).items.length, 1)
      assert.equal((await drain(storage)).length, 1)
    },
  },
  {
    title: 'ST-15 an id that stands for another entry is refused, and nothing is written',
    run: async ({ storage }) => {
      await tenants(storage, 'acme', 'other')
      await storage.ledger.post(newCredit('acme', 'pay-1', 40n), NONE)
      for (const other of [
        newCredit('acme', 'pay-1', 41n),
        newCredit('acme', 'pay-1', 40n, { paid: 50n }),
        newCredit('acme', 'pay-1', 40n, { unit: 'tokens' }),
        newCredit('acme', 'pay-1', 0n, { ...adjustment, postedChange: 1n }),
      ]) {
        const refused = storage.ledger.post(other, goodAlso('acme', 'refused'))
        await rejects(refused, 'TK_BUDGET_ENTRY_MISMATCH')
      }
      assert.equal(one(await storage.ledger.budgets('acme')).limit, 40n)
      assert.equal((await drain(storage)).length, 0)
      // Ids are the tenant's own.
      const other = await storage.ledger.post(newCredit('other', 'pay-1', 7n), NONE)
      assert.equal(other.replayed, false)
    },
  },
  {
    title: 'ST-15 an adjustment changes what is used, counts at once, and is never below zero',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.settle(await bench.hold(60n), 60n)
      const adjust = (id: string, postedChange: bigint) =>
        storage.ledger.post(
          newCredit('acme', id, 0n, { ...adjustment, window: 'month', postedChange }),
          goodAlso('acme', id),
        )
      assert.equal((await adjust('note-1', -25n)).line?.posted, 35n)
      await rejects(adjust('note-2', -36n), 'TK_INPUT_INVALID')
      await rejects(adjust('note-3', 0n), 'TK_INPUT_INVALID')
      await bench.expect(35n, 0n)
      assert.equal((await adjust('note-4', 60n)).line?.posted, 95n)
      assert.equal(codeOf(await bench.reserve(6n)), 'TK_BUDGET_EXHAUSTED')
      const { items } = await storage.audit.list({ rootId: 'acme', ...ALL })
      assert.deepEqual(
        items.map((row) => row.action),
        ['note-1', 'note-4'],
      )
    },
  },
  {
    title: 'ST-15 sums stay within 64 bits, and what would leave them is refused whole',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      const most = 9_000_000_000_000_000_000n
      await storage.ledger.post(newCredit('acme', 'pay-1', most), NONE)
      await rejects(storage.ledger.post(newCredit('acme', 'pay-2', 1n), NONE), 'TK_INPUT_INVALID')
      const adjust = (id: string, postedChange: bigint) =>
        storage.ledger.post(newCredit('acme', id, 0n, { ...adjustment, postedChange }), NONE)
      await adjust('a-1', most)
      await rejects(adjust('a-2', most), 'TK_INPUT_INVALID')
      const { limit, posted } = one(await storage.ledger.budgets('acme'))
      assert.deepEqual({ limit, posted }, { limit: most, posted: most })
    },
  },
  {
    title: 'ST-8 a settle whose sum would leave 64 bits fails alone, not its batch',
    run: async ({ storage }) => {
      const most = 9_000_000_000_000_000_000n
      const bench = await ledgerBench(storage, { limit: most })
      const [large, larger, small] = [
        await bench.hold(1n),
        await bench.hold(1n),
        await bench.hold(1n),
      ]
      const results = await storage.ledger.settle([
        settleOf('acme', large, most),
        settleOf('acme', larger, most),
        settleOf('acme', small, 7n),
      ])
      assert.deepEqual(results.map(codeOf), ['ok', 'TK_INPUT_INVALID', 'ok'])
      await bench.expect(most + 7n, 1n)
    },
  },
  {
    title:
      'ST-15 ST-3 entries need a tenant, its own account, and for adjustments a budget that sums',
    run: async ({ storage }) => {
      await tenants(storage, 'acme', 'other')
      await rejects(storage.ledger.post(newCredit('none', 'a', 1n), NONE), 'TK_TENANT_NOT_FOUND')
      const account = { id: 'tenant:other', depth: 0 }
      const foreign = newCredit('acme', 'a', 1n, { account })
      await rejects(storage.ledger.post(foreign, NONE), 'TK_INPUT_INVALID')
      const change = { ...adjustment, postedChange: 1n }
      const adjust = newCredit('acme', 'a', 0n, change)
      await rejects(storage.ledger.post(adjust, NONE), 'TK_BUDGET_NOT_FOUND')
      const budget = { tenantId: 'acme', account: adjust.account, unit: 'calls' } as const
      const live = { ...budget, window: 'concurrent', zone: 'UTC', limit: 1n } as const
      await storage.ledger.setBudget({ ...live, source: 'explicit' }, NONE)
      const counted = newCredit('acme', 'a', 0n, { ...change, unit: 'calls', window: 'concurrent' })
      await rejects(storage.ledger.post(counted, NONE), 'TK_INPUT_INVALID')
    },
  },
  {
    title: 'ST-1 ST-15 an entry whose audit row or event cannot be written changes nothing',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      const credit = newCredit('acme', 'pay-1', 40n)
      await rejects(storage.ledger.post(credit, badAlso('acme', 'bad')), 'TK_INTERNAL')
      assert.deepEqual(await storage.ledger.budgets('acme'), [])
      assert.equal((await storage.ledger.post(credit, NONE)).replayed, false)
    },
  },
  {
    title: 'ST-15 a recharged budget is warned about again when the larger amount runs out',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      const post = (id: string) =>
        storage.ledger.post(newCredit('acme', id, 100n, { alerts: [80] }), NONE)
      const spend = async (amount: bigint): Promise<string[]> => {
        const item = ask('acme', amount)
        assert.equal(codeOf(one(await storage.ledger.reserve([item]))), 'ok')
        await storage.ledger.settle([settleOf('acme', item.holdId, amount)])
        return (await drain(storage)).map((event) => event.kind).sort()
      }
      await post('pay-1')
      assert.deepEqual(await spend(80n), ['budget.threshold', 'usage'])
      await post('pay-2')
      assert.deepEqual(await spend(79n), ['usage'])
      assert.deepEqual(await spend(1n), ['budget.threshold', 'usage'])
    },
  },
  {
    title: 'ST-15 an adjustment that reaches a threshold warns, and giving back warns of nothing',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await storage.ledger.post(newCredit('acme', 'pay-1', 100n, { alerts: [80] }), NONE)
      const adjust = async (id: string, postedChange: bigint): Promise<number> => {
        await storage.ledger.post(newCredit('acme', id, 0n, { ...adjustment, postedChange }), NONE)
        return (await drain(storage)).filter(({ kind }) => kind === 'budget.threshold').length
      }
      assert.equal(await adjust('a-1', 79n), 0)
      assert.equal(await adjust('a-2', 1n), 1)
      assert.equal(await adjust('a-3', -10n), 0)
      assert.equal(await adjust('a-4', 10n), 0)
    },
  },
  {
    title: 'ST-16 ST-3 audit reads a tenant and all below it, and nothing beside it',
    run: async ({ storage }) => {
      await tenants(storage, 'org', 'acme<org', 'beside')
      const bench = await ledgerBench(storage, { limit: 100n, ready: true })
      const other = await ledgerBench(storage, { limit: 9n, tenantId: 'beside', ready: true })
      await storage.ledger.post(newCredit('beside', 'pay-1', 9n), NONE)
      await other.settle(await other.hold(2n), 2n)
      await storage.ledger.post(newCredit('acme', 'pay-1', 40n), NONE)
      const settled = await bench.hold(3n)
      await bench.settle(settled, 2n)
      const live = await bench.hold(5n)
      const seen = there(await storage.ledger.audit('org'))
      assert.deepEqual(
        [...seen.tenants].sort((a, b) => (a.id < b.id ? -1 : 1)),
        [
          { id: 'acme', parentId: 'org' },
          { id: 'org', parentId: null },
        ],
      )
      assert.deepEqual(seen.counters.map((c) => [c.window, c.posted, c.held]).sort(), [
        ['lifetime', 2n, 5n],
        ['month', 2n, 5n],
      ])
      assert.deepEqual(seen.holds.map((h) => h.id).sort(), [settled, live].sort())
      assert.deepEqual(
        seen.usage.map((row) => [row.id, row.amounts.usd]),
        [[settled, 2n]],
      )
      assert.deepEqual(
        seen.entries.map((entry) => entry.id),
        ['pay-1'],
      )
      assert.equal(await storage.ledger.audit('none'), null)
    },
  },
  {
    title: 'ST-16 a counter is set only while it has the sums that were compared, in any period',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.settle(await bench.hold(10n), 10n)
      const { periodStartMs } = one(there(await storage.ledger.audit('acme')).counters)
      const repair = (posted: bigint, becomes: bigint, tenantId = 'acme') =>
        storage.ledger.repair(
          {
            kind: 'counter',
            tenantId,
            line: { accountId: 'tenant:acme', unit: 'usd', window: 'month', periodStartMs },
            was: { posted, held: 0n },
            becomes: { posted: becomes, held: 0n },
            heldUntilMs: 0,
          },
          goodAlso('acme', `repair-${becomes}`),
        )
      assert.equal(await repair(9n, 20n), false)
      assert.equal(await repair(10n, 20n, 'other'), false)
      assert.equal(await repair(10n, 21n), true)
      await bench.expect(21n, 0n)
      clock.advance(31 * 86_400_000)
      await bench.settle(await bench.hold(1n), 1n)
      assert.equal(await repair(20n, 23n), false)
      assert.equal(await repair(21n, 22n), true)
      await bench.expect(1n, 0n)
      assert.equal(one(there(await storage.ledger.audit('acme')).history).posted, 22n)
      assert.equal((await storage.audit.list({ rootId: 'acme', ...ALL })).items.length, 2)
    },
  },
  {
    title: 'ST-16 holds and usage rows that match are left alone',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(10n)
      await bench.settle(holdId, 10n)
      for (const kind of ['usage', 'hold'] as const) {
        const repair = { kind, tenantId: 'acme', holdId }
        assert.equal(await storage.ledger.repair(repair, NONE), false)
        assert.equal(await storage.ledger.repair({ ...repair, holdId: uuidv7() }, NONE), false)
      }
    },
  },
  {
    title:
      'ST-16 a finished hold is forgotten after its time, and not before its event was exported',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const settled = await bench.hold(10n)
      await bench.settle(settled, 10n)
      await bench.void(await bench.hold(10n))
      await bench.hold(10n)
      clock.advance(TTL_MS)
      assert.equal(await storage.ledger.sweep(10), 1)
      const prune = (limit = 100) => storage.ledger.prune({ olderThanMs: HOLD_AGE_MS, limit })
      clock.advance(HOLD_AGE_MS - 1)
      assert.equal(await prune(), 0)
      clock.advance(1)
      // Only the voided one has no event.
      assert.equal(await prune(), 1)
      await drain(storage)
      assert.equal(await prune(1), 1)
      assert.equal(await prune(), 1)
      assert.equal(await storage.ledger.hold({ tenantId: 'acme', holdId: settled }), null)
      assert.ok(await storage.usage.get({ tenantId: 'acme', id: settled }))
      await bench.expect(10n, 0n)
    },
  },
  {
    title: 'ST-16 neither a live hold nor one settled late a moment ago is forgotten',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.hold(10n)
      const late = await bench.hold(10n)
      clock.advance(TTL_MS + 2 * HOLD_AGE_MS)
      await bench.settle(late, 10n)
      await drain(storage)
      assert.equal(await storage.ledger.prune({ olderThanMs: HOLD_AGE_MS, limit: 100 }), 0)
    },
  },
  {
    title: 'ST-16 the id of a hold that was settled and forgotten is refused, and its batch is not',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(10n)
      await bench.settle(holdId, 10n)
      await drain(storage)
      clock.advance(TTL_MS + HOLD_AGE_MS)
      assert.equal(await storage.ledger.prune({ olderThanMs: HOLD_AGE_MS, limit: 100 }), 1)
      const items = [ask('acme', 10n, { holdId }), ask('acme', 10n)]
      assert.deepEqual((await storage.ledger.reserve(items)).map(codeOf), [
        'TK_BUDGET_HOLD_MISMATCH',
        'ok',
      ])
      assert.equal(codeOf(await bench.settle(holdId, 10n)), 'TK_BUDGET_HOLD_NOT_FOUND')
      await bench.expect(10n, 10n)
    },
  },
  {
    title: 'ST-16 a hold is kept 48 hours at least, and the limit is bounded',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      for (const query of [
        { olderThanMs: HOLD_AGE_MS - 1, limit: 10 },
        { olderThanMs: Number.NaN, limit: 10 },
        { olderThanMs: HOLD_AGE_MS, limit: 0 },
        { olderThanMs: HOLD_AGE_MS, limit: 10_001 },
      ]) {
        await rejects(storage.ledger.prune(query), 'TK_INPUT_INVALID')
      }
    },
  },
]
