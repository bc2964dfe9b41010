/**
 * Controllers that abort when a signal of somebody else does, and let it go when they no longer need to.
 *
 * By hand: `AbortSignal.any` takes no signal of another realm, and in Node 20 what it makes of a signal is
 * never taken back while somebody listens to it. All followers of a signal share one listener, as it may
 * live as long as the process and be given to any number of calls.
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
