/**
 * A `fetch` whose stream gives one piece each time it is read: nothing is ahead of the reader, so what
 * came is known to the piece.
 *
 * @module
 */
import { modelOf, type Piece, type Wire } from './wire.ts'

/** @param pieces - of a request for this model. Returning `HANG`, the stream stands still. */
export function paced(
  wire: Wire,
  pieces: (model: string) => Iterator<Piece, unknown>,
): typeof fetch {
  const encoder = new TextEncoder()
  return async (input, init) => {
    const url = String(input instanceof Request ? input.url : input)
    const body = JSON.parse(String(init?.body)) as { model?: string }
    const left = pieces(modelOf({ url, body }))
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      const { done, value } = left.next()
      if (done && value === HANG) return
      if (done) controller.close()
      else controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value)
    }
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      const { signal } = init ?? {}
      signal?.addEventListener('abort', () => controller.error(signal.reason))
    }
    const stream = new ReadableStream({ start, pull }, { highWaterMark: 0 })
    return new Response(stream, { headers: { 'content-type': wire.streamType } })
  }
}

/** Returned by the pieces of a stream that does not end. */
export const HANG = Symbol('hang')
