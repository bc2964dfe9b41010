/**
 * Making a platform key and its keyed hash by hand: 59 letters of base62 from random bytes, a CRC-32
 * at the end, and the HMAC that is stored.
 *
 * @module
 */
import { createHmac, randomBytes } from 'node:crypto'

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Bytes of 248 and above are thrown away: 256 is no multiple of 62. */
function base62(length) {
  let text = ''
  for (const byte of randomBytes(length + 16)) {
    if (byte < 248 && text.length < length) text += LETTERS[byte % 62]
  }
  return text.length === length ? text : base62(length)
}

const TABLE = new Uint32Array(256).map((_, byte) => {
  let rest = byte
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1
  return rest
})

// Node 20.19 has no zlib.crc32.
function crc32(text) {
  let crc = 0xffffffff
  for (let i = 0; i < text.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ text.charCodeAt(i)) & 0xff]
  return ~crc >>> 0
}

function sixLetters(number) {
  let text = ''
  for (let rest = number, i = 0; i < 6; i++, rest = Math.floor(rest / 62)) {
    text = LETTERS[rest % 62] + text
  }
  return text
}

const part = (text) => `${Buffer.byteLength(text)}:${text},`

/** @returns the key and the hash to store. */
export function makeKeyByHand(pepper, tenantId) {
  const random = base62(59)
  const keyId = random.slice(0, 16)
  const secret = random.slice(16)
  const body = `tk_live_${keyId}_${secret}`
  const message = part('tenantkeys/platform-key/v1') + part(tenantId) + part(keyId) + part(secret)
  const hash = createHmac('sha256', pepper).update(message).digest()
  return { key: body + sixLetters(crc32(body)), keyId, secret, hash }
}
