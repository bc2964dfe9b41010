/**
 * The `usage` object of Anthropic's messages (`@anthropic-ai/sdk` 1.10, `Usage` and `BetaUsage`), here
 * and where Bedrock and Vertex pass it on.
 *
 * @module
 */
import { asList, asObject, type JsonObject } from '../reading/json-object.ts'
import {
  type Count,
  count,
  details,
  otherCounts,
  sum,
  tokenUsage,
  type UsageFormat,
} from '../reading/usage-format.ts'

/**
 * `input_tokens` leaves out what was read from the cache and what was written to it; the parts are
 * added up. `output_tokens` includes thinking. In a stream `message_start` brings the input side and
 * `message_delta` the output side, with cumulative figures; either may repeat or correct the other.
 */
export const anthropicUsage: UsageFormat = {
  find: (json) => {
    const message = asObject(json.message) ?? json
    const usage = asObject(message.usage)
    if (usage === null) return null
    const { model } = message
    return { usage, model, tier: tierOf(usage) }
  },
  read: (usage) => {
    const own = sides(usage)
    const sub = readIterations(usage.iterations)
    const tools = details(usage.server_tool_use)
    const output = details(usage.output_tokens_details)
    if (sub === null || !tools || !output) return null
    const tokens = tokenUsage({
      ...own,
      input: sum(own.input, sub.apart.input),
      cacheRead: sum(own.cacheRead, sub.apart.cacheRead),
      cacheWrite: sum(own.cacheWrite, sub.apart.cacheWrite),
      cacheWrite1h: sum(own.cacheWrite1h, sub.apart.cacheWrite1h),
      output: sum(own.output, sub.apart.output),
      reasoning: count(output.thinking_tokens),
    })
    // Fetching pages is free of charge; only searches are charged by the call.
    const counts = otherCounts({
      web_search_requests: tools.web_search_requests,
      // Held in the tokens above; the provider's own totals leave them out.
      compaction_input_tokens: sub.apart.input,
      compaction_output_tokens: sub.apart.output,
      other_model_input_tokens: sub.otherModel.input,
      other_model_output_tokens: sub.otherModel.output,
    })
    return tokens && counts && { tokens, counts, isIncomplete: sub.isIncomplete }
  },
}

type Sides = Readonly<
  Record<'input' | 'cacheRead' | 'cacheWrite' | 'cacheWrite1h' | 'output', Count>
>

/** Of the whole, or of one iteration. */
function sides(usage: JsonObject): Sides {
  const cacheRead = count(usage.cache_read_input_tokens)
  const byLifetime = details(usage.cache_creation)
  if (!byLifetime) return { ...NOTHING, input: undefined }
  const cacheWrite1h = count(byLifetime.ephemeral_1h_input_tokens)
  // Older servers report the sum only, some the lifetimes only.
  const total = count(usage.cache_creation_input_tokens)
  const cacheWrite =
    total === null ? sum(count(byLifetime.ephemeral_5m_input_tokens), cacheWrite1h) : total
  const fresh = count(usage.input_tokens)
  return {
    // Without `input_tokens` of its own there is no total.
    input: fresh === null ? undefined : sum(fresh, cacheRead, cacheWrite),
    cacheRead,
    cacheWrite,
    cacheWrite1h,
    output: count(usage.output_tokens),
  }
}

const NOTHING: Sides = {
  input: null,
  cacheRead: null,
  cacheWrite: null,
  cacheWrite1h: null,
  output: null,
}

interface Iterations {
  /** Of this model, and not in the figures above: what compaction took. */
  readonly apart: Sides
  /** Of another model, at prices of its own: advisors. Never in the figures above. */
  readonly otherModel: Sides
  /** True when there is something that the price of this model does not tell. */
  readonly isIncomplete: boolean
}

/**
 * The requests that one call was made of. `message` entries are in the figures above; `compaction` and
 * `advisor_message` entries are not, and are charged all the same. A `fallback_message` was served by
 * another model than the one asked for, and is in the figures.
 */
function readIterations(value: unknown): Iterations | null {
  let apart = NOTHING
  let otherModel = NOTHING
  let isIncomplete = false
  for (const entry of asList(value)) {
    const iteration = asObject(entry)
    if (iteration === null) return null
    const { type } = iteration
    if (type === 'message') continue
    isIncomplete ||= type !== 'compaction'
    if (type === 'fallback_message') continue
    const read = sides(iteration)
    if (Object.values(read).includes(undefined)) return null
    if (type === 'compaction') apart = added(apart, read)
    else otherModel = added(otherModel, read)
  }
  return { apart, otherModel, isIncomplete }
}

const added = (a: Sides, b: Sides): Sides => ({
  input: sum(a.input, b.input),
  cacheRead: sum(a.cacheRead, b.cacheRead),
  cacheWrite: sum(a.cacheWrite, b.cacheWrite),
  cacheWrite1h: sum(a.cacheWrite1h, b.cacheWrite1h),
  output: sum(a.output, b.output),
})

/** Priority, batch and fast serving have prices of their own, as has inference kept in one country. */
function tierOf({ speed, service_tier: tier, inference_geo: geo }: JsonObject): unknown {
  if (typeof speed === 'string' && speed !== 'standard') return speed
  if (typeof tier === 'string' && tier !== 'standard') return tier
  const isSomewhere = typeof geo === 'string' && geo !== 'global' && geo !== 'not_available'
  return isSomewhere ? geo : tier
}
