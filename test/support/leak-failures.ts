/**
 * Failures forced with secrets at hand: in options, in input, and those of the calls. Each must throw.
 *
 * @module
 */
import OpenAI from 'openai'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { formatUsd, parseUsd } from '../../src/budgets/money.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { generateKey } from '../../src/keys/key-format.ts'
import { hashKey } from '../../src/keys/key-hash.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { fromText, open, seal } from '../../src/secrets/envelope.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { as } from './bad-input/row.ts'
import { callFailures, type Failure, foreignError, partFailures } from './leak-failures-calls.ts'
import { base64, CLIENT_SECRET, KEK, PEPPER, PLATFORM_SECRET, TENANT_SECRET } from './leak-scene.ts'

const acme = { tenantId: 'acme' }
const openai = { ...acme, provider: 'openai' }
const KEK_TEXT = base64(KEK)
const PEPPER_TEXT = base64(PEPPER)

/** Configurations with a secret in the wrong place or form. */
const configuration: Readonly<Record<string, Failure>> = {
  'a KEK with a line break behind': () => localKeyWrapper([{ id: 'k', key: `${KEK_TEXT}\n` }]),
  'a KEK with a letter missing': () => localKeyWrapper([{ id: 'k', key: KEK_TEXT.slice(1) }]),
  'a KEK in quotes': () => localKeyWrapper([{ id: 'k', key: `"${KEK_TEXT}"` }]),
  'a KEK in a Secret, cut': () =>
    localKeyWrapper([{ id: 'k', key: new Secret(KEK_TEXT.slice(2)) }]),
  'a KEK for an id': () => localKeyWrapper([{ id: KEK_TEXT, key: KEK_TEXT }]),
  'a KEK for the ring': () => localKeyWrapper(as(KEK_TEXT)),
  'a KEK twice': () => localKeyWrapper(['a', 'b'].map((id) => ({ id, key: KEK }))),
  'a KEK under another name': () => localKeyWrapper([as({ id: 'k', secret: KEK_TEXT })]),
  'a pepper with a line break behind': ({ start }) =>
    start({ peppers: [{ id: 'p', key: `${PEPPER_TEXT}\n` }] }),
  'a pepper for an id': ({ start }) => start({ peppers: [{ id: PEPPER_TEXT, key: PEPPER_TEXT }] }),
  'a pepper for the list': ({ start }) => start({ peppers: as(PEPPER_TEXT) }),
  'a pepper under another id': ({ start }) => start({ peppers: [{ id: 'pep-1', key: KEK }] }),
  'a KEK under another id': ({ start }) =>
    start({ keyWrapper: localKeyWrapper([{ id: 'kek-1', key: PEPPER }]) }),
  'a platform secret with a line break behind': ({ start }) =>
    start({ platformCredentials: { openai: { apiKey: `${PLATFORM_SECRET}\n` } } }),
  'a platform secret for the fields': ({ start }) =>
    start({ platformCredentials: { openai: as(PLATFORM_SECRET) } }),
  'a platform secret for a provider': ({ start }) =>
    start({ platformCredentials: as({ acme: { apiKey: PLATFORM_SECRET } }) }),
  'a platform secret in a base URL': ({ start }) =>
    start({ providers: { openai: { baseUrl: `https://user:${PLATFORM_SECRET}@x.example` } } }),
  'a platform secret for an option': ({ start }) => start(as({ brand: PLATFORM_SECRET })),
  'a platform secret in a price': ({ start }) =>
    start({
      prices: [
        as({ provider: 'openai', model: PLATFORM_SECRET, inputUsdPerMTok: PLATFORM_SECRET }),
      ],
    }),
  'a secret in a policy': () =>
    definePolicy({ scopes: { chat: { providers: [`${PLATFORM_SECRET} `] } } }),
  'a secret in the path of a file': async ({ start }) =>
    start({ storage: sqlite({ file: `/nowhere/${PLATFORM_SECRET}/store.db` }) }),
  'a secret for a file option': () => sqlite(as({ file: 'a', key: PLATFORM_SECRET })),
}

/** Secrets handed to methods where they do not belong, or in a form that is refused. */
const arguments_: Readonly<Record<string, Failure>> = {
  'a tenant named like a secret': ({ tk }) => tk.tenants.create({ id: `${TENANT_SECRET}\n` }),
  'a tenant that is not there': ({ tk }) =>
    tk.secrets.put({ ...openai, tenantId: 'nobody', value: { apiKey: TENANT_SECRET } }),
  'a secret with a line break behind': ({ tk }) =>
    tk.secrets.put({ ...openai, value: { apiKey: `${TENANT_SECRET}\n` } }),
  'a secret with a carriage return': ({ tk }) =>
    tk.secrets.put({ ...openai, value: { apiKey: `${TENANT_SECRET}\r\nx: y` } }),
  'a secret with a blank in front': ({ tk }) =>
    tk.secrets.put({ ...openai, value: { apiKey: ` ${TENANT_SECRET}` } }),
  'a secret with a dash of another script': ({ tk }) =>
    tk.secrets.put({ ...openai, value: { apiKey: `\u2013${TENANT_SECRET}` } }),
  'a secret that is too long': ({ tk }) =>
    tk.secrets.put({ ...openai, value: { apiKey: TENANT_SECRET.repeat(400) } }),
  'a secret in a list': ({ tk }) =>
    tk.secrets.put({ ...openai, value: { apiKey: as([TENANT_SECRET]) } }),
  'a secret for the fields': ({ tk }) => tk.secrets.put({ ...openai, value: as(TENANT_SECRET) }),
  'a secret in a field that is not known': ({ tk }) =>
    tk.secrets.put({ ...openai, value: { key: TENANT_SECRET } }),
  'a secret for the provider': ({ tk }) =>
    tk.secrets.put({ ...acme, provider: TENANT_SECRET, value: { apiKey: TENANT_SECRET } }),
  'a secret in the user of an endpoint': ({ tk }) =>
    tk.secrets.put({
      ...openai,
      value: { apiKey: TENANT_SECRET, endpoint: `https://${TENANT_SECRET}@x.example` },
    }),
  'a secret in the query of an endpoint': ({ tk }) =>
    tk.secrets.put({
      ...openai,
      value: { apiKey: TENANT_SECRET, endpoint: `https://x.example?key=${TENANT_SECRET}` },
    }),
  'a secret with an endpoint that is not listed': ({ tk }) =>
    tk.secrets.put({ ...openai, value: { apiKey: TENANT_SECRET, endpoint: 'https://x.example' } }),
  'a secret for a name': ({ tk }) => tk.secrets.get({ ...openai, name: `${TENANT_SECRET}/x` }),
  'a secret for a cursor': ({ tk }) => tk.secrets.list({ ...acme, after: as({ TENANT_SECRET }) }),
  'a platform key for a key id': ({ tk, key }) => tk.keys.get({ ...acme, keyId: key }),
  'a platform key for a scope': ({ tk, key }) =>
    tk.keys.issue({ ...acme, name: 'a', scopes: [key] }),
  'a platform key for a name': ({ tk, key }) =>
    tk.keys.issue({ ...acme, name: `${key}\n`, scopes: ['chat'] }),
  'a platform key for an actor': ({ tk, key, keyId }) =>
    tk.keys.disable({ ...acme, keyId, actor: `${key}\u0000` }),
  'a platform key for an ask': ({ tk, key }) => tk.keys.verify(key, as(key)),
  'a platform key in a list': ({ tk, key }) => tk.authorize({ key: as([key]), model: 'm' }),
  'a platform key for a context': ({ tk, key }) => tk.fetch(as(key)),
  'a platform key for a credential': ({ tk, key }) => tk.fetch({ key, credential: `${key}!` }),
  'a platform key for a provider': ({ tk, key }) =>
    tk.withTenantKey(new OpenAI({ apiKey: CLIENT_SECRET }), { key, provider: key }),
  'a platform key for an amount': ({ tk, key }) =>
    tk.budgets.set({ account: acme, window: 'month', limit: { usd: key } }),
  'a platform key for a zone': ({ tk, key }) =>
    tk.budgets.set({ account: acme, window: 'month', limit: { usd: '1' }, zone: key.slice(0, 60) }),
  'a platform key for a dimension': ({ tk, key }) => tk.usage.query({ by: [as(key)] }),
  'a platform key for a receipt': ({ tk, key }) => tk.receiptOf({ usage: key }),
  'a platform key for a client': ({ tk, key }) => tk.withTenantKey(as({ apiKey: key }), { key }),
  'a client that throws its options': ({ tk, key }) =>
    tk.withTenantKey(
      Object.assign(new OpenAI({ apiKey: CLIENT_SECRET }), {
        withOptions: () => {
          throw foreignError(CLIENT_SECRET)
        },
      }),
      { key },
    ),
  'a KEK for a data key': () =>
    seal(as({ plaintext: KEK, dek: KEK_TEXT, dekId: KEK_TEXT, context: {} })),
  'a secret for an envelope': () => open(as({ envelope: TENANT_SECRET, dek: KEK, context: {} })),
  'a secret for the text of an envelope': () => fromText(`enc:tk:v1:${TENANT_SECRET}`),
  'a pepper as text': () => hashKey(as({ ...acme, pepper: PEPPER_TEXT, keyId: 'a', secret: 'b' })),
  'a secret for a brand': () => generateKey({ brand: PLATFORM_SECRET, environment: 'live' }),
  'a secret for money': () => parseUsd(TENANT_SECRET, 'price'),
  'a secret for nano-dollars': () => formatUsd(as(TENANT_SECRET)),
}

/** By name: what is done with which secret. */
export const failures: Readonly<Record<string, Failure>> = {
  ...configuration,
  ...arguments_,
  ...callFailures,
  ...partFailures,
}
