/**
 * Whether a key may be used now. The only place that decides it, for a row fresh from the store and
 * for a remembered one alike.
 *
 * @module
 */
import type { KeyRecord } from '../storage/records.ts'
import type { KeyDenialCode } from './key-issuer.ts'

/**
 * Why the key is refused; `null`: it may be used. When several reasons hold, the one that lasts
 * longest is named: revoked before disabled before expired.
 *
 * @param nowMs - The store's time. A key is expired from `expiresAtMs` on, that millisecond included.
 */
export function decideKey(
  record: Pick<KeyRecord, 'state' | 'expiresAtMs'>,
  nowMs: number,
): KeyDenialCode | null {
  if (record.state !== 'active') {
    return record.state === 'revoked' ? 'TK_KEY_REVOKED' : 'TK_KEY_DISABLED'
  }
  return record.expiresAtMs !== null && nowMs >= record.expiresAtMs ? 'TK_KEY_EXPIRED' : null
}
