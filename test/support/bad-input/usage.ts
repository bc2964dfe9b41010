/**
 * Bad input to `tk.usage`.
 *
 * @module
 */
import { as, CANARY, type Row } from './row.ts'
import { type Call, NO_OBJECTS, rows, SOME_BAD_IDS, unknownFields } from './values.ts'

const query: Call = (tk, input) => tk.usage.query(as(input))
const page: Call = (tk, input) => tk.usage.page(as(input))
const list: Call = (tk, input) => tk.usage.list(as(input))
const reprice: Call = (tk, input) => tk.usage.reprice(as(input))
const BAD_LIMITS = { zero: 0, 'too many': 1001, text: CANARY, fraction: 1.5 }
const BAD_MONTHS = { missing: undefined, number: 202601, words: CANARY, 'no such month': '2026-13' }
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
  ...rows('usage.page', '(argument)', NO_OBJECTS, page),
  ...rows(
    'usage.page',
    'after',
    { number: 7, 'no cursor': CANARY, long: 'x'.repeat(9000) },
    (tk, after) => page(tk, { by: ['key'], after }, as(null)),
  ),
  ...rows('usage.page', 'limit', BAD_LIMITS, (tk, limit) => page(tk, { limit }, as(null))),
  ...rows('usage.list', '(argument)', { ...NO_OBJECTS, 'nothing at all': undefined }, list),
  ...rows('usage.list', 'tenantId', { ...SOME_BAD_IDS, missing: undefined }, (tk, tenantId) =>
    list(tk, { tenantId }, as(null)),
  ),
  ...rows('usage.list', 'limit', BAD_LIMITS, (tk, limit) =>
    list(tk, { tenantId: 'acme', limit }, as(null)),
  ),
  ...rows(
    'usage.export',
    'format',
    { missing: undefined, another: CANARY, null: null },
    (tk, format) => tk.usage.export(as({ format })),
  ),
  ...rows('usage.export', 'tenantId', { ...SOME_BAD_IDS, missing: '' }, (tk, tenantId) =>
    tk.usage.export(as({ format: 'csv', tenantId })),
  ),
  ...rows('usage.statement', 'month', BAD_MONTHS, (tk, month) =>
    tk.usage.statement(as({ tenantId: 'acme', month })),
  ),
  ...rows('usage.statement', 'tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    tk.usage.statement(as({ tenantId, month: '2026-01' })),
  ),
  ...rows('outbox.quarantined', 'limit', BAD_LIMITS, (tk, limit) =>
    tk.outbox.quarantined(as({ limit })),
  ),
  ...rows(
    'outbox.requeue',
    'ids',
    { missing: undefined, none: [], text: CANARY, many: Array(101).fill('a') },
    (tk, ids) => tk.outbox.requeue(as({ ids })),
  ),
  ...rows(
    'outbox.requeue',
    'ids[0]',
    { number: [7], empty: [''], long: ['x'.repeat(201)] },
    (tk, ids) => tk.outbox.requeue(as({ ids })),
  ),
  ...rows('usage.reprice', '(argument)', NO_OBJECTS, reprice),
  ...rows('usage.reprice', 'id', { ...SOME_BAD_IDS, missing: undefined }, (tk, id) =>
    reprice(tk, { tenantId: 'acme', id }, as(null)),
  ),
  ...unknownFields('usage.reprice', { tenantId: 'acme', id: 'x' }, reprice),
]
