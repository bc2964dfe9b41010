/**
 * Timers of one length that end when a test says so, not by the clock: what a client's own timeout does
 * can then be seen at a known moment, however slow the machine is.
 *
 * @module
 */

export interface HeldTimers extends Disposable {
  /** Ends those that wait. @throws Error when none does. */
  end(): void
}

/** Until it is disposed of, `setTimeout` and `AbortSignal.timeout` of exactly `ms` wait for `end`; those
 * of any other length are as they were. */
export function holdTimers(ms: number): HeldTimers {
  const ends: (() => void)[] = []
  const { setTimeout: set } = globalThis
  const { timeout } = AbortSignal
  const held = (run: (...args: unknown[]) => void, delay?: number, ...args: unknown[]) => {
    if (delay !== ms) return set(run, delay, ...args)
    ends.push(() => run(...args))
    // One that the client can clear, as it would any other.
    return set(() => {}, 0)
  }
  globalThis.setTimeout = Object.assign(held, set) as typeof setTimeout
  AbortSignal.timeout = (delay) => {
    if (delay !== ms) return timeout.call(AbortSignal, delay)
    const abort = new AbortController()
    ends.push(() => abort.abort(new DOMException('it took too long', 'TimeoutError')))
    return abort.signal
  }
  return {
    end() {
      if (ends.length === 0) throw new Error(`no timer of ${ms} ms waits`)
      for (const end of ends.splice(0)) end()
    },
    [Symbol.dispose]() {
      globalThis.setTimeout = set
      AbortSignal.timeout = timeout
    },
  }
}
