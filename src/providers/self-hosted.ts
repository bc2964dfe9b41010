/**
 * Servers that the operator or a tenant runs. They have no public base URL: the operator sets
 * `providers.vllm.baseUrl`, or the tenant stores an `endpoint` whose origin the operator listed (S1.9).
 * No price is known of them, not even 0: the host says it, with a price row of `'0'` where it is so.
 *
 * @module
 */
import { openAiCompatible } from './compatible.ts'

/** https://docs.vllm.ai/en/latest/serving/openai_compatible_server; its sampling settings are no tokens. */
export const vllm = openAiCompatible({
  id: 'vllm',
  selfHosted: true,
  has: ['embeddings', 'completions', 'responses'],
  chat: {
    textFields: `top_k min_p repetition_penalty length_penalty stop_token_ids include_stop_str_in_output
      ignore_eos min_tokens skip_special_tokens spaces_between_special_tokens truncate_prompt_tokens
      echo add_generation_prompt chat_template_kwargs guided_json guided_regex guided_choice
      guided_grammar structured_outputs priority request_id cache_salt include_reasoning`,
  },
})

/** https://docs.ollama.com/openai; it checks no key. */
export const ollama = openAiCompatible({
  id: 'ollama',
  selfHosted: true,
  apiKey: 'optional',
  has: ['embeddings', 'completions'],
})

/** https://lmstudio.ai/docs/developer/openai-compat; it checks no key. */
export const lmstudio = openAiCompatible({
  id: 'lmstudio',
  selfHosted: true,
  apiKey: 'optional',
  has: ['embeddings', 'completions', 'responses'],
  chat: { textFields: 'top_k repeat_penalty ttl' },
})
