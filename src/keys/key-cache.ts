/**
 * What this process remembers of keys, in two maps. The first goes from the digest of a whole key
 * text to the key that it was proven to belong to, the second from the key id to the same object.
 * Changes and revocations go by the second; a key dropped there is marked, so that nothing that
 * still points to it can use it.
 *
 * A key is used without asking while the epoch it was read at is the newest known and that is recent
 * enough (see epoch-watch.ts). Otherwise the store is asked. When it does not answer in a short
 * bounded time the key stands until its epoch was last certain `maxStaleMs` ago; then nothing is
 * honoured.
 *
 * Changes by other processes come to light through the epoch, this process's own by `forget`.
 * Unknown ids are remembered by the same rules in a small map of their own, so that guesses push out
 * no key.
 *
 * @module
 */
import { LRUCache } from 'lru-cache'
import type { KeyRecord } from '../storage/records.ts'
import type { KeyLookup, Storage } from '../storage/storage.ts'
import { answerWithin } from './bounded-wait.ts'
import { ASK_AGAIN_AFTER_MS, EpochWatch, type EpochWatchOptions } from './epoch-watch.ts'
import { type KeyVerdict, keyInfo } from './key-issuer.ts'

const MAX_UNKNOWN_IDS = 1_000
const DROPPED = -1

export interface KeyCacheOptions extends EpochWatchOptions {
  readonly storage: Pick<Storage, 'epoch' | 'epochNow' | 'onEpoch' | 'keys'>
  readonly maxKeys: number
}

/** A key as last read. What a verification needs lies in this object: a look-up touches little else. */
export interface KnownKey extends Pick<KeyRecord, 'state' | 'expiresAtMs'> {
  /** The store's epoch when the row was read; -1: not to be used any more. */
  epoch: number
  readonly row: KeyRecord
  /** The answer while nothing speaks against the key, made once. */
  readonly verdict: KeyVerdict
}

/** An id that no key has. */
interface KnownAbsence {
  readonly epoch: number
  readonly row: null
}

type Known = KnownKey | KnownAbsence

interface Lookup {
  readonly sentAtMs: number
  /** The newest epoch known when it was sent: its answer is at least as new, or of no use. */
  readonly epoch: number
  readonly answer: Promise<Known | null>
}

export class KeyCache {
  readonly #options: KeyCacheOptions
  readonly #watch: EpochWatch
  readonly #proven: LRUCache<string, KnownKey>
  readonly #keys: LRUCache<string, KnownKey>
  readonly #unknown = new LRUCache<string, KnownAbsence>({ max: MAX_UNKNOWN_IDS })
  readonly #lookups = new Map<string, Lookup>()

  constructor(options: KeyCacheOptions) {
    this.#options = options
    this.#watch = new EpochWatch(options)
    this.#proven = new LRUCache({ max: options.maxKeys })
    this.#keys = new LRUCache({
      max: options.maxKeys,
      dispose: (known) => {
        known.epoch = DROPPED
      },
    })
  }

  /** The key that this text was proven to belong to, if it can be used without waiting. */
  recall(digest: string): KnownKey | null {
    const known = this.#proven.get(digest)
    return known !== undefined && this.#isCurrent(known) ? known : null
  }

  /**
   * Remembers that the text with this digest holds the secret of this very row, unless the row was
   * dropped while it was being compared: then a revocation may have come between.
   */
  prove(digest: string, known: KnownKey): void {
    if (this.#keys.peek(known.row.keyId) === known) this.#proven.set(digest, known)
  }

  /** Drops a key that this process has just changed, and reads under way that may have missed it. */
  forget(keyId: string): void {
    this.#keys.delete(keyId)
    this.#lookups.delete(keyId)
  }

  /** The store's time when the last key was recalled or confirmed. */
  get storeNowMs(): number {
    return this.#watch.storeNowMs
  }

  /**
   * What is known of a key id, confirmed by the store where need be.
   * @returns `stale`: it could not be confirmed in time, so nothing may be allowed by it.
   * @throws TenantKeysError TK_STORE_* when nothing is known yet and the store cannot answer.
   */
  async current(keyId: string): Promise<{ known: Known | null; stale: boolean }> {
    const before = this.#remembered(keyId)
    if (before !== undefined) {
      if (this.#isCurrent(before)) return { known: before, stale: false }
      if (before.epoch >= this.#watch.epoch) await this.#watch.refresh()
    }
    // Others may have read or changed the key during the wait.
    const known = this.#remembered(keyId)
    if (known === undefined) return this.#found(await this.#lookUp(keyId).answer)
    if (this.#isCurrent(known)) return { known, stale: false }
    if (known.epoch < this.#watch.epoch) {
      const { clock, sleep, waitMs } = this.#options
      const { answer, sentAtMs } = this.#lookUp(keyId)
      const found = await answerWithin(answer, sentAtMs + waitMs - clock.elapsedMs(), sleep)
      if (found !== null && found.value !== null) return this.#found(found.value)
    }
    return this.#withoutAnswer(keyId)
  }

  #remembered(keyId: string): Known | undefined {
    return this.#keys.get(keyId) ?? this.#unknown.get(keyId)
  }

  #isCurrent(known: Known): boolean {
    return this.#watch.glance() && known.epoch >= this.#watch.epoch
  }

  #found(known: Known | null): { known: Known | null; stale: boolean } {
    this.#watch.glance()
    return { known, stale: known === null }
  }

  /** The store kept silent: what is remembered stands for a while. */
  #withoutAnswer(keyId: string): { known: Known | null; stale: boolean } {
    const known = this.#remembered(keyId) ?? null
    if (known === null) return { known, stale: true }
    const ageMs = this.#options.clock.elapsedMs() - this.#watch.certainAtMs(known.epoch)
    return { known, stale: ageMs >= this.#options.maxStaleMs }
  }

  /** The read of this key under way, or a new one: callers that come together share it. */
  #lookUp(keyId: string): Lookup {
    this.#watch.askNow()
    const { epoch } = this.#watch
    const sentAtMs = this.#options.clock.elapsedMs()
    const last = this.#lookups.get(keyId)
    if (last?.epoch === epoch && sentAtMs - last.sentAtMs < ASK_AGAIN_AFTER_MS) return last
    const lookup: Lookup = {
      sentAtMs,
      epoch,
      answer: this.#options.storage.keys.find(keyId).then(
        (found) => this.#learn(keyId, found, lookup),
        (error: unknown) => {
          this.#finished(keyId, lookup)
          throw error
        },
      ),
    }
    // Whoever still waits for the answer hears of a failure.
    lookup.answer.catch(() => {})
    this.#lookups.set(keyId, lookup)
    return lookup
  }

  #learn(keyId: string, lookedUp: KeyLookup, lookup: Lookup): Known | null {
    const isLatest = this.#finished(keyId, lookup)
    this.#watch.observe(lookedUp, lookup.sentAtMs)
    // A replica that lags behind what was known when it was asked.
    if (lookedUp.epoch < lookup.epoch) return null
    const known = knownFrom(lookedUp)
    if (!isLatest) return known
    this.#keys.delete(keyId)
    this.#unknown.delete(keyId)
    if (known.row === null) this.#unknown.set(keyId, known)
    else this.#keys.set(keyId, known)
    return known
  }

  /** @returns false when `forget` or a later read has taken its place. */
  #finished(keyId: string, lookup: Lookup): boolean {
    return this.#lookups.get(keyId) === lookup && this.#lookups.delete(keyId)
  }
}

function knownFrom({ epoch, found }: KeyLookup): Known {
  if (found === null) return { epoch, row: null }
  const { key: row, tenant } = found
  const { state, expiresAtMs } = row
  // Every verification hands out this very object: who changed it would change later ones.
  Object.freeze(tenant.path)
  Object.freeze(tenant)
  const verdict = Object.freeze({ ok: true, key: keyInfo(row), tenant } as const)
  return { epoch, state, expiresAtMs, row, verdict }
}
