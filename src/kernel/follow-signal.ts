/**
 * Controllers that abort when a signal of somebody else does, and let it go when they no longer need to.
 *
 * By hand: `AbortSignal.any` does not hear a signal of another realm, and in Node 20 what it makes of a
 * signal is never taken back while somebody listens to it. All followers of a signal share one listener,
 * as it may live as long as the process and be given to any number of calls.
 *
 * @module
 */

interface Following {
  readonly followers: Set<AbortController>
  readonly listener: () => void
}

const followed = new WeakMap<AbortSignal, Following>()

/** @returns lets the signal go; harmless when called again. */
export function followSignal(own: AbortController, signal: AbortSignal): () => void {
  if (signal.aborted) {
    own.abort(signal.reason)
    return () => {}
  }
  const following = followed.get(signal) ?? begin(signal)
  const { followers, listener } = following
  followers.add(own)
  return () => {
    followers.delete(own)
    if (followers.size > 0 || followed.get(signal) !== following) return
    followed.delete(signal)
    signal.removeEventListener('abort', listener)
  }
}

/**
 * A signal that aborts when `own` or a caller's does, for as long as the caller's lives.
 *
 * One of this realm is joined by the platform, which does not keep what nobody else holds. One of another
 * realm the platform would take, and never hear of.
 */
export function joinedSignal(own: AbortController, signal: AbortSignal | undefined): AbortSignal {
  if (signal instanceof AbortSignal) return AbortSignal.any([signal, own.signal])
  if (signal) followSignal(own, signal)
  return own.signal
}

function begin(signal: AbortSignal): Following {
  const followers = new Set<AbortController>()
  const listener = (): void => {
    followed.delete(signal)
    for (const follower of followers) follower.abort(signal.reason)
  }
  const following = { followers, listener }
  followed.set(signal, following)
  signal.addEventListener('abort', listener, { once: true })
  return following
}
