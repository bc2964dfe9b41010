/**
 * Reads a 32-byte key that an operator put into a configuration: key-encryption keys and peppers.
 *
 * Accepted: 32 bytes, or their canonical base64 (44 characters with padding) or base64url (43
 * without padding, 44 with), as text or in a {@link Secret}. Refused: every other length or alphabet, and what a
 * random generator does not make (T-C16). The checks refuse a random key once in about 10^9 draws.
 * They catch mistakes, not malice: a key that passes is not thereby a good one.
 *
 * @module
 */
import { fromBase64Url } from './encoding.ts'
import { TenantKeysError } from './errors.ts'
import { Secret } from './secret.ts'

/** Make one with `openssl rand -base64 32`. */
export type KeyMaterial = string | Uint8Array | Secret

const KEY_BYTES = 32
/** 32 random bytes hold 30 different values on average, and fewer than 16 never in practice. */
const LEAST_DISTINCT = 16

/**
 * The 32 bytes, in an array of the caller's own.
 *
 * @param field - Path of the option, for the error; the value itself is never echoed.
 * @throws TenantKeysError TK_CONFIG_INVALID
 */
export function readKeyMaterial(value: unknown, field: string): Uint8Array {
  const given = value instanceof Secret ? value.reveal() : value
  const bytes = typeof given === 'string' ? decode(given) : given
  const reason =
    bytes === null || !(bytes instanceof Uint8Array) || bytes.length !== KEY_BYTES
      ? 'it must be 32 bytes, or their canonical base64 or base64url'
      : weakness(bytes, typeof given === 'string' ? given : null)
  if (reason !== null) {
    const hint = 'make a key with: openssl rand -base64 32'
    throw new TenantKeysError('TK_CONFIG_INVALID', { field, reason, hint })
  }
  return Uint8Array.from(bytes as Uint8Array)
}

function decode(text: string): Uint8Array | null {
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) {
    return fromBase64Url(text.slice(0, 43).replaceAll('+', '-').replaceAll('/', '_'))
  }
  // With padding too: so do the usual generators of other languages write it.
  return /^[A-Za-z0-9_-]{43}=?$/.test(text) ? fromBase64Url(text.slice(0, 43)) : null
}

/** Why these bytes are no random key; `null`: nothing speaks against them. */
function weakness(bytes: Uint8Array, text: string | null): string | null {
  if (new Set(bytes).size < LEAST_DISTINCT) return 'it has too few different bytes to be random'
  const step = (bytes[1]! - bytes[0]!) & 0xff
  if (bytes.every((byte, i) => i === 0 || ((byte - bytes[i - 1]!) & 0xff) === step)) {
    return 'its bytes only count up or down'
  }
  const half = KEY_BYTES / 2
  if (bytes.every((byte, i) => byte === bytes[(i + half) % KEY_BYTES])) {
    return 'its second half repeats the first'
  }
  // A passphrase of 32 letters given as bytes, or one of 43 letters that happens to be base64.
  const printable = bytes.every((byte) => byte >= 0x20 && byte < 0x7f)
  const oneCase = text !== null && (!/[a-z]/.test(text) || !/[A-Z]/.test(text))
  return printable || oneCase ? 'it looks like a passphrase, not like random bytes' : null
}
