import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { BASE62, randomBase62 } from '../../src/kernel/encoding.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { crc32Ascii } from '../../src/keys/crc32.ts'
import { generateKey, KEY_PATTERN, parseKey } from '../../src/keys/key-format.ts'
import { keyChecksum } from '../support/key-issuer.ts'

const made = () => generateKey({ brand: 'tk', environment: 'live' })

const code = (run: () => unknown): unknown => {
  try {
    return run()
  } catch (error) {
    return TenantKeysError.isInstance(error) ? [error.code, error.details.field] : error
  }
}

describe('checksum', () => {
  it('gives the published check value of CRC-32', () => {
    expect(crc32Ascii('123456789')).toBe(0xcbf43926)
  })

  it('agrees with zlib on texts of every length up to 300', () => {
    for (let length = 0; length <= 300; length++) {
      const text = Array.from({ length }, (_, i) => BASE62[(i * 37 + length) % 62]).join('')
      expect(crc32Ascii(text)).toBe(crc32(text))
      expect(crc32Ascii(`${text}more`, length)).toBe(crc32(text))
    }
  })
})

describe('random letters', () => {
  it('bytes of 248 and above are thrown away, since 256 is no multiple of 62', () => {
    let next = 240
    const text = randomBase62(12, (n) => Uint8Array.from({ length: n }, () => next++ & 0xff))
    const kept = [240, 241, 242, 243, 244, 245, 246, 247, 0, 1, 2, 3]
    expect(text).toBe(kept.map((byte) => BASE62[byte % 62]).join(''))
  })
})

describe('generateKey', () => {
  it('makes brand, environment, key id, secret and checksum in the documented widths', () => {
    const { key, keyId, secret } = generateKey({ brand: 'ac_chat', environment: 'test' })
    expect(key).toMatch(/^ac_chat_test_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}$/)
    expect(key.slice(0, -6)).toBe(`ac_chat_test_${keyId}_${secret}`)
    expect(keyId).toHaveLength(16)
    expect(secret).toHaveLength(43)
  })

  it('never makes the same key id or secret twice', () => {
    const keys = Array.from({ length: 1000 }, made)
    expect(new Set(keys.map((k) => k.keyId)).size).toBe(1000)
    expect(new Set(keys.map((k) => k.secret)).size).toBe(1000)
  })

  it('refuses a brand outside a-z, 0-9 and _, or of the wrong length', () => {
    for (const brand of ['', 'a', 'A1', '1a', '_a', 'tk-x', 'tk x', 'té', 'a'.repeat(25), 'tk\n']) {
      expect(
        code(() => generateKey({ brand, environment: 'live' })),
        brand,
      ).toEqual(['TK_INPUT_INVALID', 'brand'])
    }
    const environment = 'prod' as 'live'
    expect(code(() => generateKey({ brand: 'tk', environment }))).toEqual([
      'TK_INPUT_INVALID',
      'environment',
    ])
  })
})

describe('parseKey', () => {
  it('reads back what generateKey made, for every brand and environment', () => {
    for (const brand of ['tk', 'ac_chat', 'a_live_b', 'x_', `b${'9'.repeat(23)}`]) {
      for (const environment of ['live', 'test'] as const) {
        const { key, keyId, secret } = generateKey({ brand, environment })
        expect(parseKey(key)).toEqual({ brand, environment, keyId, secret })
      }
    }
  })

  it('reads a key whose bytes are written down', () => {
    const body = `tk_live_0123456789ABCDEF_${'a'.repeat(43)}`
    expect(parseKey(`${body}2bBVqS`)).toEqual({
      brand: 'tk',
      environment: 'live',
      keyId: '0123456789ABCDEF',
      secret: 'a'.repeat(43),
    })
  })

  it('refuses every change of one letter', () => {
    const { key } = made()
    for (let at = 0; at < key.length; at++) {
      for (const letter of `${BASE62}_`) {
        if (letter === key[at]) continue
        expect(parseKey(key.slice(0, at) + letter + key.slice(at + 1))).toBeNull()
      }
    }
  })

  it('refuses every prefix, suffix and longer text', () => {
    const { key } = made()
    for (let n = 0; n < key.length; n++) {
      expect(parseKey(key.slice(0, n))).toBeNull()
      expect(parseKey(key.slice(n + 1))).toBeNull()
    }
    for (const more of ['0', ' ', '\n', '\0', key]) expect(parseKey(key + more)).toBeNull()
  })

  it('refuses a right checksum around wrong letters, parts or widths', () => {
    const id = '0123456789ABCDEF'
    const secret = 'a'.repeat(43)
    const bodies = [
      `tk_prod_${id}_${secret}`,
      `t_live_${id}_${secret}`,
      `Tk_live_${id}_${secret}`,
      `${'a'.repeat(25)}_live_${id}_${secret}`,
      `tk-live_${id}_${secret}`,
      `tk_live-${id}_${secret}`,
      `tk_live_${id}-${secret}`,
      `tk_live_${id.slice(1)}_${secret}`,
      `tk_live_${id.slice(1)}-_${secret}`,
      `tk_live_${id}_${secret.slice(1)}`,
      `tk_live_${id}_${secret.slice(1)}-`,
      `tk_live_${id}_${secret.slice(1)}_`,
    ]
    for (const body of bodies) expect(parseKey(body + keyChecksum(body)), body).toBeNull()
    const good = `tk_live_${id}_${secret}`
    expect(parseKey(good + keyChecksum(good))).not.toBeNull()
  })
})

describe('KEY_PATTERN', () => {
  it('finds the keys in a text, and only them', () => {
    const [a, b] = [made().key, generateKey({ brand: 'ac_chat', environment: 'test' }).key]
    const text = `Authorization: Bearer ${a}\n{"k":"${b}"} ${a}x ${a.slice(1)} tk_live_short`
    expect(text.match(new RegExp(KEY_PATTERN, 'g'))).toEqual([a, b])
  })

  it('T-I8 ends on 50 kB made to send a backtracking pattern astray', () => {
    const pattern = new RegExp(KEY_PATTERN, 'g')
    const { key } = made()
    for (const part of [
      'a',
      '_',
      'a_',
      'tk_live_',
      'tk_live_0123456789ABCDEF_',
      key.slice(0, -1),
    ]) {
      const text = part.repeat(Math.ceil(50_000 / part.length))
      expect(`${text} ${key}`.match(pattern)).toEqual([key])
    }
  })
})
