/**
 * ST-8, overflow pools: one hop, the whole hold moves, only the line that refuses is replaced, and it
 * is never silent (S0.22).
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ConformanceCase, there } from './case.ts'
import { ask, codeOf, drain, ledgerBench, one, TTL_MS, tenantAccount } from './ledger-bench.ts'
import { type Family, family, KEY, ORG, PATH, POOL, TEAM } from './ledger-limits.ts'

const TO_POOL = { overflow: POOL }

/** The key has 10 a month and a pool of 100; what is above it has 1000. */
async function pooled(own: Family): Promise<Family> {
  await own.limit(KEY, 'usd', 'month', 10n, TO_POOL)
  await own.limit(TEAM, 'usd', 'month', 1000n)
  await own.limit(ORG, 'usd', 'month', 1000n)
  await own.limit(POOL, 'usd', 'month', 100n)
  return own
}

/** Sums of key, team, organisation and pool. */
const sums = (own: Family): Promise<readonly string[]> =>
  Promise.all([KEY, TEAM, ORG, POOL].map((account) => own.sums(account, 'usd', 'month')))

export const poolCases: readonly ConformanceCase[] = [
  {
    title:
      'ST-8 a pool takes the whole hold of the line that refuses, and ancestors are charged once',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      await own.hold({ usd: 8n })
      assert.deepEqual(await sums(own), ['0/8', '0/8', '0/8', '0/0'])
      const item = ask('team', 3n, { accounts: PATH })
      const moved = one(await storage.ledger.reserve([item]))
      assert.ok(moved.ok)
      assert.deepEqual(await sums(own), ['0/8', '0/11', '0/11', '0/3'])
      const from = {
        ...{ accountId: KEY.id, unit: 'usd', window: 'month' },
        periodStartMs: Date.UTC(2026, 0, 1),
      }
      assert.deepEqual(moved.overflows, [{ from, to: POOL.id }])
      assert.deepEqual(
        moved.lines.map((l) => `${l.accountId} ${l.held}`),
        [POOL, TEAM, ORG]
          .map(({ id }) => `${id} ${id === POOL.id ? 3 : 11}`)
          .sort((a, b) =>
            // Lock order: depth, then id.
            a.startsWith(ORG.id) ? 1 : b.startsWith(ORG.id) ? -1 : a < b ? -1 : 1,
          ),
      )
      const hold = there(await storage.ledger.hold(item))
      assert.deepEqual(hold.overflows, moved.overflows)
      assert.deepEqual(
        hold.lines.map((l) => l.accountId),
        moved.lines.map((l) => l.accountId),
      )
      assert.deepEqual(one(await storage.ledger.reserve([item])), { ...moved, replayed: true })
      const events = await drain(storage)
      assert.deepEqual(
        events.map(({ kind, tenantId, payload }) => ({ kind, tenantId, payload })),
        [
          {
            kind: 'budget.overflow',
            tenantId: 'team',
            payload: { holdId: item.holdId, ...from, pool: POOL.id, amount: '3' },
          },
        ],
      )
      const settled = await own.settle(item.holdId, { usd: 2n })
      assert.ok(settled.ok && settled.lines.some((l) => l.accountId === POOL.id))
      assert.deepEqual(await sums(own), ['0/8', '2/8', '2/8', '2/0'])
    },
  },
  ...(['settle', 'void', 'expiry', 'late settle'] as const).map(
    (end): ConformanceCase => ({
      title: `ST-8 a hold that moved ends in the pool: ${end}`,
      run: async ({ storage, clock }) => {
        const own = await pooled(await family(storage))
        const holdId = await own.hold({ usd: 50n })
        if (end === 'settle') await own.settle(holdId, { usd: 60n })
        if (end === 'void') await own.void(holdId)
        if (end === 'expiry' || end === 'late settle') {
          clock.advance(TTL_MS)
          assert.equal(await storage.ledger.sweep(10), 1)
        }
        if (end === 'late settle') await own.settle(holdId, { usd: 60n })
        const charged = end.endsWith('settle') ? '60/0' : '0/0'
        assert.deepEqual(await sums(own), ['0/0', charged, charged, charged])
      },
    }),
  ),
  {
    title: 'ST-8 two windows of one account that overflow into one pool charge it once',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      await own.limit(KEY, 'usd', 'day', 5n, TO_POOL)
      await own.limit(KEY, 'usd', 'lifetime', 500n)
      const holdId = await own.hold({ usd: 20n })
      assert.deepEqual(await sums(own), ['0/0', '0/20', '0/20', '0/20'])
      // The line that admits stays.
      assert.equal(await own.sums(KEY, 'usd', 'lifetime'), '0/20')
      const hold = there(await storage.ledger.hold({ tenantId: 'team', holdId }))
      assert.deepEqual(hold.overflows.map((o) => o.from.window).sort(), ['day', 'month'])
      await own.settle(holdId, { usd: 20n })
      assert.deepEqual(await sums(own), ['0/0', '20/0', '20/0', '20/0'])
      assert.equal((await drain(storage)).filter((e) => e.kind === 'budget.overflow').length, 2)
    },
  },
  {
    title: 'ST-8 two accounts that overflow for one call charge the pool once and are told of both',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      await own.limit(TEAM, 'usd', 'month', 10n, TO_POOL)
      await own.settle(await own.hold({ usd: 20n }), { usd: 20n })
      assert.deepEqual(await sums(own), ['0/0', '0/0', '20/0', '20/0'])
      const events = (await drain(storage)).filter((e) => e.kind === 'budget.overflow')
      assert.deepEqual(events.map((e) => e.payload.accountId).sort(), [KEY.id, TEAM.id].sort())
    },
  },
  {
    title: 'ST-8 a pool that refuses leaves the call refused and everything as it was',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      const before = await own.all()
      const refused = await own.reserve({ usd: 101n })
      assert.equal(codeOf(refused), 'TK_BUDGET_EXHAUSTED')
      const denial = there(!refused.ok ? refused.denial : null)
      assert.equal(denial.accountId, KEY.id)
      // What the pool would take, not what is left of the key's own.
      assert.equal(denial.wouldFit, 100n)
      assert.deepEqual(await own.all(), before)
      assert.deepEqual(await drain(storage), [])
      assert.equal(codeOf(await own.reserve({ usd: 100n })), 'ok')
    },
  },
  {
    title: 'ST-8 all lines of a pool must admit, and the refusal that passes sooner is named',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      await own.limit(POOL, 'usd', 'lifetime', 60n)
      const holdId = await own.hold({ usd: 40n })
      // The key's own money will never do; the pool's is only held.
      const refused = await own.reserve({ usd: 30n })
      assert.equal(codeOf(refused), 'TK_BUDGET_CONTENDED')
      const { accountId, window, heldUntilMs } = there(!refused.ok ? refused.denial : null)
      assert.deepEqual([accountId, window], [POOL.id, 'lifetime'])
      assert.ok(heldUntilMs !== null)
      await own.void(holdId)
      assert.equal(codeOf(await own.reserve({ usd: 30n })), 'ok')
    },
  },
  {
    title: "ST-8 a pool's own pool is not asked: one hop",
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      await own.limit(POOL, 'usd', 'month', 15n, { overflow: ORG })
      // ORG is not on this path, and has room.
      const accounts = [KEY, TEAM]
      assert.equal(codeOf(await own.reserve({ usd: 16n }, { accounts })), 'TK_BUDGET_EXHAUSTED')
      assert.equal(codeOf(await own.reserve({ usd: 15n }, { accounts })), 'ok')
    },
  },
  {
    title: 'ST-8 a pool that lies on the path already is charged once and takes nothing over',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      await own.limit(KEY, 'usd', 'month', 10n, { overflow: ORG })
      assert.equal(codeOf(await own.reserve({ usd: 11n })), 'TK_BUDGET_EXHAUSTED')
      assert.equal(codeOf(await own.reserve({ usd: 10n })), 'ok')
      assert.deepEqual(await sums(own), ['0/10', '0/10', '0/10', '0/0'])
    },
  },
  {
    title: 'ST-8 a pool without a budget of the unit takes nothing over',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      await own.limit(KEY, 'tokens', 'month', 10n, TO_POOL)
      assert.equal(codeOf(await own.reserve({ tokens: 11n })), 'TK_BUDGET_EXHAUSTED')
    },
  },
  {
    title: 'ST-3 ST-8 a pool of a tenant that does not lie above takes nothing over',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      const other = await ledgerBench(storage, { limit: 100n, tenantId: 'other' })
      await own.limit(KEY, 'usd', 'month', 10n, { overflow: tenantAccount('other') })
      assert.equal(codeOf(await own.reserve({ usd: 11n })), 'TK_BUDGET_EXHAUSTED')
      await other.expect(0n, 0n)
    },
  },
  {
    title: 'ST-8 a pool that counts what the platform pays for takes no call that a tenant pays',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      await own.limit(POOL, 'usd', 'month', 100n, { counts: 'platform' })
      const paidBy = 'tenant' as const
      assert.equal(codeOf(await own.reserve({ usd: 11n }, { paidBy })), 'TK_BUDGET_EXHAUSTED')
      assert.equal(codeOf(await own.reserve({ usd: 11n })), 'ok')
    },
  },
  {
    title: 'ST-8 expired holds give way before a call moves to a pool',
    run: async ({ storage, clock }) => {
      const own = await pooled(await family(storage))
      await own.hold({ usd: 10n }, { ttlMs: 1 })
      clock.advance(1)
      await own.hold({ usd: 10n })
      assert.deepEqual(await sums(own), ['0/10', '0/10', '0/10', '0/0'])
    },
  },
  {
    title: 'ST-8 expired holds of a pool give way before a call is refused',
    run: async ({ storage, clock }) => {
      const own = await pooled(await family(storage))
      await own.hold({ usd: 100n }, { ttlMs: 1 })
      clock.advance(1)
      await own.hold({ usd: 90n })
      assert.deepEqual(await sums(own), ['0/0', '0/90', '0/90', '0/90'])
    },
  },
  {
    title:
      'ST-8 an extension stays where its hold is: it never moves to a pool, and never leaves one',
    run: async ({ storage }) => {
      const own = await pooled(await family(storage))
      const home = await own.hold({ usd: 8n })
      assert.equal(await own.extend(home, 1, { usd: 19n }), 'TK_BUDGET_EXHAUSTED')
      const moved = await own.hold({ usd: 50n })
      assert.equal(await own.extend(moved, 1, { usd: 70n }), 'ok')
      assert.deepEqual(await sums(own), ['0/8', '0/78', '0/78', '0/70'])
      assert.equal(await own.extend(moved, 2, { usd: 101n }), 'TK_BUDGET_CONTENDED')
      assert.deepEqual(await sums(own), ['0/8', '0/78', '0/78', '0/70'])
    },
  },
  {
    title:
      'ST-8 a rate that refuses gives way to a pool as well, and the pool alone is charged more',
    run: async ({ storage }) => {
      const own = await family(storage)
      await own.limit(KEY, 'tokens', 'rate_minute', 10n, TO_POOL)
      await own.limit(POOL, 'tokens', 'rate_minute', 100n)
      const holdId = await own.hold({ tokens: 11n })
      assert.equal(await own.extend(holdId, 1, { tokens: 20n }), 'ok')
      assert.equal(await own.sums(KEY, 'tokens', 'rate_minute'), '0/0')
      assert.equal(await own.sums(POOL, 'tokens', 'rate_minute'), '20/0')
    },
  },
  ...(['settle', 'void', 'expiry'] as const).map(
    (end): ConformanceCase => ({
      title: `ST-8 a hold outlives its pool: ${end}`,
      run: async ({ storage, clock }) => {
        const own = await pooled(await family(storage))
        const holdId = await own.hold({ usd: 50n })
        await own.remove(POOL, 'usd', 'month')
        clock.advance(1)
        await own.limit(POOL, 'usd', 'month', 100n)
        const fresh = await own.hold({ usd: 20n })
        if (end === 'settle') await own.settle(holdId, { usd: 50n })
        if (end === 'void') await own.void(holdId)
        if (end === 'expiry') {
          clock.advance(TTL_MS - 1)
          assert.equal(await storage.ledger.sweep(10), 1)
        }
        assert.equal(await own.sums(POOL, 'usd', 'month'), '0/20')
        await own.void(fresh)
        const left = end === 'settle' ? '50/0' : '0/0'
        assert.deepEqual(await sums(own), ['0/0', left, left, '0/0'])
      },
    }),
  ),
  {
    title: 'ST-8 T-B17 a hold that moved settles into the period of the pool it was held in',
    run: async ({ storage, clock }) => {
      const own = await pooled(await family(storage))
      clock.set(Date.UTC(2026, 0, 31, 23, 59, 59, 999))
      const holdId = await own.hold({ usd: 50n })
      clock.advance(1)
      await own.hold({ usd: 60n })
      await own.settle(holdId, { usd: 50n })
      assert.deepEqual(await sums(own), ['0/0', '0/60', '0/60', '0/60'])
    },
  },
]
