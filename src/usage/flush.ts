/**
 * `tk.flush()` and `tk.close()`: what is under way is brought to its end, within one bound for all of
 * it: settles that are still being tried, then events to the sinks.
 *
 * @module
 */
import type { MonotonicClock, Timers } from '../kernel/clock.ts'
import type { Exporter, FlushResult } from './exporter.ts'

export interface Flushed extends FlushResult {
  /** Calls whose settle the store had not taken when the time was over. They are tried on while the
   * process lives; a hold that is never settled expires, and is reported as unknown spend. */
  readonly unsettled: number
}

interface FlushParts {
  /** Settles under way. */
  readonly pending: ReadonlySet<Promise<unknown>>
  readonly exporter: Pick<Exporter, 'flush'>
  readonly clock: MonotonicClock
  readonly timers: Timers
}

/** Settles that are asked for after the call are not waited for: on a busy server that has no end. */
export async function flushWithin(ms: number, parts: FlushParts): Promise<Flushed> {
  const { exporter, clock } = parts
  const endMs = clock.elapsedMs() + ms
  const leftMs = (): number => Math.max(endMs - clock.elapsedMs(), 0)
  const asked = new Set(parts.pending)
  // A store that does not take a settle may still give out events.
  await settledWithin(leftMs() / 2, asked, parts)
  const first = await exporter.flush({ timeoutMs: leftMs() })
  if (asked.size === 0) return { ...first, unsettled: 0 }
  await settledWithin(leftMs(), asked, parts)
  const { exported, done } = await exporter.flush({ timeoutMs: leftMs() })
  const unsettled = asked.size
  return { exported: first.exported + exported, done: done && unsettled === 0, unsettled }
}

/** As {@link flushWithin}, also calls that end meanwhile: before the store is closed. */
export async function drainWithin(ms: number, parts: FlushParts): Promise<Flushed> {
  const endMs = parts.clock.elapsedMs() + ms
  let exported = 0
  for (let leftMs = ms; ; leftMs = endMs - parts.clock.elapsedMs()) {
    const flushed = await flushWithin(Math.max(leftMs, 0), parts)
    exported += flushed.exported
    const isOver = parts.pending.size === 0 || parts.clock.elapsedMs() >= endMs
    if (isOver) return { ...flushed, exported }
  }
}

/** Takes out of `asked` what has ended; returns when all have, or when the time is over. */
async function settledWithin(
  ms: number,
  asked: Set<Promise<unknown>>,
  { timers }: Pick<FlushParts, 'timers'>,
): Promise<void> {
  if (asked.size === 0) return
  let cancel = (): void => {}
  // Not unref'd: somebody waits, and the pauses between tries do not keep a process alive.
  const over = new Promise<void>((resolve) => {
    cancel = timers.after(ms, resolve)
  })
  const ended = [...asked].map((settle) => settle.then(() => asked.delete(settle)))
  await Promise.race([Promise.allSettled(ended), over])
  cancel()
}
