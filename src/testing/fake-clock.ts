/**
 * A clock that moves only when it is told to: for a store (wall time) and for a process (elapsed
 * time) in one, so that expiry tests never sleep.
 *
 * @module
 */
import type { MonotonicClock, WallClock } from '../kernel/clock.ts'

export interface FakeClock extends WallClock, MonotonicClock {
  /** Lets time pass: both clocks move on by `ms`, not negative. */
  advance(ms: number): void
  /** Corrects the wall clock to `ms` since the epoch, also backwards; elapsed time stays. */
  set(ms: number): void
}

/** @param startMs - default noon UTC on 15 January 2026. */
export function fakeClock(startMs: number = Date.UTC(2026, 0, 15, 12)): FakeClock {
  let wallMs = startMs
  let elapsedMs = 0
  return {
    nowMs: () => wallMs,
    elapsedMs: () => elapsedMs,
    advance: (ms) => {
      wallMs += ms
      elapsedMs += ms
    },
    set: (ms) => {
      wallMs = ms
    },
  }
}
