/**
 * Drives sinks out of the outbox: leases a batch, brings it to every sink, and only then takes it out
 * of the queue. A process that dies in between leaves a lease that runs out, so each event arrives at
 * least once; several exporters in several processes share the work.
 *
 * The queue is the outbox in the database, and nothing else: at most one batch is in memory. What no
 * sink can take is set aside with its reason, never dropped.
 *
 * Nothing here keeps a process alive, except `flush` while it is waited for.
 *
 * @module
 */
import * as z from 'zod'
import {
  type MonotonicClock,
  systemMonotonicClock,
  systemTimers,
  type Timers,
} from '../kernel/clock.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { createReporter, type Logger, type Reporter, type RuntimeEvent } from '../kernel/events.ts'
import { followSignal } from '../kernel/follow-signal.ts'
import { objectWith, parse } from '../kernel/validate.ts'
import type { OutboxRecord } from '../storage/records.ts'
import type { Storage } from '../storage/storage.ts'
import { BacklogWatch } from './backlog-watch.ts'
import { type Delivery, SinkLane } from './delivery.ts'
import { type ExporterSettings, exporterFields, sinksSchema } from './exporter-options.ts'
import type { UsageSink } from './usage-sink.ts'

export interface ExporterOptions extends ExporterSettings {
  readonly storage: Pick<Storage, 'outbox'>
  /** Every one is given every event; an event leaves the queue when all have answered for it, so one
   * that is down holds up the others. */
  readonly sinks: readonly UsageSink[]
  readonly logger?: Logger | undefined
  readonly onEvent?: ((event: RuntimeEvent) => void) | undefined
  /** For tests. */
  readonly clock?: (MonotonicClock & Partial<Timers>) | undefined
}

export interface FlushResult {
  /** Events that every sink has taken, less those of a store that did not confirm it in time. */
  readonly exported: number
  /** True when nothing was left that could be leased; false when a sink failed or time ran out. */
  readonly done: boolean
}

export interface Exporter {
  /** Begins to work in the background. Idempotent. */
  start(): void
  /** Says that events were written: they are exported within `intervalMs`. Costs nothing. */
  nudge(): void
  /** Exports what waits now, for at most `timeoutMs`, default 10,000: writes end at nine tenths of it, so
   * that the store can be told. */
  flush(options?: { readonly timeoutMs?: number | undefined }): Promise<FlushResult>
  /** Ends the work, gives back what is leased, closes the sinks; waits for none of it longer than for a
   * write. Idempotent. */
  stop(): Promise<void>
  /** True while calls are to be refused because too many events wait. */
  isFull(): boolean
}

const optionsSchema = z.strictObject({
  ...exporterFields,
  storage: objectWith<ExporterOptions['storage']>([], 'expected a storage', ({ outbox }) => {
    return typeof outbox === 'object' && outbox !== null
  }),
  sinks: sinksSchema,
  logger: z.custom<Logger>().optional(),
  onEvent: z.custom<ExporterOptions['onEvent']>().optional(),
  clock: z.custom<ExporterOptions['clock']>().optional(),
})

/** Asked this often by an exporter that has nothing to do: other processes write events too. */
const IDLE_MS = 1000
/** Of the time of a flush: the rest is for telling the store what became of a batch. */
const FLUSH_WORK = 0.9
const MAX_PAUSES = 60
/** Of one sink, while another has not taken them. Beyond it, the oldest may arrive again. */
const MAX_TAKEN = 10_000

/**
 * For a process of its own that only exports. `createTenantKeys({ sinks })` has one inside.
 *
 * @throws TenantKeysError TK_CONFIG_INVALID naming the option
 */
export function createExporter(options: ExporterOptions): Exporter {
  const read = parse(optionsSchema, options, 'options', 'TK_CONFIG_INVALID')
  const after = read.clock?.after
  return new OutboxExporter({
    ...read,
    reporter: createReporter(read),
    clock: read.clock ?? systemMonotonicClock,
    timers: after ? { after } : systemTimers,
  })
}

type Settings = z.output<typeof optionsSchema>

interface Parts extends Omit<Settings, 'logger' | 'onEvent' | 'clock'> {
  readonly reporter: Reporter
  readonly clock: MonotonicClock
  readonly timers: Timers
}

/** What one lease came to. */
interface Round {
  readonly leased: number
  readonly exported: number
  /** How long to leave the sinks alone; 0: none failed. */
  readonly pauseMs: number
}

const NOTHING: Round = { leased: 0, exported: 0, pauseMs: 0 }

export class OutboxExporter implements Exporter {
  readonly #parts: Parts
  readonly #lanes: readonly SinkLane[]
  readonly #backlog: BacklogWatch
  /** Ids that a sink has, of events that another has not: it is not given them again. */
  readonly #taken: Map<SinkLane, Set<string>>
  /** One round at a time. */
  #last: Promise<unknown> = Promise.resolve()
  #started = false
  #stopped: Promise<void> | null = null
  #cancelNext: (() => void) | null = null
  #nextInMs = Number.POSITIVE_INFINITY
  #failures = 0
  readonly #ending = new AbortController()

  constructor(parts: Parts) {
    const { sinks, timers, clock, retryMs, leaseMs } = parts
    // A search for poison needs several writes within one lease.
    const writeTimeoutMs = Math.min(parts.writeTimeoutMs, leaseMs / 4)
    this.#parts = parts
    this.#backlog = new BacklogWatch(parts)
    this.#lanes = sinks.map(
      (sink) => new SinkLane({ sink, timers, clock, retryMs, writeTimeoutMs }),
    )
    this.#taken = new Map(this.#lanes.map((lane) => [lane, new Set()]))
  }

  start(): void {
    if (this.#started || this.#stopped || this.#lanes.length === 0) return
    this.#started = true
    this.#schedule(0)
    this.#backlog.start()
  }

  nudge(): void {
    // A sink that failed is not asked earlier because of it.
    if (this.#started && this.#failures === 0) this.#schedule(this.#parts.intervalMs)
  }

  isFull(): boolean {
    return this.#backlog.isFull && this.#parts.whenFull === 'reject'
  }

  async flush({
    timeoutMs = 10_000,
  }: {
    readonly timeoutMs?: number | undefined
  } = {}): Promise<FlushResult> {
    if (this.#lanes.length === 0) return { exported: 0, done: true }
    // Not unref'd: somebody waits, and the pauses between retries do not keep a process alive.
    const whole = this.#within(timeoutMs, this.#ending.signal, false)
    const work = this.#within(timeoutMs * FLUSH_WORK, this.#ending.signal, false)
    // A store may not answer either.
    const over = new Promise<null>((resolve) => {
      if (whole.signal.aborted) resolve(null)
      whole.signal.addEventListener('abort', () => resolve(null), { once: true })
    })
    let exported = 0
    try {
      while (await this.#isFree(work.signal)) {
        const round = await Promise.race([this.#turn(work.signal), over])
        exported += round?.exported ?? 0
        if (round === null || work.signal.aborted || round.pauseMs > 0) break
        if (round.leased === 0) return { exported, done: true }
      }
      return { exported, done: false }
    } finally {
      work.release()
      whole.release()
    }
  }

  /** Waits for the round in hand, which may be that of a sink that does not answer.
   * @returns false when the signal was first. */
  async #isFree(signal: AbortSignal): Promise<boolean> {
    const aborted = new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    )
    for (let last: unknown; last !== this.#last && !signal.aborted; ) {
      last = this.#last
      await Promise.race([last, aborted])
    }
    return !signal.aborted
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#end()
    return this.#stopped
  }

  async #end(): Promise<void> {
    this.#ending.abort()
    this.#cancelNext?.()
    this.#backlog.stop()
    // A store that does not answer is left with its lease, which runs out.
    await this.#inTime(this.#last).catch(() => {})
    await Promise.all(this.#lanes.map(({ sink }) => this.#close(sink)))
  }

  async #close(sink: UsageSink): Promise<void> {
    try {
      await this.#inTime(sink.close?.())
    } catch {
      this.#parts.reporter.emit({ kind: 'export.failed', sink: sink.name, code: 'TK_INTERNAL' })
    }
  }

  /** Waits no longer than for a write. @throws what the work threw, or when its time is over. */
  async #inTime(work: unknown): Promise<void> {
    const { timers, writeTimeoutMs } = this.#parts
    let cancel = (): void => {}
    const late = new Promise<never>((_, reject) => {
      cancel = timers.after(writeTimeoutMs, () => reject(new Error('no answer in time')))
    })
    try {
      await Promise.race([work, late])
    } finally {
      cancel()
    }
  }

  /** Wakes at the earliest of what was asked. */
  #schedule(ms: number): void {
    if (this.#stopped || ms >= this.#nextInMs) return
    this.#cancelNext?.()
    this.#nextInMs = ms
    const wake = (): void => {
      this.#cancelNext = null
      this.#nextInMs = Number.POSITIVE_INFINITY
      void this.#turn(this.#ending.signal).then(({ leased, pauseMs }) => {
        const { batch, intervalMs } = this.#parts
        if (pauseMs > 0) this.#schedule(pauseMs)
        else this.#schedule(leased === batch ? 0 : leased > 0 ? intervalMs : IDLE_MS)
      })
    }
    this.#cancelNext = this.#parts.timers.after(ms, wake, { unref: true })
  }

  /** One round after the others. Never rejects. */
  #turn(signal: AbortSignal): Promise<Round> {
    const turn = this.#last.then(async () => {
      if (signal.aborted) return NOTHING
      try {
        await this.#backlog.count()
        return await this.#round(signal)
      } catch (error) {
        const code = TenantKeysError.isInstance(error) ? error.code : 'TK_INTERNAL'
        this.#parts.reporter.emit({ kind: 'export.failed', sink: null, code })
        return { ...NOTHING, leased: 1, pauseMs: this.#pause(0) }
      }
    })
    this.#last = turn
    return turn
  }

  async #round(signal: AbortSignal): Promise<Round> {
    const { storage, batch, leaseMs } = this.#parts
    const { leaseId, events } = await storage.outbox.lease({ limit: batch, leaseMs })
    if (events.length === 0) return NOTHING
    const leased = this.#within(leaseMs * 0.8, signal, true)
    try {
      const work = this.#lanes.map((lane) => this.#deliver(lane, events, leased.signal))
      return await this.#conclude(leaseId, events, await Promise.all(work))
    } finally {
      leased.release()
    }
  }

  /** A signal that ends with another or after a time. */
  #within(
    ms: number,
    outer: AbortSignal,
    unref: boolean,
  ): { readonly signal: AbortSignal; release(): void } {
    const inner = new AbortController()
    const cancel = this.#parts.timers.after(ms, () => inner.abort(), { unref })
    const letGo = followSignal(inner, outer)
    return {
      signal: inner.signal,
      release: () => {
        cancel()
        letGo()
      },
    }
  }

  async #deliver(
    lane: SinkLane,
    events: readonly OutboxRecord[],
    signal: AbortSignal,
  ): Promise<Delivery> {
    const taken = this.#taken.get(lane)!
    const asked = events.filter(({ id }) => !taken.has(id))
    const delivery = await lane.deliver(asked, signal)
    for (const id of delivery.accepted) taken.add(id)
    for (const id of [...taken].slice(0, Math.max(0, taken.size - MAX_TAKEN))) taken.delete(id)
    if (delivery.failure === null || this.#ending.signal.aborted) return delivery
    const { name } = lane.sink
    const { failure, left } = delivery
    this.#parts.reporter.emit({
      kind: 'sink.failed',
      sink: name,
      reason: failure,
      events: left.length,
    })
    return delivery
  }

  /** Every event leaves the lease: out of the queue, set aside, or back into it. */
  async #conclude(
    leaseId: string,
    events: readonly OutboxRecord[],
    deliveries: readonly Delivery[],
  ): Promise<Round> {
    const { outbox } = this.#parts.storage
    const left = new Set(deliveries.flatMap((delivery) => delivery.left))
    const aside = events.flatMap(({ id }) => {
      const at = deliveries.findIndex(({ rejected }) => rejected.has(id))
      if (at < 0 || left.has(id)) return []
      const sink = this.#lanes[at]!.sink.name
      return [{ id, sink, reason: deliveries[at]!.rejected.get(id)! }]
    })
    const gone = new Set(aside.map(({ id }) => id))
    const done = events.map(({ id }) => id).filter((id) => !left.has(id) && !gone.has(id))
    if (done.length > 0) await outbox.ack({ leaseId, ids: done })
    if (aside.length > 0) {
      const named = aside.map(({ id, sink, reason }) => ({ id, reason: `${sink}: ${reason}` }))
      await outbox.quarantine({ leaseId, events: named })
    }
    for (const { id, sink, reason } of aside) {
      this.#parts.reporter.emit({ kind: 'export.quarantined', sink, eventId: id, reason })
    }
    for (const taken of this.#taken.values()) for (const id of [...done, ...gone]) taken.delete(id)
    if (left.size === 0) this.#failures = 0
    if (deliveries.every(({ failure }) => failure === null)) {
      if (left.size > 0) await outbox.release({ leaseId, ids: [...left], delayMs: 0 })
      return { leased: events.length, exported: done.length, pauseMs: 0 }
    }
    const retryAfterMs = Math.max(...deliveries.map((d) => d.retryAfterMs))
    const pauseMs = this.#pause(retryAfterMs)
    // Of a sink that has not taken anything yet nobody knows whether it is down or fails on these: the
    // next batch may hold what it takes.
    const unknown = retryAfterMs === 0 && this.#lanes.some((lane) => !lane.proven)
    const delayMs = unknown ? 2 * pauseMs : 0
    await outbox.release({ leaseId, ids: [...left], delayMs })
    return { leased: events.length, exported: done.length, pauseMs }
  }

  /** Grows with each failed round, to 60 times the first. */
  #pause(atLeastMs: number): number {
    const times = Math.min(2 ** this.#failures++, MAX_PAUSES)
    return Math.min(Math.max(atLeastMs, times * this.#parts.retryMs), 86_400_000)
  }
}
