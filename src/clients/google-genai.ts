/**
 * `@google/genai` 2 and 3: the Gemini API. Clients for Vertex AI sign with the platform's Google
 * account and are refused.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { joinedSignal } from '../kernel/follow-signal.ts'
import { type Binding, compareBaseUrl, notBindable, PLACEHOLDER, withoutSuffix } from './binding.ts'
import { joinedByHeaders } from './by-headers.ts'

/** The slice of the client that we use (https://github.com/googleapis/js-genai, src/client.ts). */
export interface GoogleGenAiLike {
  readonly vertexai: boolean
  readonly models: Models
  readonly chats: object
  /** Protected in its types, as the one below. */
  readonly apiVersion?: string
  readonly httpOptions?: HttpOptions
  readonly apiClient?: ApiClient
}

interface Models {
  generateContentStream(params: StreamParams): Promise<AsyncGenerator<unknown, unknown>>
}

interface StreamParams {
  readonly config?: { readonly abortSignal?: AbortSignal }
}

interface ApiClient {
  readonly clientOptions?: { readonly httpOptions?: HttpOptions }
  apiCall?(...args: unknown[]): Promise<unknown>
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
  const fetch = notRepeated(joinedByHeaders(binding.fetchFor(provider)))
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
  tellDenials(bound.apiClient)
  stopLeftStreams(bound.models)
  return bound
}

/** Its retries stop at a TypeError that is not the network's, and at nothing else of ours. */
function notRepeated(corridor: typeof fetch): typeof fetch {
  return async (input, init) => {
    try {
      return await corridor(input, init)
    } catch (error) {
      if (!TenantKeysError.isInstance(error)) throw error
      throw new TypeError(error.message, { cause: error })
    }
  }
}

/** Gives the denial itself to the caller, instead of the error that stopped the retries. */
function tellDenials(client: ApiClient | undefined): void {
  const apiCall = client?.apiCall
  if (!apiCall || !client) return
  client.apiCall = async (...args) => {
    try {
      return await apiCall.apply(client, args)
    } catch (error) {
      throw TenantKeysError.find(error) ?? error
    }
  }
}

/** Its streams leave the connection open when their loop is left: here that ends the call. */
function stopLeftStreams(models: Models): void {
  const { generateContentStream } = models
  models.generateContentStream = async (params) => {
    const own = new AbortController()
    const abortSignal = joinedSignal(own, params.config?.abortSignal)
    const config = { ...params.config, abortSignal }
    const parts = await generateContentStream.call(models, { ...params, config })
    return stopped(parts, own)
  }
}

async function* stopped<T>(
  parts: AsyncGenerator<T, unknown>,
  own: AbortController,
): AsyncGenerator<T, void> {
  let over = false
  try {
    yield* parts
    over = true
  } finally {
    if (!over) own.abort()
  }
}
