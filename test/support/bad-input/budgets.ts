/**
 * Bad input to `tk.budgets`.
 *
 * @module
 */
import { as, CANARY, type Row } from './row.ts'
import {
  BAD_ACTORS,
  BAD_PERCENTS,
  type Call,
  NO_OBJECTS,
  NO_PERCENTS,
  POLLUTERS,
  row,
  rows,
  SOME_BAD_IDS,
  unknownFields,
  withField,
} from './values.ts'

const acme = { tenantId: 'acme' }
const GOOD_BUDGET = { account: acme, window: 'month', limit: { usd: '5.00' } }
const set: Call = (tk, input) => tk.budgets.set(as(input))
const budgetRefs = (
  method: 'budgets.set' | 'budgets.get' | 'budgets.remove',
  good: object,
  call: Call,
): readonly Row[] => [
  ...rows(method, '(argument)', { missing: undefined, null: null, 'a text': CANARY }, call),
  ...rows(
    method,
    'account',
    { missing: undefined, null: null, 'an id': 'acme', 'a list': ['acme'] },
    (tk, account, bench) => call(tk, { ...good, account }, bench),
  ),
  ...rows(method, 'account.tenantId', SOME_BAD_IDS, (tk, tenantId, bench) =>
    call(tk, { ...good, account: { tenantId } }, bench),
  ),
  ...rows(
    method,
    'account.keyId',
    { null: null, 'a number': 7, '15 letters': 'x'.repeat(15), 'other letters': `../${CANARY}` },
    (tk, keyId, bench) => call(tk, { ...good, account: { ...acme, keyId } }, bench),
  ),
  ...rows(
    method,
    'window',
    {
      missing: undefined,
      year: 'year',
      'in capitals': 'MONTH',
      'another word': CANARY,
      constructor: 'constructor',
      'a list': ['month'],
    },
    (tk, window, bench) => call(tk, { ...good, window }, bench),
  ),
  ...unknownFields(method, good, call),
  ...POLLUTERS.map((name) =>
    row(method, `T-I7 the field account.${name}`, `account.${name}`, (bench) =>
      call(bench.tk, { ...good, account: withField(name, acme) }, bench),
    ),
  ),
]
/** What is wrong, what follows `limit` in the field that says so, and the limit. */
const BAD_LIMIT_OBJECTS: readonly (readonly [string, string, unknown])[] = [
  ['no unit', '', {}],
  ['two units', '', { usd: '1', eur: CANARY }],
  ['a unit in capitals', '', { USD: '1' }],
  ['a unit with a dash', '', { 'us-dollars': '1' }],
  ['a unit that begins with a digit', '', { '1k_tokens': 1 }],
  ['a unit of 33 letters', '', { [CANARY.replace('-', '_').padEnd(33, 'x')]: 1 }],
  ...POLLUTERS.filter((name) => name !== 'prototype').map(
    (name) => [`T-I7 a unit ${name}`, '', JSON.parse(`{"${name}":1}`)] as const,
  ),
  ['a word in a unit of the host', '.eur', { eur: CANARY }],
  ['a fraction in a unit of the host', '.eur', { eur: 1.5 }],
  ['decimals in a unit of the host', '.eur', { eur: '1.50' }],
  ['negative tokens', '.tokens', { tokens: -1 }],
  ['tokens above 2^53', '.tokens', { tokens: 2 ** 53 }],
  ['a bigint above the largest amount', '.requests', { requests: 1n << 64n }],
  ['no number of calls', '.calls', { calls: Number.NaN }],
  ['bytes with a unit', '.bytes', { bytes: '10MB' }],
  ['seven decimals of a credit', '.credits', { credits: '0.0000001' }],
  ['a fraction of a credit as a number', '.credits', { credits: 0.5 }],
]
export const budgetRows: readonly Row[] = [
  ...budgetRefs('budgets.set', GOOD_BUDGET, set),
  ...rows(
    'budgets.set',
    'limit',
    { missing: undefined, null: null, 'an amount': '5.00', 'a list': ['5.00'] },
    (tk, limit) => set(tk, { ...GOOD_BUDGET, limit }, as(null)),
  ),
  ...BAD_LIMIT_OBJECTS.map(([what, field, limit]) =>
    row('budgets.set', `limit: ${what}`, `limit${field}`, ({ tk }) =>
      set(tk, { ...GOOD_BUDGET, limit }, as(null)),
    ),
  ),
  ...rows('budgets.set', 'counts', { 'another word': CANARY, null: null }, (tk, counts) =>
    set(tk, { ...GOOD_BUDGET, counts }, as(null)),
  ),
  ...rows('budgets.set', 'alerts', NO_PERCENTS, (tk, alerts) =>
    set(tk, { ...GOOD_BUDGET, alerts }, as(null)),
  ),
  ...rows('budgets.set', 'alerts[1]', BAD_PERCENTS, (tk, percent) =>
    set(tk, { ...GOOD_BUDGET, alerts: [50, percent] }, as(null)),
  ),
  ...rows(
    'budgets.set',
    'overflowTo',
    { null: null, 'an id': 'reseller', 'a budget as its own pool': acme },
    (tk, overflowTo) => set(tk, { ...GOOD_BUDGET, overflowTo }, as(null)),
  ),
  ...rows('budgets.set', 'overflowTo.tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    set(tk, { ...GOOD_BUDGET, overflowTo: { tenantId } }, as(null)),
  ),
  row('budgets.set', 'a pool of a tenant below', 'overflowTo', ({ tk }) =>
    set(tk, { ...GOOD_BUDGET, account: { tenantId: 'reseller' }, overflowTo: acme }, as(null)),
  ),
  ...rows(
    'budgets.set',
    'zone',
    {
      empty: '',
      'no zone': `Mars/${CANARY}`,
      'a number': 7,
      __proto__: '__proto__',
      '65 letters': CANARY.padEnd(65, 'x'),
      'another than it has': 'Asia/Tokyo',
    },
    (tk, zone) => set(tk, { ...GOOD_BUDGET, zone }, as(null)),
  ),
  ...rows('budgets.set', 'actor', BAD_ACTORS, (tk, actor) =>
    set(tk, { ...GOOD_BUDGET, actor }, as(null)),
  ),
  {
    method: 'budgets.set',
    what: 'a tenant that is not there',
    run: ({ tk }) => set(tk, { ...GOOD_BUDGET, account: { tenantId: 'nobody' } }, as(null)),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  {
    method: 'budgets.set',
    what: "T-I1 another tenant's key",
    run: ({ tk, keyId }) =>
      set(tk, { ...GOOD_BUDGET, account: { tenantId: 'reseller', keyId } }, as(null)),
    code: 'TK_KEY_NOT_FOUND',
    field: null,
  },
  ...budgetRefs('budgets.get', { account: acme, window: 'month' }, (tk, input) =>
    tk.budgets.get(as(input)),
  ),
  ...budgetRefs('budgets.remove', { account: acme, window: 'month' }, (tk, input) =>
    tk.budgets.remove(as(input)),
  ),
  {
    method: 'budgets.remove',
    what: 'a tenant that is not there',
    run: ({ tk }) => tk.budgets.remove({ account: { tenantId: 'nobody' }, window: 'month' }),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  ...rows('budgets.list', '(argument)', { missing: undefined, ...NO_OBJECTS }, (tk, input) =>
    tk.budgets.list(as(input)),
  ),
  ...rows('budgets.list', 'tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    tk.budgets.list({ tenantId: as(tenantId) }),
  ),
  ...unknownFields('budgets.list', acme, (tk, input) => tk.budgets.list(as(input))),
]
