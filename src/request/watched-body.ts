/**
 * A pull reader around a response body: bytes pass when the provider sends them and the caller asks
 * for them; nothing is buffered, cloned or teed. Made when the body is first asked for.
 *
 * @module
 */

/** What is done with the bytes as they pass. None of these may throw. */
export interface BodyWatcher {
  /** @returns the bytes to hand on; empty when all of them stay hidden. */
  chunk(value: Uint8Array): Promise<Uint8Array>
  /** The body ended. @returns bytes still to hand on. */
  end(): Promise<Uint8Array | null>
  /** Reading failed. @returns what the reader is told instead, if anything. */
  broken(): Promise<unknown>
  /** The caller lost interest. */
  cancelled(): Promise<void>
}

export function watchedBody(
  response: Response,
  watch: () => BodyWatcher,
): () => ReadableStream<Uint8Array> | null {
  const original = response.body
  let wrapped: ReadableStream<Uint8Array> | null = null
  return () => {
    if (original === null) return null
    wrapped ??= wrap(original, watch())
    return wrapped
  }
}

function wrap(
  original: ReadableStream<Uint8Array>,
  watcher: BodyWatcher,
): ReadableStream<Uint8Array> {
  const reader = original.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          for (;;) {
            const { done, value } = await reader.read()
            const out = done ? await watcher.end() : await watcher.chunk(value)
            if (out && out.length > 0) controller.enqueue(out)
            if (done) controller.close()
            if (done || (out && out.length > 0)) return
          }
        } catch (error) {
          controller.error((await watcher.broken()) ?? error)
        }
      },
      async cancel(reason) {
        await watcher.cancelled()
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}
