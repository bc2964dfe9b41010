/**
 * What is stored of a platform key: HMAC-SHA-256 under a pepper that the database does not have.
 * Who reads the table can neither use a row nor test a guess against it, and who writes it cannot
 * make a row that some key opens (T-K1, T-K2).
 *
 * The message is `label, tenantId, keyId, secret`, each as a netstring (its length in bytes as
 * decimal digits, `:`, the bytes, `,`), so that no two tuples share one message and a hash copied to
 * another tenant's or key's row proves nothing.
 *
 * @module
 */
import { primitives } from '../kernel/crypto/primitives.ts'
import { toHex, utf8, utf8Length } from '../kernel/encoding.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { ID_PATTERN } from '../kernel/ids.ts'
import { type KeyMaterial, readKeyMaterial } from '../kernel/key-material.ts'

export interface KeySecret {
  readonly tenantId: string
  readonly keyId: string
  readonly secret: string
}

export interface PepperOptions {
  /** 1 to 64 of `A-Z a-z 0-9 _ -`; stored with every hash. */
  readonly id: string
  /** 32 random bytes; see {@link KeyMaterial}. */
  readonly key: KeyMaterial
}

const LABEL = netstring('tenantkeys/platform-key/v1')
const PEPPER_BYTES = 32
const CHECK_LABEL = utf8(netstring('tenantkeys/pepper-check/v1'))

function netstring(text: string): string {
  return `${utf8Length(text)}:${text},`
}

/**
 * @param input - `pepper` is 32 bytes.
 * @returns 32 bytes.
 * @throws TenantKeysError TK_INPUT_INVALID naming the field.
 */
export function hashKey(input: KeySecret & { readonly pepper: Uint8Array }): Uint8Array {
  const { pepper, tenantId, keyId, secret } = input ?? {}
  if (!(pepper instanceof Uint8Array) || pepper.length !== PEPPER_BYTES) {
    throw new TenantKeysError('TK_INPUT_INVALID', {
      field: 'pepper',
      reason: 'it must be 32 bytes',
    })
  }
  for (const [field, text] of Object.entries({ tenantId, keyId, secret })) {
    if (typeof text === 'string') continue
    throw new TenantKeysError('TK_INPUT_INVALID', { field, reason: 'it must be text' })
  }
  return hmacOf(pepper, { tenantId, keyId, secret })
}

function hmacOf(pepper: Uint8Array, { tenantId, keyId, secret }: KeySecret): Uint8Array {
  const message = LABEL + netstring(tenantId) + netstring(keyId) + netstring(secret)
  return primitives.hmacSha256(pepper, utf8(message))
}

/** The peppers in use. New keys are hashed under the first; the others only verify. */
export class PepperRing {
  readonly currentId: string
  readonly #peppers: ReadonlyMap<string, Uint8Array>

  /** @throws TenantKeysError TK_CONFIG_INVALID, naming for example `peppers[0].key`. */
  constructor(peppers: readonly PepperOptions[]) {
    if (!Array.isArray(peppers) || peppers.length === 0) {
      throw invalid('peppers', 'at least one pepper is needed')
    }
    const ring = new Map<string, Uint8Array>()
    peppers.forEach((pepper: PepperOptions | null, i) => {
      const id: unknown = pepper?.id
      const unknown = Object.keys(pepper ?? {}).find((name) => name !== 'id' && name !== 'key')
      if (unknown !== undefined) throw invalid(`peppers[${i}]`, 'only id and key are known')
      if (typeof id !== 'string' || !ID_PATTERN.test(id)) {
        throw invalid(`peppers[${i}].id`, 'it must be 1 to 64 of A-Z, a-z, 0-9, _ and -')
      }
      if (ring.has(id)) throw invalid(`peppers[${i}].id`, 'an earlier pepper has the same id')
      ring.set(id, readKeyMaterial(pepper?.key, `peppers[${i}].key`))
    })
    this.#peppers = ring
    this.currentId = ring.keys().next().value as string
  }

  /** Tells one pepper from another without telling anything about it: 16 hex digits, the first 8
   * bytes of HMAC-SHA-256 under the pepper over a fixed label. In the order of the ring. */
  checkValues(): { readonly pepperId: string; readonly value: string }[] {
    return [...this.#peppers].map(([pepperId, pepper]) => ({
      pepperId,
      value: toHex(primitives.hmacSha256(pepper, CHECK_LABEL).subarray(0, 8)),
    }))
  }

  /** @throws TenantKeysError TK_PEPPER_UNKNOWN */
  hash(secret: KeySecret, pepperId: string): Uint8Array {
    const pepper = this.#peppers.get(pepperId)
    if (pepper === undefined) {
      // The ids come from a row that others may write: only what has our form is repeated.
      const { keyId } = secret
      throw new TenantKeysError('TK_PEPPER_UNKNOWN', {
        ...(ID_PATTERN.test(pepperId) ? { pepperId } : {}),
        keyId,
      })
    }
    return hmacOf(pepper, secret)
  }
}

function invalid(field: string, reason: string): TenantKeysError {
  return new TenantKeysError('TK_CONFIG_INVALID', { field, reason })
}
