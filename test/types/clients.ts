/**
 * Types survive binding: what `withTenantKey` returns is assignable to what it was given. Compiled by
 * `npm run typecheck`; nothing here runs.
 *
 * @module
 */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import Anthropic from '@anthropic-ai/sdk'
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime'
import { GoogleGenAI } from '@google/genai'
import { ChatOpenAI } from '@langchain/openai'
import { Mistral } from '@mistralai/mistralai'
import { OpenRouter } from '@openrouter/sdk'
import { CohereClientV2 } from 'cohere-ai'
import Groq from 'groq-sdk'
import OpenAI, { AzureOpenAI } from 'openai'
import type { CallContext, Receipt, TenantKeys } from '../../src/index.ts'

declare const tk: TenantKeys
declare const context: CallContext

export const openai: OpenAI = tk.withTenantKey(new OpenAI(), context)
export const azure: AzureOpenAI = tk.withTenantKey(new AzureOpenAI(), context)
export const anthropic: Anthropic = tk.withTenantKey(new Anthropic(), context)
export const groq: Groq = tk.withTenantKey(new Groq(), context)
export const google: GoogleGenAI = tk.withTenantKey(new GoogleGenAI({}), context)
export const mistral: Mistral = tk.withTenantKey(new Mistral(), context)
export const openrouter: OpenRouter = tk.withTenantKey(new OpenRouter(), context)
export const cohere: CohereClientV2 = tk.withTenantKey(new CohereClientV2({}), context)
export const langchain: ChatOpenAI = tk.withTenantKey(new ChatOpenAI(), context)
export const bedrock: BedrockRuntimeClient = tk.withTenantKey(new BedrockRuntimeClient({}), context)
export const aiOpenAi: typeof createOpenAI = tk.withTenantKey(createOpenAI, context)
export const aiAnthropic: typeof createAnthropic = tk.withTenantKey(createAnthropic, context)
export const aiCompatible: typeof createOpenAICompatible = tk.withTenantKey(
  createOpenAICompatible,
  context,
)
/** Without a context too. */
export const ambient: OpenAI = tk.withTenantKey(new OpenAI())
export const inside: Promise<number> = tk.run(context, async () => 7)

const call = { key: 'k', provider: 'cartesia', estimate: { usd: '0.02' } }
export const receipt: Promise<Receipt> = tk.withTenantKey(call, ({ spent }) => spent({ usd: '1' }))
export const value: Promise<string> = tk.withTenantKey(call, async () => 'audio')

// @ts-expect-error a caller is a key or a tenant
tk.withTenantKey(new OpenAI(), {})
// @ts-expect-error not both
tk.withTenantKey(new OpenAI(), { key: 'k', tenantId: 'acme', scope: 'chat' })
// @ts-expect-error a tenant without a scope
tk.fetch({ tenantId: 'acme' })
// @ts-expect-error what a call can cost has to be said
tk.withTenantKey({ key: 'k', provider: 'cartesia' }, () => 1)
