/**
 * What a set of primitives offers, and the one profile of AES-GCM we admit.
 *
 * @module
 */
import { TenantKeysError } from '../errors.ts'

/** AES-256-GCM in the only profile we admit (SP 800-38D sections 5.2.1.1 and 8.2.2). */
export const GCM_KEY_BYTES = 32
export const GCM_NONCE_BYTES = 12
export const GCM_TAG_BYTES = 16
export const SHA512_BYTES = 64

export interface Primitives {
  readonly name: 'node' | 'noble'
  /** From the platform's CSPRNG. The caller owns the array. */
  randomBytes(length: number): Uint8Array
  sha256(data: Uint8Array): Uint8Array
  sha512(data: Uint8Array): Uint8Array
  /** SHA-256 of the UTF-8 bytes as 32 latin1 characters: a map key, made without garbage. */
  sha256Text(text: string): string
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array
  /** RFC 5869. */
  hkdfSha512(input: HkdfInput): Uint8Array
  /** @returns ciphertext followed by the 16-byte tag. */
  gcmSeal(input: GcmInput): Uint8Array
  /** @returns the plaintext, or `null` when the tag does not match. Never a partial plaintext. */
  gcmOpen(input: GcmInput): Uint8Array | null
  /** Constant time in the content; unequal lengths are `false` at once. */
  equal(a: Uint8Array, b: Uint8Array): boolean
}

export interface HkdfInput {
  /** Input keying material. */
  readonly key: Uint8Array
  readonly salt: Uint8Array
  readonly info: Uint8Array
  /** Bytes of output, 1 to 16,320 (255 blocks of SHA-512, RFC 5869 section 2.3). */
  readonly length: number
}

export interface GcmInput {
  /** 32 bytes. */
  readonly key: Uint8Array
  /** 12 bytes, never used twice under one key. */
  readonly nonce: Uint8Array
  /** Authenticated, not encrypted. */
  readonly aad: Uint8Array
  /** Plaintext to seal; ciphertext and tag to open. */
  readonly data: Uint8Array
}

/**
 * Refuses parameters outside the profile, before any library sees them. Node 20 by itself accepts
 * tags of 4 to 15 bytes and nonces of any length (T-C5).
 *
 * @throws TenantKeysError TK_CRYPTO_REFUSED
 */
export function checkGcmProfile(input: GcmInput, opening: boolean): void {
  const reason =
    input.key.length !== GCM_KEY_BYTES
      ? 'the key is not 256 bits long'
      : input.nonce.length !== GCM_NONCE_BYTES
        ? 'the nonce is not 96 bits long'
        : opening && input.data.length < GCM_TAG_BYTES
          ? 'the ciphertext is shorter than its tag'
          : null
  if (reason !== null) throw new TenantKeysError('TK_CRYPTO_REFUSED', { reason })
}

/** @throws TenantKeysError TK_CRYPTO_REFUSED */
export function checkHkdfLength(length: number): void {
  if (Number.isInteger(length) && length >= 1 && length <= 255 * SHA512_BYTES) return
  throw new TenantKeysError('TK_CRYPTO_REFUSED', {
    reason: 'the output length is not 1 to 16,320 bytes',
  })
}
