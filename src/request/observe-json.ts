/**
 * Watches a JSON response: the original Response is kept, and each way to read it settles the call
 * before it hands over the end.
 *
 * @module
 */
import { utf8Length } from '../kernel/encoding.ts'
import { type Life, lifeOf, type Observed, settleReported, settleUnread } from './observed.ts'
import { transportError } from './transport-error.ts'
import { type BodyWatcher, watchBody } from './watched-body.ts'

/** Largest body whose usage is looked for when the caller reads it as a raw stream, in bytes. */
const MAX_RAW_BYTES = 64 * 1024 * 1024

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
  const { signal } = observed
  const onAbort = (): void => void settleUnread(observed, 'aborted', shared.delivered)
  const done = (): void => signal?.removeEventListener('abort', onAbort)
  const shared: Shared = { delivered: 0, open: 1, done, dropped: onAbort }
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return shared
}

function watch(observed: Observed, response: Response, shared: Shared, life: Life): Response {
  const { signal, parts, settler } = observed
  const original = {
    text: response.text.bind(response),
    json: response.json.bind(response),
    arrayBuffer: response.arrayBuffer.bind(response),
    clone: response.clone.bind(response),
  }
  const read = async <T>(
    reader: () => Promise<T>,
    settle: (value: T) => Promise<void>,
  ): Promise<T> => {
    // Someone else reads it already: this fails, and says nothing about the call.
    if (response.bodyUsed) return reader()
    try {
      const value = await reader()
      await settle(value)
      return value
    } catch (error) {
      // Broken or unreadable after a 2xx: the call was made, so it is charged.
      await settleUnread(observed, signal?.aborted ? 'aborted' : 'broken')
      // What cannot be parsed is the answer itself, which is the caller's.
      throw error instanceof SyntaxError ? error : transportError('terminated', error, signal)
    } finally {
      shared.done()
    }
  }
  const arrayBuffer = (): Promise<ArrayBuffer> =>
    read(original.arrayBuffer, (value) => settleText(observed, new TextDecoder().decode(value)))
  const body = watchBody(response, () => ({ ...rawWatcher(observed, shared), life }))
  const readers = {
    json: () => read<unknown>(original.json, (value) => settleJson(observed, value)),
    text: () => read(original.text, (value) => settleText(observed, value)),
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

async function settleText(observed: Observed, text: string): Promise<void> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return settleUnread(observed, 'unreadable', utf8Length(text))
  }
  return settleJson(observed, value)
}

async function settleJson(observed: Observed, value: unknown): Promise<void> {
  const { settler, operation, parts } = observed
  if (typeof value === 'object' && value !== null) parts.receipts.note(value, settler.receipt)
  const usage = operation.readJson(value)
  if (usage) return settleReported(observed, 'completed', usage)
  return settleUnread(observed, 'unreadable', utf8Length(JSON.stringify(value)))
}

/** For callers that read `body` themselves: passes the bytes on, and looks at them at the end. */
function rawWatcher(observed: Observed, shared: Shared): BodyWatcher {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  return {
    chunk: (value) => {
      size += value.length
      shared.delivered = Math.max(shared.delivered, size)
      if (size <= MAX_RAW_BYTES) text += decoder.decode(value, { stream: true })
      return value
    },
    end: async () => {
      shared.done()
      await (size <= MAX_RAW_BYTES
        ? settleText(observed, text)
        : settleUnread(observed, 'unreadable', size))
      return null
    },
    broken: async (error) => {
      const { signal } = observed
      shared.done()
      await settleUnread(observed, signal?.aborted ? 'aborted' : 'broken', size)
      return transportError('terminated', error, signal)
    },
    cancelled: async () => {
      if (--shared.open > 0) return
      shared.done()
      await settleUnread(observed, 'aborted', shared.delivered)
    },
  }
}
