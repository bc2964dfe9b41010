/**
 * Groq (https://console.groq.com/docs/openai). A stream reports usage unasked, in `x_groq` of its last
 * chunk, and again in `usage` where that was asked for. Compound systems run tools that are charged.
 *
 * @module
 */
import { openAiCompatible } from './compatible.ts'
import { openAiUsage } from './formats/openai-usage.ts'
import { asObject } from './reading/json-object.ts'
import type { UsageFormat } from './reading/usage-format.ts'

const groqUsage: UsageFormat = {
  ...openAiUsage,
  find: (json) =>
    openAiUsage.find(json) ?? openAiUsage.find({ ...json, usage: asObject(json.x_groq)?.usage }),
}

export const groq = openAiCompatible({
  id: 'groq',
  baseUrl: 'https://api.groq.com/openai/v1',
  has: ['responses'],
  chat: {
    maxField: 'max_completion_tokens',
    streamUsage: 'always',
    usage: groqUsage,
    textFields: 'reasoning_format include_reasoning citation_options disable_tool_validation',
    // Reasoning is left out of the stream where `reasoning_format` is `hidden`.
    hidesReasoning: /gpt-oss|qwen|deepseek|kimi/i,
    unpriced: [
      {
        field: 'model',
        when: (_, model) => /(^|\/)compound/.test(model),
        hint: 'compound systems run tools that are charged by the call',
      },
      { field: 'search_settings', hint: 'searches are charged by the call' },
    ],
  },
})
