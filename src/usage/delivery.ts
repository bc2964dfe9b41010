/**
 * Brings one batch to one sink: tries again while the sink fails, finds the events that make it fail,
 * and never blames an event while the sink may just be down.
 *
 * A write that throws says nothing about which event was at fault, or whether any was. So the batch is
 * halved until single events remain, and one is held to be poison only if the sink fails on it alone
 * and, asked once more afterwards, still takes an event that it has taken before (the canary; sinks
 * accept repeated ids, US-4). A sink that is down fails on the canary too: then nobody is blamed.
 *
 * An event on which a sink does not answer at all costs the whole time of a write at each step, more
 * than one lease has, and often more than a flush has. So the search goes on where the last one had to
 * stop: of every event is known the smallest part with it that failed, or that went unanswered until the
 * time was over. The parts that have not failed by themselves come first, so that one event does not keep
 * the others waiting. One that is alone has failed when its waits add up to the time of a write.
 *
 * @module
 */
import pRetry from 'p-retry'
import type { MonotonicClock, Timers } from '../kernel/clock.ts'
import { scrubCause } from '../kernel/errors.ts'
import type { OutboxRecord } from '../storage/records.ts'
import type { SinkAnswer, UsageSink } from './usage-sink.ts'

/** What became of a batch; every event of it is in exactly one of the three. */
export interface Delivery {
  readonly accepted: readonly string[]
  readonly rejected: ReadonlyMap<string, string>
  readonly left: readonly string[]
  /** Why events are left: class, code and status of the last failure; `null`: none are left, or the
   * sink is only slow. */
  readonly failure: string | null
  /** How long the sink asked to be left alone, in ms; 0: it did not say. */
  readonly retryAfterMs: number
}

export interface LaneOptions {
  readonly sink: UsageSink
  readonly timers: Timers
  readonly clock: MonotonicClock
  /** First pause after a failed write, in ms; then twice and four times as long. */
  readonly retryMs: number
  /** A write that takes longer has failed. */
  readonly writeTimeoutMs: number
}

const RETRIES = 3
/** So many failures in a row while halving, and the sink is asked whether it is up at all. */
const MAX_MISSES = 16
const MAX_REASON = 200
const TIMEOUT = 'TimeoutError'
const MAX_DOUBTED = 10_000

/** A part that failed, or that was not answered while there was time; all events of it share one. */
interface Doubt {
  /** How many events it had. Those that share it and are fewer have not been tried by themselves. */
  readonly size: number
  /** How long it was waited for, in ms, after the sink had shown that it is up. */
  waitedMs: number
}

export class SinkLane {
  readonly sink: UsageSink
  readonly #options: LaneOptions
  /** The last event that the sink took. */
  #canary: OutboxRecord | null = null
  /** Where the search for poison stood when its time was over, by id. May name events that are gone. */
  readonly #doubts = new Map<string, Doubt>()

  constructor(options: LaneOptions) {
    this.sink = options.sink
    this.#options = options
  }

  /** False before the sink has taken anything from this lane. */
  get proven(): boolean {
    return this.#canary !== null
  }

  /** @param signal - ends the work early; what was not taken by then is left. */
  async deliver(events: readonly OutboxRecord[], signal: AbortSignal): Promise<Delivery> {
    const batch = new Batch(events)
    if (events.length === 0) return batch.result()
    if (events.some(({ id }) => this.#doubts.has(id))) await this.#goOn(batch, signal)
    else await this.#begin(batch, signal)
    for (const { id } of events) if (!batch.has(id)) this.#doubts.delete(id)
    return batch.result()
  }

  async #begin(batch: Batch, signal: AbortSignal): Promise<void> {
    try {
      await this.#withRetries(batch, signal)
    } catch (error) {
      if (signal.aborted) {
        if (!batch.isOnlySlow) this.#doubt(batch.left())
        return
      }
      batch.failed(error)
      if (batch.retryAfterMs > 0) return
      if (this.#canary && !(await this.#isUp(batch, signal))) return
      const open = batch.left()
      // One alone has just failed; without a canary nothing can be said about it.
      if (open.length === 1) return this.#blame(batch, [...open], signal)
      this.#doubt(open)
      await this.#findPoison(batch, halves(open), signal)
    }
  }

  /** Where the last search had to stop. */
  async #goOn(batch: Batch, signal: AbortSignal): Promise<void> {
    const groups = new Map<Doubt | undefined, OutboxRecord[]>()
    for (const event of batch.left()) {
      const doubt = this.#doubts.get(event.id)
      groups.set(doubt, [...(groups.get(doubt) ?? []), event])
    }
    if (this.#canary && !(await this.#isUp(batch, signal))) {
      // It may have been the sink that did not answer.
      for (const doubt of groups.keys()) if (doubt) doubt.waitedMs = 0
      return
    }
    const untried: OutboxRecord[][] = []
    const failed: OutboxRecord[][] = []
    const alone: OutboxRecord[][] = []
    for (const [doubt, part] of groups) {
      if (!doubt || part.length < doubt.size) untried.push(part)
      else if (part.length > 1) failed.push(...halves(part))
      else if (this.#canary && doubt.waitedMs >= this.#options.writeTimeoutMs)
        batch.blame(part, 'no answer')
      else alone.push(part)
    }
    await this.#findPoison(batch, [...untried, ...failed, ...alone], signal)
  }

  #doubt(part: readonly OutboxRecord[], waitedMs = 0): void {
    const [first] = part
    const size = part.length
    const known = first && this.#doubts.get(first.id)
    const doubt = known?.size === size ? known : { size, waitedMs: 0 }
    doubt.waitedMs += waitedMs
    // Those that are set anew are the newest.
    for (const { id } of part) this.#doubts.delete(id)
    for (const { id } of part) this.#doubts.set(id, doubt)
    const tooMany = Math.max(0, this.#doubts.size - MAX_DOUBTED)
    for (const id of [...this.#doubts.keys()].slice(0, tooMany)) this.#doubts.delete(id)
  }

  #withRetries(batch: Batch, signal: AbortSignal): Promise<void> {
    return pRetry(() => this.#write(batch, batch.left(), signal), {
      retries: RETRIES,
      minTimeout: this.#options.retryMs,
      factor: 2,
      randomize: false,
      unref: true,
      signal,
      onFailedAttempt: ({ error }) => {
        if (!signal.aborted) batch.failed(error)
      },
      // A sink that says when to come back is not asked before.
      shouldRetry: ({ error }) => retryAfterOf(error) === 0,
    })
  }

  async #findPoison(
    batch: Batch,
    begin: readonly OutboxRecord[][],
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#options
    const suspects: OutboxRecord[] = []
    const parts = [...begin]
    let misses = 0
    for (let part = parts.shift(); part && !signal.aborted; part = parts.shift()) {
      const beganMs = clock.elapsedMs()
      try {
        await this.#write(batch, part, signal)
        misses = 0
      } catch (error) {
        const open = part.filter(({ id }) => batch.has(id))
        if (signal.aborted) {
          // One of which the sink took something is only slow.
          if (open.length === part.length) this.#doubt(part, clock.elapsedMs() - beganMs)
          return
        }
        batch.failed(error)
        this.#doubt(open)
        if (open.length > 1) parts.unshift(...halves(open))
        else suspects.push(...open)
        // Time may be over before the others are found.
        if (isTimeout(error)) await this.#blame(batch, suspects, signal)
        if (++misses >= MAX_MISSES && !(await this.#isUp(batch, signal))) break
        misses %= MAX_MISSES
      }
    }
    await this.#blame(batch, suspects, signal)
    // What is left by now is so because the sink is down: that says nothing about a part of it.
    if (!signal.aborted) for (const { id } of batch.left()) this.#doubts.delete(id)
  }

  async #blame(batch: Batch, suspects: OutboxRecord[], signal: AbortSignal): Promise<void> {
    if (suspects.length > 0 && (await this.#isUp(batch, signal))) batch.blame(suspects.splice(0))
  }

  /** True when the sink takes what it took before; false also when it never took anything. */
  async #isUp(batch: Batch, signal: AbortSignal): Promise<boolean> {
    if (!this.#canary || signal.aborted) return false
    return this.#ask([this.#canary], signal).then(
      () => true,
      (error: unknown) => {
        batch.failed(error)
        return false
      },
    )
  }

  /** A sink that takes some of a part is given the rest at once: it is slow, and has not failed.
   * @throws what the sink threw, or that it named none of what it was given. */
  async #write(batch: Batch, part: readonly OutboxRecord[], signal: AbortSignal): Promise<void> {
    for (let open = part; open.length > 0; ) {
      const taken = batch.record(await this.#ask(open, signal))
      this.#canary = open.findLast(({ id }) => taken.has(id)) ?? this.#canary
      const left = open.filter(({ id }) => batch.has(id))
      if (left.length === open.length) throw new Error('neither accepted nor rejected')
      open = left
    }
  }

  async #ask(part: readonly OutboxRecord[], signal: AbortSignal): Promise<SinkAnswer> {
    const { sink, timers, writeTimeoutMs } = this.#options
    signal.throwIfAborted()
    let stop = (): void => {}
    const ended = new Promise<never>((_, reject) => {
      const aborted = (): void => reject(signal.reason)
      const timedOut = (): void => reject(Object.assign(new Error('write'), { name: TIMEOUT }))
      const cancel = timers.after(writeTimeoutMs, timedOut, { unref: true })
      signal.addEventListener('abort', aborted, { once: true })
      stop = () => {
        cancel()
        signal.removeEventListener('abort', aborted)
      }
    })
    try {
      return await Promise.race([sink.write(part), ended])
    } finally {
      stop()
    }
  }
}

/** Which events of a batch are still to be taken, and what became of the others. */
class Batch {
  readonly #open: Map<string, OutboxRecord>
  readonly #accepted = new Set<string>()
  readonly #rejected = new Map<string, string>()
  #failure: string | null = null
  retryAfterMs = 0

  constructor(events: readonly OutboxRecord[]) {
    this.#open = new Map(events.map((event) => [event.id, event]))
  }

  has(id: string): boolean {
    return this.#open.has(id)
  }

  /** The sink takes one event after the other, and has failed on none. */
  get isOnlySlow(): boolean {
    return this.#failure === null && this.#accepted.size > 0
  }

  left(): readonly OutboxRecord[] {
    return [...this.#open.values()]
  }

  /** Ids that are none of the batch's are not believed. @returns what was accepted. */
  record({ accepted, rejected }: SinkAnswer): ReadonlySet<string> {
    const taken = new Set<string>()
    for (const id of accepted) {
      if (!this.#open.delete(id)) continue
      this.#accepted.add(id)
      taken.add(id)
    }
    for (const { id, reason } of rejected) {
      if (this.#open.delete(id)) this.#rejected.set(id, plainText(reason))
    }
    return taken
  }

  failed(error: unknown): void {
    this.#failure = nameOf(error)
    this.retryAfterMs = retryAfterOf(error)
  }

  blame(suspects: readonly OutboxRecord[], failure = this.#failure): void {
    for (const { id } of suspects) {
      if (this.#open.delete(id)) this.#rejected.set(id, `fails alone: ${failure}`)
    }
  }

  result(): Delivery {
    const left = [...this.#open.keys()]
    return {
      accepted: [...this.#accepted],
      rejected: this.#rejected,
      left,
      failure: left.length === 0 || this.isOnlySlow ? null : (this.#failure ?? 'no answer in time'),
      retryAfterMs: this.retryAfterMs,
    }
  }
}

function halves<T>(items: readonly T[]): T[][] {
  const middle = Math.ceil(items.length / 2)
  return [items.slice(0, middle), items.slice(middle)].filter((half) => half.length > 0)
}

const isTimeout = (error: unknown): boolean => error instanceof Error && error.name === TIMEOUT

/** A foreign error in a few words: what it says of itself may hold anything. */
function nameOf(error: unknown): string {
  const { name, code, status } = scrubCause(error) as Error & { code?: unknown; status?: unknown }
  return [name, code, status].filter((part) => part !== undefined).join(' ')
}

/** Text of the host's own sink, on one line. */
const plainText = (reason: unknown): string =>
  String(reason)
    .replace(/[\p{Cc}\p{Cs}]/gu, ' ')
    .slice(0, MAX_REASON)

function retryAfterOf(error: unknown): number {
  const { retryAfterMs } = (error ?? {}) as { retryAfterMs?: unknown }
  return typeof retryAfterMs === 'number' && retryAfterMs > 0 ? retryAfterMs : 0
}
