/**
 * The KeyIssuer port: who makes, looks up and changes platform keys. The default keeps hashed keys in
 * Storage; upstream issuers come later and say in `capabilities` what they can do.
 *
 * - KI-1 The key text is in the result of `issue` and nowhere else, ever (T-K9).
 * - KI-2 `verify` writes nothing but counters; it never undoes a concurrent change (T-K6).
 * - KI-3 Denial is a value; a store that cannot answer throws.
 * - KI-4 A key of another tenant answers as one that never existed (T-I1).
 * - KI-5 `revoked` is terminal.
 *
 * @module
 */

import type { KeyRecord, TenantRecord } from '../storage/records.ts'
import type { Page, PageQuery } from '../storage/storage.ts'

/** What may be shown of a key: everything but its hash. */
export type KeyInfo = Omit<KeyRecord, 'hash' | 'pepperId'>

export interface IssueKey {
  readonly tenantId: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly brand: string
  readonly environment: 'live' | 'test'
  /** `null`: never. */
  readonly expiresAtMs: number | null
  readonly actor: string
}

export interface KeyRef {
  readonly tenantId: string
  readonly keyId: string
  readonly actor: string
}

export type KeyDenialCode =
  | 'TK_KEY_MALFORMED'
  | 'TK_KEY_UNKNOWN'
  | 'TK_KEY_EXPIRED'
  | 'TK_KEY_REVOKED'
  | 'TK_KEY_DISABLED'
  | 'TK_KEY_STALE'

/** `keyId` in a denial is `null` when the text did not prove that it belongs to that key. */
export type KeyVerdict =
  | { readonly ok: true; readonly key: KeyInfo; readonly tenant: TenantRecord }
  | { readonly ok: false; readonly code: KeyDenialCode; readonly keyId: string | null }

export interface KeyIssuer {
  readonly contractVersion: 1
  readonly capabilities: {
    readonly verify: boolean
    readonly create: boolean
    readonly rotate: boolean
    readonly editExpiry: boolean
    readonly limit: boolean
  }
  issue(input: IssueKey): Promise<{ readonly key: string; readonly info: KeyInfo }>
  verify(key: string): Promise<KeyVerdict>
  get(at: { readonly tenantId: string; readonly keyId: string }): Promise<KeyInfo | null>
  list(query: PageQuery & { readonly tenantId: string }): Promise<Page<KeyInfo>>
  /** @throws TK_KEY_NOT_FOUND; TK_KEY_REVOKED when it is revoked. */
  disable(ref: KeyRef): Promise<KeyInfo>
  enable(ref: KeyRef): Promise<KeyInfo>
  /** Terminal; again is no error. @throws TK_KEY_NOT_FOUND. */
  revoke(ref: KeyRef): Promise<KeyInfo>
}

/** The public view of a row. */
export function keyInfo({ hash: _hash, pepperId: _pepperId, ...info }: KeyRecord): KeyInfo {
  Object.freeze(info.scopes)
  return Object.freeze(info)
}
