import { describe, expect, test } from 'vitest'
import { formatAmount, parseChange, parseLimit } from '../../src/budgets/amounts.ts'

const MOST = 9_000_000_000_000_000_000n

describe('limits', () => {
  test.each([
    [{ usd: '20.00' }, 'usd', 20_000_000_000n],
    [{ usd: '0.000000001' }, 'usd', 1n],
    [{ usd: '0' }, 'usd', 0n],
    [{ tokens: 1_000_000 }, 'tokens', 1_000_000n],
    [{ requests: 10_000n }, 'requests', 10_000n],
    [{ calls: '5' }, 'calls', 5n],
    [{ bytes: 0 }, 'bytes', 0n],
    [{ seats_of_2026: MOST }, 'seats_of_2026', MOST],
    [{ a: Number.MAX_SAFE_INTEGER }, 'a', 9_007_199_254_740_991n],
  ])('%o', (limit, unit, amount) => {
    expect(parseLimit(limit, 'limit')).toEqual({ unit, amount })
  })

  test.each([
    ['nothing', {}],
    ['two units', { usd: '1', tokens: 1 }],
    ['no object', 5],
    ['null', null],
    ['undefined', undefined],
    ['a string', 'usd'],
    ['dollars as a number', { usd: 20 }],
    ['dollars with ten decimals', { usd: '1.0000000001' }],
    ['negative dollars', { usd: '-1' }],
    ['dollars with an exponent', { usd: '1e3' }],
    ['dollars above nine billion', { usd: '9000000001' }],
    ['a fraction of a token', { tokens: 1.5 }],
    ['a negative token', { tokens: -1 }],
    ['2^53 tokens as a number', { tokens: 2 ** 53 }],
    ['NaN', { tokens: Number.NaN }],
    ['infinity', { tokens: Number.POSITIVE_INFINITY }],
    ['above 9e18', { tokens: MOST + 1n }],
    ['20 digits', { tokens: '10000000000000000000' }],
    ['hexadecimal text', { tokens: '0x10' }],
    ['text with a sign', { tokens: '+5' }],
    ['text with a blank', { tokens: ' 5' }],
    ['empty text', { tokens: '' }],
    ['a boolean', { tokens: true }],
    ['an array', { tokens: [5] }],
    ['an object with a value', { tokens: { valueOf: () => 5 } }],
    ['an array for the whole', [5]],
    ['a unit with a capital', { Tokens: 1 }],
    ['a unit with a dash', { 'my-unit': 1 }],
    ['an empty unit', { '': 1 }],
    ['a unit of 33 letters', { ['a'.repeat(33)]: 1 }],
    ['a unit that every object has', { constructor: 1 }],
    ['the prototype', JSON.parse('{"__proto__":1}')],
  ])('T-B9 refuses %s and names the field', (_, limit) => {
    expect(() => parseLimit(limit, 'limit')).toThrow(
      expect.objectContaining({
        code: 'TK_INPUT_INVALID',
        details: expect.objectContaining({ field: expect.stringMatching(/^limit/) }),
      }),
    )
  })

  test('what was written is read again', () => {
    for (const [unit, amount] of [
      ['usd', 1n],
      ['usd', 20_000_000_000n],
      ['tokens', 17n],
      ['usd', MOST],
    ] as const) {
      expect(parseLimit({ [unit]: formatAmount(unit, amount) }, 'limit')).toEqual({ unit, amount })
    }
  })
})

describe('changes', () => {
  test.each([
    [{ usd: '-1.25' }, 'usd', -1_250_000_000n],
    [{ usd: '1.25' }, 'usd', 1_250_000_000n],
    [{ tokens: -500 }, 'tokens', -500n],
    [{ tokens: -500n }, 'tokens', -500n],
    [{ tokens: '-500' }, 'tokens', -500n],
    [{ tokens: 0 }, 'tokens', 0n],
  ])('%o', (change, unit, amount) => {
    expect(parseChange(change, 'amount')).toEqual({ unit, amount })
  })

  test.each([[{ usd: '--1' }], [{ tokens: '-' }], [{ tokens: -1.5 }], [{ usd: -1 }], [{}]])(
    'T-B9 refuses %o',
    (change) => {
      expect(() => parseChange(change, 'amount')).toThrow(
        expect.objectContaining({ code: 'TK_INPUT_INVALID' }),
      )
    },
  )
})
