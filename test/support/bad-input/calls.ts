/**
 * Bad input to the methods that manage tenants, keys, secrets, budgets and usage.
 *
 * @module
 */
import type { TenantKeys } from '../../../src/tenant-keys.ts'
import { as, type Bench, CANARY, type Row } from './row.ts'

type Call = (tk: TenantKeys, value: unknown, bench: Bench) => unknown

/** Rows of one method that differ in one value. */
function rows(
  method: string,
  field: string,
  values: Readonly<Record<string, unknown>>,
  call: Call,
): Row[] {
  return Object.entries(values).map(([what, value]) => ({
    method,
    what: `${field}: ${what}`,
    run: (bench) => call(bench.tk, value, bench),
    code: 'TK_INPUT_INVALID',
    field,
  }))
}

const row = (
  method: string,
  what: string,
  field: string,
  run: Row['run'],
  code: Row['code'] = 'TK_INPUT_INVALID',
): Row => ({
  method,
  what,
  run,
  code,
  field,
})

/** T-I6: what no id may be. */
const BAD_IDS: Readonly<Record<string, unknown>> = {
  missing: undefined,
  null: null,
  empty: '',
  'a number': 7,
  'an object': { toString: () => CANARY },
  'an array': [CANARY],
  'a blank inside': `a ${CANARY}`,
  'a blank in front': ` ${CANARY}`,
  'a line break behind': `${CANARY}\n`,
  NUL: `${CANARY}\0`,
  'a slash': `a/${CANARY}`,
  'a path upwards': `../${CANARY}`,
  'an escape': `%2e%2e${CANARY}`,
  dots: '..',
  'a letter of another script': `\u0430${CANARY}`,
  'a composed letter': `e\u0301${CANARY}`,
  'a mark that turns the direction': `\u202e${CANARY}`,
  'half a surrogate pair': `\ud800${CANARY}`,
  'braces of a Redis key': `{${CANARY}}`,
  'a quote of SQL': `'; DROP TABLE tk_tenants; --${CANARY}`,
  '65 letters': CANARY.padEnd(65, 'x'),
  '64 kB': CANARY.padEnd(65_536, 'x'),
}

const SOME_BAD_IDS = Object.fromEntries(
  ['missing', 'null', 'a number', 'a path upwards', 'NUL', '65 letters'].map((name) => [
    name,
    BAD_IDS[name],
  ]),
)

const NO_OBJECTS: Readonly<Record<string, unknown>> = {
  null: null,
  'a text': CANARY,
  'a number': 1,
  'an array': [],
  'a Map': new Map([['tenantId', CANARY]]),
  'a Date': new Date(0),
  'a function': () => CANARY,
}

/** An object as JSON.parse makes it: with own fields of names that mean something to prototypes. */
const withField = (name: string, rest: object): unknown =>
  JSON.parse(
    `${JSON.stringify(rest).slice(0, -1)},${JSON.stringify(name)}:{"polluted":"${CANARY}"}}`,
  )

const POLLUTERS = ['__proto__', 'constructor', 'prototype']

const unknownFields = (method: string, good: object, call: Call): Row[] =>
  ['unknown', ...POLLUTERS].map((name) =>
    row(method, `T-I7 the field ${name}`, name, ({ tk, ...bench }) =>
      call(tk, withField(name, good), { tk, ...bench }),
    ),
  )

const BAD_NAMES = {
  missing: undefined,
  empty: '',
  'a number': 7,
  'a control character': `a\u0007${CANARY}`,
  'a line break': `a\n${CANARY}`,
  'half a surrogate pair': `\udc00${CANARY}`,
  '129 letters': CANARY.padEnd(129, 'x'),
}
const { missing: _, ...BAD_ACTORS } = BAD_NAMES

const BAD_KEY_IDS = {
  missing: undefined,
  'a number': 7,
  '15 letters': CANARY.padEnd(15, 'x'),
  'other letters': '0123456789abcde-',
  'a whole key': `tk_live_${CANARY}`,
}

const BAD_LIMITS = {
  zero: 0,
  negative: -1,
  fraction: 1.5,
  text: CANARY,
  NaN: Number.NaN,
  '1001': 1001,
  bigint: 1n,
}

const pages = (method: string, rest: object, call: Call): Row[] => [
  ...rows(method, 'limit', BAD_LIMITS, (tk, limit, bench) => call(tk, { ...rest, limit }, bench)),
  ...rows(
    method,
    'after',
    { 'a number': 7, '257 letters': CANARY.padEnd(257, 'x'), 'an object': {} },
    (tk, after, bench) => call(tk, { ...rest, after }, bench),
  ),
]

const create: Call = (tk, input) => tk.tenants.create(as(input))
const listTenants: Call = (tk, input) => tk.tenants.list(as(input))
const tenants: readonly Row[] = [
  ...rows('tenants.create', 'id', BAD_IDS, (tk, id) => tk.tenants.create({ id: as(id) })),
  ...rows('tenants.create', '(argument)', { missing: undefined, ...NO_OBJECTS }, create),
  ...rows(
    'tenants.create',
    'parentId',
    { empty: '', 'a number': 7, 'a path': `a/${CANARY}` },
    (tk, parentId) => tk.tenants.create({ id: 'new', parentId: as(parentId) }),
  ),
  ...rows(
    'tenants.create',
    'credentials',
    { 'another word': CANARY, null: null, 'a list': ['tenant'] },
    (tk, credentials) => tk.tenants.create({ id: 'new', credentials: as(credentials) }),
  ),
  ...rows('tenants.create', 'actor', BAD_ACTORS, (tk, actor) =>
    tk.tenants.create({ id: 'new', actor: as(actor) }),
  ),
  ...unknownFields('tenants.create', { id: 'new' }, create),
  {
    method: 'tenants.create',
    what: 'an id that is taken',
    run: ({ tk }) => tk.tenants.create({ id: 'acme' }),
    code: 'TK_TENANT_EXISTS',
    field: null,
  },
  {
    method: 'tenants.create',
    what: 'a parent that is not there',
    run: ({ tk }) => tk.tenants.create({ id: 'new', parentId: 'nobody' }),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  {
    method: 'tenants.create',
    what: 'itself as parent',
    run: ({ tk }) => tk.tenants.create({ id: 'new', parentId: 'new' }),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  row('tenants.create', 'a field that throws when it is read', '(argument)', ({ tk }) =>
    tk.tenants.create({
      get id(): string {
        throw new Error(CANARY)
      },
    }),
  ),
  ...rows('tenants.get', 'tenantId', SOME_BAD_IDS, (tk, id) => tk.tenants.get(as(id))),
  ...rows('tenants.list', '(argument)', NO_OBJECTS, listTenants),
  ...rows('tenants.list', 'parentId', { empty: '', 'a path': `a/${CANARY}` }, (tk, parentId) =>
    tk.tenants.list({ parentId: as(parentId) }),
  ),
  ...pages('tenants.list', {}, listTenants),
  ...unknownFields('tenants.list', { limit: 1 }, listTenants),
]

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
const keys: readonly Row[] = [
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

const GOOD_SECRET = { tenantId: 'acme', provider: 'openai', value: { apiKey: `sk-${CANARY}` } }
const put: Call = (tk, input) => tk.secrets.put(as(input))
const putValue = (what: string, field: string, value: unknown): Row =>
  row('secrets.put', `value: ${what}`, field, ({ tk }) =>
    put(tk, { ...GOOD_SECRET, value }, as(null)),
  )
const putEndpoint = (
  what: string,
  endpoint: unknown,
  code: Row['code'] = 'TK_INPUT_INVALID',
): Row => ({
  ...putValue(`endpoint ${what}`, 'value.endpoint', { apiKey: `sk-${CANARY}`, endpoint }),
  code,
})
const BAD_PROVIDERS = {
  missing: undefined,
  empty: '',
  'a number': 7,
  unicode: `\u043fenai${CANARY}`,
  NUL: `openai\0${CANARY}`,
  'a capital': 'OpenAI',
  '65 letters': CANARY.padEnd(65, 'x'),
}
const secretRefs = (method: 'secrets.get' | 'secrets.delete', call: Call): readonly Row[] => [
  ...rows(method, 'tenantId', SOME_BAD_IDS, (tk, tenantId, bench) =>
    call(tk, { tenantId, provider: 'openai' }, bench),
  ),
  ...rows(method, 'provider', BAD_PROVIDERS, (tk, provider, bench) =>
    call(tk, { tenantId: 'acme', provider }, bench),
  ),
  ...rows(method, 'name', { empty: '', null: null, 'a path': `../${CANARY}` }, (tk, name, bench) =>
    call(tk, { tenantId: 'acme', provider: 'openai', name }, bench),
  ),
  ...rows(method, '(argument)', { missing: undefined, 'a text': CANARY }, call),
  ...unknownFields(method, { tenantId: 'acme', provider: 'openai' }, call),
]
const listSecrets: Call = (tk, input) => tk.secrets.list(as(input))
const secrets: readonly Row[] = [
  ...rows('secrets.put', '(argument)', { missing: undefined, ...NO_OBJECTS }, put),
  ...rows('secrets.put', 'tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    put(tk, { ...GOOD_SECRET, tenantId }, as(null)),
  ),
  ...rows(
    'secrets.put',
    'provider',
    { ...BAD_PROVIDERS, 'one that we do not know': 'acme-llm', constructor: 'constructor' },
    (tk, provider) => put(tk, { ...GOOD_SECRET, provider }, as(null)),
  ),
  ...rows(
    'secrets.put',
    'name',
    { empty: '', 'a path': `../${CANARY}`, 'a number': 7 },
    (tk, name) => put(tk, { ...GOOD_SECRET, name }, as(null)),
  ),
  ...rows(
    'secrets.put',
    'value',
    {
      missing: undefined,
      null: null,
      'the key itself': `sk-${CANARY}`,
      'a list': [`sk-${CANARY}`],
      'a Map': new Map([['apiKey', CANARY]]),
    },
    (tk, value) => put(tk, { ...GOOD_SECRET, value }, as(null)),
  ),
  ...rows('secrets.put', 'actor', BAD_ACTORS, (tk, actor) =>
    put(tk, { ...GOOD_SECRET, actor }, as(null)),
  ),
  ...unknownFields('secrets.put', GOOD_SECRET, put),
  putValue('without its key', 'value.apiKey', {}),
  putValue('an empty key', 'value.apiKey', { apiKey: '' }),
  putValue('a key that is no text', 'value.apiKey', { apiKey: { reveal: () => CANARY } }),
  putValue('a key with a line break behind', 'value.apiKey', { apiKey: `sk-${CANARY}\n` }),
  putValue('a key with a blank in front', 'value.apiKey', { apiKey: ` sk-${CANARY}` }),
  putValue('a key with a second header', 'value.apiKey', { apiKey: `sk-${CANARY}\r\nx-evil: 1` }),
  putValue('a key with unicode', 'value.apiKey', { apiKey: `sk-\u2013${CANARY}` }),
  putValue('a key of 10,241 letters', 'value.apiKey', { apiKey: CANARY.padEnd(10_241, 'x') }),
  putValue('a field that the provider does not have', 'value.organization', {
    apiKey: `sk-${CANARY}`,
    organization: CANARY,
  }),
  ...POLLUTERS.map((name) =>
    putValue(
      `T-I7 the field ${name}`,
      `value.${name}`,
      withField(name, { apiKey: `sk-${CANARY}` }),
    ),
  ),
  putEndpoint('that is no text', 7),
  putEndpoint('that is no URL', CANARY),
  putEndpoint('of a file', `file:///${CANARY}`),
  putEndpoint('with a password', `https://user:${CANARY}@llm.acme.example/v1`),
  putEndpoint('with a query', `https://llm.acme.example/v1?key=${CANARY}`),
  putEndpoint('with a fragment', `https://llm.acme.example/v1#${CANARY}`),
  putEndpoint('with a line break', `https://llm.acme.example/v1\n${CANARY}`),
  putEndpoint('that the operator did not list', `https://${CANARY}.example/v1`, 'TK_ORIGIN_DENIED'),
  {
    method: 'secrets.put',
    what: 'a tenant that is not there',
    run: ({ tk }) => put(tk, { ...GOOD_SECRET, tenantId: 'nobody' }, as(null)),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  ...secretRefs('secrets.get', (tk, input) => tk.secrets.get(as(input))),
  ...secretRefs('secrets.delete', (tk, input) => tk.secrets.delete(as(input))),
  ...rows('secrets.list', 'tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    listSecrets(tk, { tenantId }, as(null)),
  ),
  ...pages('secrets.list', { tenantId: 'acme' }, listSecrets),
  ...unknownFields('secrets.list', { tenantId: 'acme' }, listSecrets),
]

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
const budgets: readonly Row[] = [
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
const usage: readonly Row[] = [
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
    { null: null, 'a text': 'tenant', 'an object': {}, 'six of them': Array(6).fill('key') },
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

export const callRows: readonly Row[] = [...tenants, ...keys, ...secrets, ...budgets, ...usage]
