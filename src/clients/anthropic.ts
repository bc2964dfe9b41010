/**
 * `@anthropic-ai/sdk` 1: the client of Anthropic's own API. Those for Bedrock, Vertex and others sign
 * with the platform's credentials and are refused.
 *
 * @module
 */
import { type Binding, compareBaseUrl, notBindable, PLACEHOLDER, withoutSuffix } from './binding.ts'
import { bindStainless, isStainless, type StainlessLike } from './stainless.ts'

export interface AnthropicLike extends StainlessLike {
  readonly messages: { create(...args: never[]): unknown }
  readonly authToken: string | null
}

export function isAnthropic(client: unknown): client is AnthropicLike {
  if (!isStainless(client)) return false
  const { messages } = client as Partial<AnthropicLike>
  return typeof messages?.create === 'function' && 'authToken' in client
}

/** Options of the platform's client that a tenant's must not inherit. Its middleware goes too: it may
 * add headers that say who the platform is. */
const ANONYMOUS = {
  apiKey: PLACEHOLDER,
  authToken: null,
  credentials: null,
  config: null,
  profile: null,
  webhookKey: null,
  middleware: [],
}

/** Fields that only the clients for other clouds have. */
const CLOUD_FIELDS = ['awsRegion', 'region', 'projectId', 'resource']

export function bindAnthropic<C extends AnthropicLike>(client: C, binding: Binding): C {
  if (CLOUD_FIELDS.some((field) => field in client)) {
    throw notBindable(
      'this client signs its requests for another cloud',
      'bind a client of class Anthropic',
    )
  }
  const provider = binding.provider ?? 'anthropic'
  const baseUrl = withoutSuffix(binding.baseUrlOf(provider), '/v1')
  compareBaseUrl(binding, provider, client.baseURL, baseUrl)
  const { onAnswer } = binding
  const ours = { fetch: binding.fetchFor(provider), baseUrl, onAnswer }
  const bound = bindStainless(client, ANONYMOUS, ours)
  // Its tool runner then sends the whole history each turn: what a thread holds, nobody can bound.
  return Object.assign(bound, { _supportsMessageThreads: false })
}
