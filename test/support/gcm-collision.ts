/**
 * One AES-GCM ciphertext that two keys accept: the attack that the envelope's commitment stops.
 *
 * The tag is linear in every ciphertext block (SP 800-38D section 6.4), so with both keys known the
 * last block can be chosen such that the tags under both are equal ("invisible salamanders",
 * Dodis, Grubbs, Ristenpart, Woodage, CRYPTO 2018).
 *
 * @module
 */
import { createCipheriv } from 'node:crypto'

const BLOCK = 16

/** R of SP 800-38D section 6.3: the reduction, leftmost bit first. */
const REDUCTION = 0xe1n << 120n

/** Product in GF(2^128), bits numbered from the left (SP 800-38D section 6.3). */
function multiply(x: bigint, y: bigint): bigint {
  let product = 0n
  let v = y
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) product ^= v
    v = v & 1n ? (v >> 1n) ^ REDUCTION : v >> 1n
  }
  return product
}

const ONE = 1n << 127n

/** x^(2^128 - 2). */
function invert(x: bigint): bigint {
  let result = ONE
  let square = multiply(x, x)
  for (let i = 1; i < 128; i++) {
    result = multiply(result, square)
    square = multiply(square, square)
  }
  return result
}

const toBlock = (bytes: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(bytes).toString('hex').padEnd(32, '0')}`)

const blocksOf = (bytes: Uint8Array): bigint[] =>
  Array.from({ length: Math.ceil(bytes.length / BLOCK) }, (_, i) =>
    toBlock(bytes.subarray(i * BLOCK, (i + 1) * BLOCK)),
  )

function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-ecb', key, null)
  cipher.setAutoPadding(false)
  return Buffer.concat([cipher.update(block), cipher.final()])
}

interface Collision {
  readonly keys: readonly [Uint8Array, Uint8Array]
  /** 12 bytes. */
  readonly nonce: Uint8Array
  readonly aad: Uint8Array
  /** Whole blocks, given; one more is appended. */
  readonly start: Uint8Array
}

/** @returns ciphertext and tag that both keys accept under the same nonce and additional data. */
export function collide({ keys, nonce, aad, start }: Collision): Uint8Array {
  const ciphertext = new Uint8Array(start.length + BLOCK)
  ciphertext.set(start)
  const lengths = (BigInt(aad.length * 8) << 64n) | BigInt(ciphertext.length * 8)
  const blocks = [...blocksOf(aad), ...blocksOf(ciphertext), lengths]
  const counter = Uint8Array.from([...nonce, 0, 0, 0, 1])
  const sides = keys.map((key) => {
    const h = toBlock(encryptBlock(key, new Uint8Array(BLOCK)))
    const hash = blocks.reduce((sum, block) => multiply(sum ^ block, h), 0n)
    return { square: multiply(h, h), tag: hash ^ toBlock(encryptBlock(key, counter)) }
  })
  const [one, two] = sides as [(typeof sides)[0], (typeof sides)[0]]
  // The free block stands before the length block, so the hash multiplies it by h twice.
  const free = multiply(one.tag ^ two.tag, invert(one.square ^ two.square))
  const tag = one.tag ^ multiply(free, one.square)
  const hex = (value: bigint): string => value.toString(16).padStart(32, '0')
  return Buffer.from(Buffer.from(start).toString('hex') + hex(free) + hex(tag), 'hex')
}
