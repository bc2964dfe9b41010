/**
 * Binds the clients that Stainless generates (`openai`, `@anthropic-ai/sdk`, `groq-sdk`): a derived
 * client of the same class that talks through our fetch and carries nothing of the platform's identity.
 *
 * @module
 */
import { uuidv7 } from '../kernel/ids.ts'
import { denialOf, denialsAsResponses } from '../request/denial-response.ts'
import { CALL_ID } from '../request/read-request.ts'
import { notBindable } from './binding.ts'

/** The slice of such a client that we use, for example
 * https://github.com/openai/openai-node, src/client.ts. */
export interface StainlessLike {
  readonly baseURL: string
  /** Settings of fetch; private in their types, as the two below. */
  readonly fetchOptions?: object | undefined
  readonly fetch?: unknown
  readonly _options?: object
  withOptions(options: object): StainlessLike
}

/** What the client calls on itself; partly protected in its types. */
interface Hooks {
  request?(options: unknown, retries?: unknown): ApiPromise
  prepareRequest?(init: object, info: { options: RequestOptions }): Promise<void>
  makeStatusError?(status: number, error: unknown, message: unknown, headers: unknown): unknown
}

interface RequestOptions {
  readonly body?: unknown
}

interface ApiPromise {
  _thenUnwrap?(see: (answer: unknown, props: { response: object }) => unknown): ApiPromise
}

export interface Ours {
  /** A corridor fetch that throws its denials. */
  readonly fetch: typeof globalThis.fetch
  /** Where the SDK's paths begin, below the provider's built-in base URL; the client's own is not used. */
  readonly baseUrl: string
  onAnswer(answer: unknown, response: object): void
  /** The object that all attempts of one call share; default the options of the request. */
  callOf?(options: RequestOptions): object
}

export function isStainless(client: unknown): client is StainlessLike {
  if (typeof client !== 'object' || client === null) return false
  const { withOptions, baseURL } = client as Partial<StainlessLike>
  return typeof withOptions === 'function' && typeof baseURL === 'string'
}

/**
 * @param anonymous - Options that `withOptions` would inherit and that say who the platform is, each
 *   set to nothing, and a placeholder for the key.
 * @throws TenantKeysError TK_CLIENT_NOT_BINDABLE when the derived client does not keep our fetch.
 */
export function bindStainless<C extends StainlessLike>(
  client: C,
  anonymous: object,
  given: Ours,
): C {
  const ours = { ...given, fetch: denialsAsResponses(given.fetch) }
  // Headers would replace those of every request; a dispatcher and the like stay.
  const fetchOptions: { headers?: unknown } = { ...client.fetchOptions }
  delete fetchOptions.headers
  const { fetch, baseUrl: baseURL } = ours
  const bound = client.withOptions({
    ...anonymous,
    defaultQuery: {},
    baseURL,
    fetch,
    fetchOptions,
  })
  return complete(bound as C, ours, {})
}

/** Makes a derived client ours, and whatever is derived from it later. */
function complete<C extends StainlessLike>(client: C, ours: Ours, defaultHeaders: unknown): C {
  const { fetch, baseUrl, onAnswer, callOf } = ours
  // A subclass may ignore what its constructor is given, and options may come after ours.
  if (client.fetch !== fetch || client.baseURL !== baseUrl || client._options === undefined) {
    throw notBindable(
      'a client derived from it does not keep its fetch and base URL',
      'bind a plain client of its class, and give baseUrl in the options of createTenantKeys',
    )
  }
  // Every constructor adds those of OPENAI_CUSTOM_HEADERS and the like; no option keeps them out.
  Object.assign(client._options, { defaultHeaders })

  // The options object is the same in every attempt of one call: it carries the call's id.
  const callIds = new WeakMap<object, string>()
  const bound = client as C & Hooks
  const { prepareRequest, makeStatusError, request, withOptions } = bound
  bound.prepareRequest = async (init, info) => {
    await prepareRequest?.call(bound, init, info)
    const call = callOf?.(info.options) ?? info.options
    const known = callIds.get(call) ?? uuidv7()
    callIds.set(call, known)
    Object.assign(init, { [CALL_ID]: known })
  }
  bound.makeStatusError = (status, error, message, headers) =>
    denialOf(headers) ?? makeStatusError?.call(bound, status, error, message, headers)
  if (request) {
    // openai from version 7 on: the answer is not what `response.json()` gave, so it is looked at here.
    bound.request = (options, retries) => {
      const promise = request.call(bound, options, retries)
      return (
        promise._thenUnwrap?.((answer, { response }) => {
          onAnswer(answer, response)
          return answer
        }) ?? promise
      )
    }
  }
  bound.withOptions = (options: { defaultHeaders?: unknown }) =>
    complete(withOptions.call(bound, options) as C, ours, options.defaultHeaders ?? defaultHeaders)
  return bound
}
