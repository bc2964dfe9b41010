import '../support/same-draws.ts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAmount, parseChange, parseLimit } from '../../src/budgets/amounts.ts'
import {
  creditsOf,
  formatCredits,
  parseCredits,
  readCreditPrices,
} from '../../src/budgets/credits.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'

const errorOf = (work: () => unknown): TenantKeysError => {
  try {
    work()
  } catch (error) {
    if (TenantKeysError.isInstance(error)) return error
    throw error
  }
  throw new Error('expected an error')
}

describe('S2.35 credits as amounts', () => {
  test.each([
    ['0', 0n],
    ['12.5', 12_500_000n],
    ['0.000001', 1n],
    [40, 40_000_000n],
    [40n, 40_000_000n],
    ['9000000000000', 9_000_000_000_000_000_000n],
  ])('%s is read exactly', (value, millionths) => {
    expect(parseCredits(value, 'limit.credits')).toBe(millionths)
    expect(parseLimit({ credits: value }, 'limit')).toEqual({ unit: 'credits', amount: millionths })
  })

  test.each([
    0.5,
    -1,
    Number.NaN,
    2 ** 53,
    '-1',
    '+1',
    '1.',
    '.5',
    '1.0000001',
    '1e3',
    ' 1',
    '1\n',
    '',
    '9000000000000.000001',
    -1n,
    null,
    undefined,
    {},
    ['1'],
    true,
  ])('%s is refused by the name of its field, and not repeated', (value) => {
    const error = errorOf(() => parseCredits(value, 'limit.credits'))
    expect(error.code).toBe('TK_INPUT_INVALID')
    expect(error.details.field).toBe('limit.credits')
  })

  test('what is written is read back as the same amount', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 9_000_000_000_000_000_000n }), (amount) => {
        expect(parseCredits(formatCredits(amount), 'x')).toBe(amount)
      }),
    )
    expect(formatAmount('credits', 12_500_000n)).toBe('12.5')
    expect(formatAmount('credits', -1n)).toBe('-0.000001')
    expect(formatAmount('tokens', 12_500_000n)).toBe('12500000')
  })
})

describe('S2.35 what a call costs in credits', () => {
  const rates = readCreditPrices({
    perCall: '1',
    perInputToken: '0.000001',
    perOutputToken: '0.25',
  })

  test('is exact, per call and per token', () => {
    expect(creditsOf(rates, { input: 100, output: 20 })).toEqual({
      credits: 1_000_000n + 100n + 5_000_000n,
    })
    expect(creditsOf(readCreditPrices({ perCall: '2' }), { input: 9, output: 9 })).toEqual({
      credits: 2_000_000n,
    })
  })

  test('is not asked for without prices', () => {
    expect(readCreditPrices(undefined)).toBeNull()
    expect(creditsOf(null, { input: 1, output: 1 })).toEqual({})
  })

  test('of an upper bound of the tokens is an upper bound', () => {
    const tokens = fc.nat({ max: 2_000_000 })
    fc.assert(
      fc.property(tokens, tokens, tokens, tokens, (a, b, c, d) => {
        const bound = { input: Math.max(a, b), output: Math.max(c, d) }
        const held = creditsOf(rates, bound).credits!
        expect(creditsOf(rates, { input: a, output: c }).credits! <= held).toBe(true)
      }),
    )
  })

  test.each(['-1', '0.0000001', '1000000.000001', 'x', '1e2'])('%s is no price', (price) => {
    const error = errorOf(() => readCreditPrices({ perOutputToken: price }))
    expect(error.code).toBe('TK_CONFIG_INVALID')
    expect(error.details.field).toBe('options.credits.perOutputToken')
  })
})

describe('changes of what is used', () => {
  test.each([
    [{ usd: '-1.25' }, 'usd', -1_250_000_000n],
    [{ usd: '0.40' }, 'usd', 400_000_000n],
    [{ tokens: -500 }, 'tokens', -500n],
    [{ requests: 3n }, 'requests', 3n],
    [{ credits: '-0.5' }, 'credits', -500_000n],
  ])('%o is read with its sign', (change, unit, amount) => {
    expect(parseChange(change, 'amount')).toEqual({ unit, amount })
  })

  test.each([
    { usd: '--1' },
    { usd: -1 },
    { usd: '- 1' },
    { usd: Number.NaN },
    { usd: '1', tokens: 1 },
    {},
    null,
    '-1',
    { tokens: -0.5 },
    { tokens: '-' },
  ])('%o is refused', (change) => {
    expect(errorOf(() => parseChange(change, 'amount')).code).toBe('TK_INPUT_INVALID')
  })
})
