/**
 * The KeyWrapper port: who holds the key-encryption keys (KEK) that wrap each tenant's data key
 * (DEK). The default is a local ring; Vault Transit and cloud key services come later.
 *
 * - KW-1 A wrapped key opens only under the context it was wrapped with (T-C8).
 * - KW-2 `unwrap` throws TK_KEK_UNKNOWN for a KEK it does not hold, TK_ENVELOPE_OPEN_FAILED for
 *   anything that does not open, TK_STORE_UNAVAILABLE when the key service does not answer.
 * - KW-3 No plaintext key appears in an error, a log or an inspect output.
 * - KW-4 `checkValues`, where there is one, gives every KEK a value that is the same in every process
 *   and release, another for another key, and says nothing about the key (T-C15).
 *
 * @module
 */

/** Bound into the wrapping as additional authenticated data. */
export interface WrapContext {
  readonly tenantId: string
  /** UUID of the data key. */
  readonly dekId: string
  readonly generation: number
}

export interface WrappedKey {
  readonly kekId: string
  readonly wrapped: Uint8Array
}

/** Tells one KEK from another without telling anything about it. */
export interface KekCheckValue {
  readonly kekId: string
  /** Not secret; for a local KEK 16 hex digits, the first 8 bytes of an HMAC-SHA-256 under it. */
  readonly value: string
}

export interface KeyWrapper {
  readonly contractVersion: 1
  /** The KEK that `wrap` uses. */
  readonly primaryKekId: string
  /** @param dek - 32 bytes; not kept. */
  wrap(dek: Uint8Array, context: WrapContext): Promise<WrappedKey>
  /** @returns 32 bytes that the caller owns and should erase. */
  unwrap(key: WrappedKey, context: WrapContext): Promise<Uint8Array>
  /**
   * One value per KEK, to be compared at start with the one noted when the database was first opened
   * with that KEK (T-C15). Left out by a wrapper whose key service cannot have another key under the
   * same id.
   */
  checkValues?(): Promise<readonly KekCheckValue[]>
}
