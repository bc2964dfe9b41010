/**
 * Bad input to the functions that can be used without an installation.
 *
 * @module
 */
import { formatUsd, parseUsd } from '../../../src/budgets/money.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { generateKey, parseKey } from '../../../src/keys/key-format.ts'
import { hashKey } from '../../../src/keys/key-hash.ts'
import { dekIdOf, fromText, open, seal, toText } from '../../../src/secrets/envelope.ts'
import { testKey } from '../test-key.ts'
import { as, CANARY, type Row } from './row.ts'

const row = (method: string, what: string, field: string, run: Row['run']): Row => ({
  method,
  what,
  run,
  code: 'TK_INPUT_INVALID',
  field,
})

const context = {
  tenantId: 'acme',
  purpose: 'test',
  provider: 'openai',
  origin: null,
  secretId: 'row-1',
  version: 1,
}
const GOOD_SEAL = {
  plaintext: new TextEncoder().encode(CANARY),
  dek: testKey(1),
  dekId: '018f3c1e-7b1a-7cc3-9a55-00000000d0d0',
  context,
}
const sealed = (what: string, field: string, over: object): Row =>
  row('seal', what, field, () => seal(as({ ...GOOD_SEAL, ...over })))
const sealedIn = (what: string, field: string, over: object): Row =>
  sealed(`a context with ${what}`, `context.${field}`, { context: { ...context, ...over } })

const GOOD_OPEN = { envelope: seal(GOOD_SEAL), dek: testKey(1), context }
const opened = (what: string, field: string, over: object): Row =>
  row('open', what, field, () => open(as({ ...GOOD_OPEN, ...over })))
const unopened = (what: string, over: object): Row => ({
  method: 'open',
  what,
  run: () => open(as({ ...GOOD_OPEN, ...over })),
  code: 'TK_ENVELOPE_OPEN_FAILED',
  field: null,
})
const changed = (at: number): Uint8Array => {
  const envelope = Uint8Array.from(GOOD_OPEN.envelope)
  envelope[at]! ^= 1
  return envelope
}

const GOOD_HASH = { pepper: testKey(1), tenantId: 'acme', keyId: 'a', secret: CANARY }
const hashed = (what: string, field: string, over: object): Row =>
  row('hashKey', what, field, () => hashKey(as({ ...GOOD_HASH, ...over })))

const NO_KEYS = {
  missing: undefined,
  null: null,
  'a number': 7,
  'a list': [CANARY],
  empty: '',
  'another text': CANARY,
  '64 kB': CANARY.padEnd(65_536, 'x'),
}

export const standaloneRows: readonly Row[] = [
  row('seal', 'nothing', '(argument)', () => seal(as(undefined))),
  row('seal', 'a text', '(argument)', () => seal(as(CANARY))),
  sealed('a plaintext that is text', 'plaintext', { plaintext: CANARY }),
  sealed('a plaintext above 64 kB', 'plaintext', { plaintext: new Uint8Array(65_537) }),
  sealed('a data key that is text', 'dek', { dek: CANARY }),
  sealed('a data key of 16 bytes', 'dek', { dek: testKey(1).subarray(16) }),
  sealed('an id that is none', 'dekId', { dekId: CANARY }),
  sealed('an id in capitals', 'dekId', { dekId: GOOD_SEAL.dekId.toUpperCase() }),
  sealed('a context that is none', 'context', { context: CANARY }),
  sealed('an unknown field', 'aad', { aad: CANARY }),
  sealed('T-I7 a field __proto__', '__proto__', JSON.parse('{"__proto__":1}')),
  sealedIn('an empty tenant', 'tenantId', { tenantId: '' }),
  sealedIn('no provider', 'provider', { provider: undefined }),
  sealedIn('half a surrogate pair', 'purpose', { purpose: `\ud800${CANARY}` }),
  sealedIn('1025 letters', 'secretId', { secretId: CANARY.padEnd(1025, 'x') }),
  sealedIn('an origin that is no text', 'origin', { origin: 7 }),
  sealedIn('a version of zero', 'version', { version: 0 }),
  sealedIn('a version of 2^53', 'version', { version: 2 ** 53 }),
  sealedIn('an unknown field', 'region', { region: CANARY }),
  row('open', 'nothing', '(argument)', () => open(as(null))),
  opened('an envelope that is text', 'envelope', { envelope: `enc:tk:v1:${CANARY}` }),
  opened('a data key of 31 bytes', 'dek', { dek: testKey(1).subarray(1) }),
  opened('an unknown field', 'key', { key: CANARY }),
  unopened('an empty envelope', { envelope: new Uint8Array(0) }),
  unopened('an envelope that is cut', { envelope: GOOD_OPEN.envelope.subarray(0, -1) }),
  unopened('an envelope with a byte more', { envelope: Uint8Array.of(...GOOD_OPEN.envelope, 0) }),
  unopened('another format', { envelope: changed(4) }),
  unopened('another suite', { envelope: changed(6) }),
  unopened('a changed last byte', { envelope: changed(GOOD_OPEN.envelope.length - 1) }),
  unopened('another data key', { dek: testKey(2) }),
  unopened('another context', { context: { ...context, tenantId: CANARY } }),
  unopened('a context that is none', { context: CANARY }),
  row('dekIdOf', 'a text', 'envelope', () => dekIdOf(as(CANARY))),
  { ...unopened('bytes that are none', {}), method: 'dekIdOf', run: () => dekIdOf(testKey(1)) },
  row('envelopeToText', 'a text', 'envelope', () => toText(as(CANARY))),
  row('envelopeToText', 'nothing', 'envelope', () => toText(as(undefined))),
  row('envelopeFromText', 'bytes', 'text', () => fromText(as(GOOD_OPEN.envelope))),
  ...[CANARY, `enc:tk:v1:${CANARY}`, `${toText(GOOD_OPEN.envelope)}=`].map((text, i) => ({
    ...unopened(`a text that is none, ${i}`, {}),
    method: 'envelopeFromText',
    run: () => fromText(text),
  })),
  row('generateKey', 'nothing', 'brand', () => generateKey(as(undefined))),
  row('generateKey', 'a brand that is a list', 'brand', () =>
    generateKey(as({ brand: ['tk'], environment: 'live' })),
  ),
  row('generateKey', 'a brand in capitals', 'brand', () =>
    generateKey({ brand: CANARY.toUpperCase(), environment: 'live' }),
  ),
  row('generateKey', 'another environment', 'environment', () =>
    generateKey(as({ brand: 'tk', environment: CANARY })),
  ),
  ...Object.entries(NO_KEYS).map(
    ([what, text]): Row => ({
      method: 'parseKey',
      what,
      run: () => parseKey(as(text)),
      code: 'TK_KEY_MALFORMED',
      field: null,
      asNull: true,
    }),
  ),
  row('hashKey', 'nothing', 'pepper', () => hashKey(as(undefined))),
  hashed('no pepper', 'pepper', { pepper: undefined }),
  hashed('a pepper that is text', 'pepper', { pepper: CANARY }),
  hashed('a pepper of 31 bytes', 'pepper', { pepper: testKey(1).subarray(1) }),
  hashed('no tenant', 'tenantId', { tenantId: undefined }),
  hashed('a key id that is a number', 'keyId', { keyId: 7 }),
  hashed('a secret as bytes', 'secret', { secret: testKey(3) }),
  ...[5, '-5', '5e2', CANARY, null].map((usd) =>
    row('parseUsd', `T-B9 ${typeof usd} ${String(usd).slice(0, 3)}`, 'price', () =>
      parseUsd(usd, 'price'),
    ),
  ),
  ...[5, CANARY, undefined].map((nano) =>
    row('formatUsd', `T-B9 ${typeof nano}`, 'nanoUsd', () => formatUsd(as(nano))),
  ),
  ...[undefined, null, 7, { text: CANARY }].map((text) =>
    row('Secret', `${typeof text} ${text === null}`, 'text', () => new Secret(as(text))),
  ),
]
