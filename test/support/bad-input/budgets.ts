/**
 * Bad input to `tk.budgets`.
 *
 * @module
 */
import { as, CANARY, type Row } from './row.ts'
import {
  BAD_ACTORS,
  type Call,
  NO_OBJECTS,
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
      day: 'day',
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
export const budgetRows: readonly Row[] = [
  ...budgetRefs('budgets.set', GOOD_BUDGET, set),
  ...rows(
    'budgets.set',
    'limit',
    { missing: undefined, null: null, 'an amount': '5.00', 'a list': ['5.00'] },
    (tk, limit) => set(tk, { ...GOOD_BUDGET, limit }, as(null)),
  ),
  row('budgets.set', 'another unit', 'limit.eur', ({ tk }) =>
    set(tk, { ...GOOD_BUDGET, limit: { usd: '1', eur: CANARY } }, as(null)),
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
