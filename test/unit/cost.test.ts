import { describe, expect, test } from 'vitest'
import type { TokenUsage } from '../../src/storage/ledger-records.ts'
import { maxCostNanoUsd } from '../../src/usage/bound.ts'
import { costNanoUsd } from '../../src/usage/cost.ts'
import type { PriceRow, TokenRates } from '../../src/usage/price.ts'
import { priceRow, rates, used } from '../support/prices.ts'

const row = (own: Partial<TokenRates>, tiers: PriceRow['tiers'] = []): PriceRow =>
  priceRow({ rates: rates(own), tiers })

/** All rates differ and share no factor, so that every mix of classes shows. */
const PRIMES = {
  input: 1009_000n,
  cacheRead: 101_000n,
  cacheWrite: 2003_000n,
  inputAudio: 40_009_000n,
  cacheReadAudio: 307_000n,
  output: 5003_000n,
  outputAudio: 80_021_000n,
}

describe('cost of a call', () => {
  test('T-B10 10^6 calls of one token at $0.02 per 1M come to exactly 20,000,000 nUSD', () => {
    const cheap = row({ input: 20_000n })
    const one = used({ input: 1 })
    let sum = 0n
    for (let i = 0; i < 1_000_000; i++) sum += costNanoUsd(one, cheap)
    expect(sum).toBe(20_000_000n)
  })

  test('T-B10 a call is rounded up once, at its end, not per class', () => {
    // 1 + 1 + 1 pUSD: three roundings would make 3 nUSD of it.
    const fine = row({ input: 1n, cacheRead: 1n, output: 1n })
    expect(costNanoUsd(used({ input: 2, cacheRead: 1, output: 1 }), fine)).toBe(1n)
    expect(costNanoUsd(used({ input: 1000 }), fine)).toBe(1n)
    expect(costNanoUsd(used({ input: 1001 }), fine)).toBe(2n)
    expect(costNanoUsd(used({}), fine)).toBe(0n)
  })

  test('T-B10 figures beyond 2^53 stay exact', () => {
    const dear = row({ input: 999_999_999_999n })
    expect(costNanoUsd(used({ input: 999_999_999 }), dear)).toBe(999_999_998_999_000_001n)
  })

  test.each<[string, Partial<TokenUsage>, bigint]>([
    ['uncached input', { input: 10 }, 10n * 1009n],
    ['a cached part', { input: 10, cacheRead: 4 }, 6n * 1009n + 4n * 101n],
    ['all of it cached', { input: 10, cacheRead: 10 }, 10n * 101n],
    ['a part written to the cache', { input: 10, cacheWrite: 9 }, 1009n + 9n * 2003n],
    ['written and read', { input: 10, cacheRead: 3, cacheWrite: 7 }, 3n * 101n + 7n * 2003n],
    ['audio', { input: 10, inputAudio: 4 }, 6n * 1009n + 4n * 40_009n],
    [
      'audio and cached, room for both',
      { input: 10, inputAudio: 4, cacheRead: 6 },
      4n * 40_009n + 6n * 101n,
    ],
    [
      'audio that must partly be cached',
      { input: 10, inputAudio: 7, cacheRead: 6 },
      4n * 40_009n + 3n * 101n + 3n * 307n,
    ],
    ['audio that must be written', { input: 10, inputAudio: 10, cacheWrite: 10 }, 10n * 2003n],
    ['output', { output: 10 }, 10n * 5003n],
    ['reasoning is output already', { output: 10, reasoning: 10 }, 10n * 5003n],
    ['spoken output', { output: 10, outputAudio: 3 }, 7n * 5003n + 3n * 80_021n],
  ])('every token is charged once: %s', (_, tokens, expected) => {
    expect(costNanoUsd(used(tokens), row(PRIMES))).toBe(expected)
  })

  test.each<[string, Partial<TokenUsage>, bigint]>([
    ['cached above input', { input: 10, cacheRead: 1000 }, 10n * 101n],
    ['written above input', { input: 10, cacheWrite: 1000, cacheRead: 1000 }, 10n * 2003n],
    ['audio above input', { input: 10, inputAudio: 1000 }, 10n * 40_009n],
    ['spoken above output', { output: 10, outputAudio: 1000 }, 10n * 80_021n],
  ])(
    'a part above its total counts as the total, and nothing goes negative: %s',
    (_, tokens, expected) => {
      expect(costNanoUsd(used(tokens), row(PRIMES))).toBe(expected)
    },
  )

  test('a class without a rate is priced as the class it is part of', () => {
    const plain = row({ input: 1000n, output: 7000n })
    const tokens = used({
      input: 10,
      cacheRead: 3,
      cacheWrite: 3,
      inputAudio: 2,
      output: 2,
      outputAudio: 1,
    })
    expect(costNanoUsd(tokens, plain)).toBe(10n + 14n)
    const voice = row({ input: 1000n, inputAudio: 50_000n, cacheRead: 100n })
    // Cached audio has no discount that anybody stated.
    expect(costNanoUsd(used({ input: 4, cacheRead: 4, inputAudio: 4 }), voice)).toBe(200n)
  })

  test('output of a model that is priced for input only is never free', () => {
    expect(costNanoUsd(used({ input: 1, output: 9 }), row({ input: 1000n, output: null }))).toBe(
      10n,
    )
  })

  test.each([
    [271_999, 2n, 3n],
    [272_000, 2n, 3n],
    [272_001, 20n, 30n],
    [500_000, 20n, 30n],
    [500_001, 200n, 300n],
  ])(
    '%i input tokens: the whole request at the highest tier strictly below',
    (input, inRate, outRate) => {
      const tiered = row({ input: 2000n, output: 3000n }, [
        { aboveInputTokens: 272_000, rates: rates({ input: 20_000n, output: 30_000n }) },
        { aboveInputTokens: 500_000, rates: rates({ input: 200_000n, output: 300_000n }) },
      ])
      expect(costNanoUsd(used({ input, output: 10 }), tiered)).toBe(
        BigInt(input) * inRate + 10n * outRate,
      )
    },
  )

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -0.1])(
    'T-B9 a count of %d is refused by name',
    (count) => {
      for (const field of [
        'input',
        'cacheRead',
        'cacheWrite',
        'inputAudio',
        'output',
        'outputAudio',
      ]) {
        expect(() =>
          costNanoUsd(used({ input: 1, output: 1, [field]: count }), row(PRIMES)),
        ).toThrow(
          expect.objectContaining({
            code: 'TK_INPUT_INVALID',
            details: expect.objectContaining({ field: `tokens.${field}` }),
          }),
        )
      }
    },
  )
})

describe('the most a call can cost', () => {
  test('text is priced at its dearest class: a write to the cache where that costs more', () => {
    expect(maxCostNanoUsd({ input: 10, output: 2 }, row(PRIMES))).toBe(10n * 2003n + 2n * 5003n)
  })

  test('audio counts only where the request may hold it', () => {
    const bound = { input: 10, output: 2, inputAudio: true, outputAudio: true }
    expect(maxCostNanoUsd(bound, row(PRIMES))).toBe(10n * 40_009n + 2n * 80_021n)
  })

  test('a tier counts when the bound can reach it, and only then', () => {
    const tiered = row({ input: 1000n, output: 1000n }, [
      { aboveInputTokens: 100, rates: rates({ input: 9000n, output: 9000n }) },
    ])
    expect(maxCostNanoUsd({ input: 100, output: 1 }, tiered)).toBe(101n)
    expect(maxCostNanoUsd({ input: 101, output: 1 }, tiered)).toBe(102n * 9n)
  })

  test('a lower tier that costs more still counts', () => {
    const odd = row({ input: 9000n }, [{ aboveInputTokens: 5, rates: rates({ input: 1000n }) }])
    expect(maxCostNanoUsd({ input: 10, output: 0 }, odd)).toBe(90n)
  })

  test.each([
    ['output', { input: 1, output: 1 }, { input: 1n, output: null }],
    ['audio input', { input: 1, output: 1, inputAudio: true }, { input: 1n, output: 1n }],
    ['audio output', { input: 1, output: 1, outputAudio: true }, { input: 1n, output: 1n }],
  ] as const)('without a price for %s the call is refused', (what, bound, own) => {
    expect(() => maxCostNanoUsd(bound, row(own))).toThrow(
      expect.objectContaining({
        code: 'TK_PRICE_MISSING',
        message: expect.stringContaining(what),
      }),
    )
  })
})
