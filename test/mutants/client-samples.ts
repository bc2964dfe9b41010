/**
 * The clients that are attacked, and what they are asked.
 *
 * @module
 */
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime'
import { GoogleGenAI } from '@google/genai'
import { Mistral } from '@mistralai/mistralai'
import { CohereClientV2 } from 'cohere-ai'
import OpenAI from 'openai'
import { MODEL, PLATFORM_CANARY } from '../support/client-bench.ts'

export const messages = [{ role: 'user' as const, content: 'Hello' }]
export const chat = { model: MODEL, messages }
export const hello = { 'x-own': PLATFORM_CANARY }
export const key = { apiKey: 'unused', maxRetries: 0 }

export const openai =
  (options: object = {}) =>
  () =>
    new OpenAI({ ...key, ...options })
export const askOpenAi = (client: OpenAI) => client.chat.completions.create(chat)
export const google = () =>
  new GoogleGenAI({
    apiKey: 'unused',
    httpOptions: { retryOptions: { attempts: 2, initialDelay: 0.001 } },
  })
export const generate = { model: MODEL, contents: 'Hello' }
export const askGoogle = (client: GoogleGenAI) => client.models.generateContent(generate)
export const bedrock = () => new BedrockRuntimeClient({ region: 'eu-west-1' })
export const converse = {
  modelId: MODEL,
  messages: [{ role: 'user' as const, content: [{ text: 'Hello' }] }],
}
export const mistral = () => {
  const times = { initialInterval: 1, maxInterval: 2, exponent: 1, maxElapsedTime: 3000 }
  const retryConfig = { strategy: 'backoff' as const, backoff: times }
  return new Mistral({ apiKey: 'unused', retryConfig })
}
export const askMistral = (client: Mistral) => client.chat.complete(chat)

/** Classes that go where they like, whatever they are made with. */
const own: typeof fetch = async () => Response.json({})
export class OwnOpenAi extends OpenAI {
  constructor(options: object) {
    super({ ...options, fetch: own })
  }
}
export class OwnBedrock extends BedrockRuntimeClient {
  constructor(options: object) {
    super({ ...options, requestHandler: { handle: async () => ({ response: {} }) } as never })
  }
}
export class OwnCohere extends CohereClientV2 {
  constructor(options: object) {
    super({ ...options, fetch: own } as never)
  }
}
