/**
 * Time, injected. Two clocks: a wall clock that a store uses for its own time, and a monotonic one
 * by which a process measures how old something it remembers is. And timers, for what must happen
 * later.
 *
 * @module
 */

/** Milliseconds since the Unix epoch, of which a store takes the whole ones. May step backwards when
 * the host corrects its clock. */
export interface WallClock {
  nowMs(): number
}

/** Milliseconds from an arbitrary start; never steps backwards. */
export interface MonotonicClock {
  elapsedMs(): number
}

export interface Timers {
  /**
   * Runs `task` once, `ms` milliseconds from now.
   *
   * @param options.unref - true: the process may end before; default false.
   * @returns takes the task back; harmless after it has run.
   */
  after(ms: number, task: () => void, options?: { readonly unref?: boolean }): () => void
}

export const systemWallClock: WallClock = { nowMs: () => Date.now() }

export const systemMonotonicClock: MonotonicClock = { elapsedMs: () => performance.now() }

export const systemTimers: Timers = {
  after: (ms, task, { unref = false } = {}) => {
    const timer: unknown = setTimeout(task, ms)
    // Only some runtimes give an object that can be told not to keep the process alive.
    if (unref) (timer as { unref?: () => void }).unref?.()
    return () => clearTimeout(timer as ReturnType<typeof setTimeout>)
  },
}
