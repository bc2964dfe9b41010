import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { toHex } from '../../src/kernel/encoding.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { hashKey, type PepperOptions, PepperRing } from '../../src/keys/key-hash.ts'
import { fakePepper } from '../support/key-issuer.ts'

const pepper = fakePepper(1)
const key = { tenantId: 'acme', keyId: '0123456789ABCDEF', secret: 'a'.repeat(43) }

const refusal = (peppers: unknown): unknown => {
  try {
    return new PepperRing(peppers as PepperOptions[])
  } catch (error) {
    return TenantKeysError.isInstance(error) ? [error.code, error.details.field] : error
  }
}

describe('hashKey', () => {
  it('is the HMAC-SHA-256 of four netstrings, as computed by another program', () => {
    expect(toHex(hashKey({ pepper, ...key }))).toBe(
      'd2064a09729989b8d726368354523860771c4eb40a806ac13135ae26ad3134f1',
    )
  })

  it('T-K2 changes with the pepper, the tenant, the key id and the secret', () => {
    const hashes = [
      hashKey({ pepper, ...key }),
      hashKey({ pepper: fakePepper(2), ...key }),
      hashKey({ pepper, ...key, tenantId: 'globex' }),
      hashKey({ pepper, ...key, keyId: '0123456789ABCDEG' }),
      hashKey({ pepper, ...key, secret: `${'a'.repeat(42)}b` }),
    ]
    expect(new Set(hashes.map(toHex)).size).toBe(hashes.length)
  })

  it('T-C11 letters that move from one field to the next give another hash', () => {
    const fields = ['abc', '1:a,', ',', '\u00e9', 'e\u0301', '', '12', '3:abc,']
    const hashes = new Map<string, string>()
    for (const tenantId of fields) {
      for (const keyId of fields) {
        for (const secret of fields) {
          const hash = toHex(hashKey({ pepper, tenantId, keyId, secret }))
          expect(hashes.get(hash)).toBeUndefined()
          hashes.set(hash, JSON.stringify([tenantId, keyId, secret]))
        }
      }
    }
    expect(hashes.size).toBe(fields.length ** 3)
  })
})

describe('PepperRing', () => {
  it('hashes under the pepper that is named, and knows which is current', () => {
    const ring = new PepperRing([
      { id: 'new', key: fakePepper(2) },
      { id: 'old', key: pepper },
    ])
    expect(ring.currentId).toBe('new')
    expect(ring.hash(key, 'old')).toEqual(hashKey({ pepper, ...key }))
    expect(ring.hash(key, 'new')).toEqual(hashKey({ pepper: fakePepper(2), ...key }))
    expect(() => ring.hash(key, 'constructor')).toThrow(
      expect.objectContaining({ code: 'TK_PEPPER_UNKNOWN' }),
    )
  })

  it('T-C16 a wrong pepper is refused with the path of the option', () => {
    const good = { id: 'a', key: pepper }
    const cases: [unknown, string][] = [
      [[], 'peppers'],
      [undefined, 'peppers'],
      [{ 0: good }, 'peppers'],
      [[null], 'peppers[0].id'],
      [[{ key: pepper }], 'peppers[0].id'],
      [[{ id: '', key: pepper }], 'peppers[0].id'],
      [[{ id: 'a b', key: pepper }], 'peppers[0].id'],
      [[good, { id: 'a', key: fakePepper(2) }], 'peppers[1].id'],
      [[{ id: 'a' }], 'peppers[0].key'],
      [[{ id: 'a', key: undefined }], 'peppers[0].key'],
      [[good, { id: 'b', key: new Uint8Array(32) }], 'peppers[1].key'],
      [[good, { id: 'b', key: 'a passphrase' }], 'peppers[1].key'],
    ]
    for (const [peppers, field] of cases) {
      expect(refusal(peppers), field).toEqual(['TK_CONFIG_INVALID', field])
    }
  })

  it('is not changed by later writes to the bytes it was given', () => {
    const given = Uint8Array.from(pepper)
    const ring = new PepperRing([{ id: 'a', key: given }])
    given.fill(0)
    expect(ring.hash(key, 'a')).toEqual(hashKey({ pepper, ...key }))
  })

  it('T-L1 shows no pepper, however it is printed', () => {
    const bytes = fakePepper(5)
    const text = Buffer.from(bytes).toString('base64url')
    const ring = new PepperRing([{ id: 'a', key: text }])
    const shown = [
      inspect(ring, { depth: 9, showHidden: true }),
      JSON.stringify(ring),
      JSON.stringify({ ...ring }),
      inspect(structuredClone({ ...ring })),
      `${String(ring)}`,
    ].join('\n')
    expect(shown).toContain('currentId')
    for (const form of [text, toHex(bytes).slice(0, 8), bytes.slice(0, 4).join(', ')]) {
      expect(shown).not.toContain(form)
    }
  })
})
