/**
 * The default SecretStore: each secret is one envelope in Storage, sealed under its tenant's data
 * key and bound to tenant, provider, origin, row id and version.
 *
 * Not bound are the name and the public fields besides the origin: who can write to the database can
 * exchange the names of two credentials of one tenant for one provider and origin.
 *
 * @module
 */
import type { MonotonicClock } from '../kernel/clock.ts'
import { primitives } from '../kernel/crypto/primitives.ts'
import { checkRandomSource } from '../kernel/crypto/self-test.ts'
import { fromUtf8, utf8 } from '../kernel/encoding.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidv7 } from '../kernel/ids.ts'
import { Secret } from '../kernel/secret.ts'
import type { NewAudit } from '../storage/also.ts'
import type { SecretRecord } from '../storage/records.ts'
import type { Page, PageQuery, SecretRef, Storage } from '../storage/storage.ts'
import { DataKeys } from './data-keys.ts'
import { type EnvelopeContext, MAX_PLAINTEXT_BYTES, open, seal } from './envelope.ts'
import type { KeyWrapper } from './key-wrapper.ts'
import {
  type OpenedSecret,
  type PutSecret,
  type SecretInfo,
  type SecretStore,
  secretInfo,
} from './secret-store.ts'

export interface EnvelopeSecretStoreOptions {
  readonly storage: Pick<Storage, 'tenants' | 'secrets' | 'deks'>
  readonly keyWrapper: KeyWrapper
  /** Measures how long an unwrapped data key has been held. */
  readonly clock: MonotonicClock
}

export interface EnvelopeSecretStore extends SecretStore {
  /** Erases the data keys held in this process. The store stays usable. */
  forgetKeys(): void
}

const PURPOSE = 'provider-secret'
/** Writers of one secret that lose the race for a version try again this often. */
const PUT_ATTEMPTS = 8

/** @throws TenantKeysError TK_CRYPTO_REFUSED when the random source is broken. */
export function envelopeSecretStore(options: EnvelopeSecretStoreOptions): EnvelopeSecretStore {
  checkRandomSource(primitives)
  return new Store(options)
}

class Store implements EnvelopeSecretStore {
  readonly contractVersion = 1
  readonly capabilities = { list: true, versions: false }
  readonly #storage: EnvelopeSecretStoreOptions['storage']
  readonly #dataKeys: DataKeys

  constructor(options: EnvelopeSecretStoreOptions) {
    this.#storage = options.storage
    this.#dataKeys = new DataKeys(options)
  }

  async put(input: PutSecret): Promise<SecretInfo> {
    const { tenantId } = input
    const plaintext = encodeFields(input.secretFields)
    try {
      // Asked first: a data key must not be made for a tenant that is none.
      if ((await this.#storage.tenants.get(tenantId)) === null) {
        throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
      }
      for (let attempt = 1; ; attempt++) {
        try {
          return secretInfo(await this.#putNext(input, plaintext))
        } catch (error) {
          const lostRace = TenantKeysError.isInstance(error) && error.code === 'TK_STORE_CONFLICT'
          if (!lostRace || attempt === PUT_ATTEMPTS) throw error
        }
      }
    } finally {
      plaintext.fill(0)
    }
  }

  async get(ref: SecretRef): Promise<SecretInfo | null> {
    const row = await this.#storage.secrets.get(ref)
    return row === null ? null : secretInfo(row)
  }

  async list(query: PageQuery & { readonly tenantId: string }): Promise<Page<SecretInfo>> {
    const { items, next } = await this.#storage.secrets.list(query)
    return { items: items.map(secretInfo), next }
  }

  async delete({ actor, ...ref }: SecretRef & { readonly actor: string }): Promise<boolean> {
    const row = await this.#storage.secrets.get(ref)
    if (row === null) return false
    return this.#storage.secrets.delete(ref, { audit: [auditRow('secret.delete', actor, row)] })
  }

  async open(ref: SecretRef): Promise<OpenedSecret | null> {
    const row = await this.#storage.secrets.get(ref)
    if (row === null) return null
    const plaintext = await this.#openRow(ref, row)
    try {
      return { info: secretInfo(row), fields: decodeFields(plaintext) }
    } catch {
      throw openFailed(ref)
    } finally {
      plaintext.fill(0)
    }
  }

  forgetKeys(): void {
    this.#dataKeys.clear()
  }

  async #openRow(ref: SecretRef, row: SecretRecord): Promise<Uint8Array> {
    const { tenantId, provider } = ref
    const { envelope, dekId } = row
    // The context is built from what was asked, so a row brought here from elsewhere does not open.
    const context = contextOf({ ...row, tenantId, provider })
    try {
      return await this.#dataKeys.withKey({ tenantId, dekId }, (dek) =>
        open({ envelope, dek, context }),
      )
    } catch (error) {
      const failed = TenantKeysError.isInstance(error) && error.code === 'TK_ENVELOPE_OPEN_FAILED'
      throw failed ? openFailed(ref) : error
    }
  }

  /** One try: the version above the stored one, under the id the secret already has. */
  async #putNext(input: PutSecret, plaintext: Uint8Array): Promise<SecretRecord> {
    const { tenantId, provider, name, publicFields, origin, masked, actor } = input
    const stored = await this.#storage.secrets.get({ tenantId, provider, name })
    const id = stored?.id ?? uuidv7()
    const version = (stored?.version ?? 0) + 1
    const place = { id, tenantId, provider, name, version, origin }
    const sealed = await this.#dataKeys.withCurrent(tenantId, ({ dekId, dek }) => ({
      dekId,
      envelope: seal({ plaintext, dek, dekId, context: contextOf(place) }),
    }))
    const audit = [auditRow('secret.put', actor, place)]
    return this.#storage.secrets.put({ ...place, publicFields, masked, ...sealed }, { audit })
  }
}

/** Names what was asked, whatever went wrong. */
function openFailed({ tenantId, provider }: SecretRef): TenantKeysError {
  return new TenantKeysError('TK_ENVELOPE_OPEN_FAILED', { tenantId, provider })
}

type Place = Pick<SecretRecord, 'id' | 'tenantId' | 'provider' | 'name' | 'version' | 'origin'>

function contextOf({ id, tenantId, provider, origin, version }: Place): EnvelopeContext {
  return { tenantId, purpose: PURPOSE, provider, origin, secretId: id, version }
}

function auditRow(action: string, actor: string, at: Place): NewAudit {
  const { id, tenantId, provider, name, version } = at
  const detail = { provider, name, version: String(version) }
  return { tenantId, actor, action, target: `secret:${id}`, detail }
}

/** JSON with its names in code unit order: the same fields are always the same bytes. */
function encodeFields(fields: Readonly<Record<string, Secret>>): Uint8Array {
  const members = Object.keys(fields)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${JSON.stringify(fields[name]!.reveal())}`)
  const plaintext = utf8(`{${members.join(',')}}`)
  if (plaintext.length <= MAX_PLAINTEXT_BYTES) return plaintext
  plaintext.fill(0)
  throw new TenantKeysError('TK_INPUT_INVALID', {
    field: 'value',
    reason: 'is longer than 65,536 bytes as JSON',
  })
}

/** Throws what a parser throws, which quotes what it read: it must not leave this file. */
function decodeFields(plaintext: Uint8Array): Readonly<Record<string, Secret>> {
  const fields = JSON.parse(fromUtf8(plaintext)) as Readonly<Record<string, string>>
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, new Secret(value)] as const),
  )
}
