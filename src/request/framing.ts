/**
 * Finds the events in the bytes of a stream, and decides which of the bytes are handed on: as they came,
 * all of them, but for events that have to stay hidden.
 *
 * @module
 */
import { createParser } from 'eventsource-parser'
import { awsEventStream } from '../providers/reading/aws-event-stream.ts'
import { ByteBuffer } from '../providers/reading/byte-buffer.ts'
import { EventBlocks } from '../providers/reading/event-blocks.ts'
import { jsonArrayStream } from '../providers/reading/json-array-stream.ts'

export interface Framing {
  /** @returns the bytes to hand on. */
  feed(bytes: Uint8Array): Uint8Array
  /** The stream ended. @returns bytes still to hand on. */
  end(): Uint8Array | null
  /** The stream was left or broke: reads what came of an event that has not ended, as far as it goes.
   * Nothing is fed after it. */
  cut(): void
  /** Bytes that no event was found in, because they are none or too long: what they hold is not known. */
  unread(): number
}

/** @returns `hide` for an event that must not be handed on. */
export type OnEvent = (event: {
  readonly event?: string | undefined
  readonly data: string
}) => 'hide' | 'show'

/**
 * @param type - the content type, in lower case. Server-sent events are the rule.
 * @param hides - some events may have to stay hidden; these are server-sent events always.
 */
export function openFraming(type: string, hides: boolean, onEvent: OnEvent): Framing {
  if (type.startsWith('application/vnd.amazon.eventstream')) {
    return onlyLooking(awsEventStream(onEvent))
  }
  if (type.startsWith('application/json')) {
    const decoder = new TextDecoder()
    const { feed, ...others } = jsonArrayStream(onEvent)
    return onlyLooking({
      feed: (bytes) => feed(decoder.decode(bytes, { stream: true })),
      ...others,
    })
  }
  return serverSentEvents(hides, onEvent)
}

const onlyLooking = (
  looker: Pick<Framing, 'cut' | 'unread'> & { feed(bytes: Uint8Array): void },
): Framing => ({
  feed: (bytes) => {
    looker.feed(bytes)
    return bytes
  },
  end: () => {
    looker.cut()
    return null
  },
  cut: looker.cut,
  unread: looker.unread,
})

/** The beginning of an event that may have to stay hidden is kept back up to here, in bytes. Such an
 * event reports usage and nothing else. */
const MAX_HIDDEN_BYTES = 64 * 1024

const LF = 0x0a
const CR = 0x0d

function serverSentEvents(hides: boolean, onEvent: OnEvent): Framing {
  const decoder = new TextDecoder()
  let isHidden = false
  let hasEvents = false
  let isForeign = false
  /** Bytes with lines that mean nothing: what is no event stream at all consists of them. */
  let foreign = 0
  const parser = createParser({
    onEvent: (event) => {
      hasEvents = true
      if (onEvent(event) === 'hide') isHidden = true
    },
    onError: () => {
      isForeign = true
    },
  })
  const read = (block: Uint8Array, ending = ''): void => {
    const text = decoder.decode(block)
    isHidden = false
    isForeign = false
    // The parser waits behind a CR for the LF that may follow; here it is known that none does.
    parser.feed((text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text) + ending)
    if (isForeign) foreign += block.length
  }
  const hiding = hides ? createHiding() : null
  const blocks = new EventBlocks((block, newest) => {
    if (block !== null) read(block)
    hiding?.ended(newest, block !== null && isHidden)
  })
  /** Its last event may lack the empty line. */
  const cut = (): void => {
    isHidden = false
    const last = blocks.end()
    if (last.length > 0) read(last, '\n\n')
  }
  return {
    feed: (bytes) => {
      const open = blocks.feed(bytes)
      return hiding ? hiding.take(bytes, open) : bytes
    },
    cut,
    end: () => {
      cut()
      return isHidden ? null : (hiding?.kept() ?? null)
    },
    unread: () => blocks.unread + (hasEvents ? 0 : foreign),
  }
}

/** Hands blocks on when it is known that they may be seen. */
function createHiding() {
  const kept = new ByteBuffer()
  let out: Uint8Array[] = []
  /** The bytes since the last call are handed on as they came. */
  let isWhole = true
  /** The beginning of the current block was handed on. */
  let isShown = false
  let wasHidden = false
  const show = (newest: Uint8Array): void => {
    if (kept.length > 0) out.push(kept.take())
    out.push(newest)
  }
  return {
    ended: (newest: Uint8Array, isHidden: boolean): void => {
      // Empty lines go with the event before them.
      const isEmpty = kept.length === 0 && (newest[0] === LF || newest[0] === CR)
      wasHidden = !isShown && (isHidden || (isEmpty && wasHidden))
      if (wasHidden) {
        kept.clear()
        isWhole = false
      } else show(newest)
      isShown = false
    },
    /** @param open - how many of the bytes belong to a block that has not ended. */
    take: (bytes: Uint8Array, open: number): Uint8Array => {
      const rest = bytes.subarray(bytes.length - open)
      if (isShown) out.push(rest)
      else if (kept.length + open > MAX_HIDDEN_BYTES) {
        isShown = true
        show(rest)
      } else if (open > 0) kept.append(rest)
      const isBetween = kept.length === 0
      const handedOn = isWhole && isBetween ? bytes : joined(out)
      isWhole = isBetween
      out = []
      return handedOn
    },
    kept: (): Uint8Array | null => (kept.length > 0 ? kept.take() : null),
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new ByteBuffer()
  for (const piece of pieces) all.append(piece)
  return all.take()
}
