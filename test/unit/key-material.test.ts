import { describe, expect, it } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { readKeyMaterial } from '../../src/kernel/key-material.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { fakePepper } from '../support/key-issuer.ts'

const bytes = fakePepper(3)
const base64 = Buffer.from(bytes).toString('base64')
const base64url = Buffer.from(bytes).toString('base64url')
const filled = (make: (i: number) => number): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => make(i))
const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const encoded = (raw: Uint8Array): string => Buffer.from(raw).toString('base64')

describe('readKeyMaterial', () => {
  it('takes 32 bytes, canonical base64, canonical base64url, and each of them in a Secret', () => {
    for (const value of [bytes, Buffer.from(bytes), base64, base64url]) {
      expect(readKeyMaterial(value, 'kek.key')).toEqual(Uint8Array.from(bytes))
    }
    expect(readKeyMaterial(new Secret(base64), 'kek.key')).toEqual(bytes)
  })

  it('returns an array of its own', () => {
    const read = readKeyMaterial(bytes, 'kek.key')
    read.fill(0)
    expect(bytes.some((byte) => byte !== 0)).toBe(true)
  })

  it('takes what a random generator makes', () => {
    for (let i = 0; i < 2000; i++) {
      const random = crypto.getRandomValues(new Uint8Array(32))
      expect(readKeyMaterial(encoded(random), 'kek.key')).toEqual(random)
    }
  })

  const bad: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['a number', 32],
    ['an object', { length: 32 }],
    ['an array of numbers', [...bytes]],
    ['an ArrayBuffer', bytes.slice().buffer],
    ['other 32-bit words', new Uint32Array(8)],
    ['no bytes', new Uint8Array(0)],
    ['16 bytes', bytes.slice(16)],
    ['31 bytes', bytes.slice(1)],
    ['33 bytes', Uint8Array.from([...bytes, 1])],
    ['64 bytes', Uint8Array.from([...bytes, ...bytes])],
    ['empty text', ''],
    ['hex', Buffer.from(bytes).toString('hex')],
    ['base64 without its padding, with + or /', `${base64.slice(0, 42)}+`],
    ['base64 with a newline', `${base64}\n`],
    ['base64 with a space before', ` ${base64}`],
    ['base64url with padding', `${base64url.slice(0, 41)}-_=`],
    ['base64 with a second padding', `${base64.slice(0, 42)}==`],
    ['44 letters that are no base64 of 32 bytes', 'A'.repeat(44)],
    ['loose bits in the last letter', `${base64url.slice(0, 42)}B`],
    ['a name of a variable', '$TENANTKEYS_PEPPER'],
    ['an unexpanded placeholder', 'REPLACE_ME_WITH_32_RANDOM_BYTES_AS_BASE64__'],
    ['zeros', new Uint8Array(32)],
    ['zeros in base64', encoded(new Uint8Array(32))],
    ['one byte repeated', filled(() => 0xa7)],
    ['two bytes in turn', filled((i) => (i % 2 === 0 ? 0x13 : 0xf2))],
    ['fifteen different bytes', filled((i) => (i % 15) * 17 + 3)],
    ['bytes that count up', filled((i) => i)],
    ['bytes that count down by three', filled((i) => 200 - 3 * i)],
    ['sixteen bytes twice', filled((i) => bytes[i % 16]!)],
    ['a passphrase of 32 letters', ascii('correct horse battery staple 42!')],
    ['the base64 of a passphrase', encoded(ascii('correct horse battery staple 42!'))],
    ['hex digits as bytes', ascii('0f1e2d3c4b5a69788796a5b4c3d2e1f0')],
    ['43 small letters', 'thequickbrownfoxjumpsoverthelazydogandsleeps'.slice(0, 43)],
    ['43 capitals', 'THEQUICKBROWNFOXJUMPSOVERTHELAZYDOGANDSLEEPS'.slice(0, 43)],
    ['a Secret with a passphrase', new Secret('hunter2')],
  ]
  it.each(bad)('T-C16 refuses %s, and names the option but never the value', (_, value) => {
    const error = refusal(value)
    expect(error.code).toBe('TK_CONFIG_INVALID')
    expect(error.details.field).toBe('peppers[0].key')
    const text = value instanceof Secret ? value.reveal() : value
    if (typeof text === 'string' && text.length > 6) {
      expect(JSON.stringify(error) + error.stack).not.toContain(text)
    }
  })
})

function refusal(value: unknown): TenantKeysError {
  try {
    readKeyMaterial(value, 'peppers[0].key')
  } catch (error) {
    if (error instanceof TenantKeysError) return error
    throw error
  }
  throw new Error('this was accepted')
}
