/**
 * Watches an event stream: every chunk is handed on as the provider sent it, when the caller asks for
 * it. Bytes are rewritten only when we asked for a usage chunk that the caller did not, which must
 * stay hidden: its empty `choices` would break `chunk.choices[0].delta`.
 *
 * The call is settled before the chunk with the end marker is handed on; an abort, an early break and
 * a broken connection settle at once by what was delivered.
 *
 * @module
 */
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { StreamReader } from '../providers/provider.ts'
import { awsEventStream } from '../providers/reading/aws-event-stream.ts'
import { jsonArrayStream } from '../providers/reading/json-array-stream.ts'
import { type Life, lifeOf, type Observed, settleEstimated, settleReported } from './observed.ts'
import { transportError } from './transport-error.ts'
import { type BodyWatcher, watchBody } from './watched-body.ts'

const LINE_FEED = 0x0a

export function observeStream(observed: Observed, response: Response): Response {
  const { parts, settler } = observed
  const following = follow(observed)
  const life = lifeOf(following.dropped)
  const type = (response.headers.get('content-type') ?? '').toLowerCase()
  const body = watchBody(response, () => streamWatcher(observed, following, type, life))
  const whole = async (): Promise<Response> =>
    new Response(body.stream(), { headers: response.headers })
  const replaced = {
    text: async () => (await whole()).text(),
    json: async () => (await whole()).json(),
    arrayBuffer: async () => (await whole()).arrayBuffer(),
    blob: async () => (await whole()).blob(),
    bytes: async () => new Uint8Array(await (await whole()).arrayBuffer()),
    formData: async () => (await whole()).formData(),
    clone: () => {
      // A clone would have to buffer for the slower reader; the stream itself stays the only one.
      throw new TypeError('a metered event stream cannot be cloned')
    },
  }
  for (const [name, value] of Object.entries(replaced)) {
    Object.defineProperty(response, name, { value, configurable: true, writable: true })
  }
  const stream = body.stream()
  if (stream) parts.receipts.note(stream, settler.receipt)
  return response
}

interface Following {
  readonly reader: StreamReader
  finish(outcome: 'completed' | 'aborted' | 'broken'): Promise<void>
  /** Nobody can read the stream any more. */
  dropped(): void
}

/** Apart from the response, which none of these closures may hold (see {@link Observed}). */
function follow(observed: Observed): Following {
  const { signal, operation } = observed
  const reader = operation.openStream()
  const finish: Following['finish'] = (outcome) => {
    signal?.removeEventListener('abort', onAbort)
    const usage = reader.usage()
    return usage
      ? settleReported(observed, outcome, usage)
      : settleEstimated(observed, outcome, reader.deliveredEstimate())
  }
  const onAbort = (): void => void finish('aborted')
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return { reader, finish, dropped: onAbort }
}

function streamWatcher(
  { signal, reading, settler }: Observed,
  { reader, finish }: Following,
  type: string,
  life: Life,
): BodyWatcher {
  const rewriter = reading.hidesUsageChunk ? createRewriter() : null
  let ended = false
  const onEvent = (event: EventSourceMessage): void => {
    const kind = reader.push(event)
    if (kind === 'end') ended = true
    if (kind === 'usage-only') rewriter?.leaveOut()
    else rewriter?.event(event)
  }
  const feed = framing(type, onEvent, rewriter)
  return {
    life,
    chunk: (value) => {
      // Not every fetch ends what it gave when its signal aborts.
      if (signal?.aborted) throw signal.reason
      feed(value)
      const out = rewriter ? rewriter.take(value) : value
      if (ended) return finish('completed').then(() => out)
      const covered = settler.hold.delivered(reader.deliveredEstimate())
      if (covered === null) return out
      return covered.then(async () => {
        // Ended by us: what was delivered is settled before this piece, the last one, is handed on.
        if (signal?.aborted) await finish('aborted')
        return out
      })
    },
    end: async () => {
      // Some servers close without an end marker: what counts is whether the usage arrived.
      const isComplete = ended || reader.usage()?.quality === 'measured'
      await finish(isComplete ? 'completed' : 'broken')
      return rewriter?.take(null) ?? null
    },
    broken: async (error) => {
      await finish(signal?.aborted ? 'aborted' : 'broken')
      return transportError('terminated', error, signal)
    },
    cancelled: () => finish(ended ? 'completed' : 'aborted'),
  }
}

/** Finds the events in the bytes, by what the provider says they are. Server-sent events are the rule. */
function framing(
  type: string,
  onEvent: (event: EventSourceMessage) => void,
  rewriter: ReturnType<typeof createRewriter> | null,
): (bytes: Uint8Array) => void {
  if (type.startsWith('application/vnd.amazon.eventstream')) return awsEventStream(onEvent)
  const decoder = new TextDecoder()
  if (type.startsWith('application/json')) {
    const feed = jsonArrayStream(onEvent)
    return (bytes) => feed(decoder.decode(bytes, { stream: true }))
  }
  const parser = createParser({
    onEvent,
    onComment: (comment) => rewriter?.line(`: ${comment}\n`),
    onRetry: (ms) => rewriter?.line(`retry: ${ms}\n`),
  })
  return (bytes) => parser.feed(decoder.decode(bytes, { stream: true }))
}

/**
 * Leaves events out. A chunk of whole events that all stay is handed on as it is; from any other the
 * events are written again as they were, field by field.
 */
function createRewriter() {
  const encoder = new TextEncoder()
  let out = ''
  let leftOut = false
  /** The bytes so far ended with an event: nothing of one is kept back. */
  let between = true
  return {
    line: (text: string): void => {
      out += text
    },
    event: ({ event, id, data }: EventSourceMessage): void => {
      if (event !== undefined) out += `event: ${event}\n`
      if (id !== undefined) out += `id: ${id}\n`
      for (const line of data.split('\n')) out += `data: ${line}\n`
      out += '\n'
    },
    leaveOut: (): void => {
      leftOut = true
    },
    /** @param chunk - what the events since the last call were read from; `null`: the stream ended. */
    take: (chunk: Uint8Array | null): Uint8Array => {
      const wasBetween = between
      between = chunk?.at(-1) === LINE_FEED && chunk.at(-2) === LINE_FEED
      const bytes = chunk && wasBetween && between && !leftOut ? chunk : encoder.encode(out)
      out = ''
      leftOut = false
      return bytes
    },
  }
}
