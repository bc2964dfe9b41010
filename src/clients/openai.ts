/**
 * Binds an `openai` client (6 or 7): a derived client of the same class that talks through our fetch and
 * carries nothing of the platform's identity. The SDK itself is not imported.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidv7 } from '../kernel/ids.ts'
import { denialOf } from '../request/denial-response.ts'
import { CALL_ID } from '../request/read-request.ts'

/** The slice of the client we use (https://github.com/openai/openai-node, src/client.ts). */
export interface OpenAiLike {
  readonly baseURL: string
  /** Settings of fetch; private in their types, as the two below. */
  readonly fetchOptions?: object | undefined
  readonly fetch?: unknown
  readonly _options?: object
  readonly chat: { readonly completions: object }
  withOptions(options: object): OpenAiLike
}

/** What the client calls on itself; partly protected in its types. */
interface Hooks {
  request?(options: unknown, retries?: unknown): ApiPromise
  prepareRequest?(init: object, info: { options: object }): Promise<void>
  makeStatusError?(status: number, error: unknown, message: unknown, headers: unknown): unknown
}

interface ApiPromise {
  _thenUnwrap(see: (answer: unknown, props: { response: object }) => unknown): ApiPromise
}

export interface Ours {
  readonly fetch: typeof globalThis.fetch
  /** The provider's built-in base URL; the client's own is not used. */
  readonly baseUrl: string
  onAnswer(answer: unknown, response: object): void
}

/** Stands where the SDK demands a key; the real credential is set by the corridor, per attempt. */
const PLACEHOLDER = 'tenantkeys'

export function isOpenAi(client: unknown): client is OpenAiLike {
  if (typeof client !== 'object' || client === null) return false
  const { withOptions, chat, baseURL } = client as Partial<OpenAiLike>
  return (
    typeof withOptions === 'function' &&
    typeof baseURL === 'string' &&
    typeof chat?.completions === 'object'
  )
}

/**
 * @throws TenantKeysError TK_CLIENT_NOT_BINDABLE for Azure clients, whose paths differ, and for those
 *   whose derived client does not keep our fetch.
 */
export function bindOpenAi<C extends OpenAiLike>(client: C, ours: Ours): C {
  if ('deploymentName' in client || 'apiVersion' in client) {
    throw new TenantKeysError('TK_CLIENT_NOT_BINDABLE', {
      reason: 'this is an Azure client',
      hint: 'bind a client of class OpenAI',
    })
  }
  // Headers would replace those of every request; a dispatcher and the like stay.
  const fetchOptions: { headers?: unknown } = { ...client.fetchOptions }
  delete fetchOptions.headers
  // Everything that withOptions would inherit and that says who the platform is, is set to nothing.
  const bound = client.withOptions({
    apiKey: PLACEHOLDER,
    adminAPIKey: null,
    workloadIdentity: undefined,
    organization: null,
    project: null,
    webhookSecret: null,
    defaultQuery: {},
    baseURL: ours.baseUrl,
    fetch: ours.fetch,
    fetchOptions,
  })
  return complete(bound as C, ours, {})
}

/** Makes a derived client ours, and whatever is derived from it later. */
function complete<C extends OpenAiLike>(client: C, ours: Ours, defaultHeaders: unknown): C {
  const { fetch, baseUrl, onAnswer } = ours
  // A subclass may ignore what its constructor is given, and options may come after ours.
  if (client.fetch !== fetch || client.baseURL !== baseUrl || client._options === undefined) {
    throw new TenantKeysError('TK_CLIENT_NOT_BINDABLE', {
      reason: 'a client derived from it does not keep its fetch and base URL',
      hint: 'bind a plain client of class OpenAI, and give baseUrl in the options of createTenantKeys',
    })
  }
  // Every constructor adds those of OPENAI_CUSTOM_HEADERS; no option keeps them out.
  Object.assign(client._options, { defaultHeaders })

  // The options object is the same in every attempt of one call: it carries the call's id.
  const callIds = new WeakMap<object, string>()
  const bound = client as C & Hooks
  const { prepareRequest, makeStatusError, request, withOptions } = bound
  bound.prepareRequest = async (init, info) => {
    await prepareRequest?.call(bound, init, info)
    const known = callIds.get(info.options) ?? uuidv7()
    callIds.set(info.options, known)
    Object.assign(init, { [CALL_ID]: known })
  }
  bound.makeStatusError = (status, error, message, headers) =>
    denialOf(headers) ?? makeStatusError?.call(bound, status, error, message, headers)
  if (request) {
    // From version 7 on the answer is not what `response.json()` gave, so it is looked at here.
    bound.request = (options, retries) =>
      request.call(bound, options, retries)._thenUnwrap((answer, { response }) => {
        onAnswer(answer, response)
        return answer
      })
  }
  bound.withOptions = (options: { defaultHeaders?: unknown }) =>
    complete(withOptions.call(bound, options), ours, options.defaultHeaders ?? defaultHeaders)
  return bound
}
