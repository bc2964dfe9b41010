/**
 * ST-19: usage rows that are given their price later, and the budgets that follow.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Repricing } from '../../storage/ledger-entries.ts'
import type { LineState, UsageRecord } from '../../storage/ledger-records.ts'
import type { Storage } from '../../storage/storage.ts'
import { atOnce, type ConformanceCase, rejects, there } from './case.ts'
import { ask, codeOf, drain, ledgerBench, one, settleOf, tenantAccount } from './ledger-bench.ts'
import { ALL, badAlso, goodAlso, NONE } from './samples.ts'

const DAY_MS = 86_400_000

/** From what `settleOf` writes. */
const to = (id: string, was: bigint, cost: bigint): Repricing => ({
  tenantId: 'acme',
  id,
  was: { priceId: 'price-1', costNanoUsd: was },
  becomes: {
    priceId: 'price-2',
    costNanoUsd: cost,
    chargedNanoUsd: cost * 2n,
    quality: 'measured',
  },
})

const usageRow = async (storage: Storage, id: string): Promise<UsageRecord> =>
  there(await storage.usage.get({ tenantId: 'acme', id }))

const budgetOf = async (
  storage: Storage,
  tenantId: string,
  window: LineState['window'],
): Promise<bigint> =>
  there((await storage.ledger.budgets(tenantId)).find((line) => line.window === window)).posted

export const repriceCases: readonly ConformanceCase[] = [
  {
    title: 'ST-19 row, counters, entries, audit and event follow a new price in one step',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 1000n })
      await ledgerBench(storage, { limit: 1000n, window: 'lifetime', ready: true })
      const id = await bench.hold(500n)
      await bench.settle(id, 500n)
      const before = await usageRow(storage, id)
      await drain(storage)

      const repriced = await storage.ledger.reprice(to(id, 500n, 42n), goodAlso('acme', 'reprice'))
      const { becomes } = to(id, 500n, 42n)
      assert.deepEqual(repriced, { ...before, ...becomes })
      assert.deepEqual(await usageRow(storage, id), repriced)
      assert.equal(await budgetOf(storage, 'acme', 'month'), 42n)
      assert.equal(await budgetOf(storage, 'acme', 'lifetime'), 42n)

      const { entries } = there(await storage.ledger.audit('acme'))
      assert.deepEqual(entries.map(({ window }) => window).sort(), ['lifetime', 'month'])
      for (const entry of entries) {
        const line = there(before.lines.find(({ window }) => window === entry.window))
        assert.deepEqual(entry, {
          ...line,
          id: `reprice.${id}.${before.lines.indexOf(line)}`,
          tenantId: 'acme',
          kind: 'adjust',
          limitChange: 0n,
          postedChange: -458n,
          paid: 0n,
          note: 'repriced: price-2',
          atMs: clock.nowMs(),
        })
      }
      const events = await drain(storage)
      const event = there(events.find((e) => e.id === `${id}.repriced`))
      assert.equal(event.kind, 'usage.repriced')
      assert.equal(event.payload.costNanoUsd, '42')
      assert.equal(events.length, 2)
      const { items } = await storage.audit.list({ rootId: 'acme', ...ALL })
      assert.deepEqual(
        items.map((row) => row.action),
        ['reprice'],
      )
    },
  },
  {
    title: 'ST-19 a dearer price counts against the limit at once, also of the tenant above',
    run: async ({ storage }) => {
      const parent = await ledgerBench(storage, { limit: 1000n, tenantId: 'root' })
      await storage.tenants.create({ id: 'acme', parentId: 'root', credentials: 'tenant' }, NONE)
      await ledgerBench(storage, { limit: 600n, ready: true })
      const accounts = [tenantAccount('acme', 1), tenantAccount('root')]
      const item = ask('acme', 10n, { accounts })
      assert.equal(codeOf(one(await storage.ledger.reserve([item]))), 'ok')
      await storage.ledger.settle([settleOf('acme', item.holdId, 10n)])
      assert.ok(await storage.ledger.reprice(to(item.holdId, 10n, 600n), NONE))
      await parent.expect(600n, 0n)
      const next = one(await storage.ledger.reserve([ask('acme', 1n, { accounts })]))
      assert.equal(codeOf(next), 'TK_BUDGET_EXHAUSTED')
    },
  },
  {
    title: 'ST-19 a call of an ended period is corrected in that period, not in the running one',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 1000n, window: 'day' })
      const id = await bench.hold(500n)
      await bench.settle(id, 500n)
      clock.advance(DAY_MS)
      await bench.settle(await bench.hold(7n), 7n)
      assert.ok(await storage.ledger.reprice(to(id, 500n, 42n), NONE))
      await bench.expect(7n, 0n)
      const account = tenantAccount('acme')
      const budget = { tenantId: 'acme', account, unit: 'usd', window: 'day' } as const
      const { ended } = there(await storage.ledger.periods({ ...budget, limit: 10 }))
      assert.deepEqual(
        ended.map(({ posted }) => posted),
        [42n],
      )
    },
  },
  {
    title: 'ST-19 of 64 callers at once one corrects, the same again later changes nothing',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 1000n })
      const id = await bench.hold(500n)
      await bench.settle(id, 500n)
      await drain(storage)
      const all = await Promise.all(
        atOnce(64, (n) =>
          storage.ledger.reprice(to(id, 500n, BigInt(n)), goodAlso('acme', `try-${n}`)),
        ),
      )
      const won = all.filter((row) => row !== null)
      assert.equal(won.length, 1)
      await bench.expect(there(won[0]).costNanoUsd, 0n)
      assert.equal(await storage.ledger.reprice(to(id, 500n, 9n), NONE), null)
      assert.equal((await drain(storage)).length, 2)
      assert.equal((await storage.audit.list({ rootId: 'acme', ...ALL })).items.length, 1)
    },
  },
  {
    title: 'ST-19 ST-3 a row that says something else, or is another tenant’s, is left alone',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 1000n })
      await ledgerBench(storage, { limit: 1000n, tenantId: 'other' })
      const id = await bench.hold(500n)
      await bench.settle(id, 500n)
      const good = to(id, 500n, 42n)
      for (const wrong of [
        to(id, 499n, 42n),
        { ...good, was: { ...good.was, priceId: 'price-0' } },
        { ...good, was: { ...good.was, priceId: null } },
        { ...good, tenantId: 'other' },
        { ...good, id: '019ad000-0000-7000-8000-000000000000' },
      ]) {
        assert.equal(await storage.ledger.reprice(wrong, goodAlso('acme', 'wrong')), null)
      }
      await bench.expect(500n, 0n)
      assert.deepEqual((await storage.audit.list({ rootId: 'acme', ...ALL })).items, [])
    },
  },
  {
    title: 'ST-19 a budget that was removed, or made after the call, is left alone',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 1000n })
      const id = await bench.hold(500n)
      await bench.settle(id, 500n)
      const account = tenantAccount('acme')
      const budget = { tenantId: 'acme', account, unit: 'usd', window: 'month' } as const
      assert.equal(await storage.ledger.removeBudget(budget, NONE), true)
      clock.advance(1000)
      await bench.setLimit(1000n)
      assert.ok(await storage.ledger.reprice(to(id, 500n, 42n), NONE))
      await bench.expect(0n, 0n)
      assert.equal((await usageRow(storage, id)).costNanoUsd, 42n)
      assert.deepEqual(there(await storage.ledger.audit('acme')).entries, [])
    },
  },
  {
    title: 'ST-19 ST-1 nothing is written when one budget cannot follow, or an audit row cannot',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 1000n })
      await ledgerBench(storage, { limit: 1000n, window: 'lifetime', ready: true })
      const id = await bench.hold(500n)
      await bench.settle(id, 500n)
      const account = tenantAccount('acme')
      await storage.ledger.post(
        {
          tenantId: 'acme',
          account,
          unit: 'usd',
          window: 'month',
          zone: 'UTC',
          id: 'note-1',
          kind: 'adjust',
          limitChange: 0n,
          postedChange: -100n,
          paid: 0n,
          note: 'credit note',
        },
        NONE,
      )
      await drain(storage)
      await rejects(storage.ledger.reprice(to(id, 500n, 42n), NONE), 'TK_INPUT_INVALID')
      const fits = to(id, 500n, 450n)
      await rejects(storage.ledger.reprice(fits, badAlso('acme', 'bad')), 'TK_INTERNAL')
      await bench.expect(400n, 0n)
      assert.equal(await budgetOf(storage, 'acme', 'lifetime'), 500n)
      assert.equal((await usageRow(storage, id)).costNanoUsd, 500n)
      assert.equal((await drain(storage)).length, 0)
      assert.ok(await storage.ledger.reprice(fits, NONE))
      await bench.expect(350n, 0n)
    },
  },
]
