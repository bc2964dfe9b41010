/**
 * Identifiers: UUIDv7 (RFC 9562 section 5.7) for everything we name ourselves, and the one grammar
 * for ids that the host chooses.
 *
 * @module
 */
import { primitives } from './crypto/primitives.ts'
import { fromHex, toHex } from './encoding.ts'

/** Ids of tenants and the like: what fits unescaped into a path, a Redis key and SQL (T-I6, S2.44). */
export const ID_PATTERN: RegExp = /^[A-Za-z0-9_-]{1,64}$/

export const UUID_PATTERN: RegExp =
  /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** A time-ordered id: 48 bits of milliseconds, 74 random bits. */
export function uuidv7(nowMs: number = Date.now()): string {
  const bytes = primitives.randomBytes(16)
  let rest = nowMs
  for (let i = 5; i >= 0; i--) {
    bytes[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  bytes[6] = 0x70 | (bytes[6]! & 0x0f)
  bytes[8] = 0x80 | (bytes[8]! & 0x3f)
  return uuidFromBytes(bytes)
}

export function uuidFromBytes(bytes: Uint8Array): string {
  const hex = toHex(bytes)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The 16 bytes of a UUID, or `null` when the text is none. */
export function uuidToBytes(uuid: string): Uint8Array | null {
  return UUID_PATTERN.test(uuid) ? fromHex(uuid.replaceAll('-', '')) : null
}
