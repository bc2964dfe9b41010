/**
 * The rows a store keeps, as the domain sees them. Times are milliseconds of the store's own clock;
 * money is nano-USD as bigint; absent is `null`. Column names and encodings are each adapter's own.
 *
 * @module
 */

/** Whose provider credential a tenant's calls use. `tenant`: only its own, else refused (default).
 * `platform`: the operator's. There is no silent fallback between the two (S1.15). */
export type CredentialSource = 'tenant' | 'platform'

/** A plan by the name and version under which it was assigned. */
export interface PlanRef {
  readonly name: string
  /** 1, 2, 3 ... */
  readonly version: number
}

export interface TenantRecord {
  readonly id: string
  readonly parentId: string | null
  /** Ids from the root of the tree down to this tenant, itself included. */
  readonly path: readonly string[]
  readonly credentials: CredentialSource
  /** The plan that made its budgets of source `plan:<name>@<version>`; `null`: none. */
  readonly plan: PlanRef | null
  readonly createdAtMs: number
}

export type KeyState = 'active' | 'disabled' | 'revoked'

export interface KeyRecord {
  /** 16 letters of base62; the lookup handle inside the key text, not secret. */
  readonly keyId: string
  readonly tenantId: string
  readonly name: string
  readonly brand: string
  readonly environment: 'live' | 'test'
  readonly scopes: readonly string[]
  readonly state: KeyState
  /** `null`: never. The key is refused from this very millisecond on. */
  readonly expiresAtMs: number | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
  /** Last four letters of the key text, for recognition only. */
  readonly last4: string
  /** Raised by every change of the hash (rotation). */
  readonly secretVersion: number
  /** HMAC-SHA-256 under the pepper, 32 bytes. Never leaves the process. */
  readonly hash: Uint8Array
  readonly pepperId: string
}

export interface SecretRecord {
  /** UUID; part of the envelope's context. */
  readonly id: string
  readonly tenantId: string
  readonly provider: string
  /** Distinguishes several credentials for one provider; `default` unless told. */
  readonly name: string
  /** Starts at 1; part of the envelope's context, so an older row cannot be put back (T-C20). */
  readonly version: number
  /** Origin the credential may be sent to; `null`: the provider's built-in one. Sealed into the context. */
  readonly origin: string | null
  /** Fields the provider schema marks `public`, for example `endpoint`. */
  readonly publicFields: Readonly<Record<string, string>>
  /** Mask computed at write, for example `sk-...***...xyz9`. */
  readonly masked: string
  readonly dekId: string
  /** Envelope v1, see docs/envelope-format.md. */
  readonly envelope: Uint8Array
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A data key, wrapped by a key-encryption key. */
export interface DekRecord {
  /** UUID; its 16 bytes stand in every envelope sealed under it. */
  readonly id: string
  readonly tenantId: string
  readonly generation: number
  readonly kekId: string
  readonly wrapped: Uint8Array
  /** How many envelopes were sealed under it, counted in the transaction that stored each. */
  readonly seals: number
  readonly createdAtMs: number
}

export interface AuditRecord {
  readonly id: string
  /** Tenant at the root of the tree; each root has a chain of its own. `*` for acts of no tenant. */
  readonly rootId: string
  /** 1, 2, 3 ... without gaps within a root. */
  readonly sequence: number
  readonly tenantId: string | null
  readonly atMs: number
  readonly actor: string
  /** For example `key.issue`. */
  readonly action: string
  /** For example `key:3kTz...`. */
  readonly target: string
  readonly detail: Readonly<Record<string, string>>
  /** Hash of the row before it, 64 hex digits; zeros at the start. */
  readonly previousHash: string
  readonly hash: string
}

/** One event in the outbox: the only queue there is. */
export interface OutboxRecord {
  /** Stable: a sink that sees it twice may ignore the second. */
  readonly id: string
  readonly kind: string
  readonly tenantId: string | null
  readonly atMs: number
  /** JSON text; amounts in it are decimal strings. */
  readonly payload: string
  readonly attempts: number
}

/** An event that no sink can take. */
export interface QuarantinedEvent extends OutboxRecord {
  readonly quarantinedAtMs: number
  /** Why, as the exporter found it; never content of the event. */
  readonly reason: string
}
