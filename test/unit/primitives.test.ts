import nodeCrypto from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { noblePrimitives } from '../../src/kernel/crypto/noble.ts'
import { type NodeCrypto, nodePrimitives } from '../../src/kernel/crypto/node.ts'
import { primitives } from '../../src/kernel/crypto/primitives.ts'
import type { Primitives } from '../../src/kernel/crypto/profile.ts'
import { checkRandomSource } from '../../src/kernel/crypto/self-test.ts'

const host = nodeCrypto as unknown as NodeCrypto
const node = nodePrimitives(host)
const { hash: _, ...withoutHash } = host
/** A host that hands out slices of one pool, as a runtime other than Node may. */
const pooling: NodeCrypto = {
  ...withoutHash,
  createHash: (name) => poolingHash(host.createHash(name)),
  createHmac: (name, key) => poolingHash(host.createHmac(name, key)),
  createDecipheriv: (name, key, nonce, options) => {
    const real = host.createDecipheriv(name, key, nonce, options)
    const pooled: ReturnType<NodeCrypto['createDecipheriv']> = {
      setAAD: (aad) => real.setAAD(aad),
      setAuthTag: (tag) => real.setAuthTag(tag),
      getAuthTag: () => real.getAuthTag(),
      final: () => real.final(),
      update: (data) => intoPool(real.update(data)),
    }
    return pooled
  },
}
const pool = new Uint8Array(1 << 20)
let used = 0

function intoPool(result: Uint8Array): Uint8Array {
  const slice = pool.subarray(used, used + result.length)
  slice.set(result)
  used = (used + result.length) % (pool.length / 2)
  return slice
}

function poolingHash(real: ReturnType<NodeCrypto['createHash']>) {
  const pooled: ReturnType<NodeCrypto['createHash']> = {
    update: (data) => {
      real.update(data)
      return pooled
    },
    digest: () => intoPool(real.digest()),
  }
  return pooled
}

const implementations: readonly (readonly [string, Primitives])[] = [
  ['node', node],
  ['node without crypto.hash', nodePrimitives(withoutHash)],
  ['a host with pooled memory', nodePrimitives(pooling)],
  ['noble', noblePrimitives],
]

const RUNS = { numRuns: 300, seed: 20_261_101 }
const some = (maxLength: number) => fc.uint8Array({ maxLength })
const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

test('on Node the primitives are those of node:crypto', () => {
  expect(primitives.name).toBe('node')
})

describe.each(implementations)('%s', (_, own) => {
  const others = implementations.map(([, other]) => other)

  test('opens what every other implementation sealed, byte for byte the same', () => {
    const input = fc.record({
      key: exactly(32),
      nonce: exactly(12),
      aad: some(64),
      data: some(200),
    })
    fc.assert(
      fc.property(input, (given) => {
        const sealed = own.gcmSeal(given)
        expect(sealed.length).toBe(given.data.length + 16)
        for (const other of others) {
          expect([...other.gcmSeal(given)]).toEqual([...sealed])
          expect([...other.gcmOpen({ ...given, data: sealed })!]).toEqual([...given.data])
        }
      }),
      RUNS,
    )
  })

  test('answers null to a sealed text that was changed anywhere', () => {
    const input = fc.record({
      key: exactly(32),
      nonce: exactly(12),
      aad: some(64),
      data: some(100),
      at: fc.nat(),
      bit: fc.nat(7),
    })
    fc.assert(
      fc.property(input, ({ at, bit, ...given }) => {
        const sealed = own.gcmSeal(given)
        sealed[at % sealed.length]! ^= 1 << bit
        expect(own.gcmOpen({ ...given, data: sealed })).toBeNull()
        const right = own.gcmSeal(given)
        expect(
          own.gcmOpen({ ...given, data: right, aad: Uint8Array.of(...given.aad, 0) }),
        ).toBeNull()
      }),
      RUNS,
    )
  })

  test('hashes, authenticates and derives as the others do', () => {
    const input = fc.record({
      key: some(150),
      data: some(300),
      info: some(100),
      length: fc.integer({ min: 1, max: 300 }),
    })
    fc.assert(
      fc.property(input, fc.string(), ({ key, data, info, length }, text) => {
        for (const other of others) {
          expect([...other.sha256(data)]).toEqual([...own.sha256(data)])
          expect([...other.sha512(data)]).toEqual([...own.sha512(data)])
          expect(other.sha256Text(text)).toBe(own.sha256Text(text))
          expect([...other.hmacSha256(key, data)]).toEqual([...own.hmacSha256(key, data)])
          const derive = { key, salt: data, info, length }
          expect([...other.hkdfSha512(derive)]).toEqual([...own.hkdfSha512(derive)])
        }
      }),
      RUNS,
    )
  })

  test('hands out memory of its own, as a plain Uint8Array', () => {
    const key = own.randomBytes(32)
    const input = {
      key,
      nonce: own.randomBytes(12),
      aad: new Uint8Array(0),
      data: own.randomBytes(40),
    }
    const sealed = own.gcmSeal(input)
    const results = [
      own.randomBytes(20),
      own.sha256(key),
      own.sha512(key),
      own.hmacSha256(key, key),
      own.hkdfSha512({ key, salt: key, info: key, length: 64 }),
      sealed,
      own.gcmOpen({ ...input, data: sealed })!,
    ]
    for (const result of results) {
      expect(result.constructor).toBe(Uint8Array)
      expect(result.buffer.byteLength).toBe(result.length)
    }
    expect([...input.key]).toEqual([...key])
  })

  test('T-C5 parameters outside the profile are refused before any library sees them', () => {
    const good = {
      key: new Uint8Array(32),
      nonce: new Uint8Array(12),
      aad: new Uint8Array(0),
      data: new Uint8Array(40),
    }
    const refused = expect.objectContaining({ code: 'TK_CRYPTO_REFUSED' })
    for (const length of [0, 16, 24, 31, 33, 64]) {
      expect(() => own.gcmSeal({ ...good, key: new Uint8Array(length) })).toThrow(refused)
      expect(() => own.gcmOpen({ ...good, key: new Uint8Array(length) })).toThrow(refused)
    }
    for (const length of [0, 8, 11, 13, 16, 257]) {
      expect(() => own.gcmSeal({ ...good, nonce: new Uint8Array(length) })).toThrow(refused)
      expect(() => own.gcmOpen({ ...good, nonce: new Uint8Array(length) })).toThrow(refused)
    }
    for (let tag = 0; tag < 16; tag++) {
      expect(() => own.gcmOpen({ ...good, data: new Uint8Array(tag) })).toThrow(refused)
    }
    for (const length of [0, -1, 1.5, Number.NaN, 16_321]) {
      const derive = { key: good.key, salt: good.key, info: good.key, length }
      expect(() => own.hkdfSha512(derive)).toThrow(refused)
    }
  })

  test('a tag cut to 4 to 15 bytes with the ciphertext does not open', () => {
    const input = { key: own.randomBytes(32), nonce: own.randomBytes(12), aad: new Uint8Array(3) }
    const sealed = own.gcmSeal({ ...input, data: own.randomBytes(64) })
    for (let tag = 4; tag < 16; tag++) {
      expect(own.gcmOpen({ ...input, data: sealed.slice(0, 64 + tag) })).toBeNull()
    }
  })

  test('compares whole arrays', () => {
    const a = Uint8Array.from({ length: 32 }, (_, i) => i)
    expect(own.equal(a, Uint8Array.from(a))).toBe(true)
    for (let i = 0; i < 32; i++) {
      const b = Uint8Array.from(a)
      b[i]! ^= 0x80
      expect(own.equal(a, b)).toBe(false)
    }
    expect(own.equal(a, a.subarray(0, 31))).toBe(false)
    expect(own.equal(new Uint8Array(0), new Uint8Array(0))).toBe(true)
  })

  test('random bytes of any length do not repeat, also across the ends of a pool', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 5000; i++)
      seen.add(Buffer.from(own.randomBytes(16 + (i % 29))).toString('hex'))
    expect(seen.size).toBe(5000)
    expect(own.randomBytes(10_000).length).toBe(10_000)
    expect(own.randomBytes(0).length).toBe(0)
    const counts = new Uint32Array(256)
    for (const byte of own.randomBytes(65_536)) counts[byte]!++
    // 256 expected of each, deviation 16: ten deviations off is no chance.
    expect(Math.min(...counts)).toBeGreaterThan(96)
    expect(Math.max(...counts)).toBeLessThan(416)
  })

  test('T-C9 passes the check of the random source', () => {
    expect(() => checkRandomSource(own)).not.toThrow()
  })
})

test('T-C9 a random source that is constant, flat, the same each time or empty is refused', () => {
  let call = 0
  const broken: readonly ((length: number) => Uint8Array)[] = [
    (length) => new Uint8Array(length),
    (length) => new Uint8Array(length).fill(call++),
    (length) => Uint8Array.from({ length }, (_, i) => i),
    () => new Uint8Array(0),
  ]
  for (const randomBytes of broken) {
    expect(() => checkRandomSource({ ...primitives, randomBytes })).toThrow(
      expect.objectContaining({ code: 'TK_CRYPTO_REFUSED' }),
    )
  }
})

test('each byte of the random pool is used once', () => {
  let fills = 0
  const counted = nodePrimitives({
    ...host,
    randomFillSync: (buffer) => {
      for (let i = 0; i < buffer.length; i++) buffer[i] = (fills * 16 + Math.floor(i / 256)) % 256
      fills++
      return buffer
    },
  })
  const first = counted.randomBytes(256)
  const rest = Array.from({ length: 20 }, () => counted.randomBytes(256))
  expect([first, ...rest].map((bytes) => bytes[0])).toEqual(Array.from({ length: 21 }, (_, i) => i))
  first.fill(255)
  expect(counted.randomBytes(256)[0]).toBe(21)
})
