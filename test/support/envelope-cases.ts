/**
 * What an envelope must withstand, as functions of the modules under test: run on the sources, and
 * on sabotaged copies of them, where at least one must fail.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import type { TenantKeysError } from '../../src/kernel/errors.ts'
import type { EnvelopeContext } from '../../src/secrets/aad.ts'
import { hex, readVectors } from './envelope-vectors.ts'
import { collide } from './gcm-collision.ts'

export interface Modules {
  readonly envelope: typeof import('../../src/secrets/envelope.ts')
  readonly aad: typeof import('../../src/secrets/aad.ts')
  readonly primitives: typeof import('../../src/kernel/crypto/primitives.ts').primitives
}

export async function loadModules(load: <M>(file: string) => Promise<M>): Promise<Modules> {
  const { primitives } = await load<{ primitives: Modules['primitives'] }>(
    'kernel/crypto/primitives.ts',
  )
  return {
    envelope: await load('secrets/envelope.ts'),
    aad: await load('secrets/aad.ts'),
    primitives,
  }
}

/** Bytes that look random and are the same in every run. */
export const bytes = (label: string, length: number): Uint8Array =>
  new Uint8Array(createHash('shake256', { outputLength: length }).update(label).digest())

export const DEK_ID = '018f3c1e-7b1a-7cc3-9a55-00000000d0d0'
export const CONTEXT: EnvelopeContext = {
  tenantId: 'acme',
  purpose: 'provider-secret',
  provider: 'openai',
  origin: 'https://llm.acme.example',
  secretId: '018f3c1e-7b1a-7cc3-9a55-0000000005ec',
  version: 3,
}
const DEK = bytes('dek', 32)
const PLAINTEXT = bytes('plaintext', 180)

const sealOne = ({ envelope }: Modules, changes: Partial<EnvelopeContext> = {}): Uint8Array =>
  envelope.seal({
    plaintext: PLAINTEXT,
    dek: DEK,
    dekId: DEK_ID,
    context: { ...CONTEXT, ...changes },
  })

/** All that one can see of an error, without its stack. */
function seen(error: unknown): string {
  const { name, code, message, details, cause } = error as TenantKeysError
  return JSON.stringify({ name, code, message, details, cause: String(cause) })
}

const THE_ERROR =
  '{"name":"TenantKeysError","code":"TK_ENVELOPE_OPEN_FAILED",' +
  '"message":"The stored secret cannot be opened.","details":{},"cause":"undefined"}'

/** Fails, and with the one error. */
function expectRefused(
  modules: Modules,
  input: { envelope: Uint8Array; dek?: Uint8Array; context?: EnvelopeContext },
): void {
  try {
    modules.envelope.open({ dek: DEK, context: CONTEXT, ...input })
  } catch (error) {
    expect(seen(error)).toBe(THE_ERROR)
    return
  }
  throw new Error('it opened')
}

function expectOpens({ envelope }: Modules, sealed: Uint8Array, plaintext = PLAINTEXT): void {
  const opened = envelope.open({ envelope: sealed, dek: DEK, context: CONTEXT })
  expect(Buffer.compare(opened, plaintext)).toBe(0)
}

function withByte(envelope: Uint8Array, at: number, value: number): Uint8Array {
  const out = Uint8Array.from(envelope)
  out[at] = value
  return out
}

/** One other value for each field of the context, as long as the right one. */
const OTHERS: EnvelopeContext = {
  tenantId: 'acmf',
  purpose: 'provider-sekret',
  provider: 'opanai',
  origin: 'https://llm.evil.example',
  secretId: '018f3c1e-7b1a-7cc3-9a55-0000000005ed',
  version: 4,
}

type Case = (modules: Modules) => void

/** By title. */
export const envelopeCases: Readonly<Record<string, Case>> = {
  'T-C1 envelopes of two tenants exchanged do not open, whichever columns go along': (m) => {
    const [a, b] = ['a', 'b'].map((tenantId) => {
      const dek = bytes(`dek ${tenantId}`, 32)
      const context = { ...CONTEXT, tenantId }
      return {
        dek,
        context,
        sealed: m.envelope.seal({ plaintext: PLAINTEXT, dek, dekId: DEK_ID, context }),
      }
    }) as [Own, Own]
    for (const [mine, theirs] of [
      [a, b],
      [b, a],
    ] as const) {
      expectRefused(m, { envelope: theirs.sealed, dek: mine.dek, context: mine.context })
      expectRefused(m, { envelope: theirs.sealed, dek: theirs.dek, context: mine.context })
      expectRefused(m, { envelope: theirs.sealed, dek: mine.dek, context: theirs.context })
      m.envelope.open({ envelope: mine.sealed, dek: mine.dek, context: mine.context })
    }
  },

  'T-C2 a context that differs in any one field does not open': (m) => {
    const sealed = sealOne(m)
    for (const [field, other] of Object.entries(OTHERS)) {
      expectRefused(m, { envelope: sealed, context: { ...CONTEXT, [field]: other } })
    }
    expectRefused(m, { envelope: sealed, context: { ...CONTEXT, origin: null } })
    expectRefused(m, { envelope: sealOne(m, { origin: null }) })
    expectRefused(m, { envelope: sealed, dek: bytes('dek 2', 32) })
    expectOpens(m, sealed)
  },

  'T-C2 a context that nothing can be sealed under fails like any other': (m) => {
    const sealed = sealOne(m)
    const broken: Partial<Record<keyof EnvelopeContext, unknown>>[] = [
      { tenantId: '' },
      { provider: 'x'.repeat(1025) },
      { secretId: '\ud800' },
      { origin: undefined },
      { origin: '' },
      { purpose: 7 },
      { version: 0 },
      { version: 3.5 },
      { version: '3' },
    ]
    for (const change of broken) {
      expectRefused(m, { envelope: sealed, context: { ...CONTEXT, ...change } as EnvelopeContext })
    }
    expectRefused(m, { envelope: sealed, context: null as unknown as EnvelopeContext })
  },

  'T-C3 no bit of an envelope of 300 bytes may change': (m) => {
    const sealed = sealOne(m)
    expect(sealed.length).toBe(300)
    for (let at = 0; at < sealed.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        expectRefused(m, { envelope: withByte(sealed, at, sealed[at]! ^ (1 << bit)) })
      }
    }
    expectOpens(m, sealed)
  },

  'T-C4 no prefix opens, and nothing may follow': (m) => {
    const sealed = sealOne(m)
    for (let length = 0; length < sealed.length; length++) {
      expectRefused(m, { envelope: sealed.slice(0, length) })
    }
    for (let extra = 1; extra <= 32; extra++) {
      expectRefused(m, { envelope: Buffer.concat([sealed, new Uint8Array(extra)]) })
      expectRefused(m, { envelope: Buffer.concat([sealed, sealed.subarray(0, extra)]) })
    }
    expectOpens(m, sealed)
  },

  'T-C5 a tag of 0 to 15 bytes does not open, also when the length field agrees': (m) => {
    const sealed = sealOne(m)
    for (let tag = 0; tag < 16; tag++) {
      const short = sealed.slice(0, sealed.length - 16 + tag)
      expectRefused(m, { envelope: short })
      const agreeing = Buffer.from(short)
      agreeing.writeUInt32BE(short.length - 120, 100)
      expectRefused(m, { envelope: agreeing })
    }
  },

  'T-C6 of all 65,536 suites, 256 formats and 256 flags only the registered one opens': (m) => {
    const sealed = sealOne(m)
    for (let suite = 0; suite < 65_536; suite++) {
      const changed = withByte(withByte(sealed, 5, suite >> 8), 6, suite & 0xff)
      if (suite === 1) expectOpens(m, changed)
      else expectRefused(m, { envelope: changed })
    }
    for (let value = 0; value < 256; value++) {
      if (value === 1) expectOpens(m, withByte(sealed, 4, value))
      else expectRefused(m, { envelope: withByte(sealed, 4, value) })
      if (value === 0) expectOpens(m, withByte(sealed, 7, value))
      else expectRefused(m, { envelope: withByte(sealed, 7, value) })
    }
  },

  'T-C7 a ciphertext made to open under two data keys opens under the one it was sealed with': (
    m,
  ) => {
    const { envelope, primitives } = m
    const sealed = sealOne(m)
    const nonce = sealed.slice(56, 68)
    const known = bytes('a data key the attacker knows', 32)
    const { context, key } = deriveByHand(m, sealed, DEK)
    const keys = [key, deriveByHand(m, sealed, known).key] as const
    const data = collide({ keys, nonce, aad: context, start: sealed.slice(104, 104 + 160) })
    // Real: by the cipher alone, both keys accept it.
    const opened = keys.map((key) => primitives.gcmOpen({ key, nonce, aad: context, data }))
    expect(opened.map((plaintext) => plaintext?.length)).toEqual([176, 176])

    const forged = Buffer.concat([sealed.subarray(0, 104), data])
    forged.writeUInt32BE(176, 100)
    expect(envelope.open({ envelope: forged, dek: DEK, context: CONTEXT }).length).toBe(176)
    expectRefused(m, { envelope: forged, dek: known })
  },

  'T-C9 ten thousand seals of one secret share no salt and no nonce': (m) => {
    const salts = new Set<string>()
    const nonces = new Set<string>()
    for (let i = 0; i < 10_000; i++) {
      const sealed = Buffer.from(sealOne(m))
      salts.add(sealed.toString('hex', 24, 56))
      nonces.add(sealed.toString('hex', 56, 68))
    }
    expect([salts.size, nonces.size]).toEqual([10_000, 10_000])
  },

  'T-C11 different contexts never encode to the same bytes': (m) => {
    const seen = new Map<string, string>()
    const random = randomContexts()
    for (let i = 0; i < 100_000; i++) {
      const { context, header } = random()
      const encoding = Buffer.from(m.aad.encodeContext(context, header)).toString('latin1')
      const tuple = JSON.stringify([context, header])
      const before = seen.get(encoding)
      if (before !== undefined && before !== tuple) throw new Error(`${before} and ${tuple}`)
      seen.set(encoding, tuple)
    }
    // Few enough letters that contexts which differ only in where one text ends do occur.
    expect(seen.size).toBeGreaterThan(10_000)
  },

  'T-C11 a text without a UTF-8 form is refused, forms of one letter stay apart': (m) => {
    const header = randomContexts()().header
    const encode = (tenantId: string): string =>
      Buffer.from(m.aad.encodeContext({ ...CONTEXT, tenantId }, header)).toString('hex')
    for (const lone of ['\ud800', 'a\udc00', '\udc00\ud800', 'acme\udfff!']) {
      expect(() => encode(lone)).toThrow('Field: context.tenantId')
    }
    expect(encode('\u{1f511}')).not.toBe(encode('\ufffd'))
    expect(encode('caf\u00e9')).not.toBe(encode('cafe\u0301'))
  },

  'every frozen vector opens or fails as it says, and is what sealing makes': (m) => {
    const { opens, fails, texts } = readVectors()
    for (const { id, dek, dekId, context, salt, nonce, plaintext, envelope } of opens) {
      const opened = m.envelope.open({ envelope: hex(envelope), dek: hex(dek), context })
      expect(Buffer.from(opened).toString('hex'), id).toBe(plaintext)
      const again = m.envelope.sealWith(
        { plaintext: hex(plaintext), dek: hex(dek), dekId, context },
        { salt: hex(salt), nonce: hex(nonce) },
      )
      expect(Buffer.from(again).toString('hex'), id).toBe(envelope)
      expect(m.envelope.dekIdOf(hex(envelope)), id).toBe(dekId)
    }
    for (const { envelope, dek, context } of fails) {
      expectRefused(m, { envelope: hex(envelope), dek: hex(dek), context })
    }
    for (const { id, text, envelope } of texts) {
      if (envelope === null) expect(() => m.envelope.fromText(text), id).toThrow('cannot be opened')
      else {
        expect(Buffer.from(m.envelope.fromText(text)).toString('hex'), id).toBe(envelope)
        expect(m.envelope.toText(hex(envelope)), id).toBe(text)
      }
    }
  },

  'a plaintext of 65,536 bytes seals and opens, one of 65,537 is refused': (m) => {
    const largest = bytes('largest', 65_536)
    const sealed = m.envelope.seal({
      plaintext: largest,
      dek: DEK,
      dekId: DEK_ID,
      context: CONTEXT,
    })
    expect(sealed.length).toBe(65_536 + 120)
    expectOpens(m, sealed, largest)
    expect(Buffer.compare(m.envelope.fromText(m.envelope.toText(sealed)), sealed)).toBe(0)
    const tooLong = new Uint8Array(65_537)
    expect(() =>
      m.envelope.seal({ plaintext: tooLong, dek: DEK, dekId: DEK_ID, context: CONTEXT }),
    ).toThrow('Field: plaintext')
    const { key, context } = deriveByHand(m, sealed, DEK)
    const data = m.primitives.gcmSeal({
      key,
      nonce: sealed.slice(56, 68),
      aad: context,
      data: tooLong,
    })
    const oversized = Buffer.concat([sealed.subarray(0, 104), data])
    oversized.writeUInt32BE(65_537, 100)
    expectRefused(m, { envelope: oversized })
  },

  'derived keys are erased after sealing and after opening, also when it fails': (m) => {
    const made: Uint8Array[] = []
    const { hkdfSha512 } = m.primitives
    m.primitives.hkdfSha512 = (input) => {
      const derived = hkdfSha512(input)
      made.push(derived)
      return derived
    }
    try {
      const sealed = sealOne(m)
      expectOpens(m, sealed)
      expectRefused(m, { envelope: sealed, dek: bytes('dek 2', 32) })
      expectRefused(m, { envelope: withByte(sealed, 299, sealed[299]! ^ 1) })
    } finally {
      m.primitives.hkdfSha512 = hkdfSha512
    }
    expect(made.length).toBe(4)
    for (const derived of made) expect([...derived]).toEqual(Array(64).fill(0))
  },
}

/** Context and encryption key of an envelope, step by step as docs/envelope-format.md says. */
function deriveByHand({ aad, primitives }: Modules, sealed: Uint8Array, dek: Uint8Array) {
  const [dekId, salt, nonce] = [sealed.slice(8, 24), sealed.slice(24, 56), sealed.slice(56, 68)]
  const header = { format: 1, suite: 1, flags: 0, dekId, salt, nonce }
  const context = aad.encodeContext(CONTEXT, header)
  const label = Buffer.from('tenantkeys envelope key\u0000\u0001')
  const info = Buffer.concat([label, primitives.sha512(context)])
  const key = primitives.hkdfSha512({ key: dek, salt, info, length: 64 }).subarray(0, 32)
  return { context, key }
}

interface Own {
  readonly dek: Uint8Array
  readonly context: EnvelopeContext
  readonly sealed: Uint8Array
}

/** Contexts over two letters and short texts, so that neighbours collide unless lengths are told. */
function randomContexts() {
  let state = 0x2545f491
  const next = (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
  const word = (): string => Array.from({ length: 1 + next(2) }, () => 'a\u0000'[next(2)]).join('')
  const fixed = (length: number): Uint8Array => new Uint8Array(length).fill(next(2))
  return () => ({
    context: {
      tenantId: word(),
      purpose: word(),
      provider: word(),
      origin: next(3) === 0 ? null : word(),
      secretId: word(),
      version: 1 + next(3) * 2 ** (8 * next(6)),
    },
    header: {
      format: 1,
      suite: 1 + 255 * next(2),
      flags: next(2),
      dekId: fixed(16),
      salt: fixed(32),
      nonce: fixed(12),
    },
  })
}
