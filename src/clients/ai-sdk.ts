/**
 * The AI SDK (`ai` 6): binds the factory of a provider (`createOpenAI`, `createAnthropic`,
 * `createOpenAICompatible` and others of the same form). What it makes goes through our fetch, and its
 * models put the receipt of each call into the provider metadata of their results.
 *
 * A finished provider or model has its key, its headers and its fetch inside where nobody can see or
 * change them, so it is refused.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { joinedSignal } from '../kernel/follow-signal.ts'
import { uuidv7 } from '../kernel/ids.ts'
import { CALL_ID } from '../request/read-request.ts'
import type { Receipt } from '../request/receipt.ts'
import { type Binding, compareBaseUrl, notBindable, PLACEHOLDER, withSuffix } from './binding.ts'

/** Of provider functions and models: the version of the interface they follow. */
interface Specified {
  readonly specificationVersion?: unknown
}

type Factory = (options: Readonly<Record<string, unknown>>) => object

/** The slice of a model that we use (interface LanguageModelV3 and EmbeddingModelV3). */
interface Model {
  readonly provider: string
  doGenerate?(options: CallOptions): Promise<Result>
  doStream?(options: CallOptions): Promise<{ readonly stream: ReadableStream<StreamPart> }>
  doEmbed?(options: CallOptions): Promise<Result>
}

interface CallOptions {
  readonly prompt?: object
  readonly headers?: object
  readonly abortSignal?: AbortSignal
}

interface Result {
  readonly providerMetadata?: object
}

interface StreamPart extends Result {
  readonly type: string
}

/** Any function may be a factory; what it makes tells. */
export const isAiSdk = (value: unknown): value is object =>
  typeof value === 'function' || isFinished(value)

/** A provider or a model of it. */
const isFinished = (value: unknown): boolean =>
  /^v\d+$/.test(String((value as Specified | null)?.specificationVersion ?? ''))

/** Said in the options of a bound factory, these would be without effect. */
const NOT_TAKEN = ['apiKey', 'authToken', 'organization', 'project', 'fetch']

/** What the base URLs of these factories end with. */
const SUFFIXES: Readonly<Record<string, string>> = { anthropic: '/v1', google: '/v1beta' }

export function bindAiSdk<F extends object>(given: F, binding: Binding): F {
  if (isFinished(given)) {
    throw notBindable(
      'it is finished: its key and its fetch cannot be replaced',
      'bind the factory: tk.withTenantKey(createOpenAI, context)()',
    )
  }
  const factory = given as unknown as Factory
  const own = ownProvider(factory)
  const bound = (options: Readonly<Record<string, unknown>> = {}): object => {
    for (const name of NOT_TAKEN) {
      if (options[name] === undefined) continue
      throw new TenantKeysError('TK_INPUT_INVALID', {
        field: `options.${name}`,
        reason: 'a bound factory takes it from the tenant',
      })
    }
    const provider = binding.provider ?? providerFor(own, options.name, binding)
    const baseURL = withSuffix(binding.baseUrlOf(provider), SUFFIXES[own] ?? '')
    const { baseURL: said } = options
    compareBaseUrl(binding, provider, typeof said === 'string' ? said : undefined, baseURL)
    const calls = new Calls(binding)
    const fetch = calls.joined(binding.fetchFor(provider))
    return withReceipts(factory({ ...options, apiKey: PLACEHOLDER, baseURL, fetch }), calls)
  }
  return bound as unknown as F
}

/**
 * What a factory is for, as its models say: `openai`, `anthropic` ... Asked of a provider that is made
 * for this alone and never calls anything.
 */
function ownProvider(factory: Factory): string {
  const probe = factory({
    apiKey: PLACEHOLDER,
    baseURL: 'https://tenantkeys.invalid',
    fetch: () => Promise.reject(new TypeError('fetch failed')),
  }) as { languageModel?(id: string): Partial<Model> } | undefined
  const model = probe?.languageModel?.('probe')
  if (!isFinished(probe) || typeof model?.provider !== 'string') {
    throw notBindable(
      'it is no factory of an AI SDK provider',
      'bind createOpenAI, createAnthropic, createOpenAICompatible or another one of ai 6',
    )
  }
  return model.provider.split('.')[0] ?? ''
}

/** The name given to a factory is its provider's where that is one we know. */
function providerFor(own: string, name: unknown, binding: Binding): string {
  for (const id of [name, own]) {
    if (typeof id === 'string' && binding.isProvider(id)) return id
  }
  throw new TenantKeysError('TK_INPUT_INVALID', {
    field: 'context.provider',
    reason: 'the factory serves several providers, so the one to call has to be named',
  })
}

/** Tells the attempts of a call by the signal it runs with, which fetch is given too. */
class Calls {
  readonly #binding: Binding
  /** By signal. */
  readonly #ids = new WeakMap<object, string>()
  /** By prompt, and by headers of embeddings: `generateText` and others repeat a call with the same. */
  readonly #byPrompt = new WeakMap<object, string>()

  constructor(binding: Binding) {
    this.#binding = binding
  }

  joined(corridor: typeof fetch): typeof fetch {
    return (input, init) => {
      const callId = this.#ids.get(init?.signal ?? this) ?? uuidv7()
      return corridor(input, Object.assign({}, init, { [CALL_ID]: callId }))
    }
  }

  /** The options to call a model with, and the receipt of that call; `null`: none was held. */
  start(options: CallOptions): {
    readonly options: CallOptions
    receipt(): Promise<Receipt | null>
  } {
    // One of this call alone, by which it is found again.
    const abortSignal = joinedSignal(new AbortController(), options.abortSignal)
    const prompt = options.prompt ?? options.headers ?? options
    const callId = this.#byPrompt.get(prompt) ?? uuidv7()
    this.#byPrompt.set(prompt, callId)
    this.#ids.set(abortSignal, callId)
    return {
      options: { ...options, abortSignal },
      receipt: () => this.#binding.receiptOf(abortSignal).catch(() => null),
    }
  }
}

/** A provider whose models, however they are asked for, carry receipts. */
function withReceipts(provider: object, calls: Calls): object {
  const wrap = (value: unknown): unknown =>
    isModel(value) ? modelWithReceipts(value, calls) : value
  return new Proxy(provider as (...args: unknown[]) => unknown, {
    apply: (target, self, args) => wrap(Reflect.apply(target, self, args)),
    get: (target, name, self) => {
      const value: unknown = Reflect.get(target, name, self)
      if (typeof value !== 'function' || !Object.hasOwn(target, name)) return value
      return (...args: unknown[]) => wrap(Reflect.apply(value, target, args))
    },
  })
}

const isModel = (value: unknown): value is Model =>
  typeof value === 'object' &&
  value !== null &&
  isFinished(value) &&
  ('doGenerate' in value || 'doEmbed' in value)

function modelWithReceipts(model: Model, calls: Calls): Model {
  const answered =
    (run: (options: CallOptions) => Promise<Result>) =>
    async (given: CallOptions): Promise<Result> => {
      const { options, receipt } = calls.start(given)
      const result = await run(options)
      return marked(result, await receipt())
    }
  const streamed = async (
    given: CallOptions,
  ): Promise<{ readonly stream: ReadableStream<StreamPart> }> => {
    const { options, receipt } = calls.start(given)
    const result = await model.doStream!(options)
    const marking = new TransformStream<StreamPart, StreamPart>({
      transform: async (part, controller) => {
        controller.enqueue(part.type === 'finish' ? marked(part, await receipt()) : part)
      },
    })
    return { ...result, stream: result.stream.pipeThrough(marking) }
  }
  const own: Partial<Model> = {
    ...(model.doGenerate ? { doGenerate: answered((o) => model.doGenerate!(o)) } : {}),
    ...(model.doStream ? { doStream: streamed } : {}),
    ...(model.doEmbed ? { doEmbed: answered((o) => model.doEmbed!(o)) } : {}),
  }
  return new Proxy(model, {
    get: (target, name) =>
      Object.hasOwn(own, name) ? Reflect.get(own, name) : Reflect.get(target, name, target),
  })
}

/** Metadata is JSON, so amounts are decimal strings in it. */
function marked<R extends Result>(result: R, receipt: Receipt | null): R {
  if (receipt === null) return result
  const tenantkeys: unknown = JSON.parse(JSON.stringify(receipt))
  return { ...result, providerMetadata: { ...result.providerMetadata, tenantkeys } }
}
