/**
 * A pull reader around a response body: bytes pass when the provider sends them and the caller asks
 * for them; nothing is buffered, cloned or teed.
 *
 * @module
 */

/** What is done with the bytes as they pass. None of these may throw. */
export interface BodyWatcher {
  /** @returns the bytes to hand on; empty when all of them stay hidden. A promise only where there
   * is something to wait for: it would cost every chunk of every stream. */
  chunk(value: Uint8Array): Uint8Array | Promise<Uint8Array>
  /** The body ended. @returns bytes still to hand on. */
  end(): Promise<Uint8Array | null>
  /** Reading failed. @returns what the reader is told. */
  broken(error: unknown): Promise<unknown>
  /** The caller lost interest. */
  cancelled(): Promise<void>
}

type Body = ReadableStream<Uint8Array>

export interface WatchedBody {
  /** The stream that stands in the place of the body, always the same; `null` without a body. */
  stream(): Body | null
  /** After the response was cloned, which gives it another body. */
  renew(): void
}

/** Puts a watched stream in the place of `response.body`, made when it is first asked for. */
export function watchBody(response: Response, watch: () => BodyWatcher): WatchedBody {
  let original: Body | null = null
  let wrapped: Body | null = null
  const stream = (): Body | null => {
    if (original === null) return null
    wrapped ??= wrap(() => original as Body, watch())
    return wrapped
  }
  const renew = (): void => {
    // Ours hides the body that the response has of itself.
    delete (response as { body?: Body | null }).body
    original = response.body
    Object.defineProperty(response, 'body', { get: stream, configurable: true })
  }
  renew()
  return { stream, renew }
}

function wrap(source: () => Body, watcher: BodyWatcher): Body {
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null
  // Locked only when it is read: who merely looks at the body may still read it in another way. Where
  // another reader was first, this one fails, and says nothing about the call.
  const lock = (): ReadableStreamDefaultReader<Uint8Array> => {
    reader ??= source().getReader()
    return reader
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const from = lock()
        try {
          for (;;) {
            const { done, value } = await from.read()
            const passed = done ? watcher.end() : watcher.chunk(value)
            const out = passed instanceof Promise ? await passed : passed
            if (out && out.length > 0) controller.enqueue(out)
            if (done) controller.close()
            if (done || (out && out.length > 0)) return
          }
        } catch (error) {
          controller.error(await watcher.broken(error))
        }
      },
      async cancel(reason) {
        const from = lock()
        // The provider is stopped at once, however long the store takes.
        await Promise.all([watcher.cancelled(), from.cancel(reason)])
      },
    },
    { highWaterMark: 0 },
  )
}
