/**
 * xAI (https://docs.x.ai/docs/api-reference). `completion_tokens` leaves out reasoning (recorded: 1 and
 * 228 of 241), and `cost_in_usd_ticks` is what was charged, in units of 1e-10 US dollars.
 *
 * @module
 */
import { openAiCompatible } from './compatible.ts'
import { openAiResponsesUsage } from './formats/openai-responses.ts'
import { openAiUsage } from './formats/openai-usage.ts'
import { nanoUsdOf } from './reading/figure.ts'
import { asObject, isGiven, type JsonObject } from './reading/json-object.ts'
import { count, sum, type UsageFormat } from './reading/usage-format.ts'

const TICKS_SCALE = 10

function withFigure(format: UsageFormat): UsageFormat {
  return {
    find: format.find,
    read: (usage) => {
      const read = format.read(withTotal(usage))
      return (
        read && { ...read, providerCostNanoUsd: nanoUsdOf(usage.cost_in_usd_ticks, TICKS_SCALE) }
      )
    },
  }
}

/** Where the total is missing, it is made so that reasoning counts as standing beside the output. */
function withTotal(usage: JsonObject): JsonObject {
  if (isGiven(usage.total_tokens) || !isGiven(usage.completion_tokens)) return usage
  const reasoning = count(asObject(usage.completion_tokens_details)?.reasoning_tokens)
  const total = sum(count(usage.prompt_tokens), count(usage.completion_tokens), reasoning)
  return typeof total === 'number' ? { ...usage, total_tokens: total } : usage
}

export const xai = openAiCompatible({
  id: 'xai',
  baseUrl: 'https://api.x.ai/v1',
  has: ['responses', 'embeddings'],
  responsesUsage: withFigure(openAiResponsesUsage),
  chat: {
    // It limits reasoning too, which `max_tokens` is not said to do.
    maxField: 'max_completion_tokens',
    usage: withFigure(openAiUsage),
    hidesReasoning: /./,
    unpriced: [
      { field: 'search_parameters', hint: 'searches are charged by the source' },
      { field: 'deferred', hint: 'a completion that is fetched later cannot be metered' },
    ],
  },
})
