/**
 * Options that an installation refuses at its start, and definitions of what it is made of.
 *
 * @module
 */
import { memory } from '../../../src/adapters/memory/index.ts'
import { sqlite } from '../../../src/adapters/sqlite/index.ts'
import type { ErrorCode } from '../../../src/kernel/errors.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { definePolicy } from '../../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../../src/secrets/local-key-wrapper.ts'
import { createTenantKeys } from '../../../src/tenant-keys.ts'
import { testKey } from '../test-key.ts'
import { BAD_PLAN_SETS } from './plans.ts'
import { as, CANARY, type Row } from './row.ts'

const row = (
  method: string,
  what: string,
  field: string,
  run: Row['run'],
  code: ErrorCode = 'TK_CONFIG_INVALID',
): Row => ({ method, what, run, code, field })

/** Of 32 bytes, but nobody's: it only has to be echoed to be found. */
const KEY_TEXT = Buffer.from(`${CANARY}${'\u00ff\u0001'.repeat(9)}`, 'latin1').toString('base64')

/** Values that are no key of 32 random bytes (T-C16). */
const BAD_KEYS: Readonly<Record<string, unknown>> = {
  missing: undefined,
  null: null,
  empty: '',
  'a passphrase': CANARY.padEnd(44, '!'),
  '31 bytes': testKey(1).subarray(1),
  '33 bytes': new Uint8Array([...testKey(1), 7]),
  '31 bytes in base64': Buffer.from(testKey(1).subarray(1)).toString('base64'),
  'hex digits': Buffer.from(testKey(1)).toString('hex'),
  'base64 with a line break behind': `${KEY_TEXT}\n`,
  zeros: new Uint8Array(32),
  'bytes that count up': Uint8Array.from({ length: 32 }, (_, i) => i),
  'bytes of a text': new TextEncoder().encode(CANARY.padEnd(32, '-what a secret!')),
  'a list of numbers': [...testKey(1)],
  'a Secret with a passphrase': new Secret(CANARY),
}

const start = (over: object) => (bench: Parameters<Row['run']>[0]) =>
  createTenantKeys({
    storage: bench.storage,
    keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: definePolicy({ scopes: { chat: { providers: ['openai'] } } }),
    ...over,
  })
const option = (what: string, field: string, over: object): Row =>
  row('createTenantKeys', what, field, start(over))

const each = (name: string, values: Readonly<Record<string, unknown>>): Row[] =>
  Object.entries(values).map(([what, value]) =>
    option(`${name}: ${what}`, `options.${name}`, { [name]: value }),
  )

const store = memory()
const price = { provider: 'openai', model: 'm', inputUsdPerMTok: '1', outputUsdPerMTok: '2' }
const prices = (what: string, field: string, over: object): Row =>
  option(`a price with ${what}`, `options.prices[0].${field}`, { prices: [{ ...price, ...over }] })
const credential = (what: string, field: string, value: unknown): Row =>
  option(`a platform credential with ${what}`, `options.platformCredentials.${field}`, {
    platformCredentials: { openai: value },
  })
const baseUrl = (what: string, url: unknown): Row =>
  option(`a base URL ${what}`, 'options.providers.openai.baseUrl', {
    providers: { openai: { baseUrl: url } },
  })

const credits = (what: string, field: string, value: unknown): Row =>
  option(`credits with ${what}`, `options.credits.${field}`, { credits: { [field]: value } })

const installations: readonly Row[] = [
  ...Object.entries({
    missing: undefined,
    null: null,
    'a text': CANARY,
    'a list': [],
    'a Map': new Map(),
  }).map(([what, options]) =>
    row('createTenantKeys', `options: ${what}`, 'options', () => createTenantKeys(as(options))),
  ),
  ...each('storage', {
    missing: undefined,
    null: null,
    'a path': `/tmp/${CANARY}.db`,
    'an empty object': {},
    'another version': { ...store, contractVersion: 2 },
    'without a command': { ...store, pin: undefined },
    'without a family of commands': { ...store, ledger: undefined },
    'a promise of one': Promise.resolve(store),
  }),
  ...each('keyWrapper', {
    missing: undefined,
    'the ring itself': [{ id: 'kek-1', key: KEY_TEXT }],
    'without a version': { wrap: () => 0, unwrap: () => 0 },
    'without unwrap': { contractVersion: 1, wrap: () => 0 },
  }),
  ...each('peppers', {
    missing: undefined,
    empty: [],
    'a key': KEY_TEXT,
    'an object': { id: 'a', key: KEY_TEXT },
  }),
  ...Object.entries({ missing: undefined, empty: '', 'a path': `../${CANARY}`, 'a number': 7 }).map(
    ([what, id]) =>
      option(`the id of a pepper: ${what}`, 'peppers[0].id', {
        peppers: [{ id, key: testKey(2) }],
      }),
  ),
  ...Object.entries(BAD_KEYS).map(([what, key]) =>
    option(`T-C16 a pepper: ${what}`, 'peppers[0].key', { peppers: [{ id: 'pep-1', key }] }),
  ),
  option('two peppers of one id', 'peppers[1].id', {
    peppers: [1, 2].map((n) => ({ id: 'a', key: testKey(n) })),
  }),
  option('a pepper with another field', 'peppers[0]', {
    peppers: [{ id: 'a', key: testKey(2), salt: CANARY }],
  }),
  ...each('policy', {
    missing: undefined,
    'a definition': { scopes: {} },
    'a function': () => true,
    'without unknownScopes': { contractVersion: 1, decide: () => ({ ok: true }) },
    'of another contract': { contractVersion: 2, decide: () => ({}), unknownScopes: () => [] },
  }),
  ...each('prices', { 'no list': price, 'a text': CANARY, null: null }),
  prices('a number', 'inputUsdPerMTok', { inputUsdPerMTok: 0.15 }),
  prices('a negative rate', 'inputUsdPerMTok', { inputUsdPerMTok: '-1' }),
  prices('an exponent', 'outputUsdPerMTok', { outputUsdPerMTok: '1e3' }),
  prices('a word', 'outputUsdPerMTok', { outputUsdPerMTok: CANARY }),
  prices('no output rate', 'outputUsdPerMTok', { outputUsdPerMTok: undefined }),
  prices('a rate above the largest', 'inputUsdPerMTok', { inputUsdPerMTok: '1000001' }),
  prices('a provider that is none', 'provider', { provider: `Open ${CANARY}` }),
  prices('a model with a blank', 'model', { model: `gpt ${CANARY}` }),
  prices('an unknown field', 'currency', { currency: CANARY }),
  prices('a window of zero', 'contextWindow', { contextWindow: 0 }),
  prices('a fraction of a token', 'maxOutputTokens', { maxOutputTokens: 0.5 }),
  prices('tiers that do not ascend', 'tiers', {
    tiers: [{ aboveInputTokens: 2 }, { aboveInputTokens: 1 }],
  }),
  prices('a version that is none', 'version', { version: `1 ${CANARY}` }),
  option('two prices for one model', 'options.prices[1].model', { prices: [price, price] }),
  option('a provider that is not known', 'options.providers.acme', {
    providers: { acme: { baseUrl: 'https://x.example' } },
  }),
  ...['__proto__', 'constructor', 'prototype'].flatMap((name) => [
    option(`T-I7 the provider ${name}`, `options.providers.${name}`, {
      providers: JSON.parse(`{"${name}":{"baseUrl":"https://${CANARY}.example"}}`),
    }),
    option(`T-I7 the platform credential of ${name}`, `options.platformCredentials.${name}`, {
      platformCredentials: JSON.parse(`{"${name}":{"apiKey":"${CANARY}"}}`),
    }),
    credential(
      `T-I7 a field ${name}`,
      `openai.${name}`,
      JSON.parse(`{"apiKey":"sk-${CANARY}","${name}":"x"}`),
    ),
    option(
      `T-I7 an option ${name}`,
      `options.${name}`,
      JSON.parse(`{"x":{"${name}":{"polluted":1}}}`).x,
    ),
  ]),
  option('a provider without settings', 'options.providers.openai', {
    providers: { openai: CANARY },
  }),
  option('a setting that is not known', 'options.providers.openai.apiKey', {
    providers: { openai: { baseUrl: 'https://x.example', apiKey: CANARY } },
  }),
  baseUrl('that is none', CANARY),
  baseUrl('of a file', `file:///${CANARY}`),
  baseUrl('with a user', `https://${CANARY}@x.example`),
  baseUrl('with a query', `https://x.example/v1?key=${CANARY}`),
  baseUrl('that is no text', 7),
  credential('no key', 'openai.apiKey', {}),
  credential('a line break behind', 'openai.apiKey', { apiKey: `sk-${CANARY}\n` }),
  credential('a line break behind, in a Secret', 'openai.apiKey', {
    apiKey: new Secret(`sk-${CANARY}\n`),
  }),
  credential('a key that is no text', 'openai.apiKey', { apiKey: [CANARY] }),
  credential('an empty key', 'openai.apiKey', { apiKey: '' }),
  credential('a field that is public', 'openai.endpoint', {
    apiKey: `sk-${CANARY}`,
    endpoint: `https://${CANARY}.example`,
  }),
  credential('the key itself instead of fields', 'openai', `sk-${CANARY}`),
  option('an allowed endpoint that is none', 'options.allowedEndpoints[0]', {
    allowedEndpoints: [CANARY],
  }),
  option('an allowed endpoint of another kind', 'options.allowedEndpoints[1]', {
    allowedEndpoints: ['https://x.example', `ftp://${CANARY}.example`],
  }),
  ...each('allowedEndpoints', { 'a text': `https://${CANARY}.example`, null: null }),
  ...each('brand', { empty: '', 'a capital': `T${CANARY}`, 'a number': 7, 'a list': ['tk'] }),
  ...each('environment', { live: 'live', 'another word': CANARY }),
  ...each('zone', { 'no zone': `Mars/${CANARY}`, empty: '', 'a number': 7 }),
  ...each('migrate', { 'a text': 'false', zero: 0 }),
  ...each('holdTtlMs', {
    zero: 0,
    '999': 999,
    'above a day': 86_400_001,
    fraction: 1000.5,
    text: '1000',
    NaN: Number.NaN,
  }),
  ...each('waitMs', {
    negative: -1,
    'above ten minutes': 600_001,
    fraction: 0.5,
    Infinity: Number.POSITIVE_INFINITY,
    text: '1000',
    bigint: 1000n,
    null: null,
  }),
  ...each('hold', { 'another word': CANARY, empty: '', 'a number': 7, null: null }),
  ...BAD_PLAN_SETS.filter(([, , plans]) => plans !== null).map(([what, field, plans]) =>
    option(what, `options.plans${field}`, { plans }),
  ),
  ...each('defaultPlan', { empty: '', 'a number': 7, 'no plan there is': CANARY, null: null }),
  option('T-I7 constructor as default plan', 'options.defaultPlan', {
    plans: {},
    defaultPlan: 'constructor',
  }),
  ...each('credits', { 'a price': '1', null: null, 'a list': [] }),
  credits('a number', 'perCall', 1),
  credits('a negative rate', 'perInputToken', '-1'),
  credits('a word', 'perOutputToken', CANARY),
  credits('seven decimals', 'perCall', '0.0000001'),
  credits('a rate above the largest', 'perOutputToken', '1000001'),
  credits('another field', 'perImage', '1'),
  ...each('settle', { 'another word': CANARY, null: null }),
  ...each('settleWaitMs', { zero: 0, negative: -1, Infinity: Number.POSITIVE_INFINITY }),
  ...each('maxStaleMs', { '1999': 1999, 'above a minute': 60_001, bigint: 5000n }),
  ...each('logger', {
    'a function': () => {},
    'without a level': { debug() {}, info() {}, warn() {} },
  }),
  ...each('onEvent', { 'a text': CANARY, 'an object': { emit() {} } }),
  ...each('fetch', { 'a URL': `https://${CANARY}.example`, 'an object': { fetch() {} } }),
  ...each('clock', { 'a function': () => 0, 'half a clock': { nowMs: () => 0 } }),
  option('an option that is not known', 'options.pepper', { pepper: CANARY }),
  row(
    'createTenantKeys',
    'another KEK under an id it has seen',
    'options.keyWrapper',
    start({
      keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(9) }]),
    }),
    'TK_KEK_MISMATCH',
  ),
  row(
    'createTenantKeys',
    'another pepper under an id it has seen',
    'options.peppers',
    start({
      peppers: [{ id: 'pep-1', key: testKey(9) }],
    }),
    'TK_KEK_MISMATCH',
  ),
]

const scopes = (what: string, field: string, value: unknown): Row =>
  row('definePolicy', what, field, () => definePolicy(as({ scopes: value })))
const scope = (what: string, field: string, value: unknown): Row =>
  scopes(`a scope with ${what}`, `scopes.chat${field}`, { chat: value })
const policies: readonly Row[] = [
  ...Object.entries({ missing: undefined, null: null, 'a text': CANARY }).map(
    ([what, definition]) =>
      row('definePolicy', `definition: ${what}`, '(argument)', () => definePolicy(as(definition))),
  ),
  row('definePolicy', 'an unknown field', 'scope', () =>
    definePolicy(as({ scopes: { chat: { providers: ['openai'] } }, scope: CANARY })),
  ),
  scopes('no scopes', 'scopes', undefined),
  scopes('an empty set of scopes', 'scopes', {}),
  scopes('scopes that are a list', 'scopes', [CANARY]),
  scopes('a scope with a wildcard in its name', 'scopes.chat:?', {
    'chat:*': { providers: ['openai'] },
  }),
  scopes('a scope with a capital in its name', 'scopes.Chat', { Chat: { providers: ['openai'] } }),
  scopes('a scope without a name', 'scopes.', { '': { providers: ['openai'] } }),
  scopes(
    'T-I7 a scope __proto__',
    'scopes.__proto__',
    JSON.parse(`{"a":{"providers":["b"]},"__proto__":{"providers":["${CANARY}"]}}`),
  ),
  scope('nothing', '', null),
  scope('no providers', '.providers', {}),
  scope('an empty list of providers', '.providers', { providers: [] }),
  scope('a provider that is none', '.providers[0]', { providers: [`Open ${CANARY}`] }),
  scope('a provider as text', '.providers', { providers: 'openai' }),
  scope('models as text', '.models', { providers: ['openai'], models: CANARY }),
  scope('a model with a blank behind', '.models[0]', {
    providers: ['openai'],
    models: [`${CANARY} `],
  }),
  scope('a wildcard in the middle', '.models[1]', {
    providers: ['openai'],
    models: ['a', `a*${CANARY}`],
  }),
  scope('a model that is no text', '.models[0]', { providers: ['openai'], models: [7] }),
  scope('an unknown field', '.model', { providers: ['openai'], model: CANARY }),
]

const ring = (what: string, field: string, entries: unknown): Row =>
  row('localKeyWrapper', what, field, () => localKeyWrapper(as(entries)))
const wrappers: readonly Row[] = [
  ...Object.entries({
    missing: undefined,
    null: null,
    empty: [],
    'a key': KEY_TEXT,
    'one entry': { id: 'a', key: KEY_TEXT },
  }).map(([what, entries]) => ring(`a ring: ${what}`, 'keyWrapper', entries)),
  ring(
    '101 keys',
    'keyWrapper',
    Array.from({ length: 101 }, (_, i) => ({ id: `k${i}`, key: testKey(i) })),
  ),
  ...Object.entries(BAD_KEYS).map(([what, key]) =>
    ring(`T-C16 a KEK: ${what}`, 'keyWrapper[0].key', [{ id: 'kek-1', key }]),
  ),
  ring('an id that is a path', 'keyWrapper[0].id', [{ id: `../${CANARY}`, key: testKey(1) }]),
  ring('no id', 'keyWrapper[0].id', [{ key: testKey(1) }]),
  ring(
    'an id twice',
    'keyWrapper[1].id',
    [1, 2].map((n) => ({ id: 'a', key: testKey(n) })),
  ),
  ring(
    'a key twice',
    'keyWrapper[1].key',
    ['a', 'b'].map((id) => ({ id, key: testKey(1) })),
  ),
  ring('an unknown field', 'keyWrapper[0].secret', [{ id: 'a', key: testKey(1), secret: CANARY }]),
  ring('T-I7 a field __proto__', 'keyWrapper[0].__proto__', [
    JSON.parse('{"id":"a","__proto__":{"polluted":1}}'),
  ]),
  ring('no entry', 'keyWrapper[0]', [null]),
]

const stores: readonly Row[] = [
  ...Object.entries({
    missing: undefined,
    null: null,
    'a path': `/tmp/${CANARY}`,
    'a list': [],
  }).map(([what, options]) =>
    row('sqlite', `options: ${what}`, 'options', () => sqlite(as(options))),
  ),
  ...Object.entries({
    neither: {},
    both: { file: 'a', database: { exec() {}, prepare() {}, close() {} } },
    empty: { file: '' },
    NUL: { file: `a\0${CANARY}` },
    'a number': { file: 7 },
  }).map(([what, options]) =>
    row('sqlite', `file: ${what}`, 'options.file', () => sqlite(as(options))),
  ),
  row('sqlite', 'a database that is none', 'options.database', () =>
    sqlite(as({ database: CANARY })),
  ),
  row('sqlite', 'an unknown flush mode', 'options.synchronous', () =>
    sqlite(as({ file: 'a', synchronous: CANARY })),
  ),
  row('sqlite', 'a negative wait', 'options.busyTimeoutMs', () =>
    sqlite({ file: 'a', busyTimeoutMs: -1 }),
  ),
  row('sqlite', 'an unknown option', 'options.password', () =>
    sqlite(as({ file: 'a', password: CANARY })),
  ),
  row('memory', 'options that are none', 'options', () => memory(as(CANARY))),
  row('memory', 'a clock that is none', 'options.clock', () =>
    memory(as({ clock: { now: () => 0 } })),
  ),
  row('memory', 'an unknown option', 'options.file', () => memory(as({ file: CANARY }))),
]

export const optionRows: readonly Row[] = [...installations, ...policies, ...wrappers, ...stores]
