/**
 * Bad input to `tk.usage`.
 *
 * @module
 */
import { as, CANARY, type Row } from './row.ts'
import { type Call, NO_OBJECTS, rows, SOME_BAD_IDS, unknownFields } from './values.ts'

const query: Call = (tk, input) => tk.usage.query(as(input))
const BAD_TIMES = {
  zero: 0,
  negative: -1,
  fraction: 0.5,
  NaN: Number.NaN,
  text: CANARY,
  'a Date': new Date(0),
  bigint: 1n,
}
export const usageRows: readonly Row[] = [
  ...rows('usage.query', '(argument)', NO_OBJECTS, query),
  ...rows('usage.query', 'tenantId', { ...SOME_BAD_IDS, missing: '', null: 7 }, (tk, tenantId) =>
    query(tk, { tenantId }, as(null)),
  ),
  ...rows('usage.query', 'fromMs', BAD_TIMES, (tk, fromMs) => query(tk, { fromMs }, as(null))),
  ...rows('usage.query', 'untilMs', { ...BAD_TIMES, 'not after fromMs': 1000 }, (tk, untilMs) =>
    query(tk, { fromMs: 1000, untilMs }, as(null)),
  ),
  ...rows(
    'usage.query',
    'by',
    { null: null, 'a text': 'tenant', 'an object': {}, 'nine of them': Array(9).fill('key') },
    (tk, by) => query(tk, { by }, as(null)),
  ),
  ...rows(
    'usage.query',
    'by[0]',
    {
      'another word': [CANARY],
      constructor: ['constructor'],
      __proto__: ['__proto__'],
      SQL: [`tenant_id; --${CANARY}`],
    },
    (tk, by) => query(tk, { by }, as(null)),
  ),
  ...unknownFields('usage.query', { by: [] }, query),
]
