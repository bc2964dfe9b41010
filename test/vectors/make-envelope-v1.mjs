/**
 * Writes envelope-v1.json: envelopes that every release must open, and envelopes it must refuse.
 *
 *     node test/vectors/make-envelope-v1.mjs
 *
 * It is a second implementation of docs/envelope-format.md and imports nothing of src/, so that it
 * and the library check each other. The file only grows: a case that is there is never changed or
 * removed, and the script stops when it would do so.
 *
 * @module
 */
import { createCipheriv, createHash, hkdfSync } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FILE = fileURLToPath(new URL('envelope-v1.json', import.meta.url))

/** Bytes that look random and are the same in every run. No key in this file is used anywhere. */
const bytes = (label, length) =>
  createHash('shake256', { outputLength: length }).update(`tenantkeys vector: ${label}`).digest()

const uint64 = (value) => {
  const out = Buffer.alloc(8)
  out.writeBigUInt64BE(BigInt(value))
  return out
}
const uint16 = (value) => Buffer.from([value >> 8, value & 255])
const uint32 = (value) =>
  Buffer.from([value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255])
const text = (value) => {
  const utf8 = Buffer.from(value, 'utf8')
  return Buffer.concat([uint16(utf8.length), utf8])
}
const uuid = (id) => Buffer.from(id.replaceAll('-', ''), 'hex')

function encodeContext(context, { format = 1, suite = 1, flags = 0, dekId, salt, nonce }) {
  return Buffer.concat([
    Buffer.from('tenantkeys envelope'),
    Buffer.from([format]),
    uint16(suite),
    Buffer.from([flags]),
    text(context.tenantId),
    text(context.purpose),
    text(context.provider),
    Buffer.from([context.origin === null ? 0 : 1]),
    text(context.origin ?? ''),
    text(context.secretId),
    uint64(context.version),
    dekId,
    salt,
    nonce,
  ])
}

/** `spoil` exchanges single steps, to make envelopes that are wrong in one place inside. */
function make({ dek, dekId, context, salt, nonce, plaintext }, spoil = {}) {
  const id = uuid(dekId)
  const aad = encodeContext(context, { dekId: id, salt, nonce })
  const suite = uint16(1)
  const contextHash = createHash('sha512').update(aad).digest()
  const info =
    spoil.info?.(contextHash) ??
    Buffer.concat([Buffer.from('tenantkeys envelope key'), suite, contextHash])
  const derived = Buffer.from(hkdfSync(spoil.hash ?? 'sha512', dek, spoil.salt ?? salt, info, 64))
  const key = spoil.key ?? derived.subarray(0, 32)
  const commitment = spoil.commitment ?? derived.subarray(32)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 })
  cipher.setAAD(spoil.aad ?? aad)
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([
    Buffer.from('TKEV'),
    Buffer.from([1]),
    suite,
    Buffer.from([0]),
    id,
    salt,
    nonce,
    commitment,
    uint32(plaintext.length),
    ciphertext,
    cipher.getAuthTag(),
  ])
}

const base = {
  dek: bytes('dek', 32),
  dekId: '018f3c1e-7b1a-7cc3-9a55-00000000d0d0',
  context: {
    tenantId: 'acme',
    purpose: 'provider-secret',
    provider: 'openai',
    origin: 'https://llm.acme.example',
    secretId: '018f3c1e-7b1a-7cc3-9a55-0000000005ec',
    version: 3,
  },
  salt: bytes('salt', 32),
  nonce: bytes('nonce', 12),
  plaintext: Buffer.from('{"apiKey":"sk-not-a-real-key-0123456789"}'),
}
const withContext = (changes) => ({ context: { ...base.context, ...changes } })

const opening = {
  base: ["a credential for a tenant's own endpoint", {}],
  'plaintext-empty': ['no plaintext at all', { plaintext: Buffer.alloc(0) }],
  'plaintext-1': ['one byte', { plaintext: Buffer.from([0]) }],
  'plaintext-15': ['one byte below a block', { plaintext: bytes('p15', 15) }],
  'plaintext-16': ['exactly one block', { plaintext: bytes('p16', 16) }],
  'plaintext-17': ['one byte above a block', { plaintext: bytes('p17', 17) }],
  'plaintext-255': ['length in one byte', { plaintext: bytes('p255', 255) }],
  'plaintext-256': ['length in two bytes', { plaintext: bytes('p256', 256) }],
  'plaintext-4096': ['4096 zeros', { plaintext: Buffer.alloc(4096) }],
  'plaintext-binary': ['bytes that are no UTF-8', { plaintext: Buffer.from('fffe00c0af', 'hex') }],
  'origin-none': ['bound to no origin', withContext({ origin: null })],
  'origin-port': ['an origin with a port', withContext({ origin: 'http://10.0.0.7:8000' })],
  'origin-ipv6': ['an IPv6 origin', withContext({ origin: 'http://[2001:db8::1]:8443' })],
  'tenant-nfc': ['a tenant in composed form', withContext({ tenantId: 'caf\u00e9' })],
  'tenant-nfd': ['a tenant in decomposed form', withContext({ tenantId: 'cafe\u0301' })],
  'tenant-astral': ['a tenant beyond the basic plane', withContext({ tenantId: 'acme-\u{1f511}' })],
  'tenant-1024': ['a tenant of 1024 bytes', withContext({ tenantId: 'x'.repeat(1024) })],
  'texts-short': [
    'every text one byte',
    withContext({ tenantId: 't', purpose: 'p', provider: 'v', origin: 'o', secretId: 's' }),
  ],
  'boundary-a': ['"a" before "bc"', withContext({ tenantId: 'a', purpose: 'bc' })],
  'boundary-b': ['"ab" before "c"', withContext({ tenantId: 'ab', purpose: 'c' })],
  'control-characters': ['NUL and line feed in a text', withContext({ provider: 'o\u0000p\ne' })],
  'version-1': ['the first version', withContext({ version: 1 })],
  'version-256': ['a version of two bytes', withContext({ version: 256 })],
  'version-2-32': ['a version above 32 bits', withContext({ version: 2 ** 32 })],
  'version-max': ['the last version', withContext({ version: Number.MAX_SAFE_INTEGER })],
  'salt-zeros': ['a salt of zeros', { salt: Buffer.alloc(32) }],
  'nonce-zeros': ['a nonce of zeros', { nonce: Buffer.alloc(12) }],
  'nonce-ones': [
    'a nonce of ones: the block counter is not part of it',
    { nonce: Buffer.alloc(12, 255) },
  ],
  'dek-other': ['another data key', { dek: bytes('dek 2', 32) }],
  'dek-id-v4': [
    'a data key id of UUID version 4',
    { dekId: '6f1c7d2e-0b5a-4a3c-8f7e-ffffffffffff' },
  ],
}

const sealed = make(base)
const edit = (change) => {
  const out = Buffer.from(sealed)
  change(out)
  return { envelope: out }
}
const flip = (at, mask) =>
  edit((out) => {
    out[at < 0 ? out.length + at : at] ^= mask
  })
const put = (at, hex) => edit((out) => out.set(Buffer.from(hex, 'hex'), at))
const inside = (spoil) => ({ envelope: make(base, spoil) })
const length = base.plaintext.length
/** The envelope cut by `cut` bytes at its end, with a length field that agrees. */
const shortened = (cut) =>
  Buffer.concat([sealed.subarray(0, 100), uint32(length - cut), sealed.subarray(104, -cut)])

const refused = {
  'magic-0': ['first byte of the magic', flip(0, 0x01)],
  'magic-1': ['second byte of the magic', flip(1, 0x80)],
  'magic-2': ['third byte of the magic', flip(2, 0x20)],
  'magic-3': ['fourth byte of the magic', flip(3, 0x02)],
  'format-0': ['format 0', put(4, '00')],
  'format-2': ['format 2', put(4, '02')],
  'format-255': ['format 255', put(4, 'ff')],
  'suite-0': ['suite 0', put(5, '0000')],
  'suite-2': ['suite 2', put(5, '0002')],
  'suite-256': ['suite 1 in the other byte order', put(5, '0100')],
  'suite-257': ['suite 257', put(5, '0101')],
  'flags-1': ['lowest flag', put(7, '01')],
  'flags-128': ['highest flag', put(7, '80')],
  'dek-id-first': ['first bit of the data key id', flip(8, 0x80)],
  'dek-id-last': ['last bit of the data key id', flip(23, 0x01)],
  'salt-first': ['first bit of the salt', flip(24, 0x80)],
  'salt-last': ['last bit of the salt', flip(55, 0x01)],
  'nonce-first': ['first bit of the nonce', flip(56, 0x80)],
  'nonce-last': ['last bit of the nonce', flip(67, 0x01)],
  'commitment-first': ['first bit of the commitment', flip(68, 0x80)],
  'commitment-last': ['last bit of the commitment', flip(99, 0x01)],
  'commitment-zeros': ['a commitment of zeros', put(68, '00'.repeat(32))],
  'length-less': ['length one less', put(100, uint32(length - 1).toString('hex'))],
  'length-more': ['length one more', put(100, uint32(length + 1).toString('hex'))],
  'length-zero': ['length 0', put(100, '00000000')],
  'length-huge': ['length 2^32 - 1', put(100, 'ffffffff')],
  'length-wrapped': ['length plus 2^16', put(100, uint32(length + 65_536).toString('hex'))],
  'ciphertext-first': ['first bit of the ciphertext', flip(104, 0x80)],
  'ciphertext-last': ['last bit of the ciphertext', flip(-17, 0x01)],
  'tag-first': ['first bit of the tag', flip(-16, 0x80)],
  'tag-last': ['last bit of the tag', flip(-1, 0x01)],
  'tag-zeros': ['a tag of zeros', put(sealed.length - 16, '00'.repeat(16))],
  'cut-1': ['last byte missing', { envelope: sealed.subarray(0, -1) }],
  'cut-tag': ['tag missing', { envelope: sealed.subarray(0, -16) }],
  'cut-header': ['nothing but the header', { envelope: sealed.subarray(0, 104) }],
  'cut-119': ['one byte below the smallest envelope', { envelope: sealed.subarray(0, 119) }],
  empty: ['no bytes', { envelope: Buffer.alloc(0) }],
  'tag-15': ['a tag of 15 bytes, length field agreeing', { envelope: shortened(1) }],
  'tag-12': ['a tag of 12 bytes, length field agreeing', { envelope: shortened(4) }],
  'tag-0': ['no tag, length field agreeing', { envelope: shortened(16) }],
  'trailing-zero': ['a zero behind', { envelope: Buffer.concat([sealed, Buffer.alloc(1)]) }],
  'trailing-line-feed': [
    'a line feed behind',
    { envelope: Buffer.concat([sealed, Buffer.from('\n')]) },
  ],
  doubled: ['the envelope twice', { envelope: Buffer.concat([sealed, sealed]) }],
  'leading-zero': ['a zero in front', { envelope: Buffer.concat([Buffer.alloc(1), sealed]) }],
  'aad-empty': ['tag made without additional data', inside({ aad: Buffer.alloc(0) })],
  'aad-tenant': [
    'tag made for another tenant',
    inside({
      aad: encodeContext(
        { ...base.context, tenantId: 'other' },
        { ...base, dekId: uuid(base.dekId) },
      ),
    }),
  ],
  'key-other': ['encrypted under a key that was not derived', inside({ key: bytes('key', 32) })],
  'key-dek': ['encrypted under the data key itself', inside({ key: base.dek })],
  'commitment-other': [
    'commitment of another data key',
    inside({ commitment: make({ ...base, dek: bytes('dek 2', 32) }).subarray(68, 100) }),
  ],
  'hkdf-sha256': ['derived with SHA-256', inside({ hash: 'sha256' })],
  'hkdf-no-salt': ['derived without salt', inside({ salt: Buffer.alloc(0) })],
  'hkdf-no-context': [
    'derived without the context',
    inside({ info: () => Buffer.from('tenantkeys envelope key\u0000\u0001') }),
  ],
  'hkdf-no-label': [
    'derived without the label',
    inside({ info: (hash) => Buffer.concat([uint16(1), hash]) }),
  ],
  'dek-wrong': ['another data key', { dek: bytes('dek 2', 32) }],
  'dek-bit': [
    'one bit of the data key',
    { dek: Buffer.concat([base.dek.subarray(0, 31), Buffer.from([base.dek[31] ^ 1])]) },
  ],
  'tenant-other': ['another tenant', withContext({ tenantId: 'other' })],
  'tenant-case': ['the tenant in capitals', withContext({ tenantId: 'ACME' })],
  'tenant-space': ['a space behind the tenant', withContext({ tenantId: 'acme ' })],
  'tenant-empty': ['no tenant', withContext({ tenantId: '' })],
  'purpose-other': ['another purpose', withContext({ purpose: 'webhook-secret' })],
  'provider-other': ['another provider', withContext({ provider: 'anthropic' })],
  'origin-other': ['another origin', withContext({ origin: 'https://llm.evil.example' })],
  'origin-scheme': ['the origin without TLS', withContext({ origin: 'http://llm.acme.example' })],
  'origin-slash': [
    'a slash behind the origin',
    withContext({ origin: 'https://llm.acme.example/' }),
  ],
  'origin-missing': ['no origin', withContext({ origin: null })],
  'secret-other': [
    'another secret',
    withContext({ secretId: '018f3c1e-7b1a-7cc3-9a55-0000000005ed' }),
  ],
  'version-older': ['the version before', withContext({ version: 2 })],
  'version-newer': ['the version after', withContext({ version: 4 })],
  'version-zero': ['version 0', withContext({ version: 0 })],
  'fields-swapped': [
    'tenant and provider exchanged',
    withContext({ tenantId: 'openai', provider: 'acme' }),
  ],
  'fields-shifted': [
    'a letter moved to the next text',
    withContext({ tenantId: 'acm', purpose: 'eprovider-secret' }),
  ],
}

const PREFIX = 'enc:tk:v1:'
const body = sealed.toString('base64url')
/** The last letter holds bits that are not used; setting one of them decodes to the same bytes. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const odd = make({ ...base, plaintext: Buffer.from('1') }).toString('base64url')
const loose = odd.slice(0, -1) + ALPHABET[ALPHABET.indexOf(odd.at(-1)) + 1]

const texts = {
  'text-base': ['the text form', PREFIX + body, true],
  'text-odd': ['a text form with unused bits', PREFIX + odd, true],
  'text-prefix-missing': ['no prefix', body, false],
  'text-prefix-case': ['the prefix in capitals', PREFIX.toUpperCase() + body, false],
  'text-prefix-v2': ['the prefix of another version', `enc:tk:v2:${body}`, false],
  'text-prefix-fernet': ['the prefix of another format', `enc:fernet:v1:${body}`, false],
  'text-padded': ['padding', `${PREFIX}${odd}${'='.repeat((4 - (odd.length % 4)) % 4)}`, false],
  'text-loose-bits': ['an unused bit is set', PREFIX + loose, false],
  'text-alphabet': [
    'the other alphabet',
    PREFIX + sealed.toString('base64').replaceAll('=', ''),
    false,
  ],
  'text-space-behind': ['a space behind', `${PREFIX}${body} `, false],
  'text-line-feed': ['a line feed behind', `${PREFIX}${body}\n`, false],
  'text-space-before': ['a space in front', ` ${PREFIX}${body}`, false],
  'text-cut': ['last letter missing', PREFIX + body.slice(0, -1), false],
  'text-hex': ['hexadecimal', PREFIX + sealed.toString('hex'), false],
  'text-empty': ['nothing', '', false],
  'text-prefix-only': ['the prefix alone', PREFIX, false],
}

const hex = (value) => Buffer.from(value).toString('hex')

const escapeUnit = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

/** All cases, in the order they stand in the file. */
export function build() {
  const opens = Object.entries(opening).map(([id, [about, changes]]) => {
    const { dek, dekId, context, salt, nonce, plaintext } = { ...base, ...changes }
    const envelope = make({ dek, dekId, context, salt, nonce, plaintext })
    const inputs = { dek: hex(dek), dekId, context, salt: hex(salt), nonce: hex(nonce) }
    return { id, about, ...inputs, plaintext: hex(plaintext), envelope: hex(envelope) }
  })
  const fails = Object.entries(refused).map(([id, [about, changes]]) => {
    const { dek, context, envelope } = { ...base, envelope: sealed, ...changes }
    return { id, about, dek: hex(dek), context, envelope: hex(envelope) }
  })
  const textCases = Object.entries(texts).map(([id, [about, value, ok]]) =>
    ok
      ? {
          id,
          about,
          text: value,
          envelope: Buffer.from(value.slice(PREFIX.length), 'base64url').toString('hex'),
        }
      : { id, about, text: value, envelope: null },
  )
  return { format: 'tenantkeys envelope v1', opens, fails, texts: textCases }
}

/** Stops when a case of the file is gone or different. */
export function checkAppendOnly(old, fresh) {
  for (const list of ['opens', 'fails', 'texts']) {
    for (const [at, was] of old[list].entries()) {
      if (JSON.stringify(fresh[list][at]) !== JSON.stringify(was)) {
        throw new Error(`${list}[${at}] ${was.id} would change; frozen cases stay as they are`)
      }
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const cases = build()
  if (existsSync(FILE)) checkAppendOnly(JSON.parse(readFileSync(FILE, 'utf8')), cases)
  // ASCII only: an editor that normalises Unicode must not change a case.
  const json = JSON.stringify(cases, null, 2).replace(/[\u0080-\uffff]/g, escapeUnit)
  writeFileSync(FILE, `${json}\n`)
  console.log(`${cases.opens.length} open, ${cases.fails.length} fail, ${cases.texts.length} texts`)
}
