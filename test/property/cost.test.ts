import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TokenUsage } from '../../src/storage/ledger-records.ts'
import { costNanoUsd, maxCostNanoUsd } from '../../src/usage/cost.ts'
import type { PriceRow, TokenRates } from '../../src/usage/price.ts'
import { rateFromText } from '../../src/usage/price.ts'

/** A property that is no promise is checked at once and throws here; the linter takes it for one. */
function holds<T>(property: fc.IProperty<T>, numRuns = 1000): void {
  void fc.assert(property, { numRuns })
}

const rate = fc.bigInt({ min: 0n, max: 1_000_000_000_000n })
const orNull = fc.option(rate, { nil: null })

const rates: fc.Arbitrary<TokenRates> = fc.record({
  input: rate,
  cacheRead: orNull,
  cacheWrite: orNull,
  inputAudio: orNull,
  cacheReadAudio: orNull,
  output: orNull,
  outputAudio: orNull,
})

const row: fc.Arbitrary<PriceRow> = fc
  .tuple(rates, fc.array(fc.tuple(fc.integer({ min: 1, max: 5000 }), rates), { maxLength: 3 }))
  .map(([base, tiers]) => ({
    id: 'host:openai/m@1',
    version: '1',
    provider: 'openai',
    model: 'm',
    currency: 'USD',
    rates: base,
    tiers: tiers
      .sort(([a], [b]) => a - b)
      .map(([aboveInputTokens, own]) => ({ aboveInputTokens, rates: own })),
    contextWindow: null,
    maxOutput: null,
    roundedUp: false,
    unpriced: [],
  }))

const tokens = fc.integer({ min: 0, max: 10_000 })
const part = fc.option(tokens, { nil: null })

const usage: fc.Arbitrary<TokenUsage> = fc.record({
  input: tokens,
  cacheRead: part,
  cacheWrite: part,
  cacheWrite1h: fc.constant(null),
  inputAudio: part,
  output: tokens,
  reasoning: part,
  outputAudio: part,
})

/** All rates of a row, for checks against its cheapest and dearest. */
const allOf = (priced: PriceRow): bigint[] =>
  [priced.rates, ...priced.tiers.map((t) => t.rates)].flatMap((own) =>
    Object.values(own).filter((r) => r !== null),
  )

describe('cost', () => {
  test('the bound holds: no usage within it costs more than it, whatever it consists of', () => {
    holds(
      fc.property(row, usage, fc.nat(500), fc.nat(500), (priced, used, spareIn, spareOut) => {
        const bound = {
          input: used.input + spareIn,
          output: used.output + spareOut,
          inputAudio: (used.inputAudio ?? 0) > 0,
          outputAudio: (used.outputAudio ?? 0) > 0,
        }
        let most: bigint
        try {
          most = maxCostNanoUsd(bound, priced)
        } catch (error) {
          // Refused for a class without a price: then there is no call to bound.
          expect(error).toMatchObject({ code: 'TK_PRICE_MISSING' })
          return
        }
        expect(costNanoUsd(used, priced) <= most).toBe(true)
      }),
      5000,
    )
  })

  test('every token is charged once: the cost lies between all at the cheapest and all at the dearest', () => {
    holds(
      fc.property(row, usage, (priced, used) => {
        const all = allOf(priced)
        const total = BigInt(used.input + used.output)
        const cost = costNanoUsd(used, priced)
        expect(all.some((cheap) => cost * 1000n >= total * cheap)).toBe(true)
        expect(all.some((dear) => cost * 1000n < total * dear + 1000n)).toBe(true)
      }),
      5000,
    )
  })

  test('with one rate for everything the classes do not matter', () => {
    holds(
      fc.property(rate, usage, (one, used) => {
        const flat = {
          input: one,
          cacheRead: one,
          cacheWrite: one,
          inputAudio: one,
          cacheReadAudio: one,
          output: one,
          outputAudio: one,
        }
        const priced: PriceRow = { ...EMPTY, rates: flat }
        const pico = BigInt(used.input + used.output) * one
        expect(costNanoUsd(used, priced)).toBe((pico + 999n) / 1000n)
      }),
    )
  })

  test('a larger bound never costs less', () => {
    holds(
      fc.property(row, tokens, tokens, fc.nat(1000), (priced, input, output, more) => {
        const whole = { ...priced, rates: { ...priced.rates, output: priced.rates.output ?? 0n } }
        const tiers = priced.tiers.map((t) => ({
          ...t,
          rates: { ...t.rates, output: t.rates.output ?? 0n },
        }))
        const of = (i: number, o: number) =>
          maxCostNanoUsd({ input: i, output: o }, { ...whole, tiers })
        expect(of(input + more, output) >= of(input, output)).toBe(true)
        expect(of(input, output + more) >= of(input, output)).toBe(true)
      }),
    )
  })

  test('a decimal of at most six places is read exactly; a longer one at most 1 pUSD above', () => {
    holds(
      fc.property(fc.nat(999_999), fc.stringMatching(/^\d{0,20}$/), (whole, fraction) => {
        const parsed = rateFromText(fraction === '' ? `${whole}` : `${whole}.${fraction}`)!
        // In units of 10^-26 USD per 1M, where both sides are whole.
        const exact = BigInt(`${whole}${fraction.padEnd(26, '0')}`)
        const over = parsed.rate * 10n ** 20n - exact
        expect(over >= 0n && over < 10n ** 20n).toBe(true)
        expect(parsed.roundedUp).toBe(over > 0n)
      }),
    )
  })
})

const EMPTY: PriceRow = {
  id: 'host:openai/m@1',
  version: '1',
  provider: 'openai',
  model: 'm',
  currency: 'USD',
  rates: {
    input: 0n,
    cacheRead: null,
    cacheWrite: null,
    inputAudio: null,
    cacheReadAudio: null,
    output: 0n,
    outputAudio: null,
  },
  tiers: [],
  contextWindow: null,
  maxOutput: null,
  roundedUp: false,
  unpriced: [],
}
