/**
 * `@langchain/openai` 1: `ChatOpenAI`. It makes an OpenAI client for itself when it is first used; a
 * bound model is given one of ours before that.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { type Binding, compareBaseUrl, notBindable, PLACEHOLDER } from './binding.ts'
import { bindOpenAi, isOpenAi } from './openai.ts'

/** The slice of the model that we use
 * (https://github.com/langchain-ai/langchainjs, libs/providers/langchain-openai). */
export interface LangChainLike {
  readonly lc_namespace: readonly string[]
  readonly fields?: object
  readonly completions: InnerModel
  readonly responses: InnerModel
  withConfig(config: object): unknown
}

/** One API of the model; its members are protected. */
interface InnerModel {
  client?: unknown
  clientConfig?: { baseURL?: string }
  _getClientOptions?(options: unknown): unknown
}

export function isLangChain(model: unknown): model is LangChainLike {
  if (typeof model !== 'object' || model === null) return false
  const { lc_namespace: namespace, completions, responses } = model as Partial<LangChainLike>
  return (
    Array.isArray(namespace) &&
    typeof completions?._getClientOptions === 'function' &&
    typeof responses?._getClientOptions === 'function'
  )
}

/** What a model is made with that says who the platform is, or where it goes. Everything else is about
 * the answers. */
const CONNECTION = ['apiKey', 'openAIApiKey', 'configuration', 'completions', 'responses']

export function bindLangChain<M extends LangChainLike>(model: M, given: Binding): M {
  const binding = { ...given, fetchFor: (id: string) => notRepeated(given.fetchFor(id)) }
  const provider = binding.provider ?? 'openai'
  const baseURL = binding.baseUrlOf(provider)
  compareBaseUrl(binding, provider, model.completions.clientConfig?.baseURL, baseURL)
  const fields = Object.entries(model.fields ?? {}).filter(([name]) => !CONNECTION.includes(name))
  const Model = model.constructor as new (fields: object) => M
  const bound = new Model({
    ...Object.fromEntries(fields),
    apiKey: PLACEHOLDER,
    // The base URL keeps the one of the environment out; the client made with it is replaced below.
    configuration: { baseURL, organization: null },
  })
  for (const api of [bound.completions, bound.responses]) useBoundClient(api, binding)
  return keepBound(bound, binding)
}

/** How LangChain marks errors that a second try does not mend
 * (libs/langchain-core, src/errors/index.ts). */
const RETRYABLE = Symbol.for('langchain.errors.retryable')

function notRepeated(corridor: typeof fetch): typeof fetch {
  return async (input, init) => {
    try {
      return await corridor(input, init)
    } catch (error) {
      if (TenantKeysError.isInstance(error))
        Object.defineProperty(error, RETRYABLE, { value: false })
      throw error
    }
  }
}

function useBoundClient(api: InnerModel, binding: Binding): void {
  // Makes the client.
  api._getClientOptions?.(undefined)
  if (!isOpenAi(api.client)) {
    throw notBindable(
      'its OpenAI client is not where it is expected',
      'bind a ChatOpenAI of @langchain/openai 1, or give tk.fetch(context) as configuration.fetch',
    )
  }
  // LangChain repeats calls by itself, with the same body each time.
  const callOf = (options: { body?: unknown }): object => (options.body ?? options) as object
  api.client = bindOpenAi(api.client, binding, callOf)
}

/** `withConfig` makes a new model of the same fields, which would have a client of its own. */
function keepBound<M extends LangChainLike>(bound: M, binding: Binding): M {
  const { withConfig } = bound
  bound.withConfig = (config) => {
    const derived = withConfig.call(bound, config) as M
    for (const name of ['completions', 'responses'] as const) {
      Object.assign(derived, { [name]: bound[name] })
    }
    return keepBound(derived, binding)
  }
  return bound
}
