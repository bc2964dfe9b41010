import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BASE62,
  concat,
  fromBase64Url,
  fromHex,
  fromUtf8,
  randomBase62,
  toBase64Url,
  toHex,
  toLatin1,
  utf8,
  utf8Length,
} from '../../src/kernel/encoding.ts'

const RUNS = { numRuns: 500, seed: 20_261_102 }
const anyBytes = fc.uint8Array({ maxLength: 100 })
/** Every kind of text, lone surrogates among them. */
const anyText = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((u) => String.fromCharCode(u)),
})

describe('base64url and hex', () => {
  test('write what Buffer writes and read it back', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'))
        expect([...fromBase64Url(toBase64Url(bytes))!]).toEqual([...bytes])
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'))
        expect([...fromHex(toHex(bytes))!]).toEqual([...bytes])
        expect(toLatin1(bytes)).toBe(Buffer.from(bytes).toString('latin1'))
      }),
      RUNS,
    )
  })

  test('read only what they would have written', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ABab09-_+/= \n\u00e9'), maxLength: 12 })
    fc.assert(
      fc.property(text, (given) => {
        const decoded = fromBase64Url(given)
        if (decoded !== null) expect(toBase64Url(decoded)).toBe(given)
        const bytes = fromHex(given)
        if (bytes !== null) expect(toHex(bytes)).toBe(given)
      }),
      { ...RUNS, numRuns: 5000 },
    )
  })

  test.each([
    'A',
    'AAAAA',
    'AB==',
    'AB',
    'AAF',
    'AA+A',
    'AA/A',
    'AAAA\n',
    ' AAAA',
    'A\u0000AA',
    'AAA=',
  ])('base64url refuses %j', (text) => expect(fromBase64Url(text)).toBeNull())

  test.each(['a', 'AB', '0g', '0x00', '00\n', ' 00', '\uff10\uff10'])('hex refuses %j', (text) =>
    expect(fromHex(text)).toBeNull(),
  )

  test('both read nothing from nothing', () => {
    expect(fromBase64Url('')).toEqual(new Uint8Array(0))
    expect(fromHex('')).toEqual(new Uint8Array(0))
  })
})

describe('UTF-8', () => {
  test('its length is told without making it, also of lone surrogates', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(utf8Length(text)).toBe(utf8(text).length)
      }),
      { ...RUNS, numRuns: 3000 },
    )
  })

  test('a byte order mark is content', () => {
    const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)
    expect([...utf8(fromUtf8(bytes))]).toEqual([...bytes])
  })

  test.each(['ff', 'c0af', 'eda080', 'e282', 'f8808080'])('%s is refused', (hex) => {
    expect(() => fromUtf8(fromHex(hex)!)).toThrow(TypeError)
  })
})

describe('base62', () => {
  test('every letter is as likely as the others, and bytes above 247 are thrown away', () => {
    let next = 0
    const everyByte = (length: number): Uint8Array =>
      Uint8Array.from({ length }, () => next++ % 256)
    const letters = randomBase62(248 * 4, everyByte)
    const counts = new Map<string, number>()
    for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1)
    expect([...counts.keys()].sort()).toEqual([...BASE62].sort())
    expect(new Set(counts.values())).toEqual(new Set([16]))
  })

  test('has the length asked for, also when much is thrown away', () => {
    let call = 0
    const mostlyHigh = (length: number): Uint8Array =>
      Uint8Array.from({ length }, (_, i) => (i === 0 ? call++ % 248 : 255))
    expect(randomBase62(43, mostlyHigh)).toMatch(/^[0-9A-Za-z]{43}$/)
    expect(randomBase62(0, mostlyHigh)).toBe('')
  })
})

test('concat joins in order', () => {
  expect([...concat(Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3))]).toEqual([1, 2, 3])
  expect(concat().length).toBe(0)
})
