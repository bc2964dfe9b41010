/**
 * The newest epoch that the store is known to have had, how long ago that was certain, and the
 * store's time.
 *
 * Every change of a key or tenant raises the epoch, so what was read at the newest epoch is still
 * true. There is no timer: whoever uses a key looks. A store in this process is asked on every use,
 * which costs no wait. Any other is read in the background when its last answer is older than 1 s,
 * counted from when the question was sent, and waited for when it is older than 2 s. A store that
 * pushes is asked at once when it says that something has changed: a push is only a reason to ask,
 * because anybody in the same database might send one.
 *
 * The epoch never goes back. A database restored from a backup may carry a lower one; processes that
 * saw the higher one refuse its keys as stale until they are restarted.
 *
 * @module
 */
import type { MonotonicClock } from '../kernel/clock.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import type { EpochReading, Storage } from '../storage/storage.ts'
import { answerWithin, type Sleep } from './bounded-wait.ts'
import { StoreTime } from './store-time.ts'

const READ_BEHIND_AFTER_MS = 1_000
const WAIT_AFTER_MS = 2_000
/** A question without an answer is asked again after this long: its connection may be dead. */
export const ASK_AGAIN_AFTER_MS = 1_000
/** After a failure the store is left alone for this long. */
const FAILURE_PAUSE_MS = 100
/** How old the epoch of Storage.epochNow may be by contract. */
const EPOCH_NOW_MAX_AGE_MS = 100
/** How often a store in this process is noted as having answered; reading the clock costs 40 ns. */
const NOTE_EVERY_MS = 100
/** How many earlier epochs are remembered: those of the last few seconds matter. */
const MAX_PAST_EPOCHS = 64

export interface EpochWatchOptions {
  readonly storage: Pick<Storage, 'epoch' | 'epochNow' | 'onEpoch'>
  readonly clock: MonotonicClock
  readonly sleep: Sleep
  /** Longest wait for an answer, counted from when its question was sent. */
  readonly waitMs: number
  /** From this age on nothing is used without asking, also if it is less than 2 s. */
  readonly maxStaleMs: number
}

interface Question {
  readonly sentAtMs: number
  readonly answer: Promise<void>
  failed: boolean
}

export class EpochWatch {
  readonly #options: EpochWatchOptions
  readonly #epochNow: (() => EpochReading) | null
  readonly #time = new StoreTime()
  #epoch = 0
  #certainAtMs = Number.NEGATIVE_INFINITY
  /** Earlier epochs, oldest first, with the time at which each was last certain. */
  readonly #past: { readonly epoch: number; readonly certainAtMs: number }[] = []
  #storeNowMs = 0
  #noteAtMs = 0
  #question: Question | null = null
  /** The question that the last push led to, until it is answered. */
  #pushed: Question | null = null
  #pushedAgain = false

  constructor(options: EpochWatchOptions) {
    this.#options = options
    this.#epochNow = options.storage.epochNow?.bind(options.storage) ?? null
    options.storage.onEpoch?.(() => this.#push())
  }

  /** The newest epoch known; 0 before the first answer. */
  get epoch(): number {
    return this.#epoch
  }

  /** The store's time at the last glance; never less than at an earlier one. */
  get storeNowMs(): number {
    return this.#storeNowMs
  }

  /** When the store was last asked and then named this epoch, on the monotonic clock. */
  certainAtMs(epoch: number): number {
    if (epoch >= this.#epoch) return this.#certainAtMs
    return this.#past.findLast((past) => past.epoch <= epoch)?.certainAtMs ?? -Infinity
  }

  /** Learns from an answer. One with an older epoch was overtaken, or comes from a replica. */
  observe(reading: EpochReading, sentAtMs: number): void {
    if (reading.epoch < this.#epoch) return
    const beforeMs = this.#options.clock.elapsedMs()
    this.#time.observe(reading.nowMs, { afterMs: sentAtMs, beforeMs })
    this.#advance(reading.epoch, sentAtMs)
  }

  /**
   * Looks without waiting, and sends a question when it is time for one.
   * @returns whether the newest epoch is recent enough to rely on.
   */
  glance(): boolean {
    if (this.askNow()) return true
    const elapsedMs = this.#options.clock.elapsedMs()
    this.#setTime(this.#time.at(elapsedMs))
    const ageMs = elapsedMs - this.#certainAtMs
    if (ageMs > READ_BEHIND_AFTER_MS) this.#ask(elapsedMs)
    return ageMs <= WAIT_AFTER_MS && ageMs < this.#options.maxStaleMs
  }

  /** Asks a store in this process. @returns false: it is elsewhere, or cannot tell just now. */
  askNow(): boolean {
    if (this.#epochNow === null) return false
    let reading: EpochReading
    try {
      reading = this.#epochNow()
    } catch (error) {
      // A store that cannot answer at once may still answer when asked properly.
      if (TenantKeysError.isInstance(error) && error.retryable) return false
      throw error
    }
    const { epoch, nowMs } = reading
    if (epoch < this.#epoch) return false
    if (epoch > this.#epoch || nowMs >= this.#noteAtMs) {
      this.#noteAtMs = nowMs + NOTE_EVERY_MS
      this.observe(reading, this.#options.clock.elapsedMs() - EPOCH_NOW_MAX_AGE_MS)
    }
    this.#setTime(nowMs)
    return true
  }

  /** Waits a bounded time for a newer answer. @throws what asking again would not cure. */
  async refresh(): Promise<void> {
    const { clock, waitMs, sleep } = this.#options
    const elapsedMs = clock.elapsedMs()
    const { answer, sentAtMs } = this.#ask(elapsedMs)
    await answerWithin(answer, sentAtMs + waitMs - elapsedMs, sleep)
  }

  /** Asks anew: the question under way may have been answered before the change. Pushes that come
   * meanwhile lead to one more question, not to one each. */
  #push(): void {
    const elapsedMs = this.#options.clock.elapsedMs()
    if (this.#pushed !== null && elapsedMs - this.#pushed.sentAtMs < ASK_AGAIN_AFTER_MS) {
      this.#pushedAgain = true
      return
    }
    this.#question = null
    const question = this.#ask(elapsedMs)
    this.#pushed = question
    const answered = (): void => {
      if (this.#pushed !== question) return
      this.#pushed = null
      if (!this.#pushedAgain) return
      this.#pushedAgain = false
      this.#push()
    }
    question.answer.then(answered, answered)
  }

  #setTime(storeNowMs: number): void {
    if (storeNowMs > this.#storeNowMs) this.#storeNowMs = storeNowMs
  }

  #advance(epoch: number, sentAtMs: number): void {
    if (epoch > this.#epoch) {
      this.#past.push({ epoch: this.#epoch, certainAtMs: this.#certainAtMs })
      if (this.#past.length > MAX_PAST_EPOCHS) this.#past.shift()
      this.#epoch = epoch
      this.#certainAtMs = sentAtMs
    } else if (sentAtMs > this.#certainAtMs) this.#certainAtMs = sentAtMs
  }

  /** The question under way, or a new one. */
  #ask(elapsedMs: number): Question {
    const last = this.#question
    const patienceMs = last?.failed ? FAILURE_PAUSE_MS : ASK_AGAIN_AFTER_MS
    if (last !== null && elapsedMs - last.sentAtMs < patienceMs) return last
    const question: Question = {
      sentAtMs: elapsedMs,
      answer: this.#options.storage.epoch().then(
        (reading) => {
          this.observe(reading, elapsedMs)
          if (this.#question === question) this.#question = null
        },
        (error: unknown) => {
          question.failed = true
          throw error
        },
      ),
      failed: false,
    }
    // Whoever waits for the answer hears of a failure; often nobody does.
    question.answer.catch(() => {})
    this.#question = question
    return question
  }
}
