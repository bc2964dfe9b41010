/**
 * Bad input to `tk.keys`.
 *
 * @module
 */
import { as, CANARY, type Row } from './row.ts'
import {
  BAD_ACTORS,
  BAD_KEY_IDS,
  BAD_NAMES,
  type Call,
  NO_OBJECTS,
  POLLUTERS,
  pages,
  row,
  rows,
  SOME_BAD_IDS,
  unknownFields,
  withField,
} from './values.ts'

const GOOD_KEY = { tenantId: 'acme', name: 'prod', scopes: ['support:chat'] }
const issue: Call = (tk, input) => tk.keys.issue(as(input))
const listKeys: Call = (tk, input) => tk.keys.list(as(input))
const keyChanges = (['disable', 'enable', 'revoke'] as const).flatMap((name): Row[] => {
  const method = `keys.${name}`
  const change: Call = (tk, input) => tk.keys[name](as(input))
  return [
    ...rows(method, 'tenantId', SOME_BAD_IDS, (tk, tenantId, { keyId }) =>
      change(tk, { tenantId, keyId }, as(null)),
    ),
    ...rows(method, 'keyId', BAD_KEY_IDS, (tk, keyId, bench) =>
      change(tk, { tenantId: 'acme', keyId }, bench),
    ),
    ...rows(method, 'actor', { 'a line break': `a\n${CANARY}` }, (tk, actor, { keyId }) =>
      change(tk, { tenantId: 'acme', keyId, actor }, as(null)),
    ),
    ...rows(method, '(argument)', { missing: undefined, 'a text': CANARY }, change),
    ...unknownFields(method, { tenantId: 'acme', keyId: 'x'.repeat(16) }, change),
    {
      method,
      what: 'a key that is not there',
      run: ({ tk }) => change(tk, { tenantId: 'acme', keyId: '0'.repeat(16) }, as(null)),
      code: 'TK_KEY_NOT_FOUND',
      field: null,
    },
    {
      method,
      what: "T-I1 another tenant's key",
      run: ({ tk, keyId }) => change(tk, { tenantId: 'reseller', keyId }, as(null)),
      code: 'TK_KEY_NOT_FOUND',
      field: null,
    },
  ]
})
export const keyRows: readonly Row[] = [
  ...rows('keys.issue', '(argument)', { missing: undefined, ...NO_OBJECTS }, issue),
  ...rows('keys.issue', 'tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    issue(tk, { ...GOOD_KEY, tenantId }, as(null)),
  ),
  ...rows('keys.issue', 'name', BAD_NAMES, (tk, name) =>
    issue(tk, { ...GOOD_KEY, name }, as(null)),
  ),
  ...rows(
    'keys.issue',
    'scopes',
    {
      missing: undefined,
      empty: [],
      'a text': 'support:chat',
      'one that is not defined': [CANARY],
      constructor: ['constructor'],
      __proto__: ['__proto__'],
      '65 of them': Array(65).fill('support:chat'),
    },
    (tk, scopes) => issue(tk, { ...GOOD_KEY, scopes }, as(null)),
  ),
  ...rows(
    'keys.issue',
    'scopes[0]',
    { empty: [''], 'a number': [7], '65 letters': [CANARY.padEnd(65, 'x')] },
    (tk, scopes) => issue(tk, { ...GOOD_KEY, scopes }, as(null)),
  ),
  ...rows(
    'keys.issue',
    'expiresAtMs',
    {
      zero: 0,
      past: 1,
      negative: -1,
      fraction: 1.5,
      NaN: Number.NaN,
      Infinity: Number.POSITIVE_INFINITY,
      text: '2030-01-01',
      'a Date': new Date(4e12),
      'after the year 9999': 253_402_300_800_000,
      bigint: 4_000_000_000_000n,
    },
    (tk, expiresAtMs) => issue(tk, { ...GOOD_KEY, expiresAtMs }, as(null)),
  ),
  ...rows(
    'keys.issue',
    'brand',
    {
      empty: '',
      'one letter': 'a',
      'a capital': `T${CANARY}`,
      'a digit first': '1tk',
      '25 letters': 'a'.repeat(25),
      'a list': ['tk'],
    },
    (tk, brand) => issue(tk, { ...GOOD_KEY, brand }, as(null)),
  ),
  ...rows(
    'keys.issue',
    'environment',
    { 'another word': CANARY, production: 'production', null: null },
    (tk, environment) => issue(tk, { ...GOOD_KEY, environment }, as(null)),
  ),
  ...rows('keys.issue', 'actor', BAD_ACTORS, (tk, actor) =>
    issue(tk, { ...GOOD_KEY, actor }, as(null)),
  ),
  ...unknownFields('keys.issue', GOOD_KEY, issue),
  {
    method: 'keys.issue',
    what: 'a tenant that is not there',
    run: ({ tk }) => issue(tk, { ...GOOD_KEY, tenantId: 'nobody' }, as(null)),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  ...Object.entries({
    missing: undefined,
    null: null,
    'a number': 7,
    'an object': { toString: () => CANARY },
    empty: '',
    'another text': CANARY,
    '1 MB': CANARY.padEnd(1_000_000, 'x'),
    unicode: `tk_live_\u0430${CANARY}`,
    'a quote of SQL': `tk_live_' OR 1=1 --${CANARY}`,
  }).map(
    ([what, key]): Row => ({
      method: 'keys.verify',
      what: `key: ${what}`,
      run: ({ tk }) => tk.keys.verify(as(key)),
      code: 'TK_KEY_MALFORMED',
      field: null,
      asValue: true,
    }),
  ),
  {
    method: 'keys.verify',
    what: 'a key with a line break behind',
    run: ({ tk, key }) => tk.keys.verify(`${key}\n`),
    code: 'TK_KEY_MALFORMED',
    field: null,
    asValue: true,
  },
  {
    method: 'keys.verify',
    what: 'a key with one letter changed',
    run: ({ tk, key }) =>
      tk.keys.verify(key.slice(0, -8) + (key.at(-8) === 'a' ? 'b' : 'a') + key.slice(-7)),
    code: 'TK_KEY_MALFORMED',
    field: null,
    asValue: true,
  },
  {
    method: 'keys.verify',
    what: 'a scope that the key does not have',
    run: ({ tk, key }) => tk.keys.verify(key, { scope: 'support:other' }),
    code: 'TK_SCOPE_DENIED',
    field: null,
    asValue: true,
  },
  {
    method: 'keys.verify',
    what: 'a scope that is not defined',
    run: ({ tk, key }) => tk.keys.verify(key, { scope: 'constructor' }),
    code: 'TK_SCOPE_DENIED',
    field: null,
    asValue: true,
  },
  {
    method: 'keys.verify',
    what: 'a provider that the scope does not allow',
    run: ({ tk, key }) => tk.keys.verify(key, { provider: 'constructor' }),
    code: 'TK_PROVIDER_DENIED',
    field: null,
    asValue: true,
  },
  {
    method: 'keys.verify',
    what: 'a model that the scope does not allow',
    run: ({ tk, key }) => tk.keys.verify(key, { provider: 'openai', model: 'gpt-4o\0-mini' }),
    code: 'TK_MODEL_DENIED',
    field: null,
    asValue: true,
  },
  ...rows('keys.verify', 'ask', NO_OBJECTS, (tk, ask, { key }) => tk.keys.verify(key, as(ask))),
  ...rows(
    'keys.verify',
    'ask.scope',
    { empty: '', 'a number': 7, '65 letters': CANARY.padEnd(65, 'x') },
    (tk, scope, { key }) => tk.keys.verify(key, as({ scope })),
  ),
  ...rows(
    'keys.verify',
    'ask.provider',
    { empty: '', null: null, 'missing beside a model': undefined },
    (tk, provider, { key }) => tk.keys.verify(key, as({ provider, model: CANARY })),
  ),
  ...rows(
    'keys.verify',
    'ask.model',
    { empty: '', 'a list': [CANARY], '257 letters': CANARY.padEnd(257, 'x') },
    (tk, model, { key }) => tk.keys.verify(key, as({ provider: 'openai', model })),
  ),
  ...POLLUTERS.map((name) =>
    row('keys.verify', `T-I7 the field ${name}`, `ask.${name}`, ({ tk, key }) =>
      tk.keys.verify(key, as(withField(name, { provider: 'openai' }))),
    ),
  ),
  ...rows('keys.get', 'tenantId', SOME_BAD_IDS, (tk, tenantId, { keyId }) =>
    tk.keys.get({ tenantId: as(tenantId), keyId }),
  ),
  ...rows('keys.get', 'keyId', BAD_KEY_IDS, (tk, keyId) =>
    tk.keys.get({ tenantId: 'acme', keyId: as(keyId) }),
  ),
  ...rows('keys.list', 'tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    tk.keys.list({ tenantId: as(tenantId) }),
  ),
  ...pages('keys.list', { tenantId: 'acme' }, listKeys),
  ...unknownFields('keys.list', { tenantId: 'acme' }, listKeys),
  ...keyChanges,
]
