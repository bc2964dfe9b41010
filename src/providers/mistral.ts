/**
 * Mistral (https://docs.mistral.ai/api). Bodies are checked strictly, so nothing is asked for that it
 * does not know: streams report usage unasked, in the chunk with the finish reason.
 *
 * @module
 */
import { openAiCompatible } from './compatible.ts'
import { openAiCompletions } from './formats/openai-completions.ts'

export const mistral = openAiCompatible({
  id: 'mistral',
  baseUrl: 'https://api.mistral.ai/v1',
  has: ['embeddings'],
  chat: {
    streamUsage: 'always',
    textFields: 'random_seed safe_prompt prompt_mode min_tokens',
  },
  // Code in the middle: the fields of completions, the answers of chat.
  operations: [
    openAiCompletions({
      provider: 'mistral',
      path: '/fim/completions',
      streamUsage: 'always',
      textFields: 'random_seed min_tokens',
      textKey: 'delta"',
      defaultMaxOutput: 4096,
    }),
  ],
})
