/**
 * Waiting for a store, but not for long.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'

/** A wait that can be given up; `cancel` frees its timer. */
export interface Pause {
  readonly over: Promise<void>
  cancel(): void
}

/** Makes a pause of so many milliseconds; injected, so that tests never wait. */
export type Sleep = (ms: number) => Pause

/** The host's timer. It keeps the process alive, as somebody is waiting for what comes after it. */
export const systemSleep: Sleep = (ms) => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  return { over, cancel: () => clearTimeout(timer) }
}

/** What the store said, if it said anything in time. */
export type Answer<T> = { readonly value: T } | null

/**
 * The answer, or `null` when none came within `ms` or the store could not be reached. An error that
 * asking again would not cure, such as a corrupt row, is thrown.
 */
export async function answerWithin<T>(
  asked: Promise<T>,
  ms: number,
  sleep: Sleep,
): Promise<Answer<T>> {
  if (ms <= 0) return null
  const pause = sleep(ms)
  try {
    return await Promise.race([asked.then((value) => ({ value })), pause.over.then(() => null)])
  } catch (error) {
    if (TenantKeysError.isInstance(error) && error.retryable) return null
    throw error
  } finally {
    pause.cancel()
  }
}
