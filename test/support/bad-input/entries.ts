/**
 * Bad input to `tk.budgets.credit`, `adjust`, `check` and `prune`.
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
const CREDIT = { account: acme, amount: { usd: '5.00' }, idempotencyKey: 'payment-1' }
const ADJUST = { ...CREDIT, window: 'month', amount: { usd: '0.01' }, reason: 'a correction' }

const credit: Call = (tk, input) => tk.budgets.credit(as(input))
const adjust: Call = (tk, input) => tk.budgets.adjust(as(input))
const check: Call = (tk, input) => tk.budgets.check(as(input))
const prune: Call = (tk, input) => tk.budgets.prune(as(input))

const BAD_ENTRY_IDS = {
  missing: undefined,
  null: null,
  empty: '',
  'a number': 7,
  'a blank inside': `a ${CANARY}`,
  'a line break behind': `${CANARY}\n`,
  NUL: `${CANARY}\0`,
  'a path upwards': `../${CANARY}`,
  '129 letters': CANARY.padEnd(129, 'x'),
}

/** What credits and adjustments have in common. */
const entries = (method: string, good: object, call: Call): readonly Row[] => [
  ...rows(method, '(argument)', { missing: undefined, ...NO_OBJECTS }, call),
  ...rows(
    method,
    'account',
    { missing: undefined, null: null, 'an id': 'acme' },
    (tk, account, b) => call(tk, { ...good, account }, b),
  ),
  ...rows(method, 'account.tenantId', SOME_BAD_IDS, (tk, tenantId, bench) =>
    call(tk, { ...good, account: { tenantId } }, bench),
  ),
  ...rows(
    method,
    'account.keyId',
    { null: null, '15 letters': 'x'.repeat(15), 'other letters': `../${CANARY}` },
    (tk, keyId, bench) => call(tk, { ...good, account: { ...acme, keyId } }, bench),
  ),
  ...rows(
    method,
    'amount',
    {
      missing: undefined,
      null: null,
      'an amount': '5.00',
      'no unit': {},
      'two units': { usd: '1', tokens: 1 },
      'a unit in capitals': { USD: '1' },
      'T-I7 a unit __proto__': JSON.parse('{"__proto__":1}'),
      'T-I7 a unit constructor': JSON.parse('{"constructor":1}'),
    },
    (tk, amount, bench) => call(tk, { ...good, amount }, bench),
  ),
  ...rows(
    method,
    'amount.usd',
    {
      'a number': 5,
      'a negative number': -5,
      'a word': CANARY,
      'two signs': '--5',
      'a plus': '+5',
      'a sign alone': '-',
      'an exponent': '5e2',
      'ten decimals': '0.0000000001',
      'above nine billion': '9000000001',
    },
    (tk, usd, bench) => call(tk, { ...good, amount: { usd } }, bench),
  ),
  ...rows(
    method,
    'amount.tokens',
    { fraction: 1.5, NaN: Number.NaN, Infinity: Number.NEGATIVE_INFINITY, text: CANARY },
    (tk, tokens, bench) => call(tk, { ...good, amount: { tokens } }, bench),
  ),
  ...rows(method, 'idempotencyKey', BAD_ENTRY_IDS, (tk, idempotencyKey, bench) =>
    call(tk, { ...good, idempotencyKey }, bench),
  ),
  ...rows(method, 'actor', BAD_ACTORS, (tk, actor, bench) => call(tk, { ...good, actor }, bench)),
  ...unknownFields(method, good, call),
  ...POLLUTERS.map((name) =>
    row(method, `T-I7 the field account.${name}`, `account.${name}`, (bench) =>
      call(bench.tk, { ...good, account: withField(name, acme) }, bench),
    ),
  ),
  {
    method,
    what: 'a tenant that is not there',
    run: (bench) => call(bench.tk, { ...good, account: { tenantId: 'nobody' } }, bench),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  {
    method,
    what: "T-I1 another tenant's key",
    run: (bench) =>
      call(bench.tk, { ...good, account: { tenantId: 'reseller', keyId: bench.keyId } }, bench),
    code: 'TK_KEY_NOT_FOUND',
    field: null,
  },
]

export const entryRows: readonly Row[] = [
  ...entries('budgets.credit', CREDIT, credit),
  ...rows(
    'budgets.credit',
    'amount',
    { zero: { usd: '0' }, 'less than its margin leaves': { tokens: 1 } },
    (tk, amount, bench) => credit(tk, { ...CREDIT, marginPercent: '50', amount }, bench),
  ),
  ...rows('budgets.credit', 'amount.usd', { 'a sign': '-5' }, (tk, usd, bench) =>
    credit(tk, { ...CREDIT, amount: { usd } }, bench),
  ),
  ...rows(
    'budgets.credit',
    'marginPercent',
    {
      'a number': 20,
      all: '100',
      negative: '-1',
      'three decimals': '1.234',
      'a sign of percent': '20%',
      empty: '',
      text: CANARY,
      null: null,
    },
    (tk, marginPercent, bench) => credit(tk, { ...CREDIT, marginPercent }, bench),
  ),
  ...rows('budgets.credit', 'alerts', NO_PERCENTS, (tk, alerts, bench) =>
    credit(tk, { ...CREDIT, alerts }, bench),
  ),
  ...rows('budgets.credit', 'alerts[0]', BAD_PERCENTS, (tk, percent, bench) =>
    credit(tk, { ...CREDIT, alerts: [percent] }, bench),
  ),

  ...entries('budgets.adjust', ADJUST, adjust),
  ...rows(
    'budgets.adjust',
    'window',
    {
      missing: undefined,
      year: 'year',
      'in capitals': 'MONTH',
      constructor: 'constructor',
      'a list': ['month'],
    },
    (tk, window, bench) => adjust(tk, { ...ADJUST, window }, bench),
  ),
  ...rows(
    'budgets.adjust',
    'reason',
    {
      missing: undefined,
      null: null,
      empty: '',
      'a number': 7,
      NUL: `a\0${CANARY}`,
      'half a surrogate pair': `\ud800${CANARY}`,
      '257 letters': CANARY.padEnd(257, 'x'),
    },
    (tk, reason, bench) => adjust(tk, { ...ADJUST, reason }, bench),
  ),
  ...rows(
    'budgets.adjust',
    'amount',
    { 'nothing at all': { usd: '0' }, 'more than was used': { usd: '-5.00' } },
    (tk, amount, bench) => adjust(tk, { ...ADJUST, amount }, bench),
  ),
  ...['hour', 'call', 'concurrent', 'rate_second', 'rate_minute'].map(
    (window): Row => ({
      method: 'budgets.adjust',
      what: `a budget that is not there, of the window ${window}`,
      run: (bench) => adjust(bench.tk, { ...ADJUST, window }, bench),
      code: 'TK_BUDGET_NOT_FOUND',
      field: null,
    }),
  ),

  ...rows('budgets.check', '(argument)', NO_OBJECTS, check),
  ...rows(
    'budgets.check',
    'tenantId',
    { null: null, empty: '', 'a number': 7, 'a path upwards': `../${CANARY}`, 'a list': ['acme'] },
    (tk, tenantId, bench) => check(tk, { tenantId }, bench),
  ),
  ...rows('budgets.check', 'repair', { text: 'false', one: 1, null: null }, (tk, repair, bench) =>
    check(tk, { repair }, bench),
  ),
  ...rows(
    'budgets.check',
    'graceMs',
    { negative: -1, fraction: 0.5, 'above a day': 86_400_001, NaN: Number.NaN, text: '60000' },
    (tk, graceMs, bench) => check(tk, { graceMs }, bench),
  ),
  ...rows('budgets.check', 'actor', BAD_ACTORS, (tk, actor, bench) => check(tk, { actor }, bench)),
  ...unknownFields('budgets.check', acme, check),
  {
    method: 'budgets.check',
    what: 'a tenant that is not there',
    run: (bench) => check(bench.tk, { tenantId: 'nobody', repair: true }, bench),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },

  ...rows('budgets.prune', '(argument)', NO_OBJECTS, prune),
  ...rows(
    'budgets.prune',
    'olderThanMs',
    {
      zero: 0,
      'less than 48 h': 172_799_999,
      fraction: 172_800_000.5,
      Infinity: Number.POSITIVE_INFINITY,
      bigint: 172_800_000n,
      text: CANARY,
      null: null,
    },
    (tk, olderThanMs, bench) => prune(tk, { olderThanMs }, bench),
  ),
  ...rows(
    'budgets.prune',
    'limit',
    { zero: 0, negative: -1, fraction: 1.5, '10,001': 10_001, NaN: Number.NaN, text: CANARY },
    (tk, limit, bench) => prune(tk, { limit }, bench),
  ),
  ...unknownFields('budgets.prune', { limit: 1 }, prune),
]
