/**
 * A value that belongs to everything a function starts, however deep and however late: promises, timers
 * and callbacks inherit it, and functions that run side by side each keep their own.
 *
 * @module
 */

export interface Ambient<T> {
  /** Runs `fn`, and all that it starts, with `value`. */
  run<R>(value: T, fn: () => R): R
  /** The value of the innermost `run` that this was started in. */
  get(): T | undefined
}

interface AsyncHooks {
  readonly AsyncLocalStorage: new <T>() => {
    run<R>(value: T, fn: () => R): R
    getStore(): T | undefined
  }
}

/** @returns `null` where the runtime has no AsyncLocalStorage. */
export function createAmbient<T>(): Ambient<T> | null {
  const found = builtin('node:async_hooks') as Partial<AsyncHooks> | undefined
  if (!found?.AsyncLocalStorage) return null
  const store = new found.AsyncLocalStorage<T>()
  return { run: (value, fn) => store.run(value, fn), get: () => store.getStore() }
}

/** Asked of the process, so that the root also loads where there is no Node. */
function builtin(name: string): unknown {
  const { process } = globalThis as { process?: { getBuiltinModule?(id: string): unknown } }
  return process?.getBuiltinModule?.(name)
}
