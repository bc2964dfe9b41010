/**
 * `cohere-ai` 8: `CohereClient` and `CohereClientV2`.
 *
 * @module
 */
import { type Binding, compareBaseUrl, notBindable, PLACEHOLDER, withoutSuffix } from './binding.ts'
import { joinedByHeaders } from './by-headers.ts'

/** The slice of the client that we use (https://github.com/cohere-ai/cohere-typescript). */
export interface CohereLike {
  readonly _options: Options | undefined
  readonly chatStream: unknown
  readonly checkApiKey: unknown
}

interface Options {
  readonly baseUrl?: unknown
  readonly timeoutInSeconds?: number
  readonly maxRetries?: number
  readonly fetch?: unknown
}

export function isCohere(client: unknown): client is CohereLike {
  if (typeof client !== 'object' || client === null) return false
  const { chatStream, checkApiKey } = client as Partial<CohereLike>
  return (
    typeof chatStream === 'function' && typeof checkApiKey === 'function' && '_options' in client
  )
}

export function bindCohere<C extends CohereLike>(client: C, binding: Binding): C {
  const provider = binding.provider ?? 'cohere'
  const { timeoutInSeconds, maxRetries, baseUrl: own } = client._options ?? {}
  // The SDK's own paths begin with the version.
  const baseUrl = withoutSuffix(withoutSuffix(binding.baseUrlOf(provider), '/v2'), '/v1')
  compareBaseUrl(binding, provider, typeof own === 'string' ? own : undefined, baseUrl)
  const fetch = joinedByHeaders(binding.fetchFor(provider))
  const Client = client.constructor as new (options: object) => C
  const bound = new Client({
    token: PLACEHOLDER,
    baseUrl,
    fetch,
    ...(timeoutInSeconds === undefined ? {} : { timeoutInSeconds }),
    ...(maxRetries === undefined ? {} : { maxRetries }),
  })
  if (bound._options?.fetch !== fetch || bound._options.baseUrl !== baseUrl) {
    throw notBindable(
      'a client made like it does not keep its fetch and base URL',
      'bind a plain client of class CohereClientV2',
    )
  }
  return bound
}
