/**
 * ST-8, the life of a hold: every pair of operations, replays, extends, overage.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ConformanceCase, there } from './case.ts'
import {
  ask,
  codeOf,
  drain,
  type LedgerBench,
  ledgerBench,
  one,
  TTL_MS,
  tenantAccount,
} from './ledger-bench.ts'
import { NONE } from './samples.ts'

const MISMATCH = 'TK_BUDGET_HOLD_MISMATCH'
const LOST = 'TK_BUDGET_HOLD_LOST'

export type Operation =
  | readonly ['settle', bigint]
  | readonly ['void']
  | readonly ['extend', number, bigint]

export const nameOf = ([name, ...values]: Operation): string => [name, ...values].join(' ')

export const apply = async (
  bench: LedgerBench,
  holdId: string,
  [name, a = 0, b]: Operation,
): Promise<string> => {
  if (name === 'settle') return codeOf(await bench.settle(holdId, BigInt(a)))
  if (name === 'void') return codeOf(await bench.void(holdId))
  return codeOf(await bench.extend(holdId, Number(a), b ?? 0n))
}

/** First and second operation on a hold of 50, the second's answer, then what is posted and held. */
const PAIRS: readonly (readonly [Operation, Operation, string, bigint, bigint])[] = [
  [['settle', 40n], ['settle', 40n], 'ok', 40n, 0n],
  [['settle', 40n], ['settle', 41n], MISMATCH, 40n, 0n],
  [['settle', 0n], ['settle', 0n], 'ok', 0n, 0n],
  [['settle', 0n], ['settle', 1n], MISMATCH, 0n, 0n],
  [['settle', 40n], ['void'], MISMATCH, 40n, 0n],
  [['settle', 40n], ['extend', 1, 60n], LOST, 40n, 0n],
  [['settle', 60n], ['settle', 60n], 'ok', 60n, 0n],
  [['void'], ['void'], 'ok', 0n, 0n],
  [['void'], ['settle', 40n], MISMATCH, 0n, 0n],
  [['void'], ['settle', 0n], MISMATCH, 0n, 0n],
  [['void'], ['extend', 1, 60n], LOST, 0n, 0n],
  [['extend', 1, 60n], ['extend', 1, 60n], 'ok', 0n, 60n],
  [['extend', 1, 60n], ['extend', 1, 61n], MISMATCH, 0n, 60n],
  [['extend', 1, 60n], ['extend', 1, 50n], MISMATCH, 0n, 60n],
  [['extend', 1, 60n], ['extend', 2, 60n], 'ok', 0n, 60n],
  [['extend', 1, 60n], ['extend', 2, 70n], 'ok', 0n, 70n],
  [['extend', 1, 60n], ['extend', 2, 59n], MISMATCH, 0n, 60n],
  [['extend', 2, 60n], ['extend', 1, 60n], MISMATCH, 0n, 60n],
  [['extend', 2, 60n], ['extend', 1, 70n], MISMATCH, 0n, 60n],
  [['extend', 1, 60n], ['settle', 40n], 'ok', 40n, 0n],
  [['extend', 1, 60n], ['settle', 60n], 'ok', 60n, 0n],
  [['extend', 1, 60n], ['void'], 'ok', 0n, 0n],
  [['extend', 1, 50n], ['settle', 50n], 'ok', 50n, 0n],
]

export const holdCases: readonly ConformanceCase[] = [
  ...PAIRS.map(
    ([first, second, answer, posted, held]): ConformanceCase => ({
      title: `ST-8 BG-4 T-B4 ${nameOf(first)} and then ${nameOf(second)} is ${answer}`,
      run: async ({ storage }) => {
        const bench = await ledgerBench(storage, { limit: 100n })
        const other = await bench.hold(7n)
        const holdId = await bench.hold(50n)
        assert.equal(await apply(bench, holdId, first), 'ok')
        assert.equal(await apply(bench, holdId, second), answer)
        await bench.expect(posted, held + 7n)
        await bench.void(other)
        await bench.expect(posted, held)
      },
    }),
  ),
  {
    title:
      'ST-8 BG-4 T-B4 a reserve asked again is the same hold, with other parameters a mismatch',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const item = ask('acme', 50n)
      const first = one(await storage.ledger.reserve([item]))
      clock.advance(10)
      const again = one(await storage.ledger.reserve([item]))
      assert.deepEqual(again, { ...first, replayed: true })
      await bench.extend(item.holdId, 1, 60n)
      assert.equal(codeOf(one(await storage.ledger.reserve([item]))), 'ok')
      for (const other of [
        { ...item, amounts: { usd: 51n } },
        { ...item, amounts: { usd: 60n } },
        { ...item, accounts: [] },
        { ...item, accounts: [tenantAccount('acme', 1)] },
      ]) {
        assert.equal(codeOf(one(await storage.ledger.reserve([other]))), MISMATCH)
      }
      await bench.expect(0n, 60n)
    },
  },
  {
    title: 'ST-8 a hold is kept with what was asked, its lines, its state and what it cost',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const item = ask('acme', 50n)
      await storage.ledger.reserve([item])
      const { holdId: id, tenantId, accounts, amounts, call } = item
      const createdAtMs = clock.nowMs()
      const line = { accountId: 'tenant:acme', unit: 'usd', window: 'month' } as const
      const held = {
        ...{ id, tenantId, accounts, amounts, call, createdAtMs },
        state: 'held',
        lines: [{ ...line, periodStartMs: Date.UTC(2026, 0, 1) }],
        asked: amounts,
        actual: {},
        overflows: [],
        paidBy: 'platform',
        extendSequence: 0,
        expiresAtMs: createdAtMs + TTL_MS,
      }
      assert.deepEqual(await storage.ledger.hold(item), held)
      clock.advance(100)
      await bench.extend(id, 3, 70n)
      const extended = {
        ...held,
        amounts: { usd: 70n },
        extendSequence: 3,
        expiresAtMs: createdAtMs + 100 + TTL_MS,
      }
      assert.deepEqual(await storage.ledger.hold(item), extended)
      await bench.settle(id, 65n)
      const settled = { ...extended, state: 'posted', actual: { usd: 65n } }
      assert.deepEqual(await storage.ledger.hold(item), settled)
    },
  },
  {
    title:
      'ST-8 BG-6 T-B7 an actual above its hold is posted in full, flagged, and denies the next',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(90n)
      const settled = await bench.settle(holdId, 130n)
      assert.ok(settled.ok)
      // 40 above what was held, which is 30 above the limit.
      assert.deepEqual(settled.overage, { usd: 40n })
      const line = there(settled.lines[0])
      assert.equal(line.posted - line.limit, 30n)
      const again = await bench.settle(holdId, 130n)
      assert.deepEqual(again.ok && again.overage, { usd: 40n })
      await bench.expect(130n, 0n)
      const denied = await bench.reserve(1n)
      assert.equal(codeOf(denied), 'TK_BUDGET_EXHAUSTED')
      assert.equal(!denied.ok && denied.denial?.wouldFit, 0n)
      const events = await drain(storage)
      assert.equal(events.length, 1)
      assert.equal(there(events[0]).payload.overageNanoUsd, '40')
      const row = await storage.usage.get({ tenantId: 'acme', id: holdId })
      assert.equal(row?.overageNanoUsd, 40n)
    },
  },
  {
    title:
      'ST-8 an extend never shortens a life and is refused, hold untouched, where it does not fit',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(40n, { ttlMs: 10 * TTL_MS })
      const before = there(await storage.ledger.hold({ tenantId: 'acme', holdId }))
      const kept = await bench.extend(holdId, 1, 50n)
      assert.deepEqual(kept, { ok: true, expiresAtMs: before.expiresAtMs })
      const held = await bench.hold(30n)
      const contended = await bench.extend(holdId, 2, 90n)
      assert.equal(codeOf(contended), 'TK_BUDGET_CONTENDED')
      assert.equal(!contended.ok && contended.denial?.asked, 40n)
      assert.equal(!contended.ok && contended.denial?.wouldFit, 20n)
      await bench.settle(held, 30n)
      assert.equal(codeOf(await bench.extend(holdId, 2, 90n)), 'TK_BUDGET_CONTENDED')
      assert.equal(codeOf(await bench.extend(holdId, 2, 121n)), 'TK_BUDGET_EXHAUSTED')
      await bench.expect(30n, 50n)
      assert.equal(codeOf(await bench.extend(holdId, 2, 70n)), 'ok')
      await bench.expect(30n, 70n)
    },
  },
  {
    title:
      'ST-8 a hold outlives its budget: it settles with its usage row and touches no other sum',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const budget = {
        tenantId: 'acme',
        account: tenantAccount('acme'),
        unit: 'usd',
        window: 'month',
      } as const
      const [settled, voided, swept] = [
        await bench.hold(10n),
        await bench.hold(20n),
        await bench.hold(30n),
      ]
      assert.equal(await storage.ledger.removeBudget(budget, NONE), true)
      clock.advance(1)
      await bench.setLimit(100n)
      const fresh = await bench.hold(90n)
      await bench.expect(0n, 90n)
      assert.equal(codeOf(await bench.settle(settled, 9n)), 'ok')
      assert.equal(codeOf(await bench.void(voided)), 'ok')
      assert.equal(codeOf(await bench.extend(swept, 1, 90n)), 'ok')
      await bench.expect(0n, 90n)
      clock.advance(TTL_MS - 1)
      await storage.ledger.sweep(10)
      assert.equal((await storage.ledger.hold({ tenantId: 'acme', holdId: fresh }))?.state, 'held')
      await bench.expect(0n, 90n)
      const row = await storage.usage.get({ tenantId: 'acme', id: settled })
      assert.equal(row?.costNanoUsd, 9n)
    },
  },
]
