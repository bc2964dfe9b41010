/**
 * The text of a platform key: `<brand>_<env>_<keyId>_<secret><crc>`.
 *
 * | part | letters | |
 * |---|---|---|
 * | brand | 2 to 24 of `a-z 0-9 _`, a letter first | names the installation or the integration |
 * | env | `live` or `test` | |
 * | keyId | 16 base62 | finds the row; not secret |
 * | secret | 43 base62, each uniform | 256 bits |
 * | crc | 6 base62, zero padded | CRC-32 of all letters before it |
 *
 * Every part but the brand has a fixed width, so a key is read from its right end, in one pass and
 * without a regular expression (T-K15). Keys are ASCII and between 74 and 96 letters long.
 *
 * @module
 */
import { primitives } from '../kernel/crypto/primitives.ts'
import { BASE62, randomBase62 } from '../kernel/encoding.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { crc32Ascii } from './crc32.ts'

export type KeyEnvironment = 'live' | 'test'

export interface ParsedKey {
  readonly brand: string
  readonly environment: KeyEnvironment
  readonly keyId: string
  /** Together with the key id this is the whole power of the key. */
  readonly secret: string
}

/** Longer texts are refused before anything else looks at them, in UTF-16 units. */
export const MAX_KEY_LENGTH = 256

/**
 * Source of a regular expression that finds keys in a text, for secret scanners and redaction. It
 * does not check the checksum. Bounded repetitions only: linear in the length of the text.
 */
export const KEY_PATTERN =
  '\\b[a-z][a-z0-9_]{1,23}_(?:live|test)_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}\\b'

const BRAND = /^[a-z][a-z0-9_]{1,23}$/

const ID_LENGTH = 16
const SECRET_LENGTH = 43
const CRC_LENGTH = 6
const ENV_LENGTH = 4
/** From the `_` before env to the end. */
const TAIL_LENGTH = 1 + ENV_LENGTH + 1 + ID_LENGTH + 1 + SECRET_LENGTH + CRC_LENGTH

/**
 * Makes a new key from the platform's random numbers. The text is shown to the caller once and kept
 * nowhere.
 *
 * @throws TenantKeysError TK_INPUT_INVALID
 */
export function generateKey(input: {
  readonly brand: string
  readonly environment: KeyEnvironment
}): { readonly key: string; readonly keyId: string; readonly secret: string } {
  const { brand, environment } = input ?? {}
  if (typeof brand !== 'string' || !BRAND.test(brand)) {
    const reason = 'it must be 2 to 24 of a-z, 0-9 and _, beginning with a letter'
    throw new TenantKeysError('TK_INPUT_INVALID', { field: 'brand', reason })
  }
  if (environment !== 'live' && environment !== 'test') {
    const reason = 'it must be live or test'
    throw new TenantKeysError('TK_INPUT_INVALID', { field: 'environment', reason })
  }
  const random = randomBase62(ID_LENGTH + SECRET_LENGTH, primitives.randomBytes)
  const keyId = random.slice(0, ID_LENGTH)
  const secret = random.slice(ID_LENGTH)
  const body = `${brand}_${environment}_${keyId}_${secret}`
  return { key: body + checksum(body, body.length), keyId, secret }
}

/** The parts of a key, or `null` when the text is none: wrong shape, letters or checksum. */
export function parseKey(text: string): ParsedKey | null {
  if (typeof text !== 'string') return null
  const brandEnd = text.length - TAIL_LENGTH
  if (brandEnd < 2 || brandEnd > 24) return null
  const idAt = brandEnd + 1 + ENV_LENGTH + 1
  const secretAt = idAt + ID_LENGTH + 1
  const crcAt = secretAt + SECRET_LENGTH
  const environment = text.slice(brandEnd + 1, idAt - 1)
  if (environment !== 'live' && environment !== 'test') return null
  if (text[brandEnd] !== '_' || text[idAt - 1] !== '_' || text[secretAt - 1] !== '_') return null
  if (!isBase62(text, idAt, secretAt - 1) || !isBase62(text, secretAt, text.length)) return null
  const brand = text.slice(0, brandEnd)
  if (!BRAND.test(brand)) return null
  if (text.slice(crcAt) !== checksum(text, crcAt)) return null
  const keyId = text.slice(idAt, secretAt - 1)
  return { brand, environment, keyId, secret: text.slice(secretAt, crcAt) }
}

function isBase62(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const letter = text.charCodeAt(i)
    const digit = letter >= 0x30 && letter <= 0x39
    const upper = letter >= 0x41 && letter <= 0x5a
    const lower = letter >= 0x61 && letter <= 0x7a
    if (!digit && !upper && !lower) return false
  }
  return true
}

/** 62^6 is above 2^32, so six letters hold every checksum. */
function checksum(text: string, length: number): string {
  let rest = crc32Ascii(text, length)
  let out = ''
  for (let i = 0; i < CRC_LENGTH; i++) {
    out = BASE62[rest % 62]! + out
    rest = Math.floor(rest / 62)
  }
  return out
}
