/**
 * A fake clock that tells how many timers are waiting, and whether any would keep a process alive.
 *
 * @module
 */
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'

export interface WatchedClock extends FakeClock {
  /** Timers that are set now. */
  timers(): number
  /** Timers ever set that hold the process. */
  held(): number
}

export function watchedClock(): WatchedClock {
  const clock = fakeClock()
  const live = new Set<object>()
  let held = 0
  return {
    ...clock,
    timers: () => live.size,
    held: () => held,
    after: (ms, task, options) => {
      const mark = {}
      live.add(mark)
      if (!options?.unref) held++
      const cancel = clock.after(ms, () => {
        live.delete(mark)
        task()
      })
      return () => {
        live.delete(mark)
        cancel()
      }
    },
  }
}

/** Lets the event loop run until something is so. A test that would wait for ever ends by its own time
 * limit. */
export async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setImmediate(resolve))
}
