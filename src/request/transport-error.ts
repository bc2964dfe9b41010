/**
 * What is thrown while a request is sent or its answer is read, by the runtime's fetch or the host's
 * own. It may quote headers, URLs and addresses, so only its codes go on (T-L3).
 *
 * @module
 */
import { scrubCause } from '../kernel/errors.ts'

/** In the shape that every client knows of fetch. An abort tells the caller's own reason. */
export function transportError(
  message: 'fetch failed' | 'terminated',
  error: unknown,
  signal: AbortSignal | undefined,
): unknown {
  if (signal?.aborted) return signal.reason
  return new TypeError(message, { cause: scrubCause(innermost(error)) })
}

function innermost(error: unknown): unknown {
  return error instanceof TypeError && error.cause !== undefined ? error.cause : error
}
