/**
 * Guards of the bound clients taken out, one at a time: what they stop must then happen. The clients are
 * real; in the place of the corridor stands a fetch that keeps what it was given.
 *
 * @module
 */
import { readdirSync } from 'node:fs'
import { createOpenAI } from '@ai-sdk/openai'
import Anthropic, { type Middleware } from '@anthropic-ai/sdk'
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime'
import { GoogleGenAI } from '@google/genai'
import { ChatOpenAI } from '@langchain/openai'
import { Mistral } from '@mistralai/mistralai'
import { CohereClientV2 } from 'cohere-ai'
import OpenAI, { AzureOpenAI } from 'openai'
import { describe, expect, test } from 'vitest'
import type { Binding } from '../../src/clients/binding.ts'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import type { Receipt } from '../../src/request/receipt.ts'
import type { TenantKeys } from '../../src/tenant-keys.ts'
import { MODEL, PLATFORM_CANARY, tenantSecret } from '../support/client-bench.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'
import { HANG, paced } from '../support/paced.ts'
import { testKey } from '../support/test-key.ts'
import {
  anthropicMessages,
  bedrockConverse,
  gemini,
  openaiChat,
  openaiChatInline,
  type Wire,
} from '../support/wire.ts'

const FOLDERS = ['kernel', 'clients', 'providers', 'request']
/** Everything. */
const ALL = readdirSync(new URL('../../src', import.meta.url))

type Load = <M>(file: string) => Promise<M>
/** Resolves to true when the attack succeeds. */
type Attack = (load: Load) => Promise<boolean>

interface Sent {
  readonly url: string
  readonly headers: Headers
  readonly callId: unknown
  readonly signal: AbortSignal | undefined
}

interface Rig {
  bind<C extends object>(client: C): C
  readonly sent: Sent[]
  readonly isOurs: (error: unknown) => boolean
}

interface Setting {
  readonly provider?: string
  /** How it answers, the first time and later; default: with 200. */
  answer?(count: number): Response
  /** It refuses every call, as the corridor does. */
  readonly denies?: boolean
}

async function rig(load: Load, wire: Wire, setting: Setting = {}): Promise<Rig> {
  const { bindClient } = await load<typeof import('../../src/clients/bind.ts')>('clients/bind.ts')
  const { CALL_ID } =
    await load<typeof import('../../src/request/read-request.ts')>('request/read-request.ts')
  const { TenantKeysError } =
    await load<typeof import('../../src/kernel/errors.ts')>('kernel/errors.ts')
  const { answer = () => Response.json(wire.json(MODEL, 'hello')) } = setting
  const sent: Sent[] = []
  const corridor: typeof fetch = async (input, init) => {
    const whole = input instanceof Request ? input : null
    sent.push({
      url: whole?.url ?? String(input),
      headers: new Headers(whole?.headers ?? init?.headers),
      callId: (init as Record<symbol, unknown> | undefined)?.[CALL_ID],
      signal: init?.signal ?? undefined,
    })
    if (setting.denies) throw new TenantKeysError('TK_MODEL_DENIED', { model: MODEL })
    return answer(sent.length)
  }
  const binding: Binding = {
    fetchFor: () => corridor,
    baseUrlOf: (id) => PROVIDERS.get(id)!.baseUrl,
    isProvider: (id) => PROVIDERS.has(id),
    provider: setting.provider ?? null,
    onAnswer: () => {},
    receiptOf: () => Promise.reject(new TenantKeysError('TK_RECEIPT_UNKNOWN')),
    onBaseUrlIgnored: () => {},
  }
  return {
    bind: (client) => bindClient(client, binding),
    sent,
    isOurs: TenantKeysError.isInstance,
  }
}

type Work<C> = (client: C) => PromiseLike<unknown>

const spelled = ({ url, headers }: Sent): string => `${url} ${JSON.stringify([...headers])}`

/** What it sends shows a text. */
const sends =
  <C extends object>(wire: Wire, make: () => C, ask: Work<C>, text = PLATFORM_CANARY): Attack =>
  async (load) => {
    const { bind, sent } = await rig(load, wire)
    await ask(bind(make()))
    if (sent.length === 0) throw new Error('nothing was sent')
    return sent.some((one) => spelled(one).includes(text))
  }

/** It is bound, though it should be refused. */
const binds =
  (make: () => object, setting: Setting = {}): Attack =>
  async (load) => {
    const { bind } = await rig(load, openaiChat, setting)
    try {
      bind(make())
      return true
    } catch {
      return false
    }
  }

const busy = (count: number, wire: Wire): Response =>
  count === 1
    ? Response.json({ error: 'busy' }, { status: 500, headers: { 'retry-after-ms': '1' } })
    : Response.json(wire.json(MODEL, 'hello'))

/** The two attempts of one call have two ids. */
const splits =
  <C extends object>(wire: Wire, make: () => C, ask: Work<C>): Attack =>
  async (load) => {
    const { bind, sent } = await rig(load, wire, { answer: (count) => busy(count, wire) })
    await ask(bind(make()))
    if (sent.length !== 2) throw new Error(`sent ${sent.length} times`)
    return sent[0]!.callId !== sent[1]!.callId
  }

/** A refused call ends up as something that is so. */
const denied =
  <C extends object>(
    make: () => C,
    ask: Work<C>,
    so: (seen: { isOurs: boolean; attempts: number }) => boolean,
  ): Attack =>
  async (load) => {
    const { bind, sent, isOurs } = await rig(load, openaiChat, { denies: true })
    const error = await ask(bind(make())).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    return so({ isOurs: isOurs(error), attempts: sent.length })
  }

/** A stream whose loop was left goes on. */
const goesOn =
  <C extends object>(
    wire: Wire,
    make: () => C,
    open: (client: C) => Promise<AsyncIterable<unknown>>,
  ): Attack =>
  async (load) => {
    const encoder = new TextEncoder()
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      for (const piece of [...wire.head(MODEL), wire.word(MODEL, 'one ')])
        controller.enqueue(typeof piece === 'string' ? encoder.encode(piece) : piece)
    }
    const headers = { 'content-type': wire.streamType }
    const answer = (): Response => new Response(new ReadableStream({ start }), { headers })
    const { bind, sent } = await rig(load, wire, { answer })
    for await (const _ of await open(bind(make()))) break
    return sent[0]!.signal?.aborted !== true
  }

const messages = [{ role: 'user' as const, content: 'Hello' }]
const chat = { model: MODEL, messages }
const hello = { 'x-own': PLATFORM_CANARY }
const key = { apiKey: 'unused', maxRetries: 0 }

const openai =
  (options: object = {}) =>
  () =>
    new OpenAI({ ...key, ...options })
const askOpenAi = (client: OpenAI) => client.chat.completions.create(chat)
const google = () =>
  new GoogleGenAI({
    apiKey: 'unused',
    httpOptions: { retryOptions: { attempts: 2, initialDelay: 0.001 } },
  })
const generate = { model: MODEL, contents: 'Hello' }
const askGoogle = (client: GoogleGenAI) => client.models.generateContent(generate)
const bedrock = () => new BedrockRuntimeClient({ region: 'eu-west-1' })
const converse = {
  modelId: MODEL,
  messages: [{ role: 'user' as const, content: [{ text: 'Hello' }] }],
}
const mistral = () => {
  const times = { initialInterval: 1, maxInterval: 2, exponent: 1, maxElapsedTime: 3000 }
  const retryConfig = { strategy: 'backoff' as const, backoff: times }
  return new Mistral({ apiKey: 'unused', retryConfig })
}
const askMistral = (client: Mistral) => client.chat.complete(chat)

/** Classes that go where they like, whatever they are made with. */
const own: typeof fetch = async () => Response.json({})
class OwnOpenAi extends OpenAI {
  constructor(options: object) {
    super({ ...options, fetch: own })
  }
}
class OwnBedrock extends BedrockRuntimeClient {
  constructor(options: object) {
    super({ ...options, requestHandler: { handle: async () => ({ response: {} }) } as never })
  }
}
class OwnCohere extends CohereClientV2 {
  constructor(options: object) {
    super({ ...options, fetch: own } as never)
  }
}

/** A whole installation, with two keys. The corridor is the real one; its fetch is the test's. */
async function installed(
  load: Load,
  send: typeof fetch,
): Promise<{ tk: TenantKeys; keys: string[]; receipts: Receipt[]; onReceipt(r: Receipt): void }> {
  const all = await load<typeof import('../../src/index.ts')>('index.ts')
  const tk = await all.createTenantKeys({
    storage: all.memory(),
    keyWrapper: all.localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: all.definePolicy({ scopes: { chat: { providers: ['openai'], models: [MODEL] } } }),
    prices: [{ provider: 'openai', model: MODEL, inputUsdPerMTok: '1', outputUsdPerMTok: '2' }],
    fetch: send,
  })
  await tk.tenants.create({ id: 'acme' })
  const value = { apiKey: tenantSecret('openai') }
  await tk.secrets.put({ tenantId: 'acme', provider: 'openai', value })
  const limit = { usd: '0.0025' }
  await tk.budgets.set({ account: { tenantId: 'acme' }, window: 'month', limit })
  const issue = (name: string) => tk.keys.issue({ tenantId: 'acme', name, scopes: ['chat'] })
  const keys = [(await issue('a')).key, (await issue('b')).key]
  const receipts: Receipt[] = []
  return { tk, keys, receipts, onReceipt: (receipt) => void receipts.push(receipt) }
}

const words = (count: number): typeof fetch =>
  paced(openaiChat, function* () {
    yield* openaiChat.head(MODEL)
    for (let n = 0; n < count; n++) yield openaiChat.word(MODEL, 'ab ')
    return HANG
  })

/** What is taken out, and the attack that succeeds only then. */
const MUTANTS: readonly (readonly [string, Sabotage, Attack])[] = [
  [
    'headers among the settings of fetch go along',
    { file: 'clients/stainless.ts', from: 'delete fetchOptions.headers', to: '' },
    sends(openaiChat, openai({ fetchOptions: { headers: hello } }), askOpenAi),
  ],
  [
    'headers of the client go along',
    {
      file: 'clients/stainless.ts',
      from: 'Object.assign(client._options, { defaultHeaders })',
      to: '',
    },
    sends(openaiChat, openai({ defaultHeaders: hello }), askOpenAi),
  ],
  [
    'parameters of the client go along',
    { file: 'clients/stainless.ts', from: 'defaultQuery: {},', to: '' },
    sends(openaiChat, openai({ defaultQuery: { token: PLATFORM_CANARY } }), askOpenAi),
  ],
  [
    'the organization of the platform goes along',
    { file: 'clients/openai.ts', from: 'organization: null,', to: '' },
    sends(openaiChat, openai({ organization: PLATFORM_CANARY }), askOpenAi),
  ],
  [
    'the project of the platform goes along',
    { file: 'clients/openai.ts', from: 'project: null,', to: '' },
    sends(openaiChat, openai({ project: PLATFORM_CANARY }), askOpenAi),
  ],
  [
    'middleware of the platform sees the calls of tenants',
    { file: 'clients/anthropic.ts', from: 'middleware: [],', to: '' },
    async (load) => {
      const { bind } = await rig(load, anthropicMessages)
      let seen = false
      const middleware: Middleware = (request, next) => {
        seen = true
        return next(request)
      }
      const client = bind(new Anthropic({ ...key, middleware: [middleware] }))
      await client.messages.create({ model: MODEL, max_tokens: 9, messages })
      return seen
    },
  ],
  [
    'a client that signs for another cloud is bound',
    {
      file: 'clients/anthropic.ts',
      from: 'if (CLOUD_FIELDS.some((field) => field in client)) {',
      to: 'if (false) {',
    },
    binds(() => Object.assign(new Anthropic(key), { projectId: 'p' })),
  ],
  [
    'a class that goes past the corridor is bound',
    {
      file: 'clients/stainless.ts',
      from: 'client.fetch !== fetch || client.baseURL !== baseUrl || client._options === undefined',
      to: 'false',
    },
    binds(() => new OwnOpenAi({ apiKey: 'unused' })),
  ],
  [
    'a derived client is no longer ours',
    {
      file: 'clients/stainless.ts',
      from: 'complete(withOptions.call(bound, options) as C, ours, options.defaultHeaders ?? defaultHeaders)',
      to: 'withOptions.call(bound, options) as C',
    },
    async (load) => {
      const { bind, sent } = await rig(load, openaiChat)
      await askOpenAi(bind(openai()()).withOptions({ timeout: 9000 }))
      return sent[0]!.callId === undefined
    },
  ],
  [
    'a repeated attempt is another call',
    {
      file: 'clients/stainless.ts',
      from: 'const known = callIds.get(call) ?? uuidv7()',
      to: 'const known = uuidv7()',
    },
    splits(openaiChat, openai({ maxRetries: 1 }), askOpenAi),
  ],
  [
    'a denial is an error of the SDK',
    { file: 'clients/stainless.ts', from: 'denialOf(headers) ?? ', to: '' },
    denied(openai(), askOpenAi, ({ isOurs }) => !isOurs),
  ],
  [
    'a denial is repeated',
    {
      file: 'clients/stainless.ts',
      from: 'fetch: denialsAsResponses(given.fetch)',
      to: 'fetch: given.fetch',
    },
    denied(openai({ maxRetries: 1 }), askOpenAi, ({ attempts }) => attempts > 1),
  ],
  [
    'a client of Azure is bound to another provider',
    {
      file: 'clients/openai.ts',
      from: "if (isNotAzures || (!azure && provider === 'azure')) {",
      to: 'if (false) {',
    },
    binds(
      () => new AzureOpenAI({ ...key, apiVersion: '2024-10-21', endpoint: 'https://a.example' }),
      { provider: 'openai' },
    ),
  ],
  [
    'what a client throws is quoted',
    {
      file: 'clients/bind.ts',
      from: "throw new TenantKeysError('TK_CLIENT_NOT_BINDABLE', { reason }, { cause: error })",
      to: 'throw error',
    },
    async (load) => {
      const { bind } = await rig(load, openaiChat)
      const client = openai()()
      client.withOptions = () => {
        throw new Error(PLATFORM_CANARY)
      }
      try {
        bind(client)
        return false
      } catch (error) {
        return String(error).includes(PLATFORM_CANARY)
      }
    },
  ],
  [
    'a client for Vertex AI is bound',
    { file: 'clients/google-genai.ts', from: 'if (client.vertexai) {', to: 'if (false) {' },
    binds(() => new GoogleGenAI({ vertexai: true, project: 'p', location: 'l' })),
  ],
  [
    'a stream of Gemini that was left goes on',
    { file: 'clients/google-genai.ts', from: 'if (!over) own.abort()', to: '' },
    goesOn(gemini, google, (client) => client.models.generateContentStream(generate)),
  ],
  [
    'a denial is repeated by Gemini',
    {
      file: 'clients/google-genai.ts',
      from: 'throw new TypeError(error.message, { cause: error })',
      to: 'throw new Error(error.message, { cause: error })',
    },
    denied(google, askGoogle, ({ attempts }) => attempts > 1),
  ],
  [
    'a denial is an error of Gemini',
    {
      file: 'clients/google-genai.ts',
      from: 'throw TenantKeysError.find(error) ?? error',
      to: 'throw error',
    },
    denied(google, askGoogle, ({ isOurs }) => !isOurs),
  ],
  [
    'a repeated attempt of Gemini is another call',
    { file: 'clients/by-headers.ts', from: 'callIds.set(headers, callId)', to: '' },
    splits(gemini, google, askGoogle),
  ],
  [
    'a class of Bedrock that goes past the corridor is bound',
    {
      file: 'clients/bedrock.ts',
      from: 'if (bound.config.requestHandler !== requestHandler) {',
      to: 'if (false) {',
    },
    binds(() => new OwnBedrock({ region: 'eu-west-1' })),
  ],
  [
    'the id of a call leaves the process with Bedrock',
    {
      file: 'clients/bedrock.ts',
      from: 'const { [CALL_HEADER]: callId, ...headers } = request.headers',
      to: 'const { [CALL_HEADER]: callId } = request.headers; const { headers } = request',
    },
    sends(
      bedrockConverse,
      bedrock,
      (client) => client.send(new ConverseCommand(converse)),
      'x-tenantkeys-call',
    ),
  ],
  [
    'a stream of Bedrock that was left goes on',
    { file: 'clients/bedrock.ts', from: 'if (!over) running.abort()', to: '' },
    goesOn(bedrockConverse, bedrock, async (client) => {
      const { stream } = await client.send(new ConverseStreamCommand(converse))
      return stream!
    }),
  ],
  [
    'a repeated attempt of Bedrock is another call',
    {
      file: 'clients/bedrock.ts',
      from: '...(callId ? { [CALL_ID]: callId } : {}),',
      to: '[CALL_ID]: uuidv7(),',
    },
    splits(bedrockConverse, bedrock, (client) => client.send(new ConverseCommand(converse))),
  ],
  [
    'the id of a call leaves the process with Mistral',
    { file: 'clients/speakeasy.ts', from: 'request.headers.delete(CALL_HEADER)', to: '' },
    sends(openaiChatInline, mistral, askMistral, 'x-tenantkeys-call'),
  ],
  [
    'a repeated attempt of Mistral is another call',
    {
      file: 'clients/speakeasy.ts',
      from: 'const callId = request.headers.get(CALL_HEADER) ?? uuidv7()',
      to: 'const callId = uuidv7()',
    },
    splits(openaiChatInline, mistral, askMistral),
  ],
  [
    'a class of Cohere that goes past the corridor is bound',
    {
      file: 'clients/cohere.ts',
      from: 'bound._options?.fetch !== fetch || bound._options.baseUrl !== baseUrl',
      to: 'false',
    },
    binds(() => new OwnCohere({ token: 'unused' })),
  ],
  [
    'a model that LangChain derives goes past the corridor',
    { file: 'clients/langchain.ts', from: 'return keepBound(bound, binding)', to: 'return bound' },
    async (load) => {
      const { bind } = await rig(load, openaiChat)
      const bound = bind(new ChatOpenAI({ model: MODEL, apiKey: 'unused' }))
      const derived = bound.withConfig({ tags: ['t'] })
      const [own, given] = [derived, bound].map(
        (model) => (model as unknown as { completions: object }).completions,
      )
      return own !== given
    },
  ],
  [
    'an option of a factory says who the platform is',
    {
      file: 'clients/ai-sdk.ts',
      from: 'if (options[name] === undefined) continue',
      to: 'continue',
    },
    async (load) => {
      const { bind } = await rig(load, openaiChat)
      try {
        bind(createOpenAI)({ organization: PLATFORM_CANARY })
        return true
      } catch {
        return false
      }
    },
  ],
  [
    'a base URL among the options of a factory counts',
    {
      file: 'clients/ai-sdk.ts',
      from: '{ ...options, apiKey: PLACEHOLDER, baseURL, fetch }',
      to: '{ apiKey: PLACEHOLDER, baseURL, fetch, ...options }',
    },
    sends(
      openaiChat,
      () => createOpenAI,
      (make) => {
        const prompt = [
          { role: 'user' as const, content: [{ type: 'text' as const, text: 'Hello' }] },
        ]
        return make({ baseURL: 'https://elsewhere.example/v1' }).chat(MODEL).doGenerate({ prompt })
      },
      'elsewhere',
    ),
  ],
  [
    'a repeated attempt of the AI SDK is another call',
    {
      file: 'clients/ai-sdk.ts',
      from: 'const callId = this.#byPrompt.get(prompt) ?? uuidv7()',
      to: 'const callId = uuidv7()',
    },
    splits(
      openaiChat,
      () => createOpenAI,
      async (make) => {
        const prompt = [
          { role: 'user' as const, content: [{ type: 'text' as const, text: 'Hello' }] },
        ]
        const model = make().chat(MODEL)
        // As `generateText` repeats it.
        await Promise.resolve(model.doGenerate({ prompt })).catch(() => {})
        return model.doGenerate({ prompt })
      },
    ),
  ],
]

/** Of the corridor, as the clients meet it. */
const CORRIDOR: typeof MUTANTS = [
  [
    'a stream that was aborted and left is never settled',
    {
      file: 'request/observe-stream.ts',
      from: "else signal?.addEventListener('abort', onAbort, { once: true })",
      to: '',
    },
    async (load) => {
      const { tk, keys, receipts, onReceipt } = await installed(load, words(3))
      const abort = new AbortController()
      const stream = await tk
        .withTenantKey(openai()(), { key: keys[0]!, onReceipt, hold: 'grow' })
        .chat.completions.create({ ...chat, stream: true }, { signal: abort.signal })
      await stream[Symbol.asyncIterator]().next()
      abort.abort()
      await tk.flush()
      return receipts.length === 0
    },
  ],
  [
    'a client stays in the context that it was first used in',
    {
      file: 'tenant-keys.ts',
      from: 'contextOf: () => ambientContext(ambient)',
      to: 'contextOf: ((kept) => () => (kept ??= ambientContext(ambient)))(undefined as never)',
    },
    async (load) => {
      const answer = async (): Promise<Response> => Response.json(openaiChat.json(MODEL, 'hello'))
      const { tk, keys, receipts, onReceipt } = await installed(load, answer)
      const client = tk.withTenantKey(openai()())
      const small = { ...chat, max_completion_tokens: 9 }
      for (const one of keys) {
        await tk.run({ key: one, onReceipt }, () => client.chat.completions.create(small))
      }
      return receipts[0]!.keyId === receipts[1]!.keyId
    },
  ],
  [
    'a stream goes past its hold',
    {
      file: 'request/observe-stream.ts',
      from: 'const covered = settler.hold.delivered(following.delivered())',
      to: 'const covered = null as Promise<void> | null',
    },
    async (load) => {
      const { tk, keys } = await installed(load, words(2000))
      const stream = await tk
        .withTenantKey(openai()(), { key: keys[0]!, hold: 'grow' })
        .chat.completions.create({ ...chat, stream: true })
      let read = 0
      try {
        for await (const _ of stream) if (++read === 2000) break
      } catch (error) {
        // How the guard ends it; anything else is a failure of this test.
        if ((error as { code?: unknown }).code !== 'TK_BUDGET_CONTENDED') throw error
      }
      return read === 2000
    },
  ],
]

describe.each([
  ...MUTANTS.map((mutant) => [...mutant, FOLDERS] as const),
  ...CORRIDOR.map((mutant) => [...mutant, ALL] as const),
])('%s', (_, sabotage, attack, folders) => {
  test('with the guard the attack fails', async () => {
    expect(await attack((file) => import(new URL(`../../src/${file}`, import.meta.url).href))).toBe(
      false,
    )
  })

  test('without it the attack succeeds', async () => {
    const mutant = new Mutant(sabotage, folders)
    try {
      expect(await attack((file) => mutant.load(file))).toBe(true)
    } finally {
      mutant.dispose()
    }
  })
})
