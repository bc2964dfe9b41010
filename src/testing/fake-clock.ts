/**
 * A clock that moves only when it is told to: for a store (wall time) and for a process (elapsed
 * time and timers) in one, so that tests of expiry and of waiting never sleep.
 *
 * @module
 */
import type { MonotonicClock, Timers, WallClock } from '../kernel/clock.ts'

export interface FakeClock extends WallClock, MonotonicClock, Timers {
  /** Lets time pass: both clocks move on by `ms`, not negative. Timers that come due run on the way,
   * in order, each at its own time. */
  advance(ms: number): void
  /** Corrects the wall clock to `ms` since the epoch, also backwards; elapsed time stays. */
  set(ms: number): void
}

interface Timer {
  readonly dueMs: number
  readonly task: () => void
}

/** @param startMs - default noon UTC on 15 January 2026. */
export function fakeClock(startMs: number = Date.UTC(2026, 0, 15, 12)): FakeClock {
  let wallMs = startMs
  let elapsedMs = 0
  const timers = new Set<Timer>()

  const move = (toMs: number): void => {
    wallMs += toMs - elapsedMs
    elapsedMs = toMs
  }
  const nextDue = (untilMs: number): Timer | undefined =>
    [...timers].filter((t) => t.dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0]

  return {
    nowMs: () => wallMs,
    elapsedMs: () => elapsedMs,
    after: (ms, task) => {
      const timer = { dueMs: elapsedMs + ms, task }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    advance: (ms) => {
      const untilMs = elapsedMs + ms
      for (let timer = nextDue(untilMs); timer; timer = nextDue(untilMs)) {
        timers.delete(timer)
        move(Math.max(timer.dueMs, elapsedMs))
        timer.task()
      }
      move(untilMs)
    },
    set: (ms) => {
      wallMs = ms
    },
  }
}
