/**
 * Time, injected. Two clocks: a wall clock that a store uses for its own time, and a monotonic one
 * by which a process measures how old something it remembers is.
 *
 * @module
 */

/** Milliseconds since the Unix epoch. May step backwards when the host corrects its clock. */
export interface WallClock {
  nowMs(): number
}

/** Milliseconds from an arbitrary start; never steps backwards. */
export interface MonotonicClock {
  elapsedMs(): number
}

export const systemWallClock: WallClock = { nowMs: () => Date.now() }

export const systemMonotonicClock: MonotonicClock = { elapsedMs: () => performance.now() }
