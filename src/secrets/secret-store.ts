/**
 * The SecretStore port: where tenants' provider credentials rest. The default seals them into
 * envelopes over Storage.
 *
 * - SS-1 What `list` and `get` return holds a mask, never the secret or its ciphertext.
 * - SS-2 `open` puts each field into a holder of its own and keeps nothing; plaintexts are never cached.
 * - SS-3 Absence is `null`; a secret that cannot be opened throws TK_ENVELOPE_OPEN_FAILED, the same
 *   for every cause (T-C1 to T-C5).
 * - SS-4 A secret is bound to the origin it was stored for: with another origin it does not open (T-S4).
 * - SS-5 Another tenant's secret answers as one that never existed (T-I1).
 *
 * @module
 */

import type { Secret } from '../kernel/secret.ts'
import type { SecretRecord } from '../storage/records.ts'
import type { Page, PageQuery, SecretRef } from '../storage/storage.ts'

/** What may be shown of a stored secret. */
export interface SecretInfo {
  readonly id: string
  readonly tenantId: string
  readonly provider: string
  readonly name: string
  readonly version: number
  readonly origin: string | null
  readonly publicFields: Readonly<Record<string, string>>
  /** For example `sk-...***...xyz9`, computed when it was stored. */
  readonly masked: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export interface PutSecret extends SecretRef {
  /** Fields the provider schema marks `secret`; sealed together as canonical JSON. */
  readonly secretFields: Readonly<Record<string, Secret>>
  readonly publicFields: Readonly<Record<string, string>>
  /** Origin the credential may be sent to; `null`: the provider's built-in one. */
  readonly origin: string | null
  readonly masked: string
  readonly actor: string
}

/** An opened credential. Its fields are held by {@link Secret}. */
export interface OpenedSecret {
  readonly info: SecretInfo
  readonly fields: Readonly<Record<string, Secret>>
}

export interface SecretStore {
  readonly contractVersion: 1
  readonly capabilities: { readonly list: boolean; readonly versions: boolean }
  put(input: PutSecret): Promise<SecretInfo>
  get(ref: SecretRef): Promise<SecretInfo | null>
  list(query: PageQuery & { readonly tenantId: string }): Promise<Page<SecretInfo>>
  /** @returns false when there was none. */
  delete(ref: SecretRef & { readonly actor: string }): Promise<boolean>
  /** @returns `null` when none is stored. @throws TK_ENVELOPE_OPEN_FAILED */
  open(ref: SecretRef): Promise<OpenedSecret | null>
}

/** The public view of a row. */
export function secretInfo(row: SecretRecord): SecretInfo {
  const {
    id,
    tenantId,
    provider,
    name,
    version,
    origin,
    publicFields,
    masked,
    createdAtMs,
    updatedAtMs,
  } = row
  return {
    id,
    tenantId,
    provider,
    name,
    version,
    origin,
    publicFields,
    masked,
    createdAtMs,
    updatedAtMs,
  }
}
