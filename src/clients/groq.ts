/**
 * `groq-sdk` 1.
 *
 * @module
 */
import { type Binding, compareBaseUrl, PLACEHOLDER, withoutSuffix } from './binding.ts'
import { bindStainless, isStainless, type StainlessLike } from './stainless.ts'

export interface GroqLike extends StainlessLike {
  readonly chat: { readonly completions: object }
}

/** As an OpenAI client, less what only that has. */
export function isGroq(client: unknown): client is GroqLike {
  if (!isStainless(client)) return false
  const { chat } = client as Partial<GroqLike>
  return typeof chat?.completions === 'object' && !('responses' in client)
}

export function bindGroq<C extends GroqLike>(client: C, binding: Binding): C {
  const provider = binding.provider ?? 'groq'
  // The SDK's own paths begin with it.
  const baseUrl = withoutSuffix(binding.baseUrlOf(provider), '/openai/v1')
  compareBaseUrl(binding, provider, client.baseURL, baseUrl)
  const { onAnswer } = binding
  const ours = { fetch: binding.fetchFor(provider), baseUrl, onAnswer }
  return bindStainless(client, { apiKey: PLACEHOLDER }, ours)
}
