/**
 * Project Wycheproof's vectors through every implementation of the primitives.
 *
 * @module
 */
import nodeCrypto from 'node:crypto'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { describe, expect, test } from 'vitest'
import { noblePrimitives } from '../../src/kernel/crypto/noble.ts'
import { type NodeCrypto, nodePrimitives } from '../../src/kernel/crypto/node.ts'
import type { Primitives } from '../../src/kernel/crypto/profile.ts'
import { readVectors } from './read-vectors.ts'

interface File<Group> {
  readonly numberOfTests: number
  readonly testGroups: readonly Group[]
}

interface Labelled {
  readonly tcId: number
  readonly result: 'valid' | 'invalid'
}

interface GcmCase extends Labelled {
  readonly key: string
  readonly iv: string
  readonly aad: string
  readonly msg: string
  readonly ct: string
  readonly tag: string
}

interface HmacGroup {
  /** Bits. */
  readonly tagSize: number
  readonly tests: readonly (Labelled & {
    readonly key: string
    readonly msg: string
    readonly tag: string
  })[]
}

interface HkdfCase extends Labelled {
  readonly ikm: string
  readonly salt: string
  readonly info: string
  readonly size: number
  readonly okm: string
}

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hexOf = (value: Uint8Array | ArrayBuffer): string =>
  Buffer.from(value as Uint8Array).toString('hex')

const { hash: _, ...withoutHash } = nodeCrypto as unknown as NodeCrypto
const implementations: readonly (readonly [string, Primitives])[] = [
  ['node', nodePrimitives(nodeCrypto as unknown as NodeCrypto)],
  ['node without crypto.hash', nodePrimitives(withoutHash)],
  ['noble', noblePrimitives],
]

/** One test per file and implementation. */
function vectors<Group>(
  path: string,
  title: string,
  total: number,
  run: (groups: readonly Group[]) => number,
): void {
  const text = readVectors(`wycheproof/${path}`)
  if (text === null) return
  const file = JSON.parse(text) as File<Group>
  test(`${title}: all ${total} as labelled`, () => {
    expect(run(file.testGroups)).toBe(total)
    expect(file.numberOfTests).toBe(total)
  })
}

describe.each(implementations)('Wycheproof, %s', (_, primitives) => {
  vectors<{ readonly tests: readonly GcmCase[] }>('aes_gcm_test.json', 'AES-GCM', 316, (groups) => {
    const counts = { valid: 0, invalid: 0, refused: 0 }
    for (const c of groups.flatMap(({ tests }) => tests)) {
      const input = { key: bytes(c.key), nonce: bytes(c.iv), aad: bytes(c.aad) }
      const data = bytes(c.ct + c.tag)
      expect(c.tag.length, 'the file has no short tags').toBe(32)
      if (c.key.length !== 64 || c.iv.length !== 24) {
        counts.refused++
        const refused = expect.objectContaining({ code: 'TK_CRYPTO_REFUSED' })
        expect(() => primitives.gcmOpen({ ...input, data }), `${c.tcId}`).toThrow(refused)
        expect(() => primitives.gcmSeal({ ...input, data: bytes(c.msg) })).toThrow(refused)
        continue
      }
      counts[c.result]++
      const opened = primitives.gcmOpen({ ...input, data })
      if (c.result === 'invalid') expect(opened, `${c.tcId}`).toBeNull()
      else {
        expect(hexOf(opened!), `${c.tcId}`).toBe(c.msg)
        expect(hexOf(primitives.gcmSeal({ ...input, data: bytes(c.msg) }))).toBe(c.ct + c.tag)
      }
    }
    expect(counts).toEqual({ valid: 39, invalid: 27, refused: 250 })
    return counts.valid + counts.invalid + counts.refused
  })

  vectors<HmacGroup>('hmac_sha256_test.json', 'HMAC-SHA-256', 174, (groups) =>
    checkHmac(groups, (key, msg) => primitives.hmacSha256(key, msg)),
  )

  vectors<{ readonly tests: readonly HkdfCase[] }>(
    'hkdf_sha512_test.json',
    'HKDF-SHA-512',
    83,
    (groups) =>
      checkHkdf(groups, ({ ikm, salt, info, size }) =>
        primitives.hkdfSha512({
          key: bytes(ikm),
          salt: bytes(salt),
          info: bytes(info),
          length: size,
        }),
      ),
  )
})

// Not among our primitives: what both implementations are built on.
describe.each([
  [
    'node:crypto',
    (key: Uint8Array, msg: Uint8Array) => nodeCrypto.createHmac('sha512', key).update(msg).digest(),
    ({ ikm, salt, info, size }: HkdfCase) =>
      new Uint8Array(nodeCrypto.hkdfSync('sha256', bytes(ikm), bytes(salt), bytes(info), size)),
  ],
  [
    '@noble/hashes',
    (key: Uint8Array, msg: Uint8Array) => hmac(sha512, key, msg),
    ({ ikm, salt, info, size }: HkdfCase) =>
      hkdf(sha256, bytes(ikm), bytes(salt), bytes(info), size),
  ],
] as const)('Wycheproof, %s', (_, hmacSha512, hkdfSha256) => {
  vectors<HmacGroup>('hmac_sha512_test.json', 'HMAC-SHA-512', 174, (groups) =>
    checkHmac(groups, hmacSha512),
  )
  vectors<{ readonly tests: readonly HkdfCase[] }>(
    'hkdf_sha256_test.json',
    'HKDF-SHA-256',
    86,
    (groups) => checkHkdf(groups, hkdfSha256),
  )
})

function checkHmac(
  groups: readonly HmacGroup[],
  mac: (key: Uint8Array, msg: Uint8Array) => Uint8Array,
): number {
  let count = 0
  for (const { tagSize, tests } of groups) {
    for (const { tcId, key, msg, tag, result } of tests) {
      const ours = hexOf(mac(bytes(key), bytes(msg))).slice(0, tagSize / 4)
      expect(ours === tag, `${tcId}`).toBe(result === 'valid')
      count++
    }
  }
  return count
}

function checkHkdf(
  groups: readonly { readonly tests: readonly HkdfCase[] }[],
  derive: (input: HkdfCase) => Uint8Array,
): number {
  const cases = groups.flatMap(({ tests }) => tests)
  for (const input of cases) {
    // Every invalid case asks for more than 255 blocks.
    if (input.result === 'invalid') expect(() => derive(input), `${input.tcId}`).toThrow()
    else expect(hexOf(derive(input)), `${input.tcId}`).toBe(input.okm)
  }
  return cases.length
}
