/**
 * `@google/genai` 2 and 3: the Gemini API. Clients for Vertex AI sign with the platform's Google
 * account and are refused.
 *
 * @module
 */
import { type Binding, compareBaseUrl, notBindable, PLACEHOLDER, withoutSuffix } from './binding.ts'
import { joinedByHeaders } from './by-headers.ts'

/** The slice of the client that we use (https://github.com/googleapis/js-genai, src/client.ts). */
export interface GoogleGenAiLike {
  readonly vertexai: boolean
  readonly models: object
  readonly chats: object
  /** Protected in its types, as the one below. */
  readonly apiVersion?: string
  readonly httpOptions?: HttpOptions
  readonly apiClient?: { readonly clientOptions?: { readonly httpOptions?: HttpOptions } }
}

interface HttpOptions {
  readonly baseUrl?: string
  readonly timeout?: number
  readonly retryOptions?: object
  readonly fetch?: unknown
}

export function isGoogleGenAi(client: unknown): client is GoogleGenAiLike {
  if (typeof client !== 'object' || client === null) return false
  const { vertexai, models, chats } = client as Partial<GoogleGenAiLike>
  return typeof vertexai === 'boolean' && typeof models === 'object' && typeof chats === 'object'
}

export function bindGoogleGenAi<C extends GoogleGenAiLike>(client: C, binding: Binding): C {
  if (client.vertexai) {
    throw notBindable(
      'this client is for Vertex AI and signs with the account of the platform',
      'bind a GoogleGenAI for the Gemini API, or use the callback form',
    )
  }
  const provider = binding.provider ?? 'google'
  const baseUrl = withoutSuffix(binding.baseUrlOf(provider), '/v1beta')
  compareBaseUrl(binding, provider, client.httpOptions?.baseUrl, baseUrl)
  const { timeout, retryOptions } = client.httpOptions ?? {}
  const fetch = joinedByHeaders(binding.fetchFor(provider))
  const Client = client.constructor as new (options: object) => C
  const bound = new Client({
    apiKey: PLACEHOLDER,
    // Said, so that the environment does not say otherwise.
    vertexai: false,
    ...(client.apiVersion === undefined ? {} : { apiVersion: client.apiVersion }),
    httpOptions: {
      baseUrl,
      fetch,
      ...(timeout === undefined ? {} : { timeout }),
      ...(retryOptions === undefined ? {} : { retryOptions }),
    },
  })
  const kept = bound.apiClient?.clientOptions?.httpOptions
  if (bound.vertexai || kept?.fetch !== fetch || kept.baseUrl?.replace(/\/$/, '') !== baseUrl) {
    throw notBindable(
      'a client made like it does not keep its fetch and base URL',
      'bind a plain client of class GoogleGenAI, version 2.32 or newer',
    )
  }
  return bound
}
