/**
 * ST-9: settle writes money, usage row and outbox event in one step, once per hold; and the sums of
 * usage rows.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { UsageDraft } from '../../storage/ledger-records.ts'
import type { Storage, UsageDimension, UsageTotal } from '../../storage/storage.ts'
import { atOnce, type ConformanceCase, there } from './case.ts'
import { ask, codeOf, drain, ledgerBench, one, settleOf } from './ledger-bench.ts'
import { tenants, usage } from './samples.ts'

/** Settles calls that cost 1, 2, 4, 8 ... by turns of model, key and tenant. */
async function settleSome(storage: Storage): Promise<void> {
  await tenants(storage, 'a', 'b')
  const calls: readonly (readonly [string, Partial<UsageDraft>])[] = [
    ['a', { model: 'm1', keyId: 'k1' }],
    ['a', { model: 'm1', keyId: null }],
    ['a', { model: 'm2', keyId: 'k1', provider: 'anthropic', scope: null }],
    ['b', { model: 'm1', keyId: 'k2' }],
  ]
  for (const [n, [tenantId, over]] of calls.entries()) {
    const cost = 1n << BigInt(n)
    const item = ask(tenantId, cost)
    await storage.ledger.reserve([item])
    const settle = { ...settleOf(tenantId, item.holdId, cost), usage: usage(cost, over) }
    assert.equal(codeOf(one(await storage.ledger.settle([settle]))), 'ok')
  }
}

const NOTHING = { tenant: null, key: null, scope: null, provider: null, model: null }

/** A group of calls as `samples.ts` makes them. */
const group = (over: Partial<UsageTotal>, calls: number, costNanoUsd: bigint): UsageTotal => ({
  ...NOTHING,
  operation: null,
  billable: null,
  day: null,
  tags: {},
  ...over,
  calls,
  completedCalls: calls,
  estimatedCalls: 0,
  unknownCalls: 0,
  billableCalls: 0,
  cacheHitCalls: 0,
  inputTokens: 11 * calls,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  inputAudioTokens: 0,
  outputTokens: 7 * calls,
  reasoningTokens: 2 * calls,
  outputAudioTokens: 0,
  costNanoUsd,
  billableCostNanoUsd: 0n,
  chargedNanoUsd: 0n,
  credits: 0n,
  timedCalls: 0,
  durationMs: 0,
  responseBytes: 0,
})

const totals = (
  storage: Storage,
  by: readonly UsageDimension[],
  tenantId: string | null = null,
): Promise<readonly UsageTotal[]> =>
  storage.usage.totals({ tenantId, fromMs: null, untilMs: null, by })

const MAX_AMOUNT = 9_000_000_000_000_000_000n

/** A row with everything in it, and one with nothing that may be absent. */
const EXTREMES: readonly UsageDraft[] = [
  usage(MAX_AMOUNT, {
    operation: 'generate_content',
    outcome: 'aborted',
    quality: 'estimated',
    tokens: {
      input: Number.MAX_SAFE_INTEGER,
      cacheRead: 5,
      cacheWrite: 4,
      cacheWrite1h: 3,
      inputAudio: 2,
      output: Number.MAX_SAFE_INTEGER,
      reasoning: 1,
      outputAudio: 0,
    },
    counts: { web_search_requests: 3, seconds: 1.25, images: 0 },
    providerCostNanoUsd: MAX_AMOUNT,
    chargedNanoUsd: MAX_AMOUNT,
    paidBy: 'platform',
    billable: true,
    secretId: null,
    secretVersion: null,
    tags: { team: 'red "7"', 'a.b': "o'hara\n\u{1f511}", empty: '' },
    durationMs: 86_400_000,
    responseBytes: 2 ** 40,
  }),
  usage(0n, {
    keyId: null,
    scope: null,
    priceId: null,
    servedModel: null,
    quality: 'unknown',
    httpStatus: null,
    tokens: {
      input: 0,
      cacheRead: null,
      cacheWrite: null,
      cacheWrite1h: null,
      inputAudio: null,
      output: 0,
      reasoning: null,
      outputAudio: null,
    },
    secretId: null,
    secretVersion: null,
  }),
]

export const usageCases: readonly ConformanceCase[] = [
  {
    title: 'ST-9 a settle posts the money, writes the usage row and puts one event into the outbox',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const startedAtMs = clock.nowMs()
      const holdId = await bench.hold(50n)
      clock.advance(700)
      await bench.settle(holdId, 40n)
      await bench.expect(40n, 0n)
      const line = { accountId: 'tenant:acme', unit: 'usd', window: 'month' } as const
      const row = {
        ...usage(40n),
        id: holdId,
        tenantId: 'acme',
        state: 'posted',
        lines: [{ ...line, periodStartMs: Date.UTC(2026, 0, 1) }],
        amounts: { usd: 40n },
        overageNanoUsd: 0n,
        startedAtMs,
        settledAtMs: startedAtMs + 700,
      }
      assert.deepEqual(await storage.usage.get({ tenantId: 'acme', id: holdId }), row)
      const amounts = { usd: '40' }
      const costs = { costNanoUsd: '40', chargedNanoUsd: '0', overageNanoUsd: '0' }
      const payload = { ...row, amounts, ...costs }
      const event = { id: holdId, kind: 'usage', tenantId: 'acme', payload }
      assert.deepEqual(await drain(storage), [event])
    },
  },
  {
    title: 'ST-9 every field of a usage row is kept exactly, full and at its extremes',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: MAX_AMOUNT })
      for (const draft of EXTREMES) {
        const holdId = await bench.hold(1n)
        const settle = { ...settleOf('acme', holdId, 1n), usage: draft }
        assert.equal(codeOf(one(await storage.ledger.settle([settle]))), 'ok')
        const kept = there(await storage.usage.get({ tenantId: 'acme', id: holdId }))
        assert.deepEqual({ ...kept, ...draft }, kept)
        const event = there((await drain(storage)).find(({ id }) => id === holdId))
        const { costNanoUsd, providerCostNanoUsd, chargedNanoUsd } = draft
        const money = { costNanoUsd, providerCostNanoUsd, chargedNanoUsd }
        const texts = Object.entries(money).map(([k, n]) => [k, n === null ? null : String(n)])
        assert.deepEqual(event.payload, {
          ...event.payload,
          ...draft,
          ...Object.fromEntries(texts),
        })
      }
    },
  },
  {
    title: 'ST-9 a settle asked again, alone, in a batch or at once, writes nothing twice',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(50n)
      const item = settleOf('acme', holdId, 40n)
      await Promise.all(atOnce(8, () => storage.ledger.settle([item, item])))
      await bench.settle(holdId, 40n)
      await bench.settle(holdId, 41n)
      await bench.expect(40n, 0n)
      assert.deepEqual(await totals(storage, []), [group({}, 1, 40n)])
      assert.equal((await drain(storage)).length, 1)
    },
  },
  {
    title: 'ST-9 a settle whose event cannot be written posts nothing and keeps the hold',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(50n)
      const circle: Record<string, unknown> = {}
      circle.circle = circle
      const broken = usage(40n, { tokens: circle as never })
      const item = { ...settleOf('acme', holdId, 40n), usage: broken }
      const answer = await storage.ledger.settle([item]).catch(() => null)
      assert.notEqual(answer?.[0]?.ok, true)
      await bench.expect(0n, 50n)
      assert.equal((await storage.ledger.hold({ tenantId: 'acme', holdId }))?.state, 'held')
      assert.equal(await storage.usage.get({ tenantId: 'acme', id: holdId }), null)
      assert.deepEqual(await drain(storage), [])
      assert.equal(codeOf(await bench.settle(holdId, 40n)), 'ok')
    },
  },
  {
    title: 'ST-9 a void and a refused settle write no usage row and no event',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(50n)
      await bench.void(holdId)
      await bench.settle(holdId, 10n)
      assert.equal(await storage.usage.get({ tenantId: 'acme', id: holdId }), null)
      assert.deepEqual(await totals(storage, []), [])
      assert.deepEqual(await drain(storage), [])
    },
  },
  {
    title: 'ST-9 the sum of the usage rows is what the budgets have posted',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 10n ** 15n })
      const costs = Array.from({ length: 50 }, (_, n) => BigInt(n * n * 1_000_003 + 1))
      for (const cost of costs) await bench.settle(await bench.hold(cost), cost)
      const sum = costs.reduce((a, b) => a + b)
      await bench.expect(sum, 0n)
      assert.equal((await totals(storage, []))[0]?.costNanoUsd, sum)
    },
  },
  {
    title: 'ST-9 usage is summed by the dimensions asked for, in their order',
    run: async ({ storage }) => {
      await settleSome(storage)
      assert.deepEqual(await totals(storage, []), [group({}, 4, 15n)])
      assert.deepEqual(await totals(storage, ['tenant']), [
        group({ tenant: 'a' }, 3, 7n),
        group({ tenant: 'b' }, 1, 8n),
      ])
      assert.deepEqual(await totals(storage, ['model', 'tenant']), [
        group({ model: 'm1', tenant: 'a' }, 2, 3n),
        group({ model: 'm1', tenant: 'b' }, 1, 8n),
        group({ model: 'm2', tenant: 'a' }, 1, 4n),
      ])
      // Absent values come first.
      assert.deepEqual(await totals(storage, ['key']), [
        group({ key: null }, 1, 2n),
        group({ key: 'k1' }, 2, 5n),
        group({ key: 'k2' }, 1, 8n),
      ])
      assert.deepEqual(await totals(storage, ['provider', 'scope'], 'a'), [
        group({ provider: 'anthropic' }, 1, 4n),
        group({ provider: 'openai', scope: 'support:chat' }, 2, 3n),
      ])
    },
  },
  {
    title: 'ST-9 usage is summed from a moment, until before another, by the time of settlement',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const startMs = clock.nowMs()
      const [a, b] = [await bench.hold(1n), await bench.hold(2n)]
      clock.set(startMs + 10)
      await bench.settle(a, 1n)
      clock.set(startMs + 20)
      await bench.settle(b, 2n)
      const between = async (fromMs: number | null, untilMs: number | null): Promise<bigint> => {
        const sums = await storage.usage.totals({ tenantId: 'acme', fromMs, untilMs, by: [] })
        return sums[0]?.costNanoUsd ?? 0n
      }
      assert.equal(await between(null, null), 3n)
      assert.equal(await between(startMs + 10, startMs + 20), 1n)
      assert.equal(await between(startMs + 11, null), 2n)
      assert.equal(await between(startMs + 20, startMs + 21), 2n)
      assert.equal(await between(null, startMs + 10), 0n)
    },
  },
  {
    title: 'ST-2 a ledger without rows answers null, nothing and not found',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const at = { tenantId: 'acme', holdId: 'no-hold' }
      assert.equal(await storage.ledger.hold(at), null)
      assert.equal(await storage.usage.get({ tenantId: 'acme', id: 'no-hold' }), null)
      assert.deepEqual(await storage.ledger.budgets('nobody'), [])
      assert.deepEqual(await totals(storage, ['tenant']), [])
      assert.equal(await storage.ledger.sweep(10), 0)
      assert.equal(codeOf(await bench.settle('no-hold', 1n)), 'TK_BUDGET_HOLD_NOT_FOUND')
      assert.equal(codeOf(await bench.void('no-hold')), 'TK_BUDGET_HOLD_NOT_FOUND')
      assert.equal(codeOf(await bench.extend('no-hold', 1, 1n)), 'TK_BUDGET_HOLD_NOT_FOUND')
    },
  },
]
