/**
 * Reads AWS event streams (`application/vnd.amazon.eventstream`) as they pass: frames of a prelude (total
 * length, length of headers, checksum), headers, payload, checksum. Only looked at, never rewritten;
 * checksums are left to the client, whose bytes these are.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html#RESTSelectObjectAppendix-EventStream
 *
 * @module
 */

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

/** @returns a function that is fed bytes. It never throws: what is no frame ends the reading. */
export function awsEventStream(onEvent: (event: FrameEvent) => void): (bytes: Uint8Array) => void {
  let pending: Uint8Array = new Uint8Array(0)
  let isBroken = false
  return (bytes) => {
    if (isBroken) return
    pending = joined(pending, bytes)
    while (pending.length >= PRELUDE) {
      const view = new DataView(pending.buffer, pending.byteOffset, pending.byteLength)
      const total = view.getUint32(0)
      const headers = view.getUint32(4)
      if (total > MAX_FRAME || PRELUDE + headers + CHECKSUM > total) {
        isBroken = true
        pending = new Uint8Array(0)
        return
      }
      if (pending.length < total) return
      const payload = pending.subarray(PRELUDE + headers, total - CHECKSUM)
      const type = eventType(pending.subarray(PRELUDE, PRELUDE + headers))
      onEvent(unwrapped(type, new TextDecoder().decode(payload)))
      pending = pending.subarray(total)
    }
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
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
  const base64 = /"bytes":\s*"([A-Za-z0-9+/=]*)"/.exec(data)?.[1]
  if (base64 === undefined) return { event, data }
  try {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
    return { data: new TextDecoder().decode(bytes) }
  } catch {
    return { event, data }
  }
}
