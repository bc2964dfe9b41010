/**
 * Providers that do what OpenAI's chat completions do, and nothing in a way of their own that we know.
 *
 * Sources of the base URLs: the providers' own pages, named at each.
 *
 * @module
 */
import { openAiCompatible } from './compatible.ts'

/** https://docs.together.ai/docs/openai-api-compatibility */
export const together = openAiCompatible({
  id: 'together',
  baseUrl: 'https://api.together.xyz/v1',
  has: ['embeddings', 'completions'],
  chat: { textFields: 'repetition_penalty min_p top_k echo safety_model' },
})

/** https://docs.fireworks.ai/tools-sdks/openai-compatibility */
export const fireworks = openAiCompatible({
  id: 'fireworks',
  baseUrl: 'https://api.fireworks.ai/inference/v1',
  has: ['embeddings', 'completions', 'responses'],
  chat: { textFields: 'top_k min_p repetition_penalty prompt_truncate_len' },
})

/** https://inference-docs.cerebras.ai/resources/openai */
export const cerebras = openAiCompatible({
  id: 'cerebras',
  baseUrl: 'https://api.cerebras.ai/v1',
  chat: { maxField: 'max_completion_tokens', textFields: 'clear_thinking disable_reasoning' },
})

/** https://help.ovhcloud.com (AI Endpoints) */
export const ovhcloud = openAiCompatible({
  id: 'ovhcloud',
  baseUrl: 'https://oai.endpoints.kepler.ai.cloud.ovh.net/v1',
  has: ['embeddings'],
})

/** https://docs.berget.ai */
export const berget = openAiCompatible({
  id: 'berget',
  baseUrl: 'https://api.berget.ai/v1',
  has: ['embeddings'],
})

/** https://docs.z.ai/api-reference/llm/chat-completion */
export const zai = openAiCompatible({
  id: 'zai',
  baseUrl: 'https://api.z.ai/api/paas/v4',
  chat: { textFields: 'thinking do_sample request_id user_id tool_stream' },
})

/** https://docs.crusoecloud.com (Managed Inference) */
export const crusoe = openAiCompatible({
  id: 'crusoe',
  baseUrl: 'https://managed-inference-api-proxy.crusoecloud.com/v1',
})

/** https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope */
export const alibaba = openAiCompatible({
  id: 'alibaba',
  baseUrl: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
  has: ['embeddings'],
  chat: {
    textFields: 'enable_thinking thinking_budget top_k repetition_penalty',
    unpriced: [{ field: 'enable_search', hint: 'searches are charged by the call' }],
  },
})
