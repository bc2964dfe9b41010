/**
 * Watches a JSON response: the original Response is kept, and each way to read it settles the call
 * before it hands over the end.
 *
 * @module
 */
import { ByteBuffer } from '../providers/reading/byte-buffer.ts'
import { type Life, lifeOf, type Observed, settleReported, settleUnread } from './observed.ts'
import { transportError } from './transport-error.ts'
import { type BodyWatcher, watchBody } from './watched-body.ts'

/** As `Response.json()` and `text()` decode: lenient, and a byte order mark is no content. */
const decoder = new TextDecoder()

/** Largest body whose usage is looked for unless the caller wants it as text, in bytes. */
const MAX_READ_BYTES = 64 * 1024 * 1024

/** What a response and its clones have in common. */
interface Shared {
  /** Bytes that the furthest raw reader was given. */
  delivered: number
  /** Responses whose body was not cancelled: the call goes on while there is one. */
  open: number
  /** No more waiting for an abort. */
  done(): void
  /** Nobody can read the answer any more. */
  dropped(): void
}

export function observeJson(observed: Observed, response: Response): Response {
  const shared = share(observed)
  const life = lifeOf(shared.dropped)
  return watch(observed, response, shared, life)
}

/** Apart from the response, which none of these closures may hold (see {@link Observed}). */
function share(observed: Observed): Shared {
  const { signal, settler } = observed
  const onAbort = (): void => {
    done()
    void settleUnread(observed, 'aborted', shared.delivered)
  }
  const done = (): void => {
    signal?.removeEventListener('abort', onAbort)
    settler.hold.release()
  }
  const shared: Shared = { delivered: 0, open: 1, done, dropped: onAbort }
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return shared
}

function watch(observed: Observed, response: Response, shared: Shared, life: Life): Response {
  const { signal, parts, settler } = observed
  const original = {
    arrayBuffer: response.arrayBuffer.bind(response),
    clone: response.clone.bind(response),
  }
  const whole = async (asText: boolean): Promise<Answer & { readonly bytes: ArrayBuffer }> => {
    // Someone else reads it already: this fails, and says nothing about the call.
    if (response.bodyUsed) return { bytes: await original.arrayBuffer(), size: 0 }
    settler.hold.reading()
    let bytes: ArrayBuffer
    let answer: Answer
    let size = 0
    try {
      bytes = await original.arrayBuffer()
      size = bytes.byteLength
      answer = answerOf(new Uint8Array(bytes), asText)
    } catch (error) {
      // Broken after a 2xx, or longer than a text can be: the call was made, so it is charged.
      const read = Math.max(shared.delivered, size)
      await settleUnread(observed, signal?.aborted ? 'aborted' : 'broken', read)
      throw transportError('terminated', error, signal)
    } finally {
      shared.done()
    }
    await settleAnswer(observed, answer)
    return { ...answer, bytes }
  }
  const arrayBuffer = async (): Promise<ArrayBuffer> => (await whole(false)).bytes
  const body = watchBody(response, () => ({ ...rawWatcher(observed, shared), life }))
  const readers = {
    json: async () => {
      const { json, text = '' } = await whole(true)
      // Once more, for the error that the caller expects.
      return json ? json.value : JSON.parse(text)
    },
    text: async () => (await whole(true)).text,
    arrayBuffer,
    bytes: async () => new Uint8Array(await arrayBuffer()),
    blob: async () =>
      new Blob([await arrayBuffer()], { type: response.headers.get('content-type') ?? '' }),
    formData: async () =>
      new Response(await arrayBuffer(), { headers: response.headers }).formData(),
    clone: () => {
      const copy = original.clone()
      body.renew()
      shared.open++
      parts.receipts.note(copy, settler.receipt)
      return watch(observed, copy, shared, life)
    },
  }
  for (const [name, value] of Object.entries(readers)) {
    Object.defineProperty(response, name, { value, configurable: true, writable: true })
  }
  return response
}

/** A whole body. */
interface Answer {
  /** In bytes. */
  readonly size: number
  readonly text?: string
  /** When the text is JSON. */
  readonly json?: { readonly value: unknown }
}

function answerOf(bytes: Uint8Array, asText: boolean): Answer {
  const { length: size } = bytes
  if (!asText && size > MAX_READ_BYTES) return { size }
  const text = decoder.decode(bytes)
  try {
    return { size, text, json: { value: JSON.parse(text) } }
  } catch {
    return { size, text }
  }
}

async function settleAnswer(observed: Observed, { size, json }: Answer): Promise<void> {
  const { settler, operation, parts } = observed
  const value = json?.value
  if (typeof value === 'object' && value !== null) parts.receipts.note(value, settler.receipt)
  const usage = json ? operation.readJson(value) : null
  if (usage) return settleReported(observed, 'completed', usage, size)
  return settleUnread(observed, 'unreadable', size)
}

/** For callers that read `body` themselves: passes the bytes on, and looks at them at the end. */
function rawWatcher(observed: Observed, shared: Shared): BodyWatcher {
  const { settler, signal } = observed
  const kept = new ByteBuffer()
  let size = 0
  return {
    waiting: settler.hold.reading,
    chunk: (value) => {
      size += value.length
      shared.delivered = Math.max(shared.delivered, size)
      if (size <= MAX_READ_BYTES) kept.append(value)
      else kept.clear()
      // Somebody reads: the answer is not abandoned.
      void settler.hold.delivered(0)
      return value
    },
    end: async () => {
      shared.done()
      await (size <= MAX_READ_BYTES
        ? settleAnswer(observed, answerOf(kept.take(), false))
        : settleUnread(observed, 'unreadable', size))
      return null
    },
    broken: async (error) => {
      shared.done()
      await settleUnread(observed, signal?.aborted ? 'aborted' : 'broken', shared.delivered)
      return transportError('terminated', error, signal)
    },
    cancelled: async () => {
      if (--shared.open > 0) return
      shared.done()
      await settleUnread(observed, 'aborted', shared.delivered)
    },
  }
}
