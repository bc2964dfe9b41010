/**
 * Binds an `openai` client (6.x): a derived client of the same class that talks through our fetch and
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

/** Hooks that Stainless-generated clients call on themselves; protected in their types. */
interface Hooks {
  prepareRequest?(request: object, info: { options: object }): Promise<void>
  makeStatusError?(status: number, error: unknown, message: unknown, headers: unknown): unknown
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
 * @param baseUrl - the provider's built-in base URL; the client's own is not used.
 * @throws TenantKeysError TK_CLIENT_NOT_BINDABLE for Azure clients, whose paths differ.
 */
export function bindOpenAi<C extends OpenAiLike>(
  client: C,
  fetch: typeof globalThis.fetch,
  baseUrl: string,
): C {
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
    baseURL: baseUrl,
    fetch,
    fetchOptions,
  })
  return complete(bound as C, { fetch, baseUrl, defaultHeaders: {} })
}

/** Makes a derived client ours, and whatever is derived from it later. */
function complete<C extends OpenAiLike>(
  client: C,
  ours: { fetch: typeof globalThis.fetch; baseUrl: string; defaultHeaders: unknown },
): C {
  const { fetch, baseUrl, defaultHeaders } = ours
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
  const { prepareRequest, makeStatusError, withOptions } = bound
  bound.prepareRequest = async (request, info) => {
    await prepareRequest?.call(bound, request, info)
    const known = callIds.get(info.options) ?? uuidv7()
    callIds.set(info.options, known)
    Object.assign(request, { [CALL_ID]: known })
  }
  bound.makeStatusError = (status, error, message, headers) =>
    denialOf(headers) ?? makeStatusError?.call(bound, status, error, message, headers)
  bound.withOptions = (options: { defaultHeaders?: unknown }) =>
    complete(withOptions.call(bound, options), {
      ...ours,
      defaultHeaders: options.defaultHeaders ?? defaultHeaders,
    })
  return bound
}
