/**
 * Recognises a client by its shape and hands it our fetch. No SDK is imported; a client that cannot be
 * bound safely is refused with a hint.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { denialsAsResponses } from '../request/denial-response.ts'
import { bindOpenAi, isOpenAi } from './openai.ts'

/** What a binding needs from the facade. */
export interface Binding {
  /** A corridor fetch for this provider. */
  fetchFor(provider: string): typeof fetch
  /** Built-in base URL of a provider. @throws TenantKeysError TK_INPUT_INVALID for an unknown one. */
  baseUrlOf(provider: string): string
  /** The provider that the context names; `null`: the client's own. */
  readonly provider: string | null
  /** Told what the client made of a response, so that its receipt can be found. */
  onAnswer(answer: unknown, response: object): void
  /** Told when the client had a base URL that its tenant calls will not use. */
  onBaseUrlIgnored(provider: string): void
}

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
  if (isOpenAi(client)) {
    const provider = binding.provider ?? 'openai'
    const baseUrl = binding.baseUrlOf(provider)
    if (client.baseURL.replace(/\/+$/, '') !== baseUrl) binding.onBaseUrlIgnored(provider)
    const fetch = denialsAsResponses(binding.fetchFor(provider))
    return bindOpenAi(client, { fetch, baseUrl, onAnswer: binding.onAnswer })
  }
  throw new TenantKeysError('TK_CLIENT_NOT_BINDABLE', {
    reason: 'its shape is not that of a known SDK client',
    hint: 'supported: new OpenAI(); for others pass tk.fetch(context) as the fetch option of the client',
  })
}
