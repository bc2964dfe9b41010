/**
 * Clients that Speakeasy generates: `@mistralai/mistralai` 2 and `@openrouter/sdk` 1. Their HTTP client
 * is an object with a `request` method, in whose place ours is put.
 *
 * @module
 */
import { uuidv7 } from '../kernel/ids.ts'
import { CALL_ID } from '../request/read-request.ts'
import { type Binding, compareBaseUrl, notBindable, PLACEHOLDER, withoutSuffix } from './binding.ts'

/** The slice of the client that we use (for example https://github.com/mistralai/client-ts,
 * src/lib/sdks.ts). */
export interface SpeakeasyLike {
  readonly _baseURL: URL | null
  readonly _options: Options
  readonly chat: object
}

interface Options {
  readonly timeoutMs?: number
  readonly retryConfig?: object
  readonly userAgent?: string
  readonly httpClient?: unknown
  readonly hooks?: Hooks
}

interface Hooks {
  registerBeforeCreateRequestHook(hook: {
    beforeCreateRequest(context: unknown, input: RequestInput): RequestInput
  }): void
}

interface RequestInput {
  readonly url: URL
  readonly options?: { readonly headers?: unknown }
}

/** Which of the two: only Mistral's client completes code in the middle. */
const kindOf = (client: object): { id: string; suffix: string } =>
  'fim' in client ? { id: 'mistral', suffix: '/v1' } : { id: 'openrouter', suffix: '' }

export function isSpeakeasy(client: unknown): client is SpeakeasyLike {
  if (typeof client !== 'object' || client === null) return false
  const { _baseURL: url, _options: options } = client as Partial<SpeakeasyLike>
  const known = 'fim' in client || 'generations' in client
  return known && url instanceof URL && typeof options?.hooks === 'object' && 'chat' in client
}

/** Carries the id of a call from where it begins to each of its attempts, which are copies of one
 * Request. It does not leave the process. */
const CALL_HEADER = 'x-tenantkeys-call'

export function bindSpeakeasy<C extends SpeakeasyLike>(client: C, binding: Binding): C {
  const { id, suffix } = kindOf(client)
  const provider = binding.provider ?? id
  const serverURL = withoutSuffix(binding.baseUrlOf(provider), suffix)
  compareBaseUrl(binding, provider, client._baseURL?.href, serverURL)
  const corridor = binding.fetchFor(provider)
  const httpClient = {
    request: (request: Request): Promise<Response> => {
      const callId = request.headers.get(CALL_HEADER) ?? uuidv7()
      request.headers.delete(CALL_HEADER)
      return corridor(request, { [CALL_ID]: callId } as RequestInit)
    },
  }
  const { timeoutMs, retryConfig, userAgent } = client._options
  const Client = client.constructor as new (options: object) => C
  const bound = new Client({
    apiKey: PLACEHOLDER,
    serverURL,
    httpClient,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(retryConfig === undefined ? {} : { retryConfig }),
    ...(userAgent === undefined ? {} : { userAgent }),
  })
  const { hooks } = bound._options
  if (bound._options.httpClient !== httpClient || hooks === undefined) {
    throw notBindable(
      'a client made like it does not keep its HTTP client',
      'bind a plain client of its class',
    )
  }
  hooks.registerBeforeCreateRequestHook({
    beforeCreateRequest: (_, input) => {
      const headers = new Headers(input.options?.headers as HeadersInit)
      headers.set(CALL_HEADER, uuidv7())
      return { ...input, options: { ...input.options, headers } }
    },
  })
  return bound
}
