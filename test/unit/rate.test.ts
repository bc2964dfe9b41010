import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { add, countOf, fitsAtMs, NO_BUCKETS, slide, subBucketMs } from '../../src/budgets/rate.ts'
import { WINDOWS } from '../../src/storage/vocabulary.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { ask, tenantAccount } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { busiest } from '../../src/testing/storage-conformance/ledger-rates.ts'
import { NONE, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { seeded } from '../support/seeded.ts'

const STORES = {
  memory: (clock: { nowMs(): number }) => memory({ clock }),
  sqlite: (clock: { nowMs(): number }) => sqlite({ file: ':memory:', clock }),
}

const REQUESTS = 100_000
const BATCH = 200

describe.each(Object.entries(STORES))('%s', (_, make) => {
  test.each([
    ['rate_second', 1000],
    ['rate_minute', 60_000],
  ] as const)(
    'T-B20 100,000 requests at random times: any stretch of a %s sees at most the limit',
    async (window, lengthMs) => {
      const random = seeded(20)
      const clock = fakeClock()
      const storage = make(clock)
      await storage.migrate()
      await tenants(storage, 'acme')
      const limit = 50n
      const budget = { tenantId: 'acme', account: tenantAccount('acme'), unit: 'calls', window }
      const zone = 'UTC'
      await storage.ledger.setBudget({ ...budget, zone, limit, source: 'explicit' }, NONE)

      const taken: { atMs: number; amount: bigint }[] = []
      let refused = 0
      let early = 0
      for (let n = 0; n < REQUESTS; n += BATCH) {
        // Bursts and pauses: whole batches arrive at one moment, or spread over some windows.
        const burst = random(3) === 0
        const group = burst ? BATCH : 1 + random(8)
        for (let sent = 0; sent < BATCH; sent += group) {
          clock.advance(random(burst ? lengthMs : lengthMs / 4))
          const size = Math.min(group, BATCH - sent)
          const items = Array.from({ length: size }, () =>
            ask('acme', 0n, { amounts: { calls: 1n }, ttlMs: 86_400_000 }),
          )
          for (const result of await storage.ledger.reserve(items)) {
            if (result.ok) taken.push({ atMs: clock.nowMs(), amount: 1n })
            else {
              refused++
              if (result.denial!.fitsAtMs! <= clock.nowMs()) early++
            }
          }
        }
      }
      await storage.close()
      expect(taken.length + refused).toBe(REQUESTS)
      expect(busiest(taken, lengthMs)).toBe(limit)
      expect(early).toBe(0)
      expect(Math.min(taken.length, refused)).toBeGreaterThan(REQUESTS / 20)
    },
  )
})

describe('sub-buckets', () => {
  test('a tenth of the window each; other windows have none', () => {
    expect(subBucketMs('rate_second')).toBe(100)
    expect(subBucketMs('rate_minute')).toBe(6000)
    const others = WINDOWS.filter((w) => !w.startsWith('rate_'))
    expect(others.map(subBucketMs)).toEqual(others.map(() => null))
  })

  test('the running one and the ten before it are counted, the eleventh is not', () => {
    let buckets = slide(NO_BUCKETS, 100, 5000)
    for (let n = 0; n < 11; n++) {
      buckets = add(slide(buckets, 100, 5000 + n * 100), 1n << BigInt(n))
    }
    expect(buckets.counts).toHaveLength(11)
    expect(countOf(buckets)).toBe(2047n)
    expect(countOf(slide(buckets, 100, 6099))).toBe(2047n)
    expect(countOf(slide(buckets, 100, 6100))).toBe(2046n)
    expect(countOf(slide(buckets, 100, 7099))).toBe(1024n)
    expect(countOf(slide(buckets, 100, 7100))).toBe(0n)
    expect(slide(buckets, 100, 1e12).counts).toHaveLength(11)
  })

  test('a clock that steps back changes nothing', () => {
    const buckets = add(slide(NO_BUCKETS, 100, 5000), 3n)
    expect(slide(buckets, 100, 4000)).toBe(buckets)
  })

  test('when it fits is the first moment at which it does', () => {
    const random = seeded(7)
    for (let round = 0; round < 2000; round++) {
      let buckets = NO_BUCKETS
      let nowMs = 1_000_000
      for (let n = 0; n < 12; n++) {
        nowMs += random(160)
        buckets = add(slide(buckets, 100, nowMs), BigInt(random(4)))
      }
      const limit = BigInt(random(30))
      const amount = BigInt(random(20))
      const atMs = fitsAtMs(buckets, 100, { amount, limit })
      if (amount > limit) {
        expect(atMs).toBeNull()
        continue
      }
      const fits = (ms: number): boolean => countOf(slide(buckets, 100, ms)) + amount <= limit
      expect(fits(Math.max(atMs!, nowMs))).toBe(true)
      if (atMs! > nowMs) expect(fits(atMs! - 1)).toBe(false)
    }
  })
})
