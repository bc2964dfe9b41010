/**
 * ST-7 and ST-8 of the ledger: races for the last amount, batches, arrival order, amounts that are
 * none.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { uuidv7 } from '../../kernel/ids.ts'
import type { ReserveItem, ReserveResult } from '../../storage/ledger-records.ts'
import { atOnce, type ConformanceCase, rejects } from './case.ts'
import {
  ask,
  codeOf,
  ledgerBench,
  one,
  settleOf,
  TTL_MS,
  tenantAccount,
  usd,
} from './ledger-bench.ts'
import { NONE, usage } from './samples.ts'

const codes = (results: readonly ReserveResult[]): readonly string[] => results.map(codeOf)

const MISMATCH = 'TK_BUDGET_HOLD_MISMATCH'
const INVALID = 'TK_INPUT_INVALID'
const UNKNOWN = 'TK_BUDGET_HOLD_NOT_FOUND'

const foreign = (value: unknown): bigint => value as bigint

/** What is no amount: everything but a bigint from 0 to 9e18. */
const NO_AMOUNTS: readonly (readonly [string, unknown])[] = [
  ['a negative one', -1n],
  ['a very negative one', -(2n ** 62n)],
  ['one above 9e18', 9_000_000_000_000_000_001n],
  ['one above 63 bits', 2n ** 63n],
  ['one above 64 bits', 2n ** 64n],
  ['a number', 1],
  ['a fraction', 0.5],
  ['2^53 + 1 as a number', 2 ** 53 + 1],
  ['NaN', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['minus zero', -0],
  ['a string', '1'],
  ['an empty string', ''],
  ['a decimal string', '1.5'],
  ['null', null],
  ['undefined', undefined],
  ['a boolean', true],
  ['an array', [1n]],
  ['an object with a value', { valueOf: () => 1n }],
]

export const batchCases: readonly ConformanceCase[] = [
  {
    title: 'ST-7 BG-3 T-B1 of 64 callers for the last amount exactly as many win as fit',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 1000n })
      const results = await Promise.all(atOnce(64, () => bench.reserve(37n)))
      const granted = BigInt(results.filter((r) => r.ok).length) * 37n
      assert.equal(granted, 999n)
      await bench.expect(0n, 999n)
      for (const result of results) {
        if (!result.ok) assert.equal(result.code, 'TK_BUDGET_CONTENDED')
      }
    },
  },
  {
    title: 'ST-7 BG-2 T-B1 over many rounds of racing callers the limit is never passed',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 0n })
      for (let round = 0; round < 40; round++) {
        const limit = (await bench.line()).posted + 101n
        const amount = BigInt(5 + ((round * 7) % 23))
        await bench.setLimit(limit)
        await Promise.all(
          atOnce(32, async (n) => {
            const result = await bench.reserve(amount)
            if (!result.ok) return
            if (n % 3 === 0) await bench.void(result.holdId)
            else await bench.settle(result.holdId, n % 3 === 1 ? amount : amount - 1n)
          }),
        )
        const { posted, held } = await bench.line()
        assert.ok(posted <= limit, `posted ${posted} of ${limit} in round ${round}`)
        assert.equal(held, 0n)
      }
    },
  },
  {
    title: 'ST-7 BG-3 callers on two handles of the same data share one budget',
    needs: 'multiProcess',
    run: async ({ storage, another }) => {
      const bench = await ledgerBench(storage, { limit: 1000n })
      const other = await ledgerBench(await another(), { limit: 1000n, ready: true })
      const racers = atOnce(64, (n) => (n % 2 ? bench : other).reserve(37n))
      const granted = (await Promise.all(racers)).filter((r) => r.ok).length
      assert.equal(granted, 27)
      await other.expect(0n, 999n)
    },
  },
  {
    title: 'ST-7 of many callers that settle one hold with different amounts the first is posted',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(50n)
      const racers = atOnce(16, (n) => bench.settle(holdId, BigInt(10 + n)))
      const answers = await Promise.all(racers)
      const won = answers.flatMap((answer, n) => (answer.ok ? [BigInt(10 + n)] : []))
      assert.equal(won.length, 1)
      await bench.expect(won[0]!, 0n)
      for (const answer of answers) if (!answer.ok) assert.equal(answer.code, MISMATCH)
    },
  },
  {
    title:
      'ST-7 of many callers that set a new budget one makes it, with a limit one of them asked',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 1n })
      await Promise.all(atOnce(16, (n) => bench.setLimit(BigInt(100 + n))))
      assert.equal((await storage.ledger.budgets('acme')).length, 1)
      const { limit } = await bench.line()
      assert.ok(limit >= 100n && limit < 116n)
    },
  },
  {
    title:
      'ST-8 a batch is decided in arrival order, and a refused caller leaves room for a smaller',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 10n })
      const items = [6n, 8n, 3n].map((amount) => ask('acme', amount))
      const results = await storage.ledger.reserve(items)
      assert.deepEqual(codes(results), ['ok', 'TK_BUDGET_CONTENDED', 'ok'])
      assert.deepEqual(
        results.map((r) => (r.ok ? r.holdId : null)),
        [items[0]!.holdId, null, items[2]!.holdId],
      )
      await bench.expect(0n, 9n)
    },
  },
  {
    title: 'ST-8 BG-7 a refused item takes nothing and is not remembered',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 10n })
      const item = ask('acme', 11n)
      assert.equal(codeOf(one(await storage.ledger.reserve([item]))), 'TK_BUDGET_EXHAUSTED')
      await bench.expect(0n, 0n)
      assert.equal(await storage.ledger.hold(item), null)
      const smaller = { ...item, amounts: usd(10n) }
      assert.equal(codeOf(one(await storage.ledger.reserve([smaller]))), 'ok')
    },
  },
  {
    title: 'ST-8 a batch gives the answers that its items get one by one',
    run: async ({ storage, separate }) => {
      const amounts = [40n, 70n, 5n, 0n, 60n, 50n, 6n, 5n, 1n]
      const items = amounts.map((amount) => ask('acme', amount))
      await ledgerBench(storage, { limit: 100n })
      const together = await storage.ledger.reserve(items)
      const other = await separate()
      await ledgerBench(other, { limit: 100n })
      const alone: ReserveResult[] = []
      for (const item of items) alone.push(one(await other.ledger.reserve([item])))
      assert.deepEqual(together, alone)
    },
  },
  {
    title: 'ST-8 an empty batch has no answers',
    run: async ({ storage }) => {
      assert.deepEqual(await storage.ledger.reserve([]), [])
      assert.deepEqual(await storage.ledger.extend([]), [])
      assert.deepEqual(await storage.ledger.settle([]), [])
      assert.deepEqual(await storage.ledger.void([]), [])
    },
  },
  {
    title: 'ST-8 a bad item in the middle of a batch fails alone',
    run: async ({ storage }) => {
      const { ledger } = storage
      const bench = await ledgerBench(storage, { limit: 1000n })
      const [a, b, c] = [await bench.hold(10n), await bench.hold(20n), await bench.hold(30n)]
      const tenantId = 'acme'

      const reserved = await ledger.reserve([
        ask(tenantId, 1n),
        ask(tenantId, 21n, { holdId: b }),
        ask(tenantId, -1n),
        ask(tenantId, 2n),
      ])
      assert.deepEqual(codes(reserved), ['ok', MISMATCH, INVALID, 'ok'])

      const raise = { tenantId, sequence: 1, ttlMs: TTL_MS }
      const extended = await ledger.extend([
        { ...raise, holdId: a, amounts: usd(11n) },
        { ...raise, holdId: uuidv7(), amounts: usd(11n) },
        { ...raise, holdId: b, amounts: usd(19n) },
        { ...raise, holdId: b, amounts: usd(-1n) },
        { ...raise, holdId: c, amounts: usd(31n) },
      ])
      assert.deepEqual(extended.map(codeOf), ['ok', UNKNOWN, MISMATCH, INVALID, 'ok'])

      const settled = await ledger.settle([
        settleOf(tenantId, a, 10n),
        settleOf(tenantId, uuidv7(), 1n),
        settleOf(tenantId, a, 11n),
        settleOf(tenantId, c, -1n),
        settleOf(tenantId, c, 30n),
      ])
      assert.deepEqual(settled.map(codeOf), ['ok', UNKNOWN, MISMATCH, INVALID, 'ok'])

      const voided = await ledger.void([
        { tenantId, holdId: a },
        { tenantId, holdId: uuidv7() },
        { tenantId, holdId: b },
      ])
      assert.deepEqual(voided.map(codeOf), [MISMATCH, UNKNOWN, 'ok'])
      await bench.expect(40n, 3n)
    },
  },
  {
    title: 'ST-8 BG-4 the same id twice in one batch is one hold',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 10n })
      const item = ask('acme', 6n)
      const results = await storage.ledger.reserve([item, item, { ...item, amounts: usd(7n) }])
      assert.deepEqual(codes(results), ['ok', 'ok', MISMATCH])
      assert.deepEqual(
        results.map((r) => r.ok && r.replayed),
        [false, true, false],
      )
      const settles = [settleOf('acme', item.holdId, 5n), settleOf('acme', item.holdId, 5n)]
      await storage.ledger.settle(settles)
      await bench.expect(5n, 0n)
    },
  },
  {
    title: 'ST-8 BG-4 ids that come again in a batch are answered as one by one',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 10n })
      const [a, b, c] = [ask('acme', 6n), ask('acme', 3n), ask('acme', 5n)] as const
      const less = { ...c, amounts: usd(1n) }
      const bad = { ...ask('acme', 1n), amounts: usd(-1n) }
      const results = await storage.ledger.reserve([a, b, a, c, bad, less, less, b, c])
      assert.deepEqual(
        results.map((r) => (r.ok ? [r.replayed, r.lines.map((l) => l.held)] : r.code)),
        [
          [false, [6n]],
          [false, [9n]],
          [true, [9n]],
          // What was refused is not known: its id may ask for less.
          'TK_BUDGET_CONTENDED',
          INVALID,
          [false, [10n]],
          [true, [10n]],
          [true, [10n]],
          MISMATCH,
        ],
      )
      await bench.expect(0n, 10n)
    },
  },
  {
    title: 'ST-7 ST-8 batches with ids that come again never pass a limit, also at once',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 10n })
      const batches = Array.from({ length: 8 }, () => {
        const [a, b] = [ask('acme', 2n), ask('acme', 1n)] as const
        return storage.ledger.reserve([a, b, a, b])
      })
      const results = await Promise.all(batches)
      for (const [a, b, again, after] of results) {
        assert.equal(codeOf(again!), codeOf(a!))
        assert.equal(codeOf(after!), codeOf(b!))
      }
      await bench.expect(0n, 10n)
    },
  },
  {
    title: 'ST-8 T-B9 what is no amount is refused by every ledger command, and changes nothing',
    run: async ({ storage }) => {
      const { ledger } = storage
      const tenantId = 'acme'
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(10n)
      for (const [name, value] of NO_AMOUNTS) {
        const amounts = usd(foreign(value))
        const item = ask(tenantId, foreign(value))
        assert.equal(codeOf(one(await ledger.reserve([item]))), INVALID, name)
        assert.equal(codeOf(await ledger.preview(item)), INVALID, name)
        const raise = { holdId, tenantId, sequence: 1, amounts, ttlMs: TTL_MS }
        assert.equal(codeOf(one(await ledger.extend([raise]))), INVALID, name)
        const actual = { holdId, tenantId, actual: amounts, usage: usage(1n) }
        assert.equal(codeOf(one(await ledger.settle([actual]))), INVALID, name)
        const cost = { holdId, tenantId, actual: usd(1n), usage: usage(foreign(value)) }
        assert.equal(codeOf(one(await ledger.settle([cost]))), INVALID, name)
        const account = tenantAccount(tenantId)
        const budget = { tenantId, account, unit: 'usd', window: 'month', zone: 'UTC' } as const
        const set = { ...budget, source: 'explicit', limit: foreign(value) }
        await rejects(ledger.setBudget(set, NONE), INVALID)
      }
      await bench.expect(0n, 10n)
      assert.equal((await bench.line()).limit, 100n)
    },
  },
  {
    title: 'ST-8 T-B9 a time to live or a path that is none is refused',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const account = tenantAccount('acme')
      const bad: readonly Partial<ReserveItem>[] = [
        ...[0, -1, 1.5, Number.NaN, 86_400_001].map((ttlMs) => ({ ttlMs })),
        { accounts: [account, account] },
      ]
      for (const over of bad) {
        assert.equal(codeOf(await bench.reserve(1n, over)), INVALID, JSON.stringify(over))
      }
      const holdId = await bench.hold(1n, { ttlMs: 86_400_000 })
      const raise = { holdId, tenantId: 'acme', amounts: usd(2n) }
      for (const over of [
        { sequence: 1, ttlMs: 0 },
        { sequence: 0, ttlMs: 1 },
        { sequence: 1.5, ttlMs: 1 },
      ]) {
        assert.equal(codeOf(one(await storage.ledger.extend([{ ...raise, ...over }]))), INVALID)
      }
      await bench.expect(0n, 1n)
    },
  },
  {
    title: 'ST-8 T-B10 sums that no float can hold are exact',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 10n ** 18n, window: 'lifetime' })
      const odd = 2n ** 53n + 1n
      for (let n = 0; n < 3; n++) await bench.settle(await bench.hold(odd), odd)
      await bench.hold(odd)
      await bench.expect(3n * odd, odd)
    },
  },
  {
    title: 'ST-8 T-B9 the largest amounts and an amount of zero are kept exactly',
    run: async ({ storage }) => {
      const most = 9_000_000_000_000_000_000n
      const bench = await ledgerBench(storage, { limit: most, window: 'lifetime' })
      const zero = await bench.hold(0n)
      const holdId = await bench.hold(most)
      assert.equal(codeOf(await bench.reserve(1n)), 'TK_BUDGET_CONTENDED')
      const over = await bench.hold(0n, { accounts: [] })
      await bench.settle(holdId, most - 1n)
      // No sum may grow beyond what a column holds; the others of the batch are not hurt.
      const settles = [most, 1n].map((actual) => settleOf('acme', zero, actual))
      const answers = await storage.ledger.settle([...settles, settleOf('acme', over, most)])
      assert.deepEqual(answers.map(codeOf), [INVALID, 'ok', 'ok'])
      await bench.expect(most, 0n)
      assert.equal(
        (await storage.usage.get({ tenantId: 'acme', id: holdId }))?.costNanoUsd,
        most - 1n,
      )
    },
  },
]
