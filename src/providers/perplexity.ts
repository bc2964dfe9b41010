/**
 * Perplexity (https://docs.perplexity.ai/api-reference/chat-completions-post). Every call searches the
 * web, for a fee that depends on the size of the search context. Streams report cumulative usage with
 * every chunk, unasked. `cost.total_cost` is what was charged, in US dollars.
 *
 * @module
 */
import { openAiCompatible } from './compatible.ts'
import { openAiUsage } from './formats/openai-usage.ts'
import { nanoUsdOf } from './reading/figure.ts'
import { asObject } from './reading/json-object.ts'
import type { UsageFormat } from './reading/usage-format.ts'

const perplexityUsage: UsageFormat = {
  find: openAiUsage.find,
  read: (usage) => {
    const read = openAiUsage.read(usage)
    return read && { ...read, providerCostNanoUsd: nanoUsdOf(asObject(usage.cost)?.total_cost) }
  },
}

export const perplexity = openAiCompatible({
  id: 'perplexity',
  baseUrl: 'https://api.perplexity.ai',
  chat: {
    streamUsage: 'always',
    usage: perplexityUsage,
    textFields: `search_mode search_domain_filter search_recency_filter search_language_filter
      search_after_date_filter search_before_date_filter last_updated_after_filter
      last_updated_before_filter return_images return_related_questions top_k
      enable_search_classifier disable_search web_search_options language_preference`,
    hidesReasoning: /reasoning|deep/,
    unpriced: [
      {
        field: 'model',
        when: (_, model) => model.includes('deep-research'),
        hint: 'it is charged by citations, reasoning and searches that no field limits',
      },
    ],
  },
})
