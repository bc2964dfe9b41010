/**
 * A pull reader around a response body: bytes pass when the provider sends them and the caller asks
 * for them; nothing is buffered, cloned or teed.
 *
 * @module
 */

/** What is done with the bytes as they pass. Only `chunk` may throw: the body is ended then. */
export interface BodyWatcher {
  /** Held for as long as the body can be read. */
  readonly life?: object
  /** The caller asks for the next bytes, and waits until they come. */
  waiting(): void
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
type Iterate = (options?: ReadableStreamIteratorOptions) => AsyncIterableIterator<Uint8Array>

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

type Next = IteratorResult<Uint8Array, undefined>

const OVER: Next = Object.freeze({ done: true, value: undefined })

function wrap(source: () => Body, watcher: BodyWatcher): Body {
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null
  let ended = false
  // Locked only when it is read: who merely looks at the body may still read it in another way. Where
  // another reader was first, this one fails, and says nothing about the call.
  const lock = (): ReadableStreamDefaultReader<Uint8Array> => {
    reader ??= source().getReader()
    return reader
  }

  // Every chunk of every stream passes here: no async functions, each of which would add promises.
  const next = (): Promise<Next> => {
    if (ended) return Promise.resolve(OVER)
    try {
      watcher.waiting()
      return lock().read().then(pass, fail)
    } catch (error) {
      return Promise.reject(error)
    }
  }
  const pass = ({ done, value }: ReadableStreamReadResult<Uint8Array>): Next | Promise<Next> => {
    if (done) ended = true
    try {
      const out = done ? watcher.end() : watcher.chunk(value)
      return out instanceof Promise ? out.then(handOn, fail) : handOn(out)
    } catch (error) {
      return fail(error)
    }
  }
  const handOn = (out: Uint8Array | null): Next | Promise<Next> =>
    out && out.length > 0 ? { done: false, value: out } : next()
  const fail = async (error: unknown): Promise<never> => {
    // A source that has not failed itself would be left open: what it still sends is paid for.
    reader?.cancel(error).catch(() => {})
    throw await watcher.broken(error)
  }

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel(reason) {
        const from = lock()
        // The provider is stopped at once, however long the store takes.
        await Promise.all([watcher.cancelled(), from.cancel(reason)])
      },
    },
    { highWaterMark: 0 },
  )
  iterateAtSource(body, { next, isFresh: () => reader === null })
  return body
}

/**
 * Lets `for await`, which the SDKs use, ask the source itself: going through a second stream would
 * cost every chunk 1 us and 1.5 kB. To others the body looks as if it were read through its own
 * iterator: it is locked, and leaving the loop cancels it.
 */
function iterateAtSource(body: Body, source: { next(): Promise<Next>; isFresh(): boolean }): void {
  const own: Iterate | undefined = body[Symbol.asyncIterator]
  // Not every runtime can iterate over streams.
  if (own === undefined) return
  const iterate: Iterate = (options) => {
    // What was read in another way may still lie in the stream.
    if (options !== undefined || !source.isFresh()) return own.call(body, options)
    const lock = body.getReader()
    let over = false
    let waiting = 0
    let last: Promise<Next> = Promise.resolve(OVER)
    const finish = (): void => {
      over = true
      lock.releaseLock()
    }
    const answered = (answer: Next): Next => {
      waiting--
      if (answer.done && !over) finish()
      return answer
    }
    const failed = (error: unknown): never => {
      waiting--
      if (!over) finish()
      throw error
    }
    const ask = (): Promise<Next> =>
      (over ? Promise.resolve(OVER) : source.next()).then(answered, failed)
    return {
      next: () => {
        // Whoever asks before the last answer came is put in line behind it.
        last = waiting++ === 0 ? ask() : last.then(ask, ask)
        return last
      },
      return: async (value) => {
        if (!over) {
          const cancelled = lock.cancel(value)
          finish()
          await cancelled
        }
        return { done: true, value }
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }
  Object.defineProperty(body, Symbol.asyncIterator, { value: iterate, configurable: true })
}
