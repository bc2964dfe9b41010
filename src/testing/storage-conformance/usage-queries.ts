/**
 * ST-9, reading: usage rows summed by every dimension, narrowed by every attribute, page by page; and
 * listed one by one.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { UsageDraft } from '../../storage/ledger-records.ts'
import type { Storage, UsageDimension, UsageQuery, UsageTotal } from '../../storage/storage.ts'
import type { FakeClock } from '../fake-clock.ts'
import type { ConformanceCase } from './case.ts'
import { ask, codeOf, one, settleOf } from './ledger-bench.ts'
import { tenants, usage } from './samples.ts'

const HOUR_MS = 3_600_000

/** Settles one call for each draft, an hour apart; costs are 1, 2, 4, 8 ... */
async function settleAll(
  storage: Storage,
  clock: FakeClock,
  drafts: readonly (Partial<UsageDraft> & { readonly tenantId?: string })[],
): Promise<readonly string[]> {
  await tenants(storage, 'a', 'b')
  const ids: string[] = []
  for (const [n, { tenantId = 'a', ...over }] of drafts.entries()) {
    const cost = 1n << BigInt(n)
    const item = ask(tenantId, cost)
    await storage.ledger.reserve([item])
    const settle = { ...settleOf(tenantId, item.holdId, cost), usage: usage(cost, over) }
    assert.equal(codeOf(one(await storage.ledger.settle([settle]))), 'ok')
    ids.push(item.holdId)
    clock.advance(HOUR_MS)
  }
  return ids
}

const ALL_TIME = { tenantId: null, fromMs: null, untilMs: null } as const

type Values = readonly (string | null)[]

/** Each group as its values and its cost, which tells which calls are in it. */
async function groups(
  storage: Storage,
  by: readonly UsageDimension[],
  query: Partial<UsageQuery> = {},
): Promise<readonly (readonly [...Values, bigint])[]> {
  const totals = await storage.usage.totals({ ...ALL_TIME, by, ...query })
  return totals.map((total) => [...valuesOf(total, by), total.costNanoUsd])
}

const valuesOf = (total: UsageTotal, by: readonly UsageDimension[]): Values =>
  by.map((d) => (d.startsWith('tag:') ? total.tags[d.slice(4)]! : total[d as 'tenant']))

const MIXED: readonly (Partial<UsageDraft> & { readonly tenantId?: string })[] = [
  { tags: { team: 'red', 'cost.centre': '12' }, operation: 'chat' },
  { tags: { team: 'blue' }, operation: 'embeddings', keyId: null },
  { tags: {}, billable: true, paidBy: 'platform', scope: null },
  { tags: { team: '' }, tenantId: 'b', model: 'model-b', provider: 'anthropic' },
  { tags: { team: 'null', Team: 'red' }, tenantId: 'b', billable: true, paidBy: 'platform' },
]

export const usageQueryCases: readonly ConformanceCase[] = [
  {
    title: 'ST-9 usage is summed by operation, by who is billed and by tags',
    run: async ({ storage, clock }) => {
      await settleAll(storage, clock, MIXED)
      assert.deepEqual(await groups(storage, ['operation']), [
        ['chat', 29n],
        ['embeddings', 2n],
      ])
      assert.deepEqual(await groups(storage, ['billable']), [
        ['false', 11n],
        ['true', 20n],
      ])
      assert.deepEqual(await groups(storage, ['tag:team']), [
        [null, 4n],
        ['', 8n],
        ['blue', 2n],
        ['null', 16n],
        ['red', 1n],
      ])
      assert.deepEqual(await groups(storage, ['tag:cost.centre', 'tenant', 'tag:Team']), [
        [null, 'a', null, 6n],
        [null, 'b', null, 8n],
        [null, 'b', 'red', 16n],
        ['12', 'a', null, 1n],
      ])
    },
  },
  {
    title: 'ST-9 usage is narrowed down by the value of every attribute, and by its absence',
    run: async ({ storage, clock }) => {
      await settleAll(storage, clock, MIXED)
      const sum = async (query: Partial<UsageQuery>): Promise<bigint> =>
        (await groups(storage, [], query))[0]?.at(-1) as bigint
      assert.equal(await sum({ where: {} }), 31n)
      assert.equal(await sum({ where: { 'tag:team': 'red' } }), 1n)
      assert.equal(await sum({ where: { 'tag:team': null } }), 4n)
      assert.equal(await sum({ where: { 'tag:team': 'null' } }), 16n)
      assert.equal(await sum({ where: { 'tag:team': "red' OR 1=1 --" } }), undefined)
      assert.equal(await sum({ where: { key: null } }), 2n)
      assert.equal(await sum({ where: { scope: null } }), 4n)
      assert.equal(await sum({ where: { model: 'model-b', provider: 'anthropic' } }), 8n)
      assert.equal(await sum({ where: { operation: 'embeddings' } }), 2n)
      assert.equal(await sum({ where: { billable: 'true' }, tenantId: 'a' }), 4n)
      assert.equal(await sum({ where: { billable: 'false' }, tenantId: 'b' }), 8n)
    },
  },
  {
    title: 'ST-9 usage is summed by days that the caller draws; rows of no such day are left out',
    run: async ({ storage, clock }) => {
      const startMs = clock.nowMs()
      await settleAll(storage, clock, [{}, {}, { tenantId: 'b' }, {}])
      const at = (hours: number): number => startMs + hours * HOUR_MS
      const days = [
        { day: 'first', fromMs: at(0), untilMs: at(2) },
        { day: 'second', fromMs: at(2), untilMs: at(3) },
        { day: 'empty', fromMs: at(3) + 1, untilMs: at(9) },
      ]
      assert.deepEqual(await groups(storage, ['day'], { days }), [
        ['first', 3n],
        ['second', 4n],
      ])
      assert.deepEqual(await groups(storage, ['tenant', 'day'], { days, fromMs: at(1) }), [
        ['a', 'first', 2n],
        ['b', 'second', 4n],
      ])
      assert.deepEqual(await groups(storage, ['day'], { days, tenantId: 'a', untilMs: at(1) }), [
        ['first', 1n],
      ])
      assert.deepEqual(await groups(storage, ['day'], { days: [] }), [])
    },
  },
  {
    title: 'ST-9 every figure of a total is the sum over its rows',
    run: async ({ storage, clock }) => {
      const tokens = {
        input: 100,
        cacheRead: 40,
        cacheWrite: 30,
        cacheWrite1h: 20,
        inputAudio: 10,
        output: 50,
        reasoning: 5,
        outputAudio: 4,
      }
      const billed = { paidBy: 'platform', billable: true } as const
      await settleAll(storage, clock, [
        { tokens, ...billed, chargedNanoUsd: 10n ** 18n, durationMs: 300, responseBytes: 5000 },
        { tokens, ...billed, chargedNanoUsd: 9n * 10n ** 18n, durationMs: 0, responseBytes: null },
        { outcome: 'aborted', quality: 'estimated' },
        { outcome: 'broken', quality: 'unknown', durationMs: 50, responseBytes: 7 },
      ])
      const [total] = await storage.usage.totals({ ...ALL_TIME, by: [] })
      assert.deepEqual(total, {
        ...{ tenant: null, key: null, scope: null, provider: null, model: null },
        ...{ operation: null, billable: null, day: null, tags: {} },
        calls: 4,
        completedCalls: 2,
        estimatedCalls: 1,
        unknownCalls: 1,
        billableCalls: 2,
        cacheHitCalls: 2,
        inputTokens: 222,
        cacheReadTokens: 80,
        cacheWriteTokens: 60,
        cacheWrite1hTokens: 40,
        inputAudioTokens: 20,
        outputTokens: 114,
        reasoningTokens: 14,
        outputAudioTokens: 8,
        costNanoUsd: 15n,
        billableCostNanoUsd: 3n,
        // More than 64 bits hold.
        chargedNanoUsd: 10n ** 19n,
        credits: 0n,
        timedCalls: 3,
        durationMs: 350,
        responseBytes: 5007,
      })
    },
  },
  {
    title: 'ST-9 credits are summed from what was posted',
    run: async ({ storage }) => {
      await tenants(storage, 'a')
      for (const credits of [5n, 9_000_000_000_000_000_000n, 700n, null]) {
        const item = ask('a', 1n)
        await storage.ledger.reserve([item])
        const actual = credits === null ? { usd: 1n } : { usd: 1n, credits }
        const settle = { ...settleOf('a', item.holdId, 1n), actual }
        assert.equal(codeOf(one(await storage.ledger.settle([settle]))), 'ok')
      }
      const [total] = await storage.usage.totals({ ...ALL_TIME, by: [] })
      assert.equal(total?.credits, 9_000_000_000_000_000_705n)
    },
  },
  {
    title: 'ST-9 pages of groups follow their order, with absent values first, and leave none out',
    run: async ({ storage, clock }) => {
      await settleAll(storage, clock, MIXED)
      const by = ['tag:team', 'tenant', 'key'] as const
      const whole = await groups(storage, by)
      assert.equal(whole.length, 5)
      for (const limit of [1, 2, 3, 5]) {
        const pages: (readonly [...Values, bigint])[] = []
        let after: Values | null = null
        for (;;) {
          const page = await groups(storage, by, { after, limit })
          if (page.length === 0) break
          assert.ok(page.length <= limit)
          pages.push(...page)
          after = page.at(-1)!.slice(0, -1) as Values
        }
        assert.deepEqual(pages, whole)
      }
    },
  },
  {
    title: 'ST-9 usage rows are listed in order of settlement, page by page, of one tenant only',
    run: async ({ storage, clock }) => {
      const startMs = clock.nowMs()
      const ids = await settleAll(storage, clock, MIXED)
      // Two more in one millisecond: the id decides.
      const items = [ask('a', 1n), ask('a', 1n)]
      await storage.ledger.reserve(items)
      await storage.ledger.settle(items.map(({ holdId }) => settleOf('a', holdId, 1n)))
      const last = items.map(({ holdId }) => holdId).sort()
      const expected = [...ids.slice(0, 3), ...last]
      const query = { tenantId: 'a', fromMs: null, untilMs: null }
      for (const limit of [1, 2, 10]) {
        const listed: string[] = []
        let after = null
        for (;;) {
          const rows = await storage.usage.list({ ...query, after, limit })
          if (rows.length === 0) break
          assert.ok(rows.length <= limit)
          listed.push(...rows.map((row) => row.id))
          const { settledAtMs, id } = rows.at(-1)!
          after = { settledAtMs, id }
        }
        assert.deepEqual(listed, expected)
      }
      const some = { fromMs: startMs + HOUR_MS, untilMs: startMs + 3 * HOUR_MS }
      const where = { scope: null }
      const rows = await storage.usage.list({ ...query, ...some, where, after: null, limit: 10 })
      assert.deepEqual(
        rows,
        [await storage.usage.get({ tenantId: 'a', id: ids[2]! })].map((row) => ({ ...row })),
      )
      const none = { ...query, tenantId: 'nobody', after: null, limit: 10 }
      assert.deepEqual(await storage.usage.list(none), [])
    },
  },
]
