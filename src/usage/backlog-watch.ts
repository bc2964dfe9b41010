/**
 * How many events wait in the outbox, counted now and then: too many, and calls may be refused.
 *
 * @module
 */
import type { MonotonicClock, Timers } from '../kernel/clock.ts'
import type { Reporter } from '../kernel/events.ts'
import type { Storage } from '../storage/storage.ts'

interface BacklogWatchOptions {
  /** More than so many are too many. */
  readonly maxWaiting: number
  readonly whenFull: 'report' | 'reject'
  readonly storage: Pick<Storage, 'outbox'>
  readonly reporter: Reporter
  readonly clock: MonotonicClock
  readonly timers: Timers
}

const COUNT_EVERY_MS = 5000

export class BacklogWatch {
  readonly #options: BacklogWatchOptions
  #cancel: () => void = () => {}
  #stopped = false
  #full = false
  #countedMs = Number.NEGATIVE_INFINITY
  #counting: Promise<void> | null = null

  constructor(options: BacklogWatchOptions) {
    this.#options = options
  }

  /** As of the last count. */
  get isFull(): boolean {
    return this.#full
  }

  /** Counts apart from the rounds of an exporter, which take as long as their sinks. A store that fails is
   * reported by the next round, and asked again in five seconds. */
  start(): void {
    this.#watch(COUNT_EVERY_MS)
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  /** Counts, if that is due; one at a time: an older answer must not stand after a newer one.
   * @throws what the store throws. */
  count(): Promise<void> {
    if (this.#dueInMs() > 0) return Promise.resolve()
    this.#counting ??= this.#ask().finally(() => {
      this.#counting = null
    })
    return this.#counting
  }

  #watch(ms: number): void {
    if (this.#stopped) return
    const count = (): void => {
      void this.count().then(
        // A round may have counted meanwhile, and timers come a little early.
        () => this.#watch(this.#dueInMs()),
        () => this.#watch(COUNT_EVERY_MS),
      )
    }
    this.#cancel = this.#options.timers.after(ms, count, { unref: true })
  }

  #dueInMs(): number {
    return this.#countedMs + COUNT_EVERY_MS - this.#options.clock.elapsedMs()
  }

  async #ask(): Promise<void> {
    const { clock, storage, maxWaiting, whenFull, reporter } = this.#options
    const askedMs = clock.elapsedMs()
    const { waiting } = await storage.outbox.backlog({ limit: maxWaiting + 1 })
    this.#countedMs = askedMs
    const full = waiting > maxWaiting
    if (full === this.#full) return
    this.#full = full
    const limits = { waiting, maxWaiting, whenFull }
    reporter.emit(full ? { kind: 'outbox.full', ...limits } : { kind: 'outbox.drained', ...limits })
  }
}
