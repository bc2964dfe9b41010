/**
 * The data keys (DEK) of tenants: made on first use, kept wrapped in Storage, and held unwrapped for
 * a bounded time in this process.
 *
 * - Every entry has a maximum age, counted from when its unwrapping began; there is no way to turn
 *   that off. No timer runs: an entry that is too old is erased by the next call that finds it so.
 * - An entry is found by tenant, data key, KEK and suite together, so that a key unwrapped under one
 *   KEK or policy never answers for another (T-C19).
 * - Callers that need the same key at the same time share one unwrapping; a failed one is forgotten.
 * - Key bytes are handed to a callback and erased when their entry leaves and nobody uses them.
 *
 * @module
 */
import { LRUCache } from 'lru-cache'
import type { MonotonicClock } from '../kernel/clock.ts'
import { primitives } from '../kernel/crypto/primitives.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidv7 } from '../kernel/ids.ts'
import type { DekRecord } from '../storage/records.ts'
import type { Storage } from '../storage/storage.ts'
import { SUITE } from './envelope.ts'
import type { KeyWrapper, WrapContext } from './key-wrapper.ts'

export interface DataKeysOptions {
  readonly storage: Pick<Storage, 'deks'>
  readonly keyWrapper: KeyWrapper
  readonly clock: MonotonicClock
  /** Longest time an unwrapped key is kept, in milliseconds; 1 to 3,600,000, default 300,000. */
  readonly maxAgeMs?: number
  /** Most keys kept at once; 1 to 100,000, default 1000. */
  readonly maxEntries?: number
}

const DEK_BYTES = 32
const DEFAULT_MAX_AGE_MS = 300_000
const MAX_AGE_MS = 3_600_000
const DEFAULT_MAX_ENTRIES = 1000
const MAX_ENTRIES = 100_000

/** What is known of a data key without unwrapping it. */
type KeyRow = Pick<DekRecord, 'id' | 'generation' | 'kekId' | 'wrapped'>

export class DataKeys {
  readonly #storage: Pick<Storage, 'deks'>
  readonly #keyWrapper: KeyWrapper
  readonly #rows: LRUCache<string, KeyRow>
  readonly #keys: LRUCache<string, HeldKey>
  readonly #creating = new Map<string, Promise<KeyRow>>()

  constructor(options: DataKeysOptions) {
    const { maxAgeMs = DEFAULT_MAX_AGE_MS, maxEntries: max = DEFAULT_MAX_ENTRIES } = options
    checkRange('maxAgeMs', maxAgeMs, MAX_AGE_MS)
    checkRange('maxEntries', max, MAX_ENTRIES)
    this.#storage = options.storage
    this.#keyWrapper = options.keyWrapper
    // lru-cache takes a start at 0 for "no age limit", so its clock never shows 0.
    const perf = { now: () => options.clock.elapsedMs() + 1 }
    const limits = { max, ttl: maxAgeMs, ttlResolution: 0, perf }
    this.#rows = new LRUCache(limits)
    this.#keys = new LRUCache({ ...limits, dispose: (held) => held.retire() })
  }

  /**
   * Runs `work` with the tenant's newest data key, which is made if there is none. When the key's KEK
   * is not known (lost, or taken out of the ring too early), a new generation is made under the one
   * that is: the tenant can enter its secrets again (S1.26), and the old key stays as it is.
   *
   * @param work - synchronous; must not keep the bytes.
   * @throws TenantKeysError as {@link KeyWrapper} and Storage do.
   */
  async withCurrent<T>(
    tenantId: string,
    work: (key: { readonly dekId: string; readonly dek: Uint8Array }) => T,
  ): Promise<T> {
    const use = (row: KeyRow): Promise<T> => {
      this.#rows.set(rowKey({ tenantId, dekId: row.id }), row)
      return this.#use(tenantId, row, (dek) => work({ dekId: row.id, dek }))
    }
    const newest = await this.#storage.deks.current(tenantId)
    if (newest === null) return use(await this.#createOnce(tenantId, 1))
    try {
      return await use(newest)
    } catch (error) {
      if (!TenantKeysError.isInstance(error) || error.code !== 'TK_KEK_UNKNOWN') throw error
      return use(await this.#createOnce(tenantId, newest.generation + 1))
    }
  }

  /**
   * Runs `work` with the data key of that id.
   *
   * @param work - synchronous; must not keep the bytes.
   * @throws TenantKeysError TK_ENVELOPE_OPEN_FAILED when the tenant has no such key, and as
   *   {@link KeyWrapper} and Storage do.
   */
  async withKey<T>(
    at: { readonly tenantId: string; readonly dekId: string },
    work: (dek: Uint8Array) => T,
  ): Promise<T> {
    let row: KeyRow | null = this.#rows.get(rowKey(at)) ?? null
    if (row === null) {
      row = await this.#storage.deks.get(at)
      if (row === null) throw new TenantKeysError('TK_ENVELOPE_OPEN_FAILED')
      this.#rows.set(rowKey(at), row)
    }
    return this.#use(at.tenantId, row, work)
  }

  /** Erases every key held here. Later calls unwrap anew. */
  clear(): void {
    this.#rows.clear()
    this.#keys.clear()
  }

  #use<T>(tenantId: string, row: KeyRow, work: (dek: Uint8Array) => T): Promise<T> {
    const key = keyKey(tenantId, row)
    return (this.#keys.get(key) ?? this.#load(key, tenantId, row)).use(work)
  }

  #load(key: string, tenantId: string, row: KeyRow): HeldKey {
    this.#keys.purgeStale()
    const unwrapping = this.#unwrap(tenantId, row)
    const held = new HeldKey(unwrapping)
    this.#keys.set(key, held)
    unwrapping.catch(() => {
      if (this.#keys.peek(key) === held) this.#keys.delete(key)
    })
    return held
  }

  async #unwrap(tenantId: string, row: KeyRow): Promise<Uint8Array> {
    const { kekId, wrapped, generation } = row
    const context: WrapContext = { tenantId, dekId: row.id, generation }
    const dek = await this.#ask(() => this.#keyWrapper.unwrap({ kekId, wrapped }, context))
    if (dek.length !== DEK_BYTES) throw new TenantKeysError('TK_ENVELOPE_OPEN_FAILED')
    return dek
  }

  /** One creation of a generation at a time in this process; between processes the store decides. */
  #createOnce(tenantId: string, generation: number): Promise<KeyRow> {
    const key = `${generation}/${tenantId}`
    const running = this.#creating.get(key)
    if (running !== undefined) return running
    const creation = this.#create(tenantId, generation).finally(() => this.#creating.delete(key))
    this.#creating.set(key, creation)
    return creation
  }

  async #create(tenantId: string, generation: number): Promise<KeyRow> {
    const context: WrapContext = { tenantId, dekId: uuidv7(), generation }
    const dek = primitives.randomBytes(DEK_BYTES)
    try {
      const wrapped = await this.#ask(() => this.#keyWrapper.wrap(dek, context))
      // A key service that cannot give back what it wrapped must be found before data hangs on it.
      const back = await this.#ask(() => this.#keyWrapper.unwrap(wrapped, context))
      const same = primitives.equal(dek, back)
      back.fill(0)
      if (!same) throw new TenantKeysError('TK_CRYPTO_REFUSED', { reason: WRAPPER_BROKEN })
      const { dekId: id } = context
      return await this.#storage.deks.create({ id, tenantId, generation, ...wrapped }, {})
    } finally {
      dek.fill(0)
    }
  }

  /** A wrapper may be the host's own: whatever else it throws is rebuilt from the allow-list. */
  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question()
    } catch (error) {
      if (TenantKeysError.isInstance(error)) throw error
      throw new TenantKeysError('TK_STORE_UNAVAILABLE', {}, { cause: error })
    }
  }
}

function checkRange(field: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return
  throw new TenantKeysError('TK_CONFIG_INVALID', {
    field,
    reason: `must be an integer from 1 to ${most}`,
  })
}

const WRAPPER_BROKEN = 'the key wrapper does not give back the key it wrapped'

/** The bytes of one data key, and how many callers are using them. */
class HeldKey {
  readonly #arriving: Promise<Uint8Array>
  #dek: Uint8Array | null = null
  #users = 0
  #retired = false

  constructor(unwrapping: Promise<Uint8Array>) {
    this.#arriving = unwrapping.then((dek) => {
      this.#dek = dek
      return dek
    })
  }

  /** Counts the caller in before it waits: an eviction meanwhile must not erase what it waits for,
   * or it would seal under a key of zeros. */
  async use<T>(work: (dek: Uint8Array) => T): Promise<T> {
    this.#users++
    try {
      return work(this.#dek ?? (await this.#arriving))
    } finally {
      this.#users--
      this.#eraseIfIdle()
    }
  }

  /** No longer in the cache: erased now, or by its last user. */
  retire(): void {
    this.#retired = true
    this.#eraseIfIdle()
  }

  #eraseIfIdle(): void {
    if (this.#retired && this.#users === 0) this.#dek?.fill(0)
  }
}

function rowKey({
  tenantId,
  dekId,
}: {
  readonly tenantId: string
  readonly dekId: string
}): string {
  return `${tenantId.length}/${tenantId}${dekId}`
}

/** Lengths in front: no tenant or KEK id can be written so that it looks like another pair. */
function keyKey(tenantId: string, { id, kekId }: KeyRow): string {
  return `${SUITE}/${tenantId.length}/${kekId.length}/${tenantId}${kekId}${id}`
}
