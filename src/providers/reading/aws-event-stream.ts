/**
 * Reads AWS event streams (`application/vnd.amazon.eventstream`) as they pass: frames of a prelude (total
 * length, length of headers, checksum), headers, payload, checksum. Only looked at, never rewritten;
 * checksums are left to the client, whose bytes these are.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html#RESTSelectObjectAppendix-EventStream
 *
 * @module
 */
import { ByteBuffer } from './byte-buffer.ts'

const PRELUDE = 12
const CHECKSUM = 4
/** A frame of the service is at most 24 MB; what claims more is no frame. */
const MAX_FRAME = 24 * 1024 * 1024
const STRING_TYPE = 7

/** In the shape of a server-sent event. */
export interface FrameEvent {
  event?: string
  data: string
}

/** A reader of such a stream. It never throws: what is no frame ends the reading. */
export function awsEventStream(onEvent: (event: FrameEvent) => void): {
  feed(bytes: Uint8Array): void
  /** No more comes: a frame that has not ended is read as far as it goes. */
  cut(): void
  /** Bytes that came when the reading had ended. */
  unread(): number
} {
  const pending = new ByteBuffer()
  /** Bytes that the next step waits for: a prelude, then its whole frame. */
  let needed = PRELUDE
  let isBroken = false
  let unread = 0
  const feed = (bytes: Uint8Array): void => {
    if (isBroken) {
      unread += bytes.length
      return
    }
    pending.append(bytes)
    if (pending.length < needed) return
    const all = pending.take()
    let from = 0
    for (needed = PRELUDE; all.length - from >= needed; needed = PRELUDE) {
      const view = new DataView(all.buffer, from)
      const total = view.getUint32(0)
      const headers = view.getUint32(4)
      if (total > MAX_FRAME || PRELUDE + headers + CHECKSUM > total) {
        isBroken = true
        unread += all.length - from
        return
      }
      needed = total
      if (all.length - from < total) break
      const frame = all.subarray(from, from + total)
      const payload = frame.subarray(PRELUDE + headers, total - CHECKSUM)
      const type = eventType(frame.subarray(PRELUDE, PRELUDE + headers))
      onEvent(unwrapped(type, new TextDecoder().decode(payload)))
      from += total
    }
    pending.append(all.subarray(from))
  }
  const cut = (): void => {
    const frame = pending.take()
    if (frame.length <= PRELUDE) return
    const headers = new DataView(frame.buffer, frame.byteOffset).getUint32(4)
    if (frame.length <= PRELUDE + headers) return
    const type = eventType(frame.subarray(PRELUDE, PRELUDE + headers))
    const payload = new TextDecoder().decode(frame.subarray(PRELUDE + headers))
    // Without its type: an event that ends the stream does so when all of it came.
    onEvent({ data: unwrapped(type, payload).data })
  }
  return { feed, cut, unread: () => unread }
}

/** The header `:event-type`. All that these services send are strings; at another type it stops. */
function eventType(headers: Uint8Array): string | undefined {
  const decoder = new TextDecoder()
  let at = 0
  while (at < headers.length) {
    const nameLength = headers[at] ?? 0
    const name = decoder.decode(headers.subarray(at + 1, at + 1 + nameLength))
    at += 1 + nameLength
    if (headers[at] !== STRING_TYPE) return undefined
    const length = ((headers[at + 1] ?? 0) << 8) | (headers[at + 2] ?? 0)
    const value = decoder.decode(headers.subarray(at + 3, at + 3 + length))
    if (name === ':event-type') return value
    at += 3 + length
  }
  return undefined
}

/** InvokeModel wraps each event of the model's maker in base64: `{"bytes":"eyJ0..."}`. */
function unwrapped(event: string | undefined, data: string): FrameEvent {
  if (event === undefined) return { data }
  if (event !== 'chunk') return { event, data }
  const base64 = /"bytes":\s*"([A-Za-z0-9+/=]*)/.exec(data)?.[1]
  if (base64 === undefined) return { event, data }
  try {
    // Of one that was cut what can be decoded.
    const whole = base64.slice(0, base64.length - (base64.length % 4))
    const bytes = Uint8Array.from(atob(whole), (letter) => letter.charCodeAt(0))
    return { data: new TextDecoder().decode(bytes) }
  } catch {
    return { event, data }
  }
}
