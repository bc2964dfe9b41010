import { describe, expect, test } from 'vitest'
import { priceTable } from '../../src/usage/price-table.ts'
import { rateFromNumber, rateFromText } from '../../src/usage/rate.ts'

const GOOD = { provider: 'openai', model: 'm', inputUsdPerMTok: '0.15', outputUsdPerMTok: '0.60' }

const BAD_RATES: unknown[] = [
  0.15,
  1,
  0,
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53 + 1,
  15n,
  true,
  null,
  undefined,
  {},
  [],
  ['0.15'],
  new Date(0),
  '',
  ' ',
  '-1',
  '-0',
  '+1',
  '1e3',
  '1E-3',
  '0x10',
  '1,5',
  '1_000',
  '0.15 ',
  ' 0.15',
  '0.15\n',
  '.5',
  '5.',
  '1.2.3',
  'NaN',
  'Infinity',
  '$1',
  '1 USD',
  '١',
  '１',
  '1000000.0000001',
  '1000001',
  '99999999',
  `0.${'1'.repeat(31)}`,
  '0.15\u0000',
  '9007199254740993',
  { toString: () => '1' },
]

describe('rates', () => {
  test.each(BAD_RATES.map((rate, i) => [i, rate] as const))(
    'T-B9 rate %i is no price',
    (_, rate) => {
      expect(rateFromText(rate)).toBeNull()
    },
  )

  test('T-B9 at least 40 bad rates are refused at the option, naming the field, not the value', () => {
    expect(BAD_RATES.length).toBeGreaterThanOrEqual(40)
    for (const rate of BAD_RATES) {
      for (const field of ['inputUsdPerMTok', 'outputUsdPerMTok'] as const) {
        const hostPrices = [GOOD, { ...GOOD, model: 'n', [field]: rate as string }]
        expect(() => priceTable({ hostPrices })).toThrow(
          expect.objectContaining({
            code: 'TK_CONFIG_INVALID',
            details: expect.objectContaining({ field: `options.prices[1].${field}` }),
          }),
        )
      }
    }
  })

  test.each([
    ['0', 0n, false],
    ['1', 1_000_000n, false],
    ['0.15', 150_000n, false],
    ['0.0375', 37_500n, false],
    ['0.000001', 1n, false],
    ['0.0000001', 1n, true],
    ['0.0000010000000000000000001', 2n, true],
    ['0.08333333333333334', 83_334n, true],
    ['1.500000000000', 1_500_000n, false],
    ['1000000', 1_000_000_000_000n, false],
    ['0001.50', 1_500_000n, false],
  ])(
    '%s USD per 1M is read exactly, and rounded up where it is finer than 1 pUSD',
    (text, rate, roundedUp) => {
      expect(rateFromText(text)).toEqual({ rate, roundedUp })
    },
  )

  test.each([
    [0.15, 150_000n, false],
    [0.0375, 37_500n, false],
    [1e-7, 1n, true],
    [1e-6, 1n, false],
    [2.5e-5, 25n, false],
    [5e-324, 1n, true],
    [0.1 + 0.2, 300_001n, true],
    [75, 75_000_000n, false],
    [1e6, 1_000_000_000_000n, false],
  ])('the float %d is read as the decimal that names it', (float, rate, roundedUp) => {
    expect(rateFromNumber(float)).toEqual({ rate, roundedUp })
  })

  test.each([
    -1,
    -0.1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1_000_001,
    1e21,
    '1',
    null,
    undefined,
    1n,
  ])('T-B9 the value %s is no price', (value) => {
    expect(rateFromNumber(value)).toBeNull()
  })
})

describe('rows of the host', () => {
  test.each<[string, object, string]>([
    ['an unknown field', { inputUsdPerToken: '1' }, 'inputUsdPerToken'],
    ['a provider with a slash', { provider: 'a/b' }, 'provider'],
    ['a provider in capitals', { provider: 'OpenAI' }, 'provider'],
    ['no model', { model: '' }, 'model'],
    ['a model with a blank', { model: 'gpt 4' }, 'model'],
    ['a model of 201 letters', { model: 'm'.repeat(201) }, 'model'],
    ['a version with a slash', { version: 'a/b' }, 'version'],
    ['a context window of 0', { contextWindow: 0 }, 'contextWindow'],
    ['a fractional context window', { contextWindow: 0.5 }, 'contextWindow'],
    ['a negative maximum', { maxOutputTokens: -1 }, 'maxOutputTokens'],
    ['a maximum of NaN', { maxOutputTokens: Number.NaN }, 'maxOutputTokens'],
    [
      'tiers that do not ascend',
      { tiers: [{ aboveInputTokens: 2 }, { aboveInputTokens: 2 }] },
      'tiers',
    ],
    [
      'a bad rate of a tier',
      { tiers: [{ aboveInputTokens: 2, inputUsdPerMTok: '-1' }] },
      'tiers[0].inputUsdPerMTok',
    ],
    [
      'an unknown field of a tier',
      { tiers: [{ aboveInputTokens: 2, above: 3 }] },
      'tiers[0].above',
    ],
    ['a bad cache rate', { cacheReadUsdPerMTok: '1e3' }, 'cacheReadUsdPerMTok'],
    ['a bad audio rate', { outputAudioUsdPerMTok: '' }, 'outputAudioUsdPerMTok'],
  ])('T-B9 %s is refused by name', (_, wrong, field) => {
    expect(() => priceTable({ hostPrices: [{ ...GOOD, ...wrong }] })).toThrow(
      expect.objectContaining({
        code: 'TK_CONFIG_INVALID',
        details: expect.objectContaining({ field: `options.prices[0].${field}` }),
      }),
    )
  })

  test('two rows for one model are refused', () => {
    expect(() => priceTable({ hostPrices: [GOOD, { ...GOOD, inputUsdPerMTok: '9' }] })).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ field: 'options.prices[1].model' }),
      }),
    )
  })

  test('T-I7 a row named __proto__ pollutes nothing and is found by nobody else', async () => {
    const row = JSON.parse(
      '{"provider":"openai","model":"__proto__","inputUsdPerMTok":"1","outputUsdPerMTok":"1"}',
    )
    const table = priceTable({ hostPrices: [row] })
    expect(Object.hasOwn(Object.prototype, 'input')).toBe(false)
    expect((await table.find({ provider: 'openai', model: '__proto__' }))?.rates.input).toBe(
      1_000_000n,
    )
    expect(await table.find({ provider: 'openai', model: 'constructor' })).toBeNull()
    expect(await table.find({ provider: '__proto__', model: 'x' })).toBeNull()
  })
})
