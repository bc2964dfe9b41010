/**
 * Primitives over the host's `node:crypto`, taken structurally so that no entry imports it.
 *
 * @module
 */
import { toLatin1 } from '../encoding.ts'
import {
  checkGcmProfile,
  checkHkdfLength,
  GCM_TAG_BYTES,
  type GcmInput,
  type HkdfInput,
  type Primitives,
  SHA512_BYTES,
} from './profile.ts'

/** The slice of `node:crypto` we call (https://nodejs.org/docs/latest-v20.x/api/crypto.html). */
export interface NodeCrypto {
  randomFillSync(buffer: Uint8Array): Uint8Array
  createHash(name: string): Hash
  createHmac(name: string, key: Uint8Array): Hash
  createCipheriv(name: string, key: Uint8Array, nonce: Uint8Array, options: object): Cipher
  createDecipheriv(name: string, key: Uint8Array, nonce: Uint8Array, options: object): Cipher
  timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean
  /** Since 20.12: one call, no Hash object. */
  hash?: {
    (name: string, data: string, encoding: 'latin1'): string
    (name: string, data: Uint8Array, encoding: 'buffer'): Uint8Array
  }
}

interface Hash {
  update(data: Uint8Array | string): Hash
  digest(): Uint8Array
}

interface Cipher {
  setAAD(aad: Uint8Array): unknown
  update(data: Uint8Array): Uint8Array
  final(): Uint8Array
  getAuthTag(): Uint8Array
  setAuthTag(tag: Uint8Array): unknown
}

const CIPHER = 'aes-256-gcm'
/** Without this, Node up to 25 opens forged short tags (DEP0182). */
const TAG_LENGTH = { authTagLength: GCM_TAG_BYTES }
const POOL_BYTES = 4096

export function nodePrimitives(crypto: NodeCrypto): Primitives {
  const { hash } = crypto
  const digest = (name: string, data: Uint8Array): Uint8Array =>
    own(hash ? hash(name, data, 'buffer') : crypto.createHash(name).update(data).digest())
  return {
    name: 'node',
    randomBytes: pooledRandom(crypto),
    sha256: (data) => digest('sha256', data),
    sha512: (data) => digest('sha512', data),
    sha256Text: hash
      ? (text) => hash('sha256', text, 'latin1')
      : (text) => toLatin1(crypto.createHash('sha256').update(text).digest()),
    hmacSha256: (key, data) => own(crypto.createHmac('sha256', key).update(data).digest()),
    hkdfSha512: (input) => hkdf(crypto, input),
    gcmSeal: (input) => seal(crypto, input),
    gcmOpen: (input) => open(crypto, input),
    equal: (a, b) => a.length === b.length && crypto.timingSafeEqual(a, b),
  }
}

/**
 * A plain array of bytes that nobody else sees. OpenSSL's results arrive as a `Buffer` of their own,
 * whose memory is taken over; a runtime that hands out a slice of a shared pool gets a copy made.
 */
function own(result: Uint8Array): Uint8Array {
  return result.byteLength === result.buffer.byteLength
    ? new Uint8Array(result.buffer)
    : new Uint8Array(result)
}

/** By HMAC, block by block: `hkdfSync` needs 7.1 us for 64 bytes on Node 20, this 4.3. */
function hkdf(crypto: NodeCrypto, { key, salt, info, length }: HkdfInput): Uint8Array {
  checkHkdfLength(length)
  const pseudorandomKey = crypto.createHmac('sha512', salt).update(key).digest()
  const out = new Uint8Array(length)
  for (let at = 0, counter = 1; at < length; at += SHA512_BYTES, counter++) {
    const hmac = crypto.createHmac('sha512', pseudorandomKey)
    if (at > 0) hmac.update(out.subarray(at - SHA512_BYTES, at))
    const block = hmac.update(info).update(Uint8Array.of(counter)).digest()
    out.set(at + SHA512_BYTES <= length ? block : block.subarray(0, length - at), at)
    block.fill(0)
  }
  pseudorandomKey.fill(0)
  return out
}

/** Draws from a pool: a call of the CSPRNG costs 1.5 us, a slice of 4 KiB 84 ns. Each byte is used
 * once and erased from the pool as it leaves. */
function pooledRandom(crypto: NodeCrypto): (length: number) => Uint8Array {
  const pool = new Uint8Array(POOL_BYTES)
  let used = POOL_BYTES
  return (length) => {
    if (length > POOL_BYTES) return crypto.randomFillSync(new Uint8Array(length))
    if (used + length > POOL_BYTES) {
      crypto.randomFillSync(pool)
      used = 0
    }
    const out = pool.slice(used, used + length)
    pool.fill(0, used, used + length)
    used += length
    return out
  }
}

function seal(crypto: NodeCrypto, input: GcmInput): Uint8Array {
  checkGcmProfile(input, false)
  const cipher = crypto.createCipheriv(CIPHER, input.key, input.nonce, TAG_LENGTH)
  cipher.setAAD(input.aad)
  const out = new Uint8Array(input.data.length + GCM_TAG_BYTES)
  out.set(cipher.update(input.data))
  cipher.final()
  out.set(cipher.getAuthTag(), input.data.length)
  return out
}

function open(crypto: NodeCrypto, input: GcmInput): Uint8Array | null {
  checkGcmProfile(input, true)
  const split = input.data.length - GCM_TAG_BYTES
  const decipher = crypto.createDecipheriv(CIPHER, input.key, input.nonce, TAG_LENGTH)
  decipher.setAAD(input.aad)
  decipher.setAuthTag(input.data.subarray(split))
  const result = decipher.update(input.data.subarray(0, split))
  try {
    decipher.final()
  } catch {
    result.fill(0)
    return null
  }
  const plaintext = own(result)
  if (plaintext.buffer !== result.buffer) result.fill(0)
  return plaintext
}
