/**
 * `localKeyIssuer()`: the default {@link KeyIssuer}. It keeps the keyed hash of every key in Storage
 * and answers `verify` from memory where it can.
 *
 * The way of a key: length, cache by the digest of the whole text (T-K10); on a miss checksum and
 * shape, the row by key id, HMAC, comparison in constant time, with the same work for an id that
 * nobody has (T-K11); then the state, by one function for remembered and fresh rows alike.
 *
 * @module
 */

import type { MonotonicClock } from '../kernel/clock.ts'
import { systemMonotonicClock } from '../kernel/clock.ts'
import { primitives } from '../kernel/crypto/primitives.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidv7 } from '../kernel/ids.ts'
import type { Also } from '../storage/also.ts'
import type { KeyRecord, KeyState } from '../storage/records.ts'
import type { Page, PageQuery, Storage } from '../storage/storage.ts'
import { type Sleep, systemSleep } from './bounded-wait.ts'
import { KeyCache, type KnownKey } from './key-cache.ts'
import { generateKey, MAX_KEY_LENGTH, type ParsedKey, parseKey } from './key-format.ts'
import { type PepperOptions, PepperRing } from './key-hash.ts'
import {
  type IssueKey,
  type KeyDenialCode,
  type KeyInfo,
  type KeyIssuer,
  type KeyRef,
  type KeyVerdict,
  keyInfo,
} from './key-issuer.ts'
import { decideKey } from './key-state.ts'

export interface LocalKeyIssuerOptions {
  readonly storage: Pick<Storage, 'epoch' | 'epochNow' | 'onEpoch' | 'keys'>
  /** New keys are hashed under the first; the others only verify. */
  readonly peppers: readonly PepperOptions[]
  /** Default: the process's own. */
  readonly clock?: MonotonicClock | undefined
  /** How long a key is honoured while the store is silent: 1,000 to 60,000 ms; default 5,000. */
  readonly maxStaleMs?: number | undefined
  /** How long a verification waits for a silent store: 1 to 2,000 ms; default 250. */
  readonly waitMs?: number | undefined
  /** How many keys are remembered: 1 to 4,000,000; default 10,000, about 1 kB each. */
  readonly maxCachedKeys?: number | undefined
  /** The wait itself; for tests. */
  readonly sleep?: Sleep | undefined
}

export interface LocalKeyIssuer extends KeyIssuer {
  /** The verdict without waiting; `null`: the store has to be asked, so call `verify`. */
  verifyCached(key: string): KeyVerdict | null
}

/** @throws TenantKeysError TK_CONFIG_INVALID */
export function localKeyIssuer(options: LocalKeyIssuerOptions): LocalKeyIssuer {
  return new Issuer(options)
}

const MALFORMED: KeyVerdict = Object.freeze({ ok: false, code: 'TK_KEY_MALFORMED', keyId: null })
/** Compared with when there is no row; no HMAC is known to give it. */
const NO_HASH = new Uint8Array(32)

class Issuer implements LocalKeyIssuer {
  readonly contractVersion = 1
  readonly capabilities = Object.freeze({
    verify: true,
    create: true,
    rotate: false,
    editExpiry: false,
    limit: false,
  })
  readonly #storage: LocalKeyIssuerOptions['storage']
  readonly #peppers: PepperRing
  readonly #cache: KeyCache

  constructor(options: LocalKeyIssuerOptions) {
    const { storage, clock = systemMonotonicClock, sleep = systemSleep } = options
    this.#storage = storage
    this.#peppers = new PepperRing(options.peppers)
    this.#cache = new KeyCache({
      storage,
      clock,
      sleep,
      maxStaleMs: wholeNumber('maxStaleMs', options.maxStaleMs ?? 5_000, 1_000, 60_000),
      waitMs: wholeNumber('waitMs', options.waitMs ?? 250, 1, 2_000),
      maxKeys: wholeNumber('maxCachedKeys', options.maxCachedKeys ?? 10_000, 1, 4_000_000),
    })
  }

  async issue(input: IssueKey): Promise<{ readonly key: string; readonly info: KeyInfo }> {
    const { tenantId, name, scopes, brand, environment, expiresAtMs, actor } = input
    const { key, keyId, secret } = generateKey({ brand, environment })
    const pepperId = this.#peppers.currentId
    const hash = this.#peppers.hash({ tenantId, keyId, secret }, pepperId)
    const fields = { keyId, tenantId, name, scopes, brand, environment, expiresAtMs }
    const row = await this.#storage.keys.create(
      { ...fields, last4: key.slice(-4), hash, pepperId },
      traces({ tenantId, keyId, actor, name }, 'key.issue', 'key.issued'),
    )
    return { key, info: keyInfo(row) }
  }

  async verify(key: string): Promise<KeyVerdict> {
    return this.verifyCached(key) ?? this.#verifyAtStore(key)
  }

  verifyCached(key: string): KeyVerdict | null {
    if (typeof key !== 'string' || key.length > MAX_KEY_LENGTH) return MALFORMED
    const known = this.#cache.recall(primitives.sha256Text(key))
    return known === null ? null : this.#judge(known)
  }

  async get(at: { readonly tenantId: string; readonly keyId: string }): Promise<KeyInfo | null> {
    const row = await this.#storage.keys.get(at)
    return row === null ? null : keyInfo(row)
  }

  async list(query: PageQuery & { readonly tenantId: string }): Promise<Page<KeyInfo>> {
    const { items, next } = await this.#storage.keys.list(query)
    return { items: items.map(keyInfo), next }
  }

  disable(ref: KeyRef): Promise<KeyInfo> {
    return this.#setState(ref, 'disabled', 'key.disable', 'key.disabled')
  }

  enable(ref: KeyRef): Promise<KeyInfo> {
    return this.#setState(ref, 'active', 'key.enable', 'key.enabled')
  }

  revoke(ref: KeyRef): Promise<KeyInfo> {
    return this.#setState(ref, 'revoked', 'key.revoke', 'key.revoked')
  }

  async #verifyAtStore(text: string): Promise<KeyVerdict> {
    const parsed = parseKey(text)
    if (parsed === null) return MALFORMED
    const { known, stale } = await this.#cache.current(parsed.keyId)
    const proven = this.#proves(parsed, known?.row ?? null)
    if (stale) return denial('TK_KEY_STALE', proven ? parsed.keyId : null)
    if (!proven || known === null || known.row === null) return denial('TK_KEY_UNKNOWN', null)
    this.#cache.prove(primitives.sha256Text(text), known)
    return this.#judge(known)
  }

  /** Whether the text is the very key that the row was made for. */
  #proves(parsed: ParsedKey, row: KeyRecord | null): boolean {
    const { brand, environment, keyId, secret } = parsed
    const pepperId = row?.pepperId ?? this.#peppers.currentId
    const hash = this.#peppers.hash({ tenantId: row?.tenantId ?? '', keyId, secret }, pepperId)
    const equal = primitives.equal(hash, row?.hash ?? NO_HASH)
    return equal && row !== null && row.brand === brand && row.environment === environment
  }

  #judge(known: KnownKey): KeyVerdict {
    const code = decideKey(known, this.#cache.storeNowMs)
    return code === null ? known.verdict : denial(code, known.row.keyId)
  }

  async #setState(
    ref: KeyRef,
    state: KeyState,
    action: string,
    eventKind: string,
  ): Promise<KeyInfo> {
    const { tenantId, keyId } = ref
    const missing = (): TenantKeysError =>
      new TenantKeysError('TK_KEY_NOT_FOUND', { tenantId, keyId })
    const before = await this.#storage.keys.get({ tenantId, keyId })
    if (before === null) throw missing()
    const also = traces({ ...ref, name: before.name }, action, eventKind)
    try {
      const row = await this.#storage.keys.setState({ tenantId, keyId, state }, also)
      if (row === null) throw missing()
      return keyInfo(row)
    } finally {
      // Also after a failure: the change may have been written all the same.
      this.#cache.forget(keyId)
    }
  }
}

function denial(code: KeyDenialCode, keyId: string | null): KeyVerdict {
  return { ok: false, code, keyId }
}

/** The audit row and the event of one change of a key. */
function traces(key: KeyRef & { readonly name: string }, action: string, kind: string): Also {
  const { tenantId, keyId, actor, name } = key
  return {
    audit: [{ tenantId, actor, action, target: `key:${keyId}`, detail: { name } }],
    events: [{ id: uuidv7(), kind, tenantId, payload: { keyId, name, actor } }],
  }
}

function wholeNumber(field: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  const reason = `it must be a whole number from ${least} to ${most}`
  throw new TenantKeysError('TK_CONFIG_INVALID', { field, reason })
}
