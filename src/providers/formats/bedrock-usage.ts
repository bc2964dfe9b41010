/**
 * The `usage` object of Bedrock's Converse (`@aws-sdk/client-bedrock-runtime` 3, `TokenUsage`): on the
 * answer of Converse, and in the `metadata` event of ConverseStream.
 *
 * Also for callers of the AWS SDK, whose answers never pass through our fetch: {@link converseUsage}
 * reads what the SDK gives.
 *
 * @module
 */
import type { ResponseUsage } from '../provider.ts'
import { asList, asObject } from '../reading/json-object.ts'
import {
  type Count,
  count,
  readAnswer,
  sum,
  tokenUsage,
  type UsageFormat,
} from '../reading/usage-format.ts'

/** `inputTokens` leaves out what was read from the cache and what was written to it
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html). */
export const bedrockUsage: UsageFormat = {
  find: (json) => {
    const usage = asObject(json.usage)
    if (usage === null) return null
    const tier = asObject(json.serviceTier)?.type
    const latency = asObject(json.performanceConfig)?.latency
    return { usage, tier: latency === 'optimized' ? latency : tier }
  },
  read: (usage) => {
    const cacheRead = count(usage.cacheReadInputTokens)
    const cacheWrite = count(usage.cacheWriteInputTokens)
    const fresh = count(usage.inputTokens)
    const tokens = tokenUsage({
      input: fresh === null ? null : sum(fresh, cacheRead, cacheWrite),
      cacheRead,
      cacheWrite,
      cacheWrite1h: writtenForAnHour(usage.cacheDetails),
      output: count(usage.outputTokens),
    })
    return tokens && { tokens }
  },
}

function writtenForAnHour(details: unknown): Count {
  const entries = asList(details).map(asObject)
  return sum(...entries.filter((e) => e?.ttl === '1h').map((e) => count(e?.inputTokens)))
}

/**
 * Usage of what `ConverseCommand` gave, or of a `metadata` event of a ConverseStream.
 *
 * @returns `null` when it reports none that can be true.
 */
export function converseUsage(output: unknown): ResponseUsage | null {
  return readAnswer(bedrockUsage, asObject(asObject(output)?.metadata) ?? output)
}
