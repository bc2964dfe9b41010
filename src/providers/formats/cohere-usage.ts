/**
 * How Cohere reports usage (`cohere-ai` 8, `Usage` and `ApiMeta`): tokens, and beside them the units
 * that it bills, which leave out its own preamble.
 *
 * @module
 */
import { asObject } from '../reading/json-object.ts'
import {
  count,
  details,
  otherCounts,
  tokenUsage,
  type UsageFormat,
} from '../reading/usage-format.ts'

/** In a stream in `delta` of the event `message-end`; of embeddings in `meta`. */
export const cohereUsage: UsageFormat = {
  find: (json) => {
    const holder = asObject(json.delta) ?? json
    const usage = asObject(holder.usage) ?? asObject(holder.meta)
    return usage && { usage, model: json.model }
  },
  read: (usage) => {
    const tokens = details(usage.tokens)
    const billed = details(usage.billed_units)
    if (!tokens || !billed) return null
    const read = tokenUsage({
      // Embeddings report billed units only.
      input: count(tokens.input_tokens ?? billed.input_tokens),
      cacheRead: count(usage.cached_tokens),
      output: count(tokens.output_tokens ?? billed.output_tokens ?? 0),
    })
    const counts = otherCounts({
      billed_input: billed.input_tokens,
      billed_output: billed.output_tokens,
      images: billed.images,
      search_units: billed.search_units,
    })
    return read && counts && { tokens: read, counts }
  },
}
