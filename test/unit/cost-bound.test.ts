/**
 * What a call holds: the dearest class, tier, service, unit and time that it can reach.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { type CostBound, maxCostNanoUsd } from '../../src/usage/bound.ts'
import type { PriceRow } from '../../src/usage/price.ts'
import { ONE } from '../../src/usage/rate.ts'
import { priceRow, rates } from '../support/prices.ts'

const text: CostBound = { input: 1000, output: 10 }
const plain = rates({ input: 1000n, output: 5000n })
const of = (row: Partial<PriceRow>, bound: CostBound = text): bigint =>
  maxCostNanoUsd(bound, priceRow({ rates: plain, ...row }))

describe('the dearest class', () => {
  test.each([
    ['an image', { inputImage: 3000n }, { inputImage: false }, 3000n * 1000n],
    ['a cached image', { cacheReadImage: 3000n }, { inputImage: false }, 3000n * 1000n],
    ['a video', { inputVideo: 3000n }, { inputVideo: false }, 3000n * 1000n],
    ['a cache of one hour', { cacheWrite1h: 3000n }, { cacheWrite1h: false }, 3000n * 1000n],
  ] as const)('%s counts unless it is ruled out', (_, own, ruledOut, input) => {
    const row = { rates: rates({ ...plain, ...own }) }
    expect(of(row)).toBe((input + 50_000n) / 1000n)
    expect(of(row, { ...text, ...ruledOut })).toBe(1050n)
  })

  test.each([
    ['an image', { outputImage: 90_000n }, { outputImage: false }],
    ['a video', { outputVideo: 90_000n }, { outputVideo: false }],
  ] as const)('%s that is put out counts unless it is ruled out', (_, own, ruledOut) => {
    const row = { rates: rates({ ...plain, ...own }) }
    expect(of(row)).toBe(1900n)
    expect(of(row, { ...text, ...ruledOut })).toBe(1050n)
  })

  test.each(['reasoning', 'citation'] as const)('%s cannot be ruled out', (own) => {
    expect(of({ rates: rates({ ...plain, [own]: 90_000n }) })).toBe(1900n)
  })

  test('a cache of one hour that is asked for needs a price', () => {
    expect(() => of({}, { ...text, cacheWrite1h: true })).toThrow(
      expect.objectContaining({ code: 'TK_PRICE_MISSING' }),
    )
  })
})

describe('the dearest class of service', () => {
  const serviceTiers = {
    flex: { rates: plain, tiers: [], ratio: [1, 2] },
    priority: { rates: plain, tiers: [], ratio: [7, 4] },
  } as const

  test('counts where the request leaves it open: also that of a project set to priority', () => {
    expect(of({ serviceTiers })).toBe((1050n * 7n + 3n) / 4n)
  })

  test('does not where the request names the standard one', () => {
    expect(of({ serviceTiers }, { ...text, serviceTiers: [] })).toBe(1050n)
  })

  test('is never below the standard one, which a provider may fall back to', () => {
    expect(of({ serviceTiers }, { ...text, serviceTiers: ['flex'] })).toBe(1050n)
  })

  test('T-B11 one without a price refuses the call', () => {
    expect(() => of({ serviceTiers }, { ...text, serviceTiers: ['scale'] })).toThrow(
      expect.objectContaining({ code: 'TK_PRICE_MISSING' }),
    )
  })

  test('has its own tiers', () => {
    const dear = { aboveInputTokens: 999, rates: rates({ input: 9000n, output: 9000n }) }
    const own = { priority: { rates: plain, tiers: [dear], ratio: ONE } }
    expect(of({ serviceTiers: own })).toBe(1010n * 9n)
    expect(of({ serviceTiers: own }, { ...text, input: 999 })).toBe(1049n)
  })
})

describe('units', () => {
  const units = { requests: 12_000_000n, web_search_requests: 10_000_000n, seconds: 100n }

  test('a fee for the request is always held, others as often as the request may cause them', () => {
    expect(of({ units })).toBe(1050n + 12_000n)
    expect(of({ units }, { ...text, counts: { web_search_requests: 3 } })).toBe(1050n + 42_000n)
  })

  test('a fraction of a unit is held exactly, rounded up once', () => {
    expect(
      of({ units: { seconds: 1n } }, { input: 0, output: 0, counts: { seconds: 0.001 } }),
    ).toBe(1n)
    expect(of({ units }, { ...text, counts: { seconds: 1.25 } })).toBe(1050n + 12_000n + 1n)
  })

  test('T-B11 a unit without a price refuses the call, by its name', () => {
    expect(() => of({}, { ...text, counts: { images: 1 } })).toThrow(
      expect.objectContaining({
        code: 'TK_PRICE_MISSING',
        message: expect.stringContaining('images'),
      }),
    )
  })

  test('what only says more about tokens needs none', () => {
    expect(of({}, { ...text, counts: { billed_input: 9, input_image_tokens: 9, images: 0 } })).toBe(
      1050n,
    )
  })

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('T-B9 %d of a unit is refused', (n) => {
    expect(() => of({ units }, { ...text, counts: { seconds: n } })).toThrow(
      expect.objectContaining({ code: 'TK_INPUT_INVALID' }),
    )
  })

  test('a model that is priced by the second alone is not held at nothing', () => {
    const spoken = { rates: rates({}), units: { seconds: 100n } }
    expect(() => of(spoken)).toThrow(expect.objectContaining({ code: 'TK_BUDGET_UNBOUNDED' }))
    expect(of(spoken, { ...text, counts: { seconds: 60 } })).toBe(6n)
    const free = { rates: rates({}), units: { web_search_requests: 100n } }
    expect(of(free)).toBe(0n)
  })
})

describe('the dearest time', () => {
  test('a price that comes within a day counts, whichever way it changes', () => {
    const later = (input: bigint) => ({
      fromMs: 5,
      row: priceRow({ rates: rates({ ...plain, input }) }),
    })
    expect(of({ next: [later(2000n)] })).toBe(2050n)
    expect(of({ next: [later(1n)] })).toBe(1050n)
    expect(of({ next: [later(2000n), later(1n)] })).toBe(2050n)
  })
})
