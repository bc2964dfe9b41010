/**
 * ST-8, holds whose time is up: sweeps, late settles, and what may still be done (T-B6).
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Storage } from '../../storage/storage.ts'
import { type ConformanceCase, there } from './case.ts'
import { codeOf, drain, ledgerBench, TTL_MS, tenantAccount } from './ledger-bench.ts'
import { apply, nameOf, type Operation } from './ledger-states.ts'

const MISMATCH = 'TK_BUDGET_HOLD_MISMATCH'
const LOST = 'TK_BUDGET_HOLD_LOST'
const LONG_MS = 86_400_000

/** A hold whose time is up: swept, or still waiting for a sweep. */
const expire = async (storage: Storage, swept: boolean): Promise<void> => {
  if (swept) assert.equal(await storage.ledger.sweep(10), 1)
}

/** Operations on a hold that ran out, in order, with each answer and what is posted then. */
const AFTER_EXPIRY: readonly (readonly (readonly [Operation, string, bigint])[])[] = [
  [
    [['settle', 40n], 'ok', 40n],
    [['settle', 40n], 'ok', 40n],
    [['settle', 41n], MISMATCH, 40n],
    [['void'], MISMATCH, 40n],
    [['extend', 1, 60n], LOST, 40n],
  ],
  [
    [['void'], 'ok', 0n],
    [['void'], 'ok', 0n],
    [['settle', 40n], MISMATCH, 0n],
  ],
  [
    [['extend', 1, 60n], LOST, 0n],
    [['settle', 40n], 'ok', 40n],
  ],
]

export const expiryCases: readonly ConformanceCase[] = [
  ...[true, false].flatMap((swept) =>
    AFTER_EXPIRY.map(
      (steps): ConformanceCase => ({
        title: `ST-8 BG-4 T-B4 after expiry${swept ? ' and sweep' : ''}: ${steps
          .map(([operation, answer]) => `${nameOf(operation)} is ${answer}`)
          .join(', ')}`,
        run: async ({ storage, clock }) => {
          const bench = await ledgerBench(storage, { limit: 100n })
          // Shows what is given back twice.
          await bench.hold(7n, { ttlMs: LONG_MS })
          const holdId = await bench.hold(43n)
          clock.advance(TTL_MS)
          await expire(storage, swept)
          for (const [operation, answer, posted] of steps) {
            assert.equal(await apply(bench, holdId, operation), answer)
            assert.equal((await bench.line()).posted, posted)
          }
          await storage.ledger.sweep(10)
          assert.equal((await bench.line()).held, 7n)
        },
      }),
    ),
  ),
  {
    title: 'ST-8 a sweep gives back what expired holds held, once, with one event each',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const [a, b] = [await bench.hold(10n), await bench.hold(20n)]
      await bench.hold(30n, { ttlMs: TTL_MS + 1 })
      assert.equal(await storage.ledger.sweep(10), 0)
      clock.advance(TTL_MS)
      assert.equal(await storage.ledger.sweep(10), 2)
      assert.equal(await storage.ledger.sweep(10), 0)
      await bench.expect(0n, 30n)
      const events = await drain(storage)
      assert.deepEqual(events.map((e) => e.kind).sort(), ['unknown_spend', 'unknown_spend'])
      const payloads = events.map((e) => e.payload)
      assert.deepEqual(new Set(payloads.map((p) => p.holdId)), new Set([a, b]))
      const first = there(payloads.find((p) => p.holdId === a))
      assert.equal(first.heldNanoUsd, '10')
      assert.equal(first.callId, 'call-1')
      assert.equal((await storage.ledger.hold({ tenantId: 'acme', holdId: a }))?.state, 'expired')
    },
  },
  {
    title: 'ST-8 a sweep takes the oldest first, at most as many as asked',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const ttls = [30, 10, 20]
      for (const ttlMs of ttls) await bench.hold(BigInt(ttlMs), { ttlMs })
      clock.advance(30)
      assert.equal(await storage.ledger.sweep(1), 1)
      await bench.expect(0n, 50n)
      assert.equal(await storage.ledger.sweep(1), 1)
      await bench.expect(0n, 30n)
      assert.equal(await storage.ledger.sweep(5), 1)
      await bench.expect(0n, 0n)
    },
  },
  {
    title: 'ST-8 holds whose time is up stand in no caller’s way, swept or not',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.hold(60n)
      const live = await bench.hold(30n, { ttlMs: 2 * TTL_MS })
      clock.advance(TTL_MS - 1)
      assert.equal(codeOf(await bench.reserve(70n)), 'TK_BUDGET_CONTENDED')
      clock.advance(1)
      const preview = { tenantId: 'acme', accounts: [tenantAccount('acme')], amounts: { usd: 70n } }
      assert.equal(codeOf(await storage.ledger.preview(preview)), 'ok')
      assert.equal(codeOf(await bench.extend(live, 1, 100n)), 'ok')
      await bench.expect(0n, 100n)
      assert.deepEqual(
        (await drain(storage)).map((e) => e.kind),
        ['unknown_spend'],
      )
    },
  },
  {
    title: 'ST-8 an extended hold lives on: a sweep at its first expiry leaves it',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(10n)
      clock.advance(TTL_MS - 1)
      assert.equal(codeOf(await bench.extend(holdId, 1, 10n)), 'ok')
      clock.advance(1)
      assert.equal(await storage.ledger.sweep(10), 0)
      clock.advance(TTL_MS - 1)
      assert.equal(codeOf(await bench.extend(holdId, 2, 10n)), LOST)
      assert.equal(await storage.ledger.sweep(10), 1)
      await bench.expect(0n, 0n)
    },
  },
  ...[1, 3_600_000].flatMap((delayMs) =>
    [true, false].map(
      (swept): ConformanceCase => ({
        title: `ST-8 BG-5 T-B6 a settle ${delayMs} ms after expiry${swept ? ' and sweep' : ''} is recorded once, as late`,
        run: async ({ storage, clock }) => {
          const bench = await ledgerBench(storage, { limit: 100n })
          const other = await bench.hold(7n, { ttlMs: LONG_MS })
          const holdId = await bench.hold(60n)
          clock.advance(TTL_MS + delayMs)
          await expire(storage, swept)
          for (const replayed of [false, true]) {
            const late = await bench.settle(holdId, 55n)
            assert.ok(late.ok)
            assert.equal(late.state, 'late_posted')
            assert.equal(late.replayed, replayed)
          }
          await storage.ledger.sweep(10)
          await bench.expect(55n, 7n)
          await bench.void(other)
          const row = await storage.usage.get({ tenantId: 'acme', id: holdId })
          assert.equal(row?.state, 'late_posted')
          const kinds = (await drain(storage)).map((e) => e.kind).sort()
          assert.deepEqual(kinds, swept ? ['unknown_spend', 'usage'] : ['usage'])
          assert.equal(codeOf(await bench.reserve(46n)), 'TK_BUDGET_EXHAUSTED')
          assert.equal(codeOf(await bench.reserve(45n)), 'ok')
        },
      }),
    ),
  ),
  {
    title: 'ST-8 BG-5 T-B6 a late settle over the end of a month lands in the month of its hold',
    run: async ({ storage, clock }) => {
      clock.set(Date.UTC(2026, 0, 31, 23, 59, 30))
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(60n)
      clock.advance(TTL_MS + 3_600_000)
      const fresh = await bench.hold(100n)
      const late = await bench.settle(holdId, 55n)
      assert.ok(late.ok)
      assert.equal(late.state, 'late_posted')
      await bench.expect(0n, 100n)
      await bench.settle(fresh, 99n)
      await bench.expect(99n, 0n)
      const row = there(await storage.usage.get({ tenantId: 'acme', id: holdId }))
      assert.equal(there(row.lines[0]).periodStartMs, Date.UTC(2026, 0, 1))
    },
  },
]
