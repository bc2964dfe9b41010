/**
 * ST-8, units and windows side by side: one decision over all of them (T-B21), live holds, sizes of
 * single calls, and whose calls count.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { AccountRef, Amounts, RefusalCode, Window } from '../../storage/ledger-records.ts'
import { type ConformanceCase, there } from './case.ts'
import { ask, codeOf, one, TTL_MS } from './ledger-bench.ts'
import { type Family, family, KEY, ORG, PATH, TEAM } from './ledger-limits.ts'

/** Account, unit, window: one limit of 10 each. */
const MIXED: readonly (readonly [AccountRef, string, Window, RefusalCode])[] = [
  [KEY, 'usd', 'day', 'TK_BUDGET_EXHAUSTED'],
  [KEY, 'tokens', 'rate_minute', 'TK_RATE_LIMITED'],
  [TEAM, 'calls', 'concurrent', 'TK_BUDGET_CONTENDED'],
  [TEAM, 'requests', 'month', 'TK_BUDGET_EXHAUSTED'],
  [TEAM, 'bytes', 'call', 'TK_REQUEST_TOO_LARGE'],
  [ORG, 'bytes', 'rate_second', 'TK_RATE_LIMITED'],
  [ORG, 'credits', 'lifetime', 'TK_BUDGET_EXHAUSTED'],
]

const THREE: Amounts = { usd: 3n, tokens: 3n, calls: 3n, requests: 3n, bytes: 3n, credits: 3n }

async function mixed(own: Family, unit: string, limit: bigint): Promise<void> {
  for (const [account, name, window] of MIXED) {
    await own.limit(account, name, window, name === unit ? limit : 10n)
  }
}

/** A line that refuses a call that asks 5 of each of two units, and the code it refuses with. */
const REFUSING: readonly (readonly [RefusalCode, Window, bigint])[] = [
  ['TK_REQUEST_TOO_LARGE', 'call', 4n],
  ['TK_BUDGET_EXHAUSTED', 'month', 4n],
  ['TK_RATE_LIMITED', 'rate_minute', 4n],
  ['TK_BUDGET_CONTENDED', 'lifetime', 8n],
]

const ORDER: ConformanceCase[] = REFUSING.flatMap(([longer, window, limit], n) =>
  REFUSING.slice(n + 1).flatMap(([shorter, otherWindow, otherLimit]) =>
    [true, false].map(
      (leafFirst): ConformanceCase => ({
        title: `ST-8 of two lines that refuse, ${longer} is named before ${shorter}${leafFirst ? '' : ', also when it comes later on the path'}`,
        run: async ({ storage }) => {
          const own = await family(storage)
          const [first, second] = leafFirst ? [KEY, ORG] : [ORG, KEY]
          await own.limit(first, 'a', window, limit)
          await own.limit(second, 'b', otherWindow, otherLimit)
          // Only what is held stands in the way of the contended line.
          const lone = { accounts: [second], amounts: { b: 4n } }
          if (shorter === 'TK_BUDGET_CONTENDED') await own.hold(lone.amounts, lone)
          const refused = await own.reserve({ a: 5n, b: 5n })
          assert.equal(codeOf(refused), longer)
          assert.equal(!refused.ok && refused.denial?.accountId, first.id)
        },
      }),
    ),
  ),
)

export const unitCases: readonly ConformanceCase[] = [
  ...[...new Set(MIXED.map(([, unit]) => unit))].map(
    (unit): ConformanceCase => ({
      title: `ST-8 BG-1 T-B21 a call refused for its ${unit} leaves every other counter as it was, rates too`,
      run: async ({ storage }) => {
        const own = await family(storage)
        await mixed(own, unit, unit === 'bytes' ? 3n : 5n)
        await own.hold(THREE)
        const before = await own.all()
        const refused = await own.reserve({ ...THREE, bytes: unit === 'bytes' ? 4n : 3n })
        assert.equal(!refused.ok && refused.denial?.unit, unit)
        assert.deepEqual(await own.all(), before)
        const { [unit]: _, ...others } = THREE
        assert.equal(codeOf(await own.reserve(others)), 'ok')
      },
    }),
  ),
  {
    title: 'ST-8 each unit has sums of its own, and what is not asked for is not charged',
    run: async ({ storage }) => {
      const own = await family(storage)
      await mixed(own, 'usd', 10n)
      const holdId = await own.hold({ usd: 4n, credits: 7n })
      const sums = async (): Promise<readonly string[]> =>
        Promise.all(MIXED.map(([account, unit, window]) => own.sums(account, unit, window)))
      assert.deepEqual(await sums(), ['0/4', '0/0', '0/0', '0/0', '0/0', '0/0', '0/7'])
      const settled = await own.settle(holdId, { usd: 3n, credits: 8n })
      assert.deepEqual(settled.ok && settled.overage, { usd: 0n, credits: 1n })
      assert.deepEqual(await sums(), ['3/0', '0/0', '0/0', '0/0', '0/0', '0/0', '8/0'])
    },
  },
  {
    title: 'ST-8 a call that asks nothing of a spent budget is admitted, and posted what it cost',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 5n)
      await own.settle(await own.hold({ usd: 5n }), { usd: 5n })
      assert.equal(codeOf(await own.reserve({ usd: 1n })), 'TK_BUDGET_EXHAUSTED')
      const free = await own.hold({ usd: 0n, tokens: 100n })
      const settled = await own.settle(free, { usd: 2n, tokens: 50n })
      assert.deepEqual(settled.ok && settled.overage, { usd: 2n, tokens: 0n })
      assert.equal(await own.sums(TEAM, 'usd', 'month'), '7/0')
      // Also below nothing.
      assert.equal(codeOf(await own.reserve({ usd: 0n, tokens: 100n })), 'ok')
    },
  },
  {
    title: 'ST-8 a request of a quota is given back by a void and used up by a settle',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'requests', 'month', 2n)
      const [first, second] = [await own.hold({ requests: 1n }), await own.hold({ requests: 1n })]
      assert.equal(codeOf(await own.reserve({ requests: 1n })), 'TK_BUDGET_CONTENDED')
      await own.void(first)
      await own.settle(second, { requests: 1n })
      assert.equal(await own.sums(TEAM, 'requests', 'month'), '1/0')
      await own.settle(await own.hold({ requests: 1n }), { requests: 1n })
      assert.equal(codeOf(await own.reserve({ requests: 1n })), 'TK_BUDGET_EXHAUSTED')
    },
  },
  ...(['settle', 'void', 'expiry'] as const).map(
    (end): ConformanceCase => ({
      title: `ST-8 concurrency counts live holds, and ${end} gives the place back`,
      run: async ({ storage, clock }) => {
        const own = await family(storage)
        await own.limit(KEY, 'calls', 'concurrent', 2n)
        await own.hold({ calls: 1n }, { ttlMs: 10 * TTL_MS })
        const first = await own.hold({ calls: 1n, usd: 1n })
        const full = await own.reserve({ calls: 1n })
        assert.equal(codeOf(full), 'TK_BUDGET_CONTENDED')
        assert.equal(!full.ok && full.denial?.heldUntilMs, clock.nowMs() + 10 * TTL_MS)
        assert.equal(await own.extend(first, 1, { calls: 1n, usd: 9n }), 'ok')
        assert.equal(await own.sums(KEY, 'calls', 'concurrent'), '0/2')
        if (end === 'settle') await own.settle(first, { usd: 1n, calls: 1n })
        if (end === 'void') await own.void(first)
        if (end === 'expiry') clock.advance(TTL_MS)
        assert.equal(codeOf(await own.reserve({ calls: 1n })), 'ok')
        assert.equal(codeOf(await own.reserve({ calls: 1n })), 'TK_BUDGET_CONTENDED')
        assert.equal(await own.sums(KEY, 'calls', 'concurrent'), '0/2')
      },
    }),
  ),
  {
    title: 'ST-8 concurrency of none is no waiting matter',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(KEY, 'calls', 'concurrent', 0n)
      assert.equal(codeOf(await own.reserve({ calls: 1n })), 'TK_BUDGET_EXHAUSTED')
    },
  },
  {
    title: 'ST-8 a limit of single calls looks at each alone and remembers nothing',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'bytes', 'call', 100n)
      for (let n = 0; n < 3; n++) assert.equal(codeOf(await own.reserve({ bytes: 100n })), 'ok')
      const refused = await own.reserve({ bytes: 101n })
      assert.equal(codeOf(refused), 'TK_REQUEST_TOO_LARGE')
      const { limit, posted, held, wouldFit } = there(!refused.ok ? refused.denial : null)
      assert.deepEqual([limit, posted, held, wouldFit], [100n, 0n, 0n, 100n])
      const holdId = await own.hold({ bytes: 60n })
      assert.equal(await own.extend(holdId, 1, { bytes: 100n }), 'ok')
      assert.equal(await own.extend(holdId, 2, { bytes: 101n }), 'TK_REQUEST_TOO_LARGE')
      await own.settle(holdId, { bytes: 80n })
      assert.equal(await own.sums(TEAM, 'bytes', 'call'), '0/0')
    },
  },
  ...ORDER,
  {
    title: 'ST-8 budgets that count what the platform pays for ignore what a tenant pays itself',
    run: async ({ storage }) => {
      const own = await family(storage)
      const platform = { counts: 'platform' } as const
      await own.limit(KEY, 'usd', 'month', 10n, platform)
      await own.limit(KEY, 'tokens', 'rate_minute', 10n, platform)
      await own.limit(KEY, 'bytes', 'call', 10n, platform)
      await own.limit(ORG, 'usd', 'month', 100n)
      const most = { usd: 50n, tokens: 50n, bytes: 50n }
      const byTenant = { paidBy: 'tenant' } as const
      const item = ask('team', 0n, { accounts: PATH, amounts: most, ...byTenant })
      assert.equal(codeOf(await storage.ledger.preview(item)), 'ok')
      const holdId = await own.hold(most, byTenant)
      assert.equal(await own.extend(holdId, 1, { ...most, tokens: 90n, bytes: 90n }), 'ok')
      assert.equal(await own.sums(KEY, 'usd', 'month'), '0/0')
      assert.equal(await own.sums(KEY, 'tokens', 'rate_minute'), '0/0')
      assert.equal(await own.sums(ORG, 'usd', 'month'), '0/50')
      await own.settle(holdId, { usd: 40n })
      assert.equal(await own.sums(KEY, 'usd', 'month'), '0/0')
      assert.equal(await own.sums(ORG, 'usd', 'month'), '40/0')
      for (const paidBy of [{ paidBy: 'platform' } as const, {}]) {
        assert.equal(codeOf(await own.reserve({ usd: 11n }, paidBy)), 'TK_BUDGET_EXHAUSTED')
      }
      await own.settle(await own.hold({ usd: 10n }), { usd: 9n })
      assert.equal(await own.sums(KEY, 'usd', 'month'), '9/0')
    },
  },
  {
    title: 'ST-8 BG-4 T-B4 a reserve asked again gives the same answer for every kind of window',
    run: async ({ storage }) => {
      const own = await family(storage)
      await mixed(own, 'usd', 10n)
      const item = ask('team', 0n, { accounts: PATH, amounts: THREE, paidBy: 'platform' })
      const first = one(await storage.ledger.reserve([item]))
      const before = await own.all()
      assert.deepEqual(one(await storage.ledger.reserve([item])), { ...first, replayed: true })
      assert.deepEqual(await own.all(), before)
      const byTenant = { ...item, paidBy: 'tenant' } as const
      const other = one(await storage.ledger.reserve([byTenant]))
      assert.equal(codeOf(other), 'TK_BUDGET_HOLD_MISMATCH')
    },
  },
  {
    title: 'ST-8 T-B19 the unit of a budget cannot change: another unit is another budget',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(TEAM, 'usd', 'month', 10n)
      await own.settle(await own.hold({ usd: 8n }), { usd: 8n })
      await own.limit(TEAM, 'eur', 'month', 100n)
      assert.equal((await own.all()).length, 2)
      assert.equal(await own.sums(TEAM, 'usd', 'month'), '8/0')
      assert.equal(await own.sums(TEAM, 'eur', 'month'), '0/0')
      assert.equal(codeOf(await own.reserve({ usd: 3n, eur: 3n })), 'TK_BUDGET_EXHAUSTED')
      assert.equal(codeOf(await own.reserve({ usd: 2n, eur: 3n })), 'ok')
    },
  },
]
