import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { type LocalKek, localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { bytes } from '../support/envelope-cases.ts'
import { channelsOf, leaksOf } from '../support/leaks.ts'

const KEY = bytes('kek', 32)
const OTHER = bytes('kek 2', 32)
const DEK = bytes('dek', 32)
const AT = { tenantId: 'acme', dekId: '018f3c1e-7b1a-7cc3-9a55-00000000d0d0', generation: 1 }
const base64 = (key: Uint8Array): string => Buffer.from(key).toString('base64')
const base64url = (key: Uint8Array): string => Buffer.from(key).toString('base64url')
const refused = (code: string): unknown => expect.objectContaining({ code })

describe('the local key ring', () => {
  test('KW-1 gives back what it wrapped, under the same context', async () => {
    const wrapper = localKeyWrapper([{ id: 'kek-1', key: KEY }])
    const wrapped = await wrapper.wrap(DEK, AT)
    expect(wrapped.kekId).toBe('kek-1')
    expect(wrapped.wrapped.length).toBe(61)
    expect([...(await wrapper.unwrap(wrapped, AT))]).toEqual([...DEK])
  })

  test('two wraps of one key differ', async () => {
    const wrapper = localKeyWrapper([{ id: 'kek-1', key: KEY }])
    const all = await Promise.all(Array.from({ length: 500 }, () => wrapper.wrap(DEK, AT)))
    expect(new Set(all.map(({ wrapped }) => base64(wrapped.subarray(1, 13)))).size).toBe(500)
  })

  test('the first key wraps, every key of the ring unwraps', async () => {
    const old = localKeyWrapper([{ id: 'kek-1', key: KEY }])
    const wrapped = await old.wrap(DEK, AT)
    const ring = localKeyWrapper([
      { id: 'kek-2', key: OTHER },
      { id: 'kek-1', key: KEY },
    ])
    expect(ring.primaryKekId).toBe('kek-2')
    expect((await ring.wrap(DEK, AT)).kekId).toBe('kek-2')
    expect([...(await ring.unwrap(wrapped, AT))]).toEqual([...DEK])
  })

  test.each([
    ['tenant', { tenantId: 'other' }],
    ['data key id', { dekId: '018f3c1e-7b1a-7cc3-9a55-00000000d0d1' }],
    ['generation', { generation: 2 }],
    ['tenant, which is none', { tenantId: '' }],
    ['generation, which is none', { generation: Number.NaN }],
  ])('T-C8 a key wrapped for another %s does not unwrap', async (_, change) => {
    const wrapper = localKeyWrapper([{ id: 'kek-1', key: KEY }])
    const wrapped = await wrapper.wrap(DEK, AT)
    await expect(wrapper.unwrap(wrapped, { ...AT, ...change })).rejects.toEqual(
      expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED', details: {} }),
    )
  })

  test('T-C8 a key wrapped under another KEK does not unwrap, also under its name', async () => {
    const ring = localKeyWrapper([
      { id: 'kek-1', key: KEY },
      { id: 'kek-2', key: OTHER },
    ])
    const { wrapped } = await ring.wrap(DEK, AT)
    await expect(ring.unwrap({ kekId: 'kek-2', wrapped }, AT)).rejects.toThrow(
      refused('TK_ENVELOPE_OPEN_FAILED'),
    )
    const renamed = localKeyWrapper([{ id: 'kek-2', key: KEY }])
    await expect(renamed.unwrap({ kekId: 'kek-2', wrapped }, AT)).rejects.toThrow(
      refused('TK_ENVELOPE_OPEN_FAILED'),
    )
  })

  test('KW-2 a KEK that is not in the ring is named when its id is one of ours', async () => {
    const wrapper = localKeyWrapper([{ id: 'kek-1', key: KEY }])
    const { wrapped } = await wrapper.wrap(DEK, AT)
    await expect(wrapper.unwrap({ kekId: 'kek-9', wrapped }, AT)).rejects.toThrow(
      expect.objectContaining({ code: 'TK_KEK_UNKNOWN', details: { kekId: 'kek-9' } }),
    )
    await expect(wrapper.unwrap({ kekId: '<script>', wrapped }, AT)).rejects.toThrow(
      expect.objectContaining({ code: 'TK_KEK_UNKNOWN', details: {} }),
    )
  })

  test('no bit of a wrapped key may change, and no byte be missing or follow', async () => {
    const wrapper = localKeyWrapper([{ id: 'kek-1', key: KEY }])
    const { kekId, wrapped } = await wrapper.wrap(DEK, AT)
    const changed: Uint8Array[] = [Uint8Array.of(...wrapped, 0), new Uint8Array(0)]
    for (let length = 0; length < wrapped.length; length++) changed.push(wrapped.slice(0, length))
    for (let bit = 0; bit < wrapped.length * 8; bit++) {
      const flipped = Uint8Array.from(wrapped)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      changed.push(flipped)
    }
    const results = await Promise.allSettled(
      changed.map((bytes) => wrapper.unwrap({ kekId, wrapped: bytes }, AT)),
    )
    const codes = results.map((r) => (r.status === 'rejected' ? r.reason.code : 'opened'))
    expect(new Set(codes)).toEqual(new Set(['TK_ENVELOPE_OPEN_FAILED']))
  })

  test('only 32 bytes are wrapped, and only under a context that is whole', async () => {
    const wrapper = localKeyWrapper([{ id: 'kek-1', key: KEY }])
    await expect(wrapper.wrap(new Uint8Array(16), AT)).rejects.toThrow(refused('TK_CRYPTO_REFUSED'))
    await expect(wrapper.wrap(DEK, { ...AT, tenantId: '' })).rejects.toThrow('Field: tenantId')
    await expect(wrapper.wrap(DEK, { ...AT, generation: 0 })).rejects.toThrow('Field: generation')
  })

  test('keeps a copy of the key it was given, and leaves that one alone', async () => {
    const mine = Uint8Array.from(KEY)
    const wrapper = localKeyWrapper([{ id: 'kek-1', key: mine }])
    const wrapped = await wrapper.wrap(DEK, AT)
    expect([...mine]).toEqual([...KEY])
    mine.fill(0)
    expect([...(await wrapper.unwrap(wrapped, AT))]).toEqual([...DEK])
  })
})

describe('T-C15 check values', () => {
  test('tell every KEK of the ring apart by the first 8 bytes of a labelled HMAC', async () => {
    const ring = localKeyWrapper([
      { id: 'kek-2', key: OTHER },
      { id: 'kek-1', key: base64(KEY) },
    ])
    const hmac = (key: Uint8Array): string =>
      createHmac('sha256', key).update('tenantkeys kek check v1').digest('hex').slice(0, 16)
    expect(await ring.checkValues()).toEqual([
      { kekId: 'kek-2', value: hmac(OTHER) },
      { kekId: 'kek-1', value: hmac(KEY) },
    ])
  })

  test('are others for another key of the same name', async () => {
    const [right, wrong] = await Promise.all(
      [KEY, OTHER].map((key) => localKeyWrapper([{ id: 'kek-1', key }]).checkValues()),
    )
    expect(right![0]!.value).not.toBe(wrong![0]!.value)
  })
})

describe('T-C16 what is taken for a key', () => {
  /** With `+` and `/` in its base64, so that the two alphabets differ. */
  const mixed = Uint8Array.from([0xfb, 0xff, 0xbf, ...KEY.subarray(3)])

  test.each([
    ['32 bytes', mixed],
    ['a Buffer', Buffer.from(mixed)],
    ['base64', base64(mixed)],
    ['base64url', base64url(mixed)],
    ['base64url with padding', `${base64url(mixed)}=`],
    ['base64 in a Secret', new Secret(base64(mixed))],
  ])('%s is', async (_, key) => {
    const wrapped = await localKeyWrapper([{ id: 'k', key: mixed }]).wrap(DEK, AT)
    expect([...(await localKeyWrapper([{ id: 'k', key }]).unwrap(wrapped, AT))]).toEqual([...DEK])
  })

  const good = base64(KEY)
  const bad: readonly (readonly [string, unknown])[] = [
    ['nothing', undefined],
    ['null', null],
    ['an empty text', ''],
    ['a number', 12_345],
    ['an object', { key: good }],
    ['a list of numbers', [...KEY]],
    ['a function', () => good],
    ['zeros', new Uint8Array(32)],
    ['ones', new Uint8Array(32).fill(255)],
    ['zeros as base64', base64(new Uint8Array(32))],
    ['one byte 32 times, as base64', base64(new Uint8Array(32).fill(0x5a))],
    ['two bytes in turn', Uint8Array.from({ length: 32 }, (_, i) => (i % 2 ? 0xaa : 0x13))],
    ['8 bytes 4 times', Uint8Array.from({ length: 32 }, (_, i) => KEY[i % 8]!)],
    ['16 bytes twice', Uint8Array.from({ length: 32 }, (_, i) => KEY[i % 16]!)],
    ['counting up', Uint8Array.from({ length: 32 }, (_, i) => i)],
    ['counting down, as base64', base64(Uint8Array.from({ length: 32 }, (_, i) => 200 - i))],
    ['31 bytes', KEY.subarray(1)],
    ['33 bytes', Uint8Array.of(...KEY, 1)],
    ['16 bytes', KEY.subarray(16)],
    ['31 bytes as base64', base64(KEY.subarray(1))],
    ['33 bytes as base64', base64(Uint8Array.of(...KEY, 1))],
    ['64 bytes as base64', base64(Uint8Array.of(...KEY, ...OTHER))],
    ['a passphrase', 'correct horse battery staple'],
    ['a passphrase of 32 letters', 'correct-horse-battery-staple-yes'],
    ['a passphrase of 32 letters as bytes', Buffer.from('Correct-Horse-Battery-Staple-123')],
    [
      'a passphrase of 32 letters as base64',
      base64(Buffer.from('Correct-Horse-Battery-Staple-123')),
    ],
    ['44 small letters and =', `${'correcthorsebatterystaplecorrecthorsebatter'.slice(0, 42)}o=`],
    ['44 letters that are no base64', `${'*'.repeat(43)}=`],
    ['hexadecimal', Buffer.from(KEY).toString('hex')],
    ['base64 without its padding and in the other alphabet', base64(mixed).slice(0, 43)],
    ['two alphabets at once', `${base64(mixed).slice(0, 42)}_=`],
    ['padding twice', `${good.slice(0, 42)}==`],
    ['padding three times', `${good}==`],
    ['loose bits behind the last byte', `${good.slice(0, 42)}${nextLetter(good[42]!)}=`],
    ['a line feed behind', `${good}\n`],
    ['a line feed inside', `${good.slice(0, 20)}\n${good.slice(20)}`],
    ['a space in front', ` ${good}`],
    ['quotes around', `"${good}"`],
    ['the name of a variable', `TENANTKEYS_KEK=${good}`],
    ['a passphrase in a Secret', new Secret('correct horse battery staple')],
  ]

  test.each(bad)('%s is not; the error names the option and not the value', (_, key) => {
    const error = errorOf([{ id: 'k', key: KEY }, { id: 'k2', key } as LocalKek])
    expect(error).toMatchObject({
      code: 'TK_CONFIG_INVALID',
      details: { field: 'keyWrapper[1].key' },
    })
    const text = key instanceof Secret ? key.reveal() : key
    const value = typeof text === 'string' && text !== '' ? text : KEY
    expect(leaksOf(error, [value])).toEqual([])
  })

  test('there are at least 30 of them', () => expect(bad.length).toBeGreaterThanOrEqual(30))

  test.each([
    ['keyWrapper', undefined],
    ['keyWrapper', []],
    ['keyWrapper', { id: 'k', key: KEY }],
    [
      'keyWrapper',
      Array.from({ length: 101 }, (_, i) => ({ id: `k${i}`, key: bytes(`${i}`, 32) })),
    ],
    ['keyWrapper[0]', [null]],
    ['keyWrapper[0]', ['key']],
    ['keyWrapper[0].id', [{ key: KEY }]],
    ['keyWrapper[0].id', [{ id: '', key: KEY }]],
    ['keyWrapper[0].id', [{ id: 'a b', key: KEY }]],
    ['keyWrapper[0].id', [{ id: 'x'.repeat(65), key: KEY }]],
    ['keyWrapper[0].id', [{ id: 7, key: KEY }]],
    ['keyWrapper[0].kee', [{ id: 'k', key: KEY, kee: 1 }]],
    ['keyWrapper[0]', [{ id: 'k', key: KEY, 'not a name': 1 }]],
    [
      'keyWrapper[1].id',
      [
        { id: 'k', key: KEY },
        { id: 'k', key: OTHER },
      ],
    ],
    [
      'keyWrapper[1].key',
      [
        { id: 'k', key: KEY },
        { id: 'k2', key: base64(KEY) },
      ],
    ],
  ])('a ring with a bad %s is refused (case %#)', (field, ring) => {
    expect(errorOf(ring as LocalKek[])).toMatchObject({
      code: 'TK_CONFIG_INVALID',
      details: { field },
    })
  })

  function nextLetter(letter: string): string {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    return alphabet[alphabet.indexOf(letter) + 1]!
  }

  function errorOf(ring: readonly LocalKek[]): Error {
    try {
      localKeyWrapper(ring)
    } catch (error) {
      return error as Error
    }
    throw new Error('it was accepted')
  }
})

describe('what can be seen of a ring', () => {
  const ring = localKeyWrapper([
    { id: 'kek-1', key: KEY },
    { id: 'kek-2', key: new Secret(base64(OTHER)) },
  ])

  test('KW-3 T-L1 T-L2 no channel shows a key', () => {
    expect(Object.keys(channelsOf(ring)).length).toBeGreaterThanOrEqual(12)
    expect(leaksOf(ring, [KEY, OTHER])).toEqual([])
  })

  test('KW-3 T-L3 no error shows a key', async () => {
    const { wrapped } = await ring.wrap(DEK, AT)
    const failures = await Promise.allSettled([
      ring.unwrap({ kekId: 'kek-3', wrapped }, AT),
      ring.unwrap({ kekId: 'kek-1', wrapped }, { ...AT, tenantId: 'other' }),
      ring.wrap(DEK.subarray(1), AT),
      ring.wrap(DEK, { ...AT, tenantId: '' }),
    ])
    for (const failure of failures) {
      expect(failure.status).toBe('rejected')
      expect(leaksOf((failure as PromiseRejectedResult).reason, [KEY, OTHER, DEK])).toEqual([])
    }
  })
})
