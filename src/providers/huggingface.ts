/**
 * Hugging Face's router (https://huggingface.co/docs/inference-providers). Which provider serves is part
 * of the model's id (`org/model:together`), and so is the price.
 *
 * @module
 */
import { openAiCompatible } from './compatible.ts'

export const huggingface = openAiCompatible({
  id: 'huggingface',
  baseUrl: 'https://router.huggingface.co/v1',
  has: ['responses'],
  chat: { hidesReasoning: /./ },
})
