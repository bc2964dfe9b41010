/**
 * The providers that can be called and metered, by id.
 *
 * @module
 */
import { anthropic } from './anthropic.ts'
import { azure } from './azure.ts'
import { bedrock } from './bedrock.ts'
import { cohere } from './cohere.ts'
import { deepseek } from './deepseek.ts'
import { google } from './google.ts'
import { groq } from './groq.ts'
import { huggingface } from './huggingface.ts'
import { mistral } from './mistral.ts'
import { openai } from './openai.ts'
import { openrouter } from './openrouter.ts'
import { perplexity } from './perplexity.ts'
import * as plain from './plain-compatible.ts'
import type { Provider } from './provider.ts'
import * as selfHosted from './self-hosted.ts'
import { vertex } from './vertex.ts'
import { xai } from './xai.ts'

const all: readonly Provider[] = [
  openai,
  anthropic,
  google,
  vertex,
  azure,
  bedrock,
  cohere,
  deepseek,
  groq,
  huggingface,
  mistral,
  openrouter,
  perplexity,
  xai,
  ...Object.values(plain),
  ...Object.values(selfHosted),
]

export const PROVIDERS: ReadonlyMap<string, Provider> = new Map(all.map((one) => [one.id, one]))
