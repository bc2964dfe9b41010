/**
 * Recorded answers of 17 providers, as the index of the shared vectors lists them, and the operation
 * that reads each.
 *
 * @module
 */
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import type { Operation } from '../../src/providers/provider.ts'
import { readVectors } from './read-vectors.ts'

export interface Expected {
  input_total: number
  input_uncached: number
  cached_read: number | null
  cache_write: number | null
  cache_write_5m?: number
  cache_write_1h?: number
  output_total: number
  reasoning: number | null
  input_audio?: number
  billed_input?: number
  billed_output?: number
  web_search_requests?: number
  unattributed?: number
  other_model_usage?: readonly { input_total: number; output_total: number }[]
}

export interface Item {
  file: string
  provider: string
  api: string
  model: string | null
  requested_model: string | null
  stream: boolean
  http_status: number
  expected: Expected | null
  reported_cost_usd: number | null
}

/** Path of the operation, by the name that the index gives the API. */
const PATHS: Readonly<Record<string, RegExp>> = {
  'openai-chat': /chat\/completions$/,
  'openrouter-chat': /^\/chat\/completions$/,
  groq: /^\/chat\/completions$/,
  deepseek: /^\/chat\/completions$/,
  mistral: /^\/chat\/completions$/,
  xai: /^\/chat\/completions$/,
  perplexity: /^\/chat\/completions$/,
  'openai-responses': /responses$/,
  'openai-embeddings': /embeddings$/,
  'cohere-v2': /\/chat$/,
  'gemini-interactions': /interactions$/,
}

/** Of the catalogue. */
export const providerOf = ({ provider, file }: Item): string =>
  file.startsWith('google/vertex') ? 'vertex' : provider

export function operationOf(item: Item): Operation {
  const { provider, api, stream, file } = item
  const path =
    PATHS[api] ??
    {
      anthropic: provider === 'bedrock' ? /\/invoke$/ : /messages$/,
      gemini: stream ? /:streamGenerateContent$/ : /:generateContent$/,
      'bedrock-converse': stream ? /converse-stream$/ : /converse$/,
    }[api]
  const found = PROVIDERS.get(providerOf(item))?.operations.find((o) => path?.test(o.path))
  if (found === undefined) throw new Error(`no operation for ${file}`)
  return found
}

/** Whole events; the blank lines between them belong to the one before. */
export const eventsOf = (text: string): string[] => text.split(/(?<=\n\n)(?=[^\n])/)

const index = readVectors('provider-responses/index.json')

/** Empty where the vectors are not there. */
export const items: readonly Item[] =
  index === null ? [] : (JSON.parse(index) as { items: Item[] }).items

export const textOf = (item: Item): string => readVectors(`provider-responses/${item.file}`) ?? ''
