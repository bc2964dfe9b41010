import '../support/same-draws.ts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TokenUsage } from '../../src/storage/ledger-records.ts'
import { type CostBound, maxCostNanoUsd } from '../../src/usage/bound.ts'
import { chargeFor } from '../../src/usage/charge.ts'
import { costNanoUsd } from '../../src/usage/cost.ts'
import { COUNTED_TOKENS, NO_RATES, type PriceRow, type TokenRates } from '../../src/usage/price.ts'
import { ONE, rateFromText } from '../../src/usage/rate.ts'
import { priceRow } from '../support/prices.ts'

/** A property that is no promise is checked at once and throws here; the linter takes it for one. */
function holds<T>(property: fc.IProperty<T>, numRuns = 1000): void {
  void fc.assert(property, { numRuns })
}

const rate = fc.bigInt({ min: 0n, max: 1_000_000_000_000n })
const orNull = fc.option(rate, { nil: null })

const CLASSES = Object.keys(NO_RATES) as (keyof TokenRates)[]

const rates: fc.Arbitrary<TokenRates> = fc.record({
  ...(Object.fromEntries(CLASSES.map((own) => [own, orNull])) as {
    [K in keyof TokenRates]: fc.Arbitrary<bigint | null>
  }),
  input: rate,
})

const ratio = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }))

const tiers = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 5000 }), rates), { maxLength: 3 })
  .map((list) =>
    list
      .sort(([a], [b]) => a - b)
      .map(([aboveInputTokens, own]) => ({ aboveInputTokens, rates: own })),
  )

const SERVICES = ['flex', 'priority', 'batch'] as const
const UNITS = ['web_search_requests', 'seconds', 'images'] as const

const single: fc.Arbitrary<PriceRow> = fc
  .record({
    rates,
    tiers,
    units: fc.dictionary(fc.constantFrom('requests', ...UNITS), rate),
    serviceTiers: fc.dictionary(
      fc.constantFrom(...SERVICES),
      fc.record({ rates, tiers, ratio: ratio as fc.Arbitrary<readonly [number, number]> }),
    ),
  })
  .map(priceRow)

/** A row without gaps, so that calls are bounded and not refused. */
const complete = (priced: PriceRow, spare: bigint): PriceRow => {
  const whole = (own: TokenRates): TokenRates => ({
    ...own,
    output: own.output ?? spare,
    inputAudio: own.inputAudio ?? spare,
    outputAudio: own.outputAudio ?? spare,
    cacheWrite1h: own.cacheWrite1h ?? spare,
  })
  const prices = (own: Pick<PriceRow, 'rates' | 'tiers' | 'ratio'>) => ({
    rates: whole(own.rates),
    tiers: own.tiers.map((t) => ({ ...t, rates: whole(t.rates) })),
    ratio: own.ratio,
  })
  return {
    ...priced,
    ...prices(priced),
    units: { ...Object.fromEntries(UNITS.map((unit) => [unit, spare])), ...priced.units },
    serviceTiers: Object.fromEntries(
      SERVICES.map((name) => [name, prices(priced.serviceTiers[name] ?? priced)]),
    ),
  }
}

const boundable = fc.oneof(
  { weight: 1, arbitrary: single },
  { weight: 9, arbitrary: fc.tuple(single, rate).map(([own, spare]) => complete(own, spare)) },
)

/** A row, and what it changes to while calls are under way. */
const row: fc.Arbitrary<PriceRow> = fc
  .tuple(
    boundable,
    fc.array(fc.tuple(fc.integer({ min: 1, max: 100 }), boundable), { maxLength: 2 }),
  )
  .map(([base, later]) => ({
    ...base,
    next: later.sort(([a], [b]) => a - b).map(([fromMs, own]) => ({ fromMs, row: own })),
  }))

const tokens = fc.integer({ min: 0, max: 10_000 })
const part = fc.option(tokens, { nil: null })

const usage: fc.Arbitrary<TokenUsage> = fc.record({
  input: tokens,
  cacheRead: part,
  cacheWrite: part,
  cacheWrite1h: part,
  inputAudio: part,
  output: tokens,
  reasoning: part,
  outputAudio: part,
})

const counts = fc.dictionary(fc.constantFrom(...Object.values(COUNTED_TOKENS), ...UNITS), tokens)

/** All rates of a row, for checks against its cheapest and dearest. */
const allOf = (priced: PriceRow): bigint[] =>
  [priced.rates, ...priced.tiers.map((t) => t.rates)].flatMap((own) =>
    Object.values(own).filter((r) => r !== null),
  )

const isRefusal = (error: unknown): void =>
  expect(error).toMatchObject({
    code: expect.stringMatching(/^TK_(PRICE_MISSING|BUDGET_UNBOUNDED)$/),
  })

/** Only its own prices of tokens: no units, no classes of service, no later ones. */
const tokensAlone = (priced: PriceRow): PriceRow => ({
  ...priced,
  units: {},
  serviceTiers: {},
  next: [],
})

describe('cost', () => {
  test('the bound holds: no usage within it costs more, whatever it consists of, in whatever class of service, whenever it ends', () => {
    let compared = 0
    holds(
      fc.property(
        fc.record({ priced: row, used: usage, counted: counts }),
        fc.record({
          spareIn: fc.nat(500),
          spareOut: fc.nat(500),
          serviceTier: fc.option(fc.constantFrom(...SERVICES), { nil: null }),
          namesTier: fc.boolean(),
          endMs: fc.nat(120),
        }),
        ({ priced, used, counted }, { spareIn, spareOut, serviceTier, namesTier, endMs }) => {
          const bound: CostBound = {
            input: used.input + spareIn,
            output: used.output + spareOut,
            inputAudio: (used.inputAudio ?? 0) > 0,
            outputAudio: (used.outputAudio ?? 0) > 0,
            inputImage: counted.input_image_tokens === undefined ? false : undefined,
            inputVideo: counted.input_video_tokens === undefined ? false : undefined,
            outputImage: counted.output_image_tokens === undefined ? false : undefined,
            outputVideo: counted.output_video_tokens === undefined ? false : undefined,
            cacheWrite1h: (used.cacheWrite1h ?? 0) > 0 ? undefined : false,
            counts: counted,
            serviceTiers: namesTier && serviceTier !== null ? [serviceTier] : undefined,
          }
          let most: bigint
          try {
            most = maxCostNanoUsd(bound, priced)
          } catch (error) {
            // Refused for something without a price: then there is no call to bound.
            isRefusal(error)
            return
          }
          compared++
          const { costNanoUsd: cost } = chargeFor({
            row: priced,
            tokens: used,
            counts: counted,
            serviceTier,
            quality: 'measured',
            markup: { id: null, ratio: ONE },
            billable: true,
            endMs,
          })
          expect(cost <= most).toBe(true)
        },
      ),
      2000,
    )
    expect(compared).toBeGreaterThan(1000)
  })

  test('every token is charged once: the cost lies between all at the cheapest and all at the dearest', () => {
    holds(
      fc.property(single, usage, counts, (priced, used, counted) => {
        const alone = tokensAlone(priced)
        const all = allOf(alone)
        const total = BigInt(used.input + used.output)
        const cost = costNanoUsd(used, alone, { counts: counted })
        expect(all.some((cheap) => cost * 1000n >= total * cheap)).toBe(true)
        expect(all.some((dear) => cost * 1000n < total * dear + 1000n)).toBe(true)
      }),
      2000,
    )
  })

  test('with one rate for everything the classes do not matter', () => {
    holds(
      fc.property(rate, usage, counts, (one, used, counted) => {
        const flat = Object.fromEntries(CLASSES.map((own) => [own, one])) as unknown as TokenRates
        const pico = BigInt(used.input + used.output) * one
        expect(costNanoUsd(used, priceRow({ rates: flat }), { counts: counted })).toBe(
          (pico + 999n) / 1000n,
        )
      }),
    )
  })

  test('monotone in each rate: a dearer class never makes a call cheaper', () => {
    holds(
      fc.property(
        rates,
        usage,
        counts,
        fc.constantFrom(...CLASSES),
        rate,
        (own, used, counted, name, more) => {
          const whole = Object.fromEntries(
            CLASSES.map((c) => [c, own[c] ?? 0n]),
          ) as unknown as TokenRates
          const dearer = { ...whole, [name]: whole[name]! + more }
          const of = (r: TokenRates) =>
            costNanoUsd(used, priceRow({ rates: r }), { counts: counted })
          expect(of(dearer) >= of(whole)).toBe(true)
        },
      ),
      1000,
    )
  })

  test('monotone in each total and each unit: more of it never costs less within a tier', () => {
    holds(
      fc.property(single, usage, counts, fc.nat(1000), (priced, used, counted, more) => {
        const flat = { ...priced, tiers: [] }
        const cost = costNanoUsd(used, flat, { counts: counted })
        // More of a total that is no part of another class is more of its plain class.
        for (const total of ['input', 'output'] as const) {
          const parts = { ...used, cacheRead: null, cacheWrite: null, inputAudio: null }
          const less = { ...parts, reasoning: null, outputAudio: null }
          const larger = { ...less, [total]: less[total] + more }
          expect(costNanoUsd(larger, flat) >= costNanoUsd(less, flat)).toBe(true)
        }
        for (const unit of UNITS) {
          const larger = { ...counted, [unit]: (counted[unit] ?? 0) + more }
          expect(costNanoUsd(used, flat, { counts: larger }) >= cost).toBe(true)
        }
      }),
    )
  })

  test('a markup is applied before the one rounding: never more than 1 nUSD above the exact product', () => {
    holds(
      fc.property(single, usage, ratio, (priced, used, [times, over]) => {
        const cost = costNanoUsd(used, priced)
        const billed = costNanoUsd(used, priced, {}, [times, over])
        const ceiling = (cost * BigInt(times) + BigInt(over) - 1n) / BigInt(over)
        expect(billed <= ceiling).toBe(true)
        expect((billed + 1n) * BigInt(over) > (cost - 1n) * BigInt(times)).toBe(true)
      }),
    )
  })

  test('a larger bound never costs less', () => {
    holds(
      fc.property(single, tokens, tokens, fc.nat(1000), (priced, input, output, more) => {
        const whole = (own: TokenRates) => ({ ...own, output: own.output ?? 0n })
        const base = {
          ...tokensAlone(priced),
          rates: whole(priced.rates),
          tiers: priced.tiers.map((t) => ({ ...t, rates: whole(t.rates) })),
        }
        const of = (i: number, o: number) => maxCostNanoUsd({ input: i, output: o }, base)
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
