/**
 * ST-8, sliding rate limits: any stretch of the window's length sees at most the limit (T-B20), and
 * what a refusal says about when it would fit is true.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ConformanceCase, there } from './case.ts'
import { codeOf } from './ledger-bench.ts'
import { family, TEAM } from './ledger-limits.ts'

const RATES = [
  ['rate_second', 1000],
  ['rate_minute', 60_000],
] as const

/** Numbers that look random and are the same in every run: Lehmer's, modulus 2^31 - 1. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

/** The most that any stretch of `lengthMs` has seen. */
export function busiest(
  taken: readonly { readonly atMs: number; readonly amount: bigint }[],
  lengthMs: number,
): bigint {
  let most = 0n
  let sum = 0n
  let first = 0
  for (const { atMs, amount } of taken) {
    sum += amount
    while (taken[first]!.atMs <= atMs - lengthMs) sum -= taken[first++]!.amount
    if (sum > most) most = sum
  }
  return most
}

export const rateCases: readonly ConformanceCase[] = RATES.flatMap(([window, lengthMs]) => {
  const cases: ConformanceCase[] = [
    {
      title: `ST-8 T-B20 ${window}: at random times no stretch of that length sees more than the limit`,
      run: async ({ storage, clock }) => {
        const own = await family(storage)
        await own.limit(TEAM, 'tokens', window, 40n)
        const random = numbers(20)
        const taken: { atMs: number; amount: bigint }[] = []
        let refused = 0
        for (let n = 0; n < 600; n++) {
          clock.advance(random(lengthMs / 20))
          const amount = BigInt(1 + random(7))
          const result = await own.reserve({ tokens: amount })
          if (result.ok) taken.push({ atMs: clock.nowMs(), amount })
          else refused += result.code === 'TK_RATE_LIMITED' ? 1 : 0
        }
        assert.equal(taken.length + refused, 600)
        assert.ok(refused > 100 && taken.length > 100, `${refused} of 600 refused`)
        const most = busiest(taken, lengthMs)
        // The whole limit can be used: 34 plus one more of up to 7 would not always fit.
        assert.ok(most <= 40n && most > 33n, `${most} in one stretch`)
      },
    },
    {
      title: `ST-8 T-B20 ${window}: a refusal says when the same would fit, to the millisecond`,
      run: async ({ storage, clock }) => {
        const own = await family(storage)
        await own.limit(TEAM, 'calls', window, 3n)
        clock.advance(37)
        for (let n = 0; n < 3; n++) {
          await own.hold({ calls: 1n })
          clock.advance(lengthMs / 4)
        }
        const refused = await own.reserve({ calls: 2n })
        assert.ok(!refused.ok)
        assert.equal(refused.code, 'TK_RATE_LIMITED')
        const { fitsAtMs, posted, wouldFit, resetsAtMs, heldUntilMs } = there(refused.denial)
        assert.deepEqual([posted, wouldFit, resetsAtMs, heldUntilMs], [3n, 0n, null, null])
        const atMs = there(fitsAtMs)
        assert.ok(atMs - clock.nowMs() <= lengthMs * 1.1, 'a tenth more than a window at most')
        clock.set(atMs - 1)
        const before = await own.reserve({ calls: 2n })
        assert.equal(codeOf(before), 'TK_RATE_LIMITED')
        assert.equal(!before.ok && before.denial?.fitsAtMs, atMs)
        clock.set(atMs)
        assert.equal(codeOf(await own.reserve({ calls: 2n })), 'ok')
      },
    },
    {
      title: `ST-8 ${window}: a call stays counted, whether it is settled, voided or expires`,
      run: async ({ storage, clock }) => {
        const own = await family(storage)
        await own.limit(TEAM, 'tokens', window, 30n)
        const [settled, voided] = [await own.hold({ tokens: 10n }), await own.hold({ tokens: 10n })]
        await own.hold({ tokens: 10n }, { ttlMs: 1 })
        clock.advance(1)
        await own.settle(settled, { tokens: 1n })
        await own.void(voided)
        await storage.ledger.sweep(10)
        assert.equal(await own.sums(TEAM, 'tokens', window), '30/0')
        assert.equal(codeOf(await own.reserve({ tokens: 1n })), 'TK_RATE_LIMITED')
        clock.advance(lengthMs * 1.1)
        assert.equal(await own.sums(TEAM, 'tokens', window), '0/0')
        assert.equal(codeOf(await own.reserve({ tokens: 30n })), 'ok')
      },
    },
    {
      title: `ST-8 ${window}: what is above the limit never fits`,
      run: async ({ storage }) => {
        const own = await family(storage)
        await own.limit(TEAM, 'tokens', window, 30n)
        const refused = await own.reserve({ tokens: 31n })
        assert.equal(codeOf(refused), 'TK_RATE_LIMITED')
        assert.equal(!refused.ok && refused.denial?.fitsAtMs, null)
        assert.equal(!refused.ok && refused.denial?.wouldFit, 30n)
      },
    },
    {
      title: `ST-8 ST-4 ${window}: a clock that steps back frees nothing`,
      run: async ({ storage, clock }) => {
        const own = await family(storage)
        await own.limit(TEAM, 'calls', window, 1n)
        await own.hold({ calls: 1n })
        clock.set(clock.nowMs() - 100 * lengthMs)
        assert.equal(codeOf(await own.reserve({ calls: 1n })), 'TK_RATE_LIMITED')
        clock.advance(50 * lengthMs)
        assert.equal(codeOf(await own.reserve({ calls: 1n })), 'TK_RATE_LIMITED')
      },
    },
    {
      title: `ST-8 ${window}: an extension is charged what it asks for more, and refused where it does not fit`,
      run: async ({ storage }) => {
        const own = await family(storage)
        await own.limit(TEAM, 'tokens', window, 30n)
        const holdId = await own.hold({ tokens: 10n })
        assert.equal(await own.extend(holdId, 1, { tokens: 25n }), 'ok')
        assert.equal(await own.extend(holdId, 1, { tokens: 25n }), 'ok')
        assert.equal(await own.sums(TEAM, 'tokens', window), '25/0')
        assert.equal(await own.extend(holdId, 2, { tokens: 31n }), 'TK_RATE_LIMITED')
        assert.equal(await own.sums(TEAM, 'tokens', window), '25/0')
      },
    },
    {
      title: `ST-8 ${window}: a limit that is lowered, raised or made anew counts at once`,
      run: async ({ storage, clock }) => {
        const own = await family(storage)
        await own.limit(TEAM, 'calls', window, 5n)
        await own.hold({ calls: 3n })
        await own.limit(TEAM, 'calls', window, 2n)
        assert.equal(codeOf(await own.reserve({ calls: 1n })), 'TK_RATE_LIMITED')
        await own.limit(TEAM, 'calls', window, 4n)
        assert.equal(codeOf(await own.reserve({ calls: 1n })), 'ok')
        await own.remove(TEAM, 'calls', window)
        clock.advance(1)
        await own.limit(TEAM, 'calls', window, 2n)
        assert.equal(codeOf(await own.reserve({ calls: 2n })), 'ok')
      },
    },
  ]
  return cases
})
