/**
 * Watches a JSON response: the original Response is kept, and each way to read it settles the call
 * before it hands over the end.
 *
 * @module
 */
import { abortReason, type Observed, settleMeasured, settleUnread } from './observed.ts'
import { type BodyWatcher, watchedBody } from './watched-body.ts'

/** Largest body whose usage is looked for when the caller reads it as a raw stream, in bytes. */
const MAX_RAW_BYTES = 64 * 1024 * 1024

export function observeJson(observed: Observed): Response {
  const { signal } = observed
  const onAbort = (): void => void settleUnread(observed, 'aborted')
  signal?.addEventListener('abort', onAbort, { once: true })
  return watch(observed, observed.response, () => signal?.removeEventListener('abort', onAbort))
}

function watch(observed: Observed, response: Response, done: () => void): Response {
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
    try {
      const value = await reader()
      await settle(value)
      return value
    } catch (error) {
      // Broken or unreadable after a 2xx: the call was made, so it is charged.
      await settleUnread(observed, signal?.aborted ? 'aborted' : 'broken')
      throw abortReason(signal) ?? error
    } finally {
      done()
    }
  }
  const arrayBuffer = (): Promise<ArrayBuffer> =>
    read(original.arrayBuffer, (value) => settleText(observed, new TextDecoder().decode(value)))
  const readers = {
    json: () => read<unknown>(original.json, (value) => settleJson(observed, value)),
    text: () => read(original.text, (value) => settleText(observed, value)),
    arrayBuffer,
    bytes: async () => new Uint8Array(await arrayBuffer()),
    blob: async () =>
      new Blob([await arrayBuffer()], { type: response.headers.get('content-type') ?? '' }),
    clone: () => {
      const copy = original.clone()
      parts.receipts.note(copy, settler.receipt)
      return watch(observed, copy, done)
    },
  }
  for (const [name, value] of Object.entries(readers)) {
    Object.defineProperty(response, name, { value, configurable: true, writable: true })
  }
  const body = watchedBody(response, () => rawWatcher(observed, done))
  Object.defineProperty(response, 'body', { get: body, configurable: true })
  return response
}

async function settleText(observed: Observed, text: string): Promise<void> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return settleUnread(observed, 'unreadable', text.length)
  }
  return settleJson(observed, value)
}

async function settleJson(observed: Observed, value: unknown): Promise<void> {
  const { settler, operation, parts } = observed
  if (typeof value === 'object' && value !== null) {
    parts.receipts.note(value, settler.receipt)
    const { usage } = value as { usage?: unknown }
    // parse() helpers copy the answer but keep its usage object, so that one is remembered too.
    if (typeof usage === 'object' && usage !== null) parts.receipts.note(usage, settler.receipt)
  }
  const usage = operation.readJson(value)
  if (usage) return settleMeasured(observed, 'completed', usage)
  return settleUnread(observed, 'unreadable', JSON.stringify(value)?.length ?? 0)
}

/** For callers that read `body` themselves: passes the bytes on, and looks at them at the end. */
function rawWatcher(observed: Observed, done: () => void): BodyWatcher {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  return {
    chunk: async (value) => {
      size += value.length
      if (size <= MAX_RAW_BYTES) text += decoder.decode(value, { stream: true })
      return value
    },
    end: async () => {
      done()
      await (size <= MAX_RAW_BYTES
        ? settleText(observed, text)
        : settleUnread(observed, 'unreadable', size))
      return null
    },
    broken: async () => {
      await settleUnread(observed, observed.signal?.aborted ? 'aborted' : 'broken', size)
      return abortReason(observed.signal)
    },
    cancelled: () => settleUnread(observed, 'aborted', size),
  }
}
