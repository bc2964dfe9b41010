/**
 * DeepSeek (https://api-docs.deepseek.com). Reasoning is shown, and counted in `completion_tokens`. Prices
 * change with the time of day; the price table knows when.
 *
 * @module
 */
import { openAiCompatible } from './compatible.ts'
import { openAiChat } from './formats/openai-chat.ts'

const chat = { textFields: 'thinking' } as const

export const deepseek = openAiCompatible({
  id: 'deepseek',
  baseUrl: 'https://api.deepseek.com',
  chat,
  has: ['responses'],
  // For clients of OpenAI the same API is also below /v1, which names no version.
  operations: [openAiChat({ provider: 'deepseek', path: '/v1/chat/completions', ...chat })],
})
