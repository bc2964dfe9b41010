/**
 * ST-8, the edges of minutes, hours, days and weeks in zones whose clocks change or are not whole
 * hours off (T-B17), and what happens when many callers cross them at once (T-B22).
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Window } from '../../storage/ledger-records.ts'
import { atOnce, type ConformanceCase } from './case.ts'
import { codeOf, ledgerBench, TTL_MS } from './ledger-bench.ts'

/** What is special, window, zone, the edge, and the edge after it. Offsets are those of the IANA time
 * zone database; the year is one of the next, so that the store's clock has not passed it. */
const EDGES: readonly (readonly [string, Window, string, string, string])[] = [
  ['any minute', 'minute', 'UTC', '2027-03-28T00:59Z', '2027-03-28T01:00Z'],
  ['the clocks change', 'minute', 'Europe/Berlin', '2027-03-28T01:00Z', '2027-03-28T01:01Z'],
  ['any hour', 'hour', 'UTC', '2027-02-01T00:00Z', '2027-02-01T01:00Z'],
  ['half an hour off', 'hour', 'Asia/Kolkata', '2027-02-01T00:30Z', '2027-02-01T01:30Z'],
  ['three quarters off', 'hour', 'Asia/Kathmandu', '2027-02-01T00:15Z', '2027-02-01T01:15Z'],
  ['an hour that is skipped', 'hour', 'Europe/Berlin', '2027-03-28T01:00Z', '2027-03-28T02:00Z'],
  ['an hour that comes twice', 'hour', 'Europe/Berlin', '2027-10-31T01:00Z', '2027-10-31T02:00Z'],
  ['any day', 'day', 'UTC', '2027-02-01T00:00Z', '2027-02-02T00:00Z'],
  ['half an hour off', 'day', 'Asia/Kolkata', '2027-01-31T18:30Z', '2027-02-01T18:30Z'],
  ['a day of 23 hours', 'day', 'Europe/Berlin', '2027-03-27T23:00Z', '2027-03-28T22:00Z'],
  ['a day of 25 hours', 'day', 'Europe/Berlin', '2027-10-30T22:00Z', '2027-10-31T23:00Z'],
  ['24 and a half hours', 'day', 'Australia/Lord_Howe', '2027-04-03T13:00Z', '2027-04-04T13:30Z'],
  ['its midnight is skipped', 'day', 'America/Santiago', '2027-09-05T04:00Z', '2027-09-06T03:00Z'],
  ['its midnight comes twice', 'day', 'America/Havana', '2027-11-07T04:00Z', '2027-11-08T05:00Z'],
  ['a leap day', 'day', 'UTC', '2028-02-29T00:00Z', '2028-03-01T00:00Z'],
  ['it begins on a Monday', 'week', 'UTC', '2027-03-01T00:00Z', '2027-03-08T00:00Z'],
  ['over the new year', 'week', 'UTC', '2027-12-27T00:00Z', '2028-01-03T00:00Z'],
  ['23 hours of Sunday', 'week', 'Europe/Berlin', '2027-03-21T23:00Z', '2027-03-28T22:00Z'],
  ['half an hour off', 'week', 'Asia/Kolkata', '2027-02-28T18:30Z', '2027-03-07T18:30Z'],
  ['14 hours ahead', 'week', 'Pacific/Kiritimati', '2027-02-28T10:00Z', '2027-03-07T10:00Z'],
]

/** The fixed windows, and the first moment of a period of each that is still to come. */
const ROLLS: readonly (readonly [Window, string])[] = [
  ['minute', '2027-02-10T10:31Z'],
  ['hour', '2027-02-10T11:00Z'],
  ['day', '2027-02-11T00:00Z'],
  ['week', '2027-02-15T00:00Z'],
  ['month', '2027-03-01T00:00Z'],
]

export const periodCases: readonly ConformanceCase[] = [
  ...EDGES.map(
    ([name, window, zone, edge, next]): ConformanceCase => ({
      title: `ST-8 T-B17 a hold of the last millisecond is charged to its ${window} (${name}, ${zone})`,
      run: async ({ storage, clock }) => {
        const edgeMs = Date.parse(edge)
        clock.set(edgeMs - 1)
        const bench = await ledgerBench(storage, { limit: 100n, zone, window })
        await bench.settle(await bench.hold(30n), 30n)
        const [settled, voided] = [await bench.hold(40n), await bench.hold(20n)]
        assert.equal((await bench.line()).resetsAtMs, edgeMs)
        assert.equal(codeOf(await bench.reserve(11n)), 'TK_BUDGET_CONTENDED')

        clock.set(edgeMs)
        await bench.expect(0n, 0n)
        assert.equal((await bench.line()).resetsAtMs, Date.parse(next))
        await bench.hold(100n)
        await bench.settle(settled, 40n)
        await bench.void(voided)
        await bench.expect(0n, 100n)
        clock.set(Date.parse(next) - 1)
        assert.ok((await bench.line()).held === 100n)
        clock.set(Date.parse(next))
        await bench.expect(0n, 0n)
      },
    }),
  ),
  ...ROLLS.map(
    ([window, edge]): ConformanceCase => ({
      title: `ST-7 ST-8 T-B22 of 64 first callers of a ${window} exactly as many win as fit, and it rolls once`,
      run: async ({ storage, clock }) => {
        clock.set(Date.parse(edge) - 1)
        const bench = await ledgerBench(storage, { limit: 1000n, window })
        await bench.settle(await bench.hold(900n), 900n)
        const old = await bench.hold(100n)
        clock.set(Date.parse(edge))
        const results = await Promise.all(atOnce(64, () => bench.reserve(37n)))
        assert.equal(results.filter((r) => r.ok).length, 27)
        await bench.expect(0n, 999n)
        await bench.settle(old, 100n)
        await bench.expect(0n, 999n)
        const history = (await storage.ledger.audit('acme'))?.history ?? []
        assert.deepEqual(
          history.map(({ posted, held }) => ({ posted, held })),
          [{ posted: 1000n, held: 0n }],
        )
        assert.equal((await storage.ledger.budgets('acme')).length, 1)
      },
    }),
  ),
  {
    title:
      'ST-7 ST-8 T-B22 budgets set beside the first callers make one row, and its limit is kept',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 1000n, window: 'day' })
      await storage.ledger.removeBudget(
        {
          ...{ tenantId: 'acme', account: { id: 'tenant:acme', depth: 0 } },
          ...{ unit: 'usd', window: 'day' },
        },
        {},
      )
      const work = atOnce(96, async (n) => {
        if (n % 3 > 0) return bench.reserve(37n)
        await bench.setLimit(1000n)
        return null
      })
      const admitted = (await Promise.all(work)).flatMap((r) => (r?.ok ? [r] : []))
      assert.equal((await storage.ledger.budgets('acme')).length, 1)
      // Callers that came before the first of them met no budget.
      const counted = admitted.filter((r) => r.lines.length > 0).length
      await bench.expect(0n, BigInt(counted) * 37n)
      assert.equal(counted, 27)
    },
  },
  {
    title:
      'ST-8 T-B19 whatever the limit is changed to between calls, each call meets the one that counts',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      for (let n = 0; n < 60; n++) {
        const limit = BigInt((n * 37) % 150)
        await bench.setLimit(limit)
        const { posted, held } = await bench.line()
        const amount = BigInt(1 + ((n * 13) % 20))
        const result = await bench.reserve(amount)
        assert.equal(result.ok, posted + held + amount <= limit, `${amount} of ${limit}`)
        if (result.ok && n % 2 === 0) await bench.settle(result.holdId, amount)
        if (result.ok && n % 4 === 1) await bench.void(result.holdId)
      }
    },
  },
  {
    title:
      'ST-8 T-B17 a hold of an ended period is charged there, also when its budget was set anew since',
    run: async ({ storage, clock }) => {
      clock.set(Date.UTC(2027, 0, 31, 23, 59, 59, 999))
      const bench = await ledgerBench(storage, { limit: 100n })
      const [ended, kept] = [await bench.hold(40n), await bench.hold(10n)]
      clock.advance(1)
      // The first call of the new period closes the old one.
      await bench.void(await bench.hold(1n))
      const account = { id: 'tenant:acme', depth: 0 }
      const budget = { tenantId: 'acme', account, unit: 'usd', window: 'month' } as const
      await storage.ledger.removeBudget(budget, {})
      clock.advance(1)
      await bench.setLimit(100n)
      await bench.settle(ended, 30n)
      await bench.expect(0n, 0n)
      const sums = async (): Promise<readonly string[]> => {
        const history = (await storage.ledger.audit('acme'))?.history ?? []
        return history.map(({ posted, held }) => `${posted}/${held}`)
      }
      assert.deepEqual(await sums(), ['30/10'])
      clock.advance(TTL_MS)
      await storage.ledger.sweep(10)
      assert.deepEqual(await sums(), ['30/0'])
      await bench.settle(kept, 5n)
      assert.deepEqual(await sums(), ['35/0'])
    },
  },
  {
    title:
      'ST-8 T-B17 a hold of a removed budget charges nothing of the one after it, once its period has ended',
    run: async ({ storage, clock }) => {
      clock.set(Date.UTC(2027, 0, 31, 23, 59, 59, 900))
      const bench = await ledgerBench(storage, { limit: 100n })
      const old = await bench.hold(40n)
      const account = { id: 'tenant:acme', depth: 0 }
      const budget = { tenantId: 'acme', account, unit: 'usd', window: 'month' } as const
      await storage.ledger.removeBudget(budget, {})
      clock.advance(1)
      await bench.setLimit(100n)
      await bench.hold(7n)
      clock.set(Date.UTC(2027, 1, 1))
      await bench.expect(0n, 0n)
      await bench.settle(old, 40n)
      const history = (await storage.ledger.audit('acme'))?.history ?? []
      assert.deepEqual(
        history.map(({ posted, held }) => `${posted}/${held}`),
        ['0/7'],
      )
    },
  },
]
