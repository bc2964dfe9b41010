/**
 * Follows an event stream. Every event of every stream passes here, so only one that carries a usage
 * object is parsed; of all others what the model wrote is measured as it stands.
 *
 * The last value reported counts, field by field: some providers report the input first and the output
 * last, others all of it again and again. Nothing is ever added up.
 *
 * @module
 */
import type { ResponseUsage, StreamReader } from '../provider.ts'
import { DeltaMeter, findKey } from './delta-meter.ts'
import { asObject, isGiven, type JsonObject } from './json-object.ts'
import { type FoundUsage, MAX_TOKENS, type UsageFormat, usageOf } from './usage-format.ts'

export interface StreamFormat {
  readonly usage: UsageFormat
  /** Keys of usage objects, each with its closing quote: `usage"`. */
  readonly usageKeys: readonly string[]
  /** Keys of what the model wrote, each with its closing quote: `delta"`. None: its bytes do not tell
   * its tokens (images, audio), and a stream that was cut is charged as if it were whole. */
  readonly textKeys: readonly string[]
  /** True for the event after which nothing comes that is charged. */
  isEnd(event: { readonly event?: string | undefined; readonly data: string }): boolean
  /** True when the usage of this event is final, although the stream may go on. */
  isFinal(json: JsonObject): boolean
  /** True for an event that carries usage and nothing else; default: none does. */
  isUsageOnly?(json: JsonObject): boolean
  /** Events that do not tell what the model wrote, by their name or type; default: none. */
  readonly silent?: RegExp
}

export function followStream(format: StreamFormat): StreamReader {
  const meter = new DeltaMeter(format.textKeys)
  const isOpaque = format.textKeys.length === 0
  const delivered = { tokens: (): number => (isOpaque ? MAX_TOKENS : meter.tokens()) }
  let found: FoundUsage | null = null
  let isFinal = false
  let countedUpTo = 0

  const take = (json: JsonObject): void => {
    const reported = format.usage.find(json)
    if (reported === null) return
    found = merged(found, reported)
    isFinal = format.isFinal(json)
    countedUpTo = delivered.tokens()
  }
  const usage = (): ResponseUsage | null => {
    const read = found && usageOf(format.usage, found)
    const written = delivered.tokens()
    // A figure from before the last delta counts too little.
    if (read === null || (isFinal && written <= countedUpTo)) return read
    if (isOpaque) return isFinal ? read : null
    const output = Math.max(read.tokens.output, written)
    return { ...read, tokens: { ...read.tokens, output }, quality: 'estimated' }
  }
  return {
    push: (event) => {
      const { data } = event
      const isEnd = format.isEnd(event)
      if (!isEnd && !format.silent?.test(event.event ?? data.slice(0, 80))) meter.add(data)
      const json = parseWithUsage(data, format.usageKeys)
      if (json) take(json)
      if (isEnd) {
        isFinal = true
        return 'end'
      }
      return json && format.isUsageOnly?.(json) ? 'usage-only' : 'data'
    },
    usage,
    deliveredEstimate: () => delivered.tokens(),
  }
}

/** The event, when one of the keys stands in it; `null` for all others and for what is no JSON. */
function parseWithUsage(data: string, keys: readonly string[]): JsonObject | null {
  if (!keys.some((key) => findKey(data, key, 0, true) >= 0)) return null
  try {
    return asObject(JSON.parse(data))
  } catch {
    return null
  }
}

/** Fields reported earlier stay until they are reported again; a lie replaces the truth before it. */
function merged(before: FoundUsage | null, now: FoundUsage): FoundUsage {
  if (before === null) return now
  const given = Object.entries(now.usage).filter(([, value]) => isGiven(value))
  return {
    usage: { ...before.usage, ...Object.fromEntries(given) },
    model: typeof now.model === 'string' ? now.model : before.model,
    tier: typeof now.tier === 'string' ? now.tier : before.tier,
    counts: { ...before.counts, ...now.counts },
  }
}
