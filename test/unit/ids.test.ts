import { expect, test } from 'vitest'
import {
  ID_PATTERN,
  UUID_PATTERN,
  uuidFromBytes,
  uuidToBytes,
  uuidv7,
} from '../../src/kernel/ids.ts'

test('a UUIDv7 holds the millisecond in its first 48 bits, version 7 and variant 2', () => {
  for (const nowMs of [0, 1, 1_700_000_000_123, 2 ** 48 - 1]) {
    const id = uuidv7(nowMs)
    expect(id).toMatch(UUID_PATTERN)
    expect(id[14]).toBe('7')
    expect('89ab').toContain(id[19])
    expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(nowMs)
  }
})

test('UUIDv7s of later milliseconds sort later, those of one millisecond differ', () => {
  const ids = Array.from({ length: 1000 }, (_, i) => uuidv7(1_700_000_000_000 + i))
  expect([...ids].sort()).toEqual(ids)
  expect(new Set(Array.from({ length: 10_000 }, () => uuidv7(5))).size).toBe(10_000)
})

test('a UUID and its 16 bytes are each other', () => {
  const id = uuidv7()
  expect(uuidFromBytes(uuidToBytes(id)!)).toBe(id)
})

test.each([
  '',
  '018f3c1e7b1a7cc39a5500000000d0d0',
  '018F3C1E-7B1A-7CC3-9A55-00000000D0D0',
  '018f3c1e-7b1a-7cc3-9a55-00000000d0d',
  '018f3c1e-7b1a-7cc3-9a55-00000000d0d0\n',
  '018f3c1e-7b1a-0cc3-9a55-00000000d0d0',
  '018f3c1e-7b1a-7cc3-ca55-00000000d0d0',
  '{018f3c1e-7b1a-7cc3-9a55-00000000d0d0}',
  'g18f3c1e-7b1a-7cc3-9a55-00000000d0d0',
])('%j is no UUID of ours', (text) => expect(uuidToBytes(text)).toBeNull())

test('T-I6 the grammar of ids admits letters, digits, _ and -, and nothing else', () => {
  for (const id of ['a', 'A-b_9', '-', '0', 'x'.repeat(64)]) expect(ID_PATTERN.test(id)).toBe(true)
  const bad = [
    '',
    'x'.repeat(65),
    '.',
    '..',
    'a/b',
    '../a',
    '%2e',
    'a b',
    'a\n',
    '\na',
    'a\u0000',
    'caf\u00e9',
  ]
  const worse = [
    '\u202ea',
    'a:b',
    '{a}',
    "a'",
    'a"',
    'a;b',
    'a*',
    '\uff41',
    '//',
    'a\\b',
    'x'.repeat(65_536),
  ]
  for (const id of [...bad, ...worse]) expect(ID_PATTERN.test(id), JSON.stringify(id)).toBe(false)
})
