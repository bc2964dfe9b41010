import '../support/same-draws.ts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatUsd, isAmount, MAX_AMOUNT, NANO_PER_USD, parseUsd } from '../../src/budgets/money.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'

const BAD: readonly (readonly [string, unknown])[] = [
  ['a number', 20],
  ['a fraction', 0.1],
  ['2^53 + 1 as a number', 2 ** 53 + 1],
  ['NaN', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['minus infinity', Number.NEGATIVE_INFINITY],
  ['minus zero', -0],
  ['a bigint', 20n],
  ['null', null],
  ['undefined', undefined],
  ['true', true],
  ['an array', ['20']],
  ['an object', { usd: '20' }],
  ['a String object', new String('20')],
  ['an object with toString', { toString: () => '20' }],
  ['an empty string', ''],
  ['a space', ' '],
  ['a leading space', ' 20'],
  ['a trailing space', '20 '],
  ['a trailing line feed', '20\n'],
  ['a sign', '-20'],
  ['a plus', '+20'],
  ['minus zero as text', '-0'],
  ['a typographic minus', '\u221220'],
  ['an exponent', '2e1'],
  ['a small exponent', '1e-9'],
  ['NaN as text', 'NaN'],
  ['infinity as text', 'Infinity'],
  ['hexadecimal', '0x14'],
  ['binary', '0b11'],
  ['a bigint literal', '20n'],
  ['a thousands separator', '1,000'],
  ['an underscore', '1_000'],
  ['a decimal comma', '20,00'],
  ['a point without digits after it', '20.'],
  ['a point without digits before it', '.5'],
  ['only a point', '.'],
  ['two points', '1.2.3'],
  ['ten decimals', '0.0000000001'],
  ['eleven digits', '10000000000'],
  ['more than the ledger holds', '9000000000.000000001'],
  ['ten nines', '9999999999'],
  ['a currency sign', '$20'],
  ['a currency', '20 USD'],
  ['Arabic digits', '\u0662\u0660'],
  ['full-width digits', '\uff12\uff10'],
  ['a NUL', '20\u0000'],
  ['a very long number', '9'.repeat(100_000)],
]

describe('parseUsd', () => {
  test.each([
    ['0', 0n],
    ['0.0', 0n],
    ['20', 20_000_000_000n],
    ['20.00', 20_000_000_000n],
    ['0.000000001', 1n],
    ['0.1', 100_000_000n],
    ['12.345678901', 12_345_678_901n],
    ['007.5', 7_500_000_000n],
    ['9007199.254740993', 2n ** 53n + 1n],
    ['9000000000', MAX_AMOUNT],
  ])('%s is exact', (text, amount) => {
    expect(parseUsd(text, 'limit.usd')).toBe(amount)
  })

  test('T-B9 at least 40 bad amounts are in the table', () => {
    expect(BAD.length).toBeGreaterThanOrEqual(40)
  })

  test.each(BAD)(
    'T-B9 %s is refused, and the error names the field but not the value',
    (_, value) => {
      let thrown: unknown
      try {
        parseUsd(value, 'limit.usd')
      } catch (error) {
        thrown = error
      }
      expect(TenantKeysError.isInstance(thrown)).toBe(true)
      const error = thrown as TenantKeysError
      expect(error.code).toBe('TK_INPUT_INVALID')
      expect(error.details.field).toBe('limit.usd')
      if (typeof value === 'string' && value.length > 3) expect(error.message).not.toContain(value)
    },
  )
})

describe('formatUsd', () => {
  test.each([
    [0n, '0.00'],
    [1n, '0.000000001'],
    [10_000_000n, '0.01'],
    [12_345n, '0.000012345'],
    [100_000_000n, '0.10'],
    [20_000_000_000n, '20.00'],
    [20_500_000_000n, '20.50'],
    [20_001_000_000n, '20.001'],
    [-1n, '-0.000000001'],
    [-20_000_000_000n, '-20.00'],
    [MAX_AMOUNT, '9000000000.00'],
  ])('%s nano-USD are %s', (amount, text) => {
    expect(formatUsd(amount)).toBe(text)
  })

  test('what is written is read back exactly', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: MAX_AMOUNT }), (amount) => {
        expect(parseUsd(formatUsd(amount), 'usd')).toBe(amount)
      }),
      { numRuns: 5000 },
    )
  })
})

test('T-B9 an amount is a bigint from zero to what 63 bits hold', () => {
  for (const amount of [0n, 1n, NANO_PER_USD, MAX_AMOUNT]) expect(isAmount(amount)).toBe(true)
  for (const none of [-1n, MAX_AMOUNT + 1n, 1, '1', Number.NaN, null, undefined, {}, [1n]]) {
    expect(isAmount(none)).toBe(false)
  }
  expect(MAX_AMOUNT < 2n ** 63n).toBe(true)
})
