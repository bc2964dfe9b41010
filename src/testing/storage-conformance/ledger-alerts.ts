/**
 * ST-8, alerts: one event for each threshold and period, in the step that crosses it (S0.10, S0.28,
 * S3.28), with a forecast (S0.11).
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Storage } from '../../storage/storage.ts'
import { atOnce, type ConformanceCase } from './case.ts'
import { drain, one, settleOf, TTL_MS } from './ledger-bench.ts'
import { type Family, family, KEY, ORG, POOL, TEAM } from './ledger-limits.ts'

const THRESHOLDS = { alerts: [50, 80, 100] }

/** Percentages reported since the last look, with the account's id. */
async function reported(storage: Storage): Promise<readonly string[]> {
  const events = await drain(storage)
  return events
    .filter((e) => e.kind === 'budget.threshold')
    .map(({ payload }) => `${payload.accountId} ${payload.percent}`)
}

const spend = async (own: Family, usd: bigint): Promise<void> => {
  await own.settle(await own.hold({ usd }), { usd })
}

const team = (...percents: readonly number[]): readonly string[] =>
  percents.map((percent) => `${TEAM.id} ${percent}`)

export const alertCases: readonly ConformanceCase[] = [
  {
    title: 'ST-8 each threshold is reported once, when it is reached exactly, and never by a hold',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 100n, THRESHOLDS)
      await own.void(await own.hold({ usd: 100n }))
      await spend(own, 49n)
      assert.deepEqual(await reported(storage), [])
      await spend(own, 1n)
      assert.deepEqual(await reported(storage), team(50))
      await spend(own, 29n)
      assert.deepEqual(await reported(storage), [])
      await spend(own, 1n)
      await spend(own, 1n)
      assert.deepEqual(await reported(storage), team(80))
      await spend(own, 19n)
      assert.deepEqual(await reported(storage), team(100))
    },
  },
  {
    title: 'ST-8 one step over several thresholds reports each, also those above the limit',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 100n, { alerts: [50, 80, 100, 150, 200] })
      await own.settle(await own.hold({ usd: 1n }), { usd: 160n })
      assert.deepEqual(await reported(storage), team(50, 80, 100, 150))
      await own.settle(await own.hold({ usd: 0n }), { usd: 40n })
      assert.deepEqual(await reported(storage), team(200))
    },
  },
  {
    title: 'ST-8 ST-9 settles in one batch, at once or again report a threshold once',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 100n, THRESHOLDS)
      const holds = await Promise.all(atOnce(10, () => own.hold({ usd: 9n })))
      const items = holds.map((holdId) => settleOf('team', holdId, 9n))
      await storage.ledger.settle(items)
      await Promise.all(atOnce(8, () => storage.ledger.settle(items)))
      assert.deepEqual(await reported(storage), team(50, 80))
      await storage.ledger.settle(items)
      assert.deepEqual(await reported(storage), [])
    },
  },
  {
    title:
      'ST-8 T-B17 a new period reports anew, and what is posted late into an old one is silent',
    run: async ({ storage, clock }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 100n, THRESHOLDS)
      clock.set(Date.UTC(2026, 0, 31, 23, 59, 59, 999))
      await spend(own, 60n)
      const old = await own.hold({ usd: 40n })
      clock.advance(1)
      await own.settle(old, { usd: 40n })
      assert.deepEqual(await reported(storage), team(50))
      await spend(own, 85n)
      assert.deepEqual(await reported(storage), team(50, 80))
    },
  },
  {
    title: 'ST-8 T-B19 a raised limit repeats nothing; the next threshold is that of the new limit',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 100n, THRESHOLDS)
      await spend(own, 60n)
      assert.deepEqual(await reported(storage), team(50))
      await own.limit(TEAM, 'usd', 'month', 200n, THRESHOLDS)
      await spend(own, 50n)
      assert.deepEqual(await reported(storage), [])
      await spend(own, 50n)
      assert.deepEqual(await reported(storage), team(80))
    },
  },
  {
    title: 'ST-8 T-B19 a limit that is lowered under what is spent reports at once, and once',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 100n, THRESHOLDS)
      await spend(own, 45n)
      assert.deepEqual(await reported(storage), [])
      await own.limit(TEAM, 'usd', 'month', 50n, THRESHOLDS)
      assert.deepEqual(await reported(storage), team(50, 80))
      await own.limit(TEAM, 'usd', 'month', 100n, THRESHOLDS)
      await own.limit(TEAM, 'usd', 'month', 50n, THRESHOLDS)
      assert.deepEqual(await reported(storage), [])
    },
  },
  {
    title: 'ST-8 a budget without spending reports nothing, whatever its limit',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 0n, THRESHOLDS)
      await own.limit(TEAM, 'usd', 'month', 0n, THRESHOLDS)
      await own.settle(await own.hold({ usd: 0n }), { usd: 0n })
      assert.deepEqual(await reported(storage), [])
    },
  },
  {
    title: 'ST-8 a budget that was removed and set again reports anew, also before anybody looked',
    run: async ({ storage, clock }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 100n, THRESHOLDS)
      await spend(own, 60n)
      await own.remove(TEAM, 'usd', 'month')
      clock.advance(1)
      await own.limit(TEAM, 'usd', 'month', 100n, THRESHOLDS)
      await spend(own, 60n)
      assert.deepEqual(await reported(storage), team(50, 50))
    },
  },
  {
    title: 'ST-8 every line of a path and the pool that took over report for themselves',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(KEY, 'usd', 'month', 10n, { ...THRESHOLDS, overflow: POOL })
      await own.limit(ORG, 'usd', 'month', 200n, THRESHOLDS)
      await own.limit(POOL, 'usd', 'month', 100n, THRESHOLDS)
      await spend(own, 10n)
      await spend(own, 90n)
      const expected = [`${KEY.id} 50`, `${KEY.id} 80`, `${KEY.id} 100`]
      expected.push(`${POOL.id} 50`, `${POOL.id} 80`, `${ORG.id} 50`)
      assert.deepEqual([...(await reported(storage))].sort(), expected.sort())
    },
  },
  {
    title: 'ST-8 an alert says what is spent and when the budget is used up if spending goes on so',
    run: async ({ storage, clock }) => {
      const own = await family(storage)
      clock.set(Date.UTC(2026, 1, 1))
      await own.limit(TEAM, 'usd', 'month', 100n, { alerts: [10, 20, 100] })
      await own.limit(ORG, 'usd', 'lifetime', 100n, { alerts: [10] })
      clock.set(Date.UTC(2026, 1, 5))
      const holdId = await own.hold({ usd: 10n }, { ttlMs: 60 * TTL_MS })
      await storage.ledger.settle([settleOf('team', holdId, 10n)])
      const alert = async (): Promise<readonly Readonly<Record<string, unknown>>[]> =>
        (await drain(storage)).filter((e) => e.kind === 'budget.threshold').map((e) => e.payload)
      const line = { accountId: TEAM.id, unit: 'usd', window: 'month' }
      // 10 in 4 days: 36 more days for the other 90, which the month does not have.
      assert.deepEqual(await alert(), [
        { ...line, percent: 10, limit: '100', posted: '10', exhaustedAtMs: null },
        {
          ...{ accountId: ORG.id, unit: 'usd', window: 'lifetime', percent: 10 },
          ...{ limit: '100', posted: '10', exhaustedAtMs: Date.UTC(2026, 2, 13) },
        },
      ])
      clock.set(Date.UTC(2026, 1, 6))
      await spend(own, 40n)
      // 50 in 5 days: 5 more.
      assert.deepEqual(await alert(), [
        {
          ...{ ...line, percent: 20, limit: '100', posted: '50' },
          exhaustedAtMs: Date.UTC(2026, 1, 11),
        },
      ])
      await spend(own, 50n)
      assert.deepEqual(await alert(), [
        {
          ...{ ...line, percent: 100, limit: '100', posted: '100' },
          exhaustedAtMs: clock.nowMs(),
        },
      ])
      assert.equal(one(await storage.ledger.void([{ tenantId: 'team', holdId }])).ok, false)
    },
  },
]
