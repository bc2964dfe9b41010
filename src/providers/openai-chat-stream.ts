/**
 * Follows an event stream of OpenAI's chat completions. Every event of every stream passes here, so
 * only one that carries a usage object is parsed; of all others the deltas are measured as they stand.
 *
 * @module
 */
import { asObject, type JsonObject } from './json-object.ts'
import { DeltaMeter, findObject } from './openai-deltas.ts'
import { readUsage } from './openai-usage.ts'
import type { ResponseUsage, StreamReader } from './provider.ts'

export function openChatStream(): StreamReader {
  const delivered = new DeltaMeter()
  let usage: ResponseUsage | null = null
  let countedUpTo = 0
  return {
    push: ({ data }) => {
      if (data === '[DONE]') return 'end'
      delivered.add(data)
      const chunk = parseWithUsage(data)
      if (chunk === null) return 'data'
      // The last one reported counts, also when it cannot be true: then nothing is known.
      usage = readUsage(chunk)
      countedUpTo = delivered.tokens()
      return Array.isArray(chunk.choices) && chunk.choices.length > 0 ? 'data' : 'usage-only'
    },
    // Some servers report as they go: a figure from before the last delta counts too little.
    usage: () => (delivered.tokens() > countedUpTo ? null : usage),
    deliveredEstimate: () => delivered.tokens(),
  }
}

/** The event, when it has a usage object of its own; `null` for all others. */
function parseWithUsage(data: string): JsonObject | null {
  if (findObject(data, 'usage"', 0) < 0) return null
  try {
    const chunk = asObject(JSON.parse(data))
    return asObject(chunk?.usage) ? chunk : null
  } catch {
    return null
  }
}
