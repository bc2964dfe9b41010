/**
 * Recognises a client by its shape and hands it our fetch. No SDK is imported; a client that cannot be
 * bound safely is refused with a hint.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { bindAiSdk, isAiSdk } from './ai-sdk.ts'
import { bindAnthropic, isAnthropic } from './anthropic.ts'
import { bindBedrock, isBedrock } from './bedrock.ts'
import { type Binding, notBindable } from './binding.ts'
import { bindCohere, isCohere } from './cohere.ts'
import { bindGoogleGenAi, isGoogleGenAi } from './google-genai.ts'
import { bindGroq, isGroq } from './groq.ts'
import { bindLangChain, isLangChain } from './langchain.ts'
import { bindOpenAi, isOpenAi } from './openai.ts'
import { bindSpeakeasy, isSpeakeasy } from './speakeasy.ts'

/** @throws TenantKeysError TK_CLIENT_NOT_BINDABLE */
export function bindClient<C extends object>(client: C, binding: Binding): C {
  try {
    return bind(client, binding)
  } catch (error) {
    if (TenantKeysError.isInstance(error)) throw error
    // The client's own code: what it throws may quote its options, keys included.
    const reason = 'it failed while it was being bound'
    throw new TenantKeysError('TK_CLIENT_NOT_BINDABLE', { reason }, { cause: error })
  }
}

function bind<C extends object>(client: C, binding: Binding): C {
  if (isOpenAi(client)) return bindOpenAi(client, binding)
  if (isAnthropic(client)) return bindAnthropic(client, binding)
  if (isGroq(client)) return bindGroq(client, binding)
  if (isLangChain(client)) return bindLangChain(client, binding)
  if (isGoogleGenAi(client)) return bindGoogleGenAi(client, binding)
  if (isSpeakeasy(client)) return bindSpeakeasy(client, binding)
  if (isCohere(client)) return bindCohere(client, binding)
  if (isBedrock(client)) return bindBedrock(client, binding)
  if (isAiSdk(client)) return bindAiSdk(client, binding)
  throw notBindable(
    'its shape is not that of a known SDK client',
    'docs/clients.md lists what can be bound; to others give tk.fetch(context) as their fetch',
  )
}
