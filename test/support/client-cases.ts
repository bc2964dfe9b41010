/**
 * Every client that can be bound, each real and unmodified, made with as much of the platform's own
 * identity as its options take.
 *
 * @module
 */
import type { ClientCase } from './clients/client-case.ts'
import {
  aiSdkAnthropic,
  aiSdkCompatible,
  aiSdkOpenAi,
  aiSdkResponses,
  langchain,
  plainFetch,
} from './clients/libraries.ts'
import { anthropic, azure, groq, openai, openaiResponse, openaiText } from './clients/stainless.ts'
import { bedrock, cohere, google, mistral, openrouter } from './clients/vendors.ts'

export const CLIENT_CASES: readonly ClientCase[] = [
  openai,
  openaiText,
  openaiResponse,
  azure,
  bedrock,
  anthropic,
  groq,
  google,
  mistral,
  openrouter,
  cohere,
  langchain,
  aiSdkOpenAi,
  aiSdkResponses,
  aiSdkCompatible,
  aiSdkAnthropic,
  plainFetch,
]
