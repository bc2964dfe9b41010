/**
 * T-B9: amounts that are none. Money comes in as a decimal string of US dollars, or not at all.
 *
 * @module
 */
import { as, CANARY, type Row } from './row.ts'

const BAD_AMOUNTS: Readonly<Record<string, unknown>> = {
  missing: undefined,
  null: null,
  empty: '',
  'a blank': ' ',
  'a number': 5,
  'zero as a number': 0,
  'minus zero': -0,
  'a fraction': 0.1,
  'a negative number': -5,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  'minus Infinity': Number.NEGATIVE_INFINITY,
  '2^53 + 1 as a number': 2 ** 53 + 1,
  'the largest number': Number.MAX_VALUE,
  'a bigint': 5n,
  'a negative bigint': -5n,
  true: true,
  'a list': ['5'],
  'an object': { toString: () => '5', canary: CANARY },
  'a function': () => '5',
  'a Date': new Date(5),
  'a word': CANARY,
  'NaN as text': 'NaN',
  'Infinity as text': 'Infinity',
  'a sign': '-5',
  'a plus': '+5',
  'a currency': '$5',
  'a currency behind': '5 USD',
  'an exponent': '5e2',
  'hex digits': '0x5',
  'octal digits': '0o5',
  'a separator': '1,000',
  'a decimal comma': '5,00',
  'an underscore': '1_000',
  'no digit in front': '.5',
  'no digit behind': '5.',
  'two points': '5.0.0',
  'ten decimals': '0.0000000001',
  'eleven digits in front': '10000000000',
  'above nine billion': '9000000001',
  'just above the largest': '9000000000.000000001',
  'a blank in front': ' 5',
  'a line break behind': '5\n',
  'NUL behind': '5\0',
  'digits of another script': '\u0665',
  'full-width digits': '\uff15',
  'an invisible letter': '5\u200b',
  '64 kB of digits': '9'.repeat(65_536),
}

export const amountRows: readonly Row[] = Object.entries(BAD_AMOUNTS).flatMap(
  ([what, usd]): Row[] => [
    {
      method: 'budgets.set',
      what: `T-B9 limit.usd: ${what}`,
      run: ({ tk }) =>
        tk.budgets.set({ account: { tenantId: 'acme' }, window: 'month', limit: { usd: as(usd) } }),
      code: 'TK_INPUT_INVALID',
      field: 'limit.usd',
    },
    {
      method: 'authorize',
      what: `T-B9 estimate.usd: ${what}`,
      run: ({ tk, key }) => tk.authorize({ key, model: 'gpt-4o-mini', estimate: { usd: as(usd) } }),
      code: 'TK_INPUT_INVALID',
      field: 'ask.estimate.usd',
    },
  ],
)
