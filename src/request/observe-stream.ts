/**
 * Watches an event stream: every chunk is handed on as the provider sent it, when the caller asks for
 * it. Bytes are left out only when we asked for a usage chunk that the caller did not, which must stay
 * hidden: its empty `choices` would break `chunk.choices[0].delta`.
 *
 * The call is settled before the chunk with the end marker is handed on; an abort, an early break and
 * a broken connection settle at once by what was delivered.
 *
 * @module
 */
import type { ResponseUsage } from '../providers/provider.ts'
import { BYTES_PER_TOKEN } from '../providers/reading/delta-meter.ts'
import { type Framing, openFraming } from './framing.ts'
import { type Life, lifeOf, type Observed, settleEstimated, settleReported } from './observed.ts'
import { transportError } from './transport-error.ts'
import { type BodyWatcher, watchBody } from './watched-body.ts'

export function observeStream(observed: Observed, response: Response): Response {
  const { parts, settler } = observed
  const type = (response.headers.get('content-type') ?? '').toLowerCase()
  const following = follow(observed, type)
  const life = lifeOf(following.dropped)
  const body = watchBody(response, () => streamWatcher(observed, following, life))
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

interface Following extends Pick<Framing, 'feed' | 'end'> {
  /** The end marker came. */
  hasEnded(): boolean
  /** Output tokens so far, by estimate. */
  delivered(): number
  /** A stream without an end marker is complete when its usage arrived. */
  isComplete(): boolean
  finish(outcome: 'completed' | 'aborted' | 'broken'): Promise<void>
  /** Nobody can read the stream any more. */
  dropped(): void
}

/** Apart from the response, which none of these closures may hold (see {@link Observed}). */
function follow(observed: Observed, type: string): Following {
  const { signal, operation, reading } = observed
  const reader = operation.openStream()
  /** What is charged when the end marker came: nothing behind it is counted. */
  let final: { readonly usage: ResponseUsage | null; readonly delivered: number } | null = null
  let bytes = 0
  const framing = openFraming(type, reading.hidesUsageChunk, (event) => {
    const kind = reader.push(event)
    if (kind === 'end') final ??= counted()
    return kind === 'usage-only' ? 'hide' : 'show'
  })
  // What was in no event counts as text.
  const delivered = (): number =>
    reader.deliveredEstimate() + Math.ceil(framing.unread() / BYTES_PER_TOKEN)
  const counted = () => {
    const usage = reader.usage()
    const isWhole = usage === null || framing.unread() === 0
    return {
      usage: isWhole ? usage : atLeast(usage, delivered(), reading.bound.output),
      delivered: delivered(),
    }
  }
  const finish: Following['finish'] = (outcome) => {
    signal?.removeEventListener('abort', onAbort)
    if (final === null) framing.cut()
    const { usage, delivered } = final ?? counted()
    return usage === null
      ? settleEstimated(observed, outcome, delivered, bytes)
      : settleReported(observed, outcome, usage, bytes)
  }
  const onAbort = (): void => {
    observed.settler.hold.release()
    void finish('aborted')
  }
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return {
    feed: (chunk) => {
      const out = framing.feed(chunk)
      bytes += out.length
      return out
    },
    end: () => {
      const out = framing.end()
      bytes += out?.length ?? 0
      return out
    },
    hasEnded: () => final !== null,
    delivered,
    isComplete: () => final !== null || reader.usage()?.quality === 'measured',
    finish,
    dropped: onAbort,
  }
}

/** Figures of a stream of which a part could not be read: there may have been later ones. */
function atLeast(usage: ResponseUsage, delivered: number, bound: number): ResponseUsage {
  const output = Math.max(usage.tokens.output, Math.min(delivered, bound))
  return { ...usage, tokens: { ...usage.tokens, output }, quality: 'estimated' }
}

function streamWatcher(
  { signal, settler }: Observed,
  following: Following,
  life: Life,
): BodyWatcher {
  const { finish } = following
  return {
    life,
    waiting: settler.hold.reading,
    chunk: (value) => {
      // Not every fetch ends what it gave when its signal aborts.
      if (signal?.aborted) throw signal.reason
      const out = following.feed(value)
      if (following.hasEnded()) return finish('completed').then(() => out)
      const covered = settler.hold.delivered(following.delivered())
      if (covered === null) return out
      return covered.then(async () => {
        // Ended by us: what was delivered is settled before this piece, the last one, is handed on.
        if (signal?.aborted) await finish('aborted')
        return out
      })
    },
    end: async () => {
      settler.hold.release()
      const out = following.end()
      await finish(following.isComplete() ? 'completed' : 'broken')
      return out
    },
    broken: async (error) => {
      settler.hold.release()
      await finish(signal?.aborted ? 'aborted' : 'broken')
      return transportError('terminated', error, signal)
    },
    cancelled: () => {
      settler.hold.release()
      return finish(following.hasEnded() ? 'completed' : 'aborted')
    },
  }
}
