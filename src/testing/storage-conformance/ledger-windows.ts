/**
 * ST-8, periods: which month a charge belongs to, and what happens when one ends (T-B17, T-B22).
 *
 * @module
 */
import assert from 'node:assert/strict'
import { atOnce, type ConformanceCase } from './case.ts'
import { codeOf, ledgerBench, TTL_MS } from './ledger-bench.ts'

/** Name, zone, last millisecond of a month, and the end of the month after it. */
const EDGES: readonly (readonly [string, string, number, number])[] = [
  ['31 days', 'UTC', Date.UTC(2026, 0, 31, 23, 59, 59, 999), Date.UTC(2026, 2, 1)],
  ['28 days', 'UTC', Date.UTC(2026, 1, 28, 23, 59, 59, 999), Date.UTC(2026, 3, 1)],
  ['29 days', 'UTC', Date.UTC(2028, 1, 29, 23, 59, 59, 999), Date.UTC(2028, 3, 1)],
  ['the end of a year', 'UTC', Date.UTC(2026, 11, 31, 23, 59, 59, 999), Date.UTC(2027, 1, 1)],
  [
    'a month with the change to summer time',
    'Europe/Berlin',
    Date.UTC(2026, 2, 31, 21, 59, 59, 999),
    Date.UTC(2026, 3, 30, 22),
  ],
  [
    'a month before the change to winter time',
    'Europe/Berlin',
    Date.UTC(2026, 8, 30, 21, 59, 59, 999),
    Date.UTC(2026, 9, 31, 23),
  ],
  [
    'a zone half an hour off',
    'Asia/Kolkata',
    Date.UTC(2026, 4, 31, 18, 29, 59, 999),
    Date.UTC(2026, 5, 30, 18, 30),
  ],
  [
    'a zone 14 hours ahead',
    'Pacific/Kiritimati',
    Date.UTC(2026, 4, 31, 9, 59, 59, 999),
    Date.UTC(2026, 5, 30, 10),
  ],
  [
    'a month that starts on the day the clocks change',
    'America/New_York',
    Date.UTC(2026, 10, 1, 3, 59, 59, 999),
    Date.UTC(2026, 11, 1, 5),
  ],
]

export const windowCases: readonly ConformanceCase[] = [
  ...EDGES.map(
    ([name, zone, lastMs, nextEndMs]): ConformanceCase => ({
      title: `ST-8 T-B17 a hold of the last millisecond is charged to its month (${name}, ${zone})`,
      run: async ({ storage, clock }) => {
        clock.set(lastMs)
        const bench = await ledgerBench(storage, { limit: 100n, zone })
        await bench.settle(await bench.hold(30n), 30n)
        const [settled, voided] = [await bench.hold(40n), await bench.hold(20n)]
        assert.equal((await bench.line()).resetsAtMs, lastMs + 1)
        assert.equal(codeOf(await bench.reserve(11n)), 'TK_BUDGET_CONTENDED')

        clock.set(lastMs + 1)
        await bench.expect(0n, 0n)
        assert.equal((await bench.line()).resetsAtMs, nextEndMs)
        const next = await bench.hold(100n)
        assert.equal(codeOf(await bench.settle(settled, 40n)), 'ok')
        assert.equal(codeOf(await bench.void(voided)), 'ok')
        await bench.expect(0n, 100n)
        await bench.settle(next, 99n)
        await bench.expect(99n, 0n)
      },
    }),
  ),
  {
    title: 'ST-8 T-B17 a sweep after midnight gives back in the month of the hold',
    run: async ({ storage, clock }) => {
      clock.set(Date.UTC(2026, 0, 31, 23, 59, 59, 999))
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.hold(60n)
      clock.advance(1)
      await bench.hold(90n, { ttlMs: 2 * TTL_MS })
      clock.advance(TTL_MS)
      assert.equal(await storage.ledger.sweep(10), 1)
      await bench.expect(0n, 90n)
    },
  },
  {
    title: 'ST-8 T-B17 a hold extended after midnight asks nothing of the new month',
    run: async ({ storage, clock }) => {
      clock.set(Date.UTC(2026, 0, 31, 23, 59, 59, 999))
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(60n)
      clock.advance(1)
      await bench.hold(100n)
      assert.equal(codeOf(await bench.extend(holdId, 1, 90n)), 'ok')
      await bench.expect(0n, 100n)
      assert.equal(codeOf(await bench.settle(holdId, 90n)), 'ok')
      await bench.expect(0n, 100n)
    },
  },
  {
    title: 'ST-8 T-B17 a hold settles into its month also when whole months have passed since',
    run: async ({ storage, clock }) => {
      clock.set(Date.UTC(2026, 0, 31, 23, 59, 59, 999))
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(60n)
      clock.set(Date.UTC(2026, 3, 2))
      const settled = await bench.settle(holdId, 50n)
      assert.equal(settled.ok && settled.state, 'late_posted')
      await bench.expect(0n, 0n)
    },
  },
  {
    title: 'ST-8 ST-4 T-B17 a clock that steps back never brings back the month before',
    run: async ({ storage, clock }) => {
      const februaryMs = Date.UTC(2026, 1, 1)
      clock.set(februaryMs - 1)
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.settle(await bench.hold(100n), 100n)
      clock.set(februaryMs)
      const holdId = await bench.hold(70n)
      clock.set(februaryMs - 3_600_000)
      await bench.expect(0n, 70n)
      assert.equal(codeOf(await bench.reserve(31n)), 'TK_BUDGET_CONTENDED')
      await bench.settle(holdId, 70n)
      await bench.expect(70n, 0n)
      assert.equal((await bench.line()).resetsAtMs, Date.UTC(2026, 2, 1))
    },
  },
  {
    title: 'ST-8 ST-4 a clock that steps back neither expires a hold nor lengthens its life',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const startMs = clock.nowMs()
      await bench.hold(60n)
      clock.set(startMs - 10 * TTL_MS)
      assert.equal(await storage.ledger.sweep(10), 0)
      await bench.expect(0n, 60n)
      clock.set(startMs + TTL_MS)
      assert.equal(await storage.ledger.sweep(10), 1)
    },
  },
  {
    title: 'ST-7 ST-8 T-B22 of 64 first callers of a month exactly as many win as fit',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 1000n })
      await bench.settle(await bench.hold(1000n), 1000n)
      clock.set(Date.UTC(2026, 1, 1))
      const results = await Promise.all(atOnce(64, () => bench.reserve(37n)))
      assert.equal(results.filter((r) => r.ok).length, 27)
      await bench.expect(0n, 999n)
    },
  },
  {
    title: 'ST-8 a lifetime budget never resets',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n, window: 'lifetime' })
      await bench.settle(await bench.hold(60n), 60n)
      clock.set(Date.UTC(2036, 6, 1))
      await bench.expect(60n, 0n)
      assert.equal((await bench.line()).resetsAtMs, null)
      assert.equal(codeOf(await bench.reserve(41n)), 'TK_BUDGET_EXHAUSTED')
    },
  },
  {
    title: 'ST-8 a changed limit counts for the month it is changed in, also before its first call',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.settle(await bench.hold(100n), 100n)
      clock.set(Date.UTC(2026, 1, 1))
      await bench.setLimit(50n)
      await bench.expect(0n, 0n)
      assert.equal(codeOf(await bench.reserve(50n)), 'ok')
    },
  },
]
