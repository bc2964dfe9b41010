/**
 * Primitives over `@noble/ciphers` and `@noble/hashes`: the portable implementation.
 *
 * @module
 */
import { gcm } from '@noble/ciphers/aes.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { randomBytes } from '@noble/hashes/utils.js'
import { toLatin1, utf8 } from '../encoding.ts'
import { checkGcmProfile, checkHkdfLength, type Primitives } from './profile.ts'

export const noblePrimitives: Primitives = {
  name: 'noble',
  randomBytes,
  sha256,
  sha512,
  sha256Text: (text) => toLatin1(sha256(utf8(text))),
  hmacSha256: (key, data) => hmac(sha256, key, data),
  hkdfSha512: ({ key, salt, info, length }) => {
    checkHkdfLength(length)
    return hkdf(sha512, key, salt, info, length)
  },
  gcmSeal: (input) => {
    checkGcmProfile(input, false)
    return gcm(input.key, input.nonce, input.aad).encrypt(input.data)
  },
  gcmOpen: (input) => {
    checkGcmProfile(input, true)
    try {
      return gcm(input.key, input.nonce, input.aad).decrypt(input.data)
    } catch {
      return null
    }
  },
  equal: (a, b) => {
    if (a.length !== b.length) return false
    let difference = 0
    for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
    return difference === 0
  },
}
