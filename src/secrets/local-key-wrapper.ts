/**
 * The KeyWrapper of a single process: a ring of key-encryption keys (KEK) given at start. The first
 * wraps, all of them unwrap, so a new KEK is put in front and the old one stays until every data key
 * is rewrapped.
 *
 * A wrapped key is `version 1 | nonce 12 | ciphertext 32 | tag 16`, AES-256-GCM under the KEK with
 * tenant, data key, generation and KEK id as additional data (docs/envelope-format.md). The nonce is
 * random, so one KEK may wrap 2^32 keys (SP 800-38D section 8.3).
 *
 * @module
 */
import { primitives } from '../kernel/crypto/primitives.ts'
import { GCM_NONCE_BYTES, GCM_TAG_BYTES } from '../kernel/crypto/profile.ts'
import { concat, toHex, utf8 } from '../kernel/encoding.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { ID_PATTERN } from '../kernel/ids.ts'
import { type KeyMaterial, readKeyMaterial } from '../kernel/key-material.ts'
import { checkText, putText, putUint64 } from './aad.ts'
import type { KekCheckValue, KeyWrapper, WrapContext, WrappedKey } from './key-wrapper.ts'

export interface LocalKek {
  /** 1 to 64 letters, digits, `_` and `-`; stored beside every key it wraps. */
  readonly id: string
  /** 32 random bytes, or their base64 (44 characters); never a passphrase. */
  readonly key: KeyMaterial
}

export interface LocalKeyWrapper extends KeyWrapper {
  /** In the order of the ring. */
  checkValues(): Promise<readonly KekCheckValue[]>
}

const DEK_BYTES = 32
const VERSION = 1
const WRAPPED_BYTES = 1 + GCM_NONCE_BYTES + DEK_BYTES + GCM_TAG_BYTES
const MAX_RING = 100
const LABEL = utf8('tenantkeys dek wrap v1')
const CHECK_LABEL = utf8('tenantkeys kek check v1')

/**
 * Makes a key wrapper from KEKs held in this process.
 *
 * @param ring - 1 to 100 keys with different ids; the first is the one that wraps.
 * @throws TenantKeysError TK_CONFIG_INVALID naming the option, for example `keyWrapper[0].key`;
 *   never the value.
 */
export function localKeyWrapper(ring: readonly LocalKek[]): LocalKeyWrapper {
  if (!Array.isArray(ring)) throw invalid('keyWrapper', 'must be an array of { id, key }')
  if (ring.length < 1 || ring.length > MAX_RING)
    throw invalid('keyWrapper', 'must hold 1 to 100 keys')
  const keys = new Map<string, Uint8Array>()
  for (const [index, entry] of ring.entries()) {
    const { id, key } = readEntry(entry, `keyWrapper[${index}]`)
    if (keys.has(id)) throw invalid(`keyWrapper[${index}].id`, 'is there twice')
    if (hasValue(keys, key)) throw invalid(`keyWrapper[${index}].key`, 'is there twice')
    keys.set(id, key)
  }
  return new Ring(keys)
}

function readEntry(entry: LocalKek, path: string): { id: string; key: Uint8Array } {
  if (typeof entry !== 'object' || entry === null) throw invalid(path, 'must be { id, key }')
  for (const field of Object.keys(entry)) {
    const name = ID_PATTERN.test(field) ? `${path}.${field}` : path
    if (field !== 'id' && field !== 'key')
      throw invalid(name, 'this field is not known: a key is { id, key }')
  }
  if (typeof entry.id !== 'string' || !ID_PATTERN.test(entry.id)) {
    throw invalid(`${path}.id`, 'must be 1 to 64 letters, digits, _ or -')
  }
  return { id: entry.id, key: readKeyMaterial(entry.key, `${path}.key`) }
}

function hasValue(keys: ReadonlyMap<string, Uint8Array>, key: Uint8Array): boolean {
  for (const other of keys.values()) if (primitives.equal(other, key)) return true
  return false
}

class Ring implements LocalKeyWrapper {
  readonly contractVersion = 1
  readonly primaryKekId: string
  readonly #keys: ReadonlyMap<string, Uint8Array>

  /** @param keys - not empty. */
  constructor(keys: ReadonlyMap<string, Uint8Array>) {
    this.#keys = keys
    this.primaryKekId = keys.keys().next().value!
    Object.freeze(this)
  }

  async wrap(dek: Uint8Array, context: WrapContext): Promise<WrappedKey> {
    if (dek.length !== DEK_BYTES) {
      throw new TenantKeysError('TK_CRYPTO_REFUSED', {
        reason: 'the data key is not 32 bytes long',
      })
    }
    const kekId = this.primaryKekId
    const nonce = primitives.randomBytes(GCM_NONCE_BYTES)
    const aad = encodeWrapContext(context, kekId)
    const sealed = primitives.gcmSeal({ key: this.#key(kekId), nonce, aad, data: dek })
    return { kekId, wrapped: concat(Uint8Array.of(VERSION), nonce, sealed) }
  }

  async unwrap({ kekId, wrapped }: WrappedKey, context: WrapContext): Promise<Uint8Array> {
    const key = this.#key(kekId)
    const aad = contextOrNull(context, kekId)
    const wellFormed = wrapped.length === WRAPPED_BYTES && wrapped[0] === VERSION
    const dek = wellFormed && aad !== null ? openWrapped(key, wrapped, aad) : null
    if (dek === null) throw new TenantKeysError('TK_ENVELOPE_OPEN_FAILED')
    return dek
  }

  async checkValues(): Promise<readonly KekCheckValue[]> {
    return [...this.#keys].map(([kekId, key]) => ({
      kekId,
      value: toHex(primitives.hmacSha256(key, CHECK_LABEL).subarray(0, 8)),
    }))
  }

  #key(kekId: string): Uint8Array {
    const key = this.#keys.get(kekId)
    if (key === undefined) {
      // The id comes from a row that others may write: only one of our form is repeated.
      throw new TenantKeysError('TK_KEK_UNKNOWN', ID_PATTERN.test(kekId) ? { kekId } : {})
    }
    return key
  }
}

function openWrapped(key: Uint8Array, wrapped: Uint8Array, aad: Uint8Array): Uint8Array | null {
  const split = 1 + GCM_NONCE_BYTES
  const nonce = wrapped.subarray(1, split)
  return primitives.gcmOpen({ key, nonce, aad, data: wrapped.subarray(split) })
}

/** Nothing was ever wrapped under a context that cannot be encoded. */
function contextOrNull(context: WrapContext, kekId: string): Uint8Array | null {
  try {
    return encodeWrapContext(context, kekId)
  } catch {
    return null
  }
}

/** Label, then tenant, data key and KEK with their lengths, then the generation. */
function encodeWrapContext(
  { tenantId, dekId, generation }: WrapContext,
  kekId: string,
): Uint8Array {
  if (!Number.isSafeInteger(generation) || generation < 1) {
    throw new TenantKeysError('TK_INPUT_INVALID', {
      field: 'generation',
      reason: 'must be an integer from 1 to 2^53 - 1',
    })
  }
  const texts = { tenantId, dekId, kekId }
  const length = Object.entries(texts).reduce(
    (sum, [name, text]) => sum + 2 + checkText(text, name),
    0,
  )
  const out = new Uint8Array(LABEL.length + length + 8)
  out.set(LABEL)
  let at = LABEL.length
  for (const text of Object.values(texts)) at = putText(out, at, text)
  putUint64(out, at, generation)
  return out
}

function invalid(field: string, reason: string): TenantKeysError {
  return new TenantKeysError('TK_CONFIG_INVALID', { field, reason })
}
