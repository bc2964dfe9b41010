/**
 * OpenRouter (https://openrouter.ai/docs/use-cases/usage-accounting). It reports what it charged: `cost`
 * in US dollars, and of calls with a key of the customer's own (`is_byok`) what the provider behind it
 * charged apart, in `cost_details.upstream_inference_cost`; `cost` is then its fee alone.
 *
 * @module
 */
import { openAiCompatible } from './compatible.ts'
import { openAiResponsesUsage } from './formats/openai-responses.ts'
import { openAiUsage } from './formats/openai-usage.ts'
import { nanoUsdOf } from './reading/figure.ts'
import { asObject, isGiven, type JsonObject } from './reading/json-object.ts'
import { otherCounts, type UsageFormat } from './reading/usage-format.ts'

/** Adds the figure and the searches to what a format of OpenAI's reads. */
function withFigure(format: UsageFormat): UsageFormat {
  return {
    find: format.find,
    read: (usage) => {
      const read = format.read(usage)
      const tools = asObject(usage.server_tool_use_details ?? usage.server_tool_use)
      const searches = otherCounts({ web_search_requests: tools?.web_search_requests })
      if (read === null || searches === null) return null
      const counts = { ...read.counts, ...searches }
      return { ...read, counts, providerCostNanoUsd: costOf(usage) }
    },
  }
}

function costOf(usage: JsonObject): bigint | null {
  const own = nanoUsdOf(usage.cost)
  if (usage.is_byok !== true || own === null) return own
  const upstream = asObject(usage.cost_details)?.upstream_inference_cost
  const theirs = isGiven(upstream) ? nanoUsdOf(upstream) : 0n
  return theirs === null ? null : own + theirs
}

export const openrouter = openAiCompatible({
  id: 'openrouter',
  baseUrl: 'https://openrouter.ai/api/v1',
  has: ['responses', 'embeddings', 'completions'],
  responsesUsage: withFigure(openAiResponsesUsage),
  chat: {
    usage: withFigure(openAiUsage),
    textFields: `reasoning include_reasoning usage provider transforms top_k top_a min_p
      repetition_penalty structured_outputs session_id trace`,
    // Which models reason, and whether they show it, is known to OpenRouter alone.
    hidesReasoning: /./,
    unpriced: [
      { field: 'models', hint: 'name one model: others may cost more' },
      { field: 'route', hint: 'name one model: others may cost more' },
      { field: 'plugins', hint: 'plugins are charged by the call' },
      { field: 'web_search_options', hint: 'web searches are charged by the call' },
      {
        field: 'model',
        when: (_, model) => /:online$|^openrouter\//.test(model),
        hint: 'web searches and routed models have prices of their own',
      },
    ],
  },
})
