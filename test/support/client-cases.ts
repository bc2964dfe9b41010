/**
 * Every client that can be bound, each real and unmodified: how the platform makes it, with as much of
 * its own identity as its options take, and how a bound one is asked.
 *
 * @module
 */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import Anthropic from '@anthropic-ai/sdk'
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime'
import { GoogleGenAI } from '@google/genai'
import { ChatOpenAI } from '@langchain/openai'
import { Mistral } from '@mistralai/mistralai'
import { OpenRouter } from '@openrouter/sdk'
import { generateText, type LanguageModel, streamText } from 'ai'
import { CohereClientV2 } from 'cohere-ai'
import Groq from 'groq-sdk'
import OpenAI, { AzureOpenAI } from 'openai'
import type { CallContext } from '../../src/request/parts.ts'
import type { TenantKeys } from '../../src/tenant-keys.ts'
import { MODEL, PLATFORM_CANARY } from './client-bench.ts'
import {
  anthropicMessages,
  bedrockConverse,
  cohereChat,
  gemini,
  openaiChat,
  openaiChatInline,
  openaiCompletions,
  openaiResponses,
  type Wire,
} from './wire.ts'

export interface Ask {
  readonly model?: string
  readonly signal?: AbortSignal
  /** In tokens, in the client's own words; default none. */
  readonly maxOutput?: number
}

/** A bound client, asked in the simplest way that its SDK has. */
export interface Bound {
  /** The client itself, or what a bound factory made. */
  readonly client: object
  json(ask?: Ask): Promise<string>
  /** The texts as they come, empty ones left out. */
  stream(ask?: Ask): AsyncIterable<string>
}

export interface ClientCase {
  readonly name: string
  readonly provider: string
  readonly wire: Wire
  /** Header in which the provider expects the credential. */
  readonly header: 'authorization' | 'x-api-key' | 'x-goog-api-key' | 'api-key'
  /** What the client repeats a call on by itself, once; `null`: it never does. */
  readonly retries: 'option' | null
  /** What its own timeout does: ends an attempt, which is repeated as an error is, or ends the call.
   * `null`: it has none. */
  readonly timeout: 'repeats' | 'ends' | null
  /** When it lets go of a stream whose loop was left: at once, when it has read another piece, or only
   * when it is aborted. */
  readonly leaves: 'at once' | 'with the next piece' | 'when aborted'
  /** A denial is the error itself, or its cause. */
  readonly denial: 'itself' | 'cause'
  bind(tk: TenantKeys, context: CallContext | undefined, options: Options): Bound
}

export interface Options {
  readonly retries: number
  /** Of the client's own; default none. */
  readonly timeoutMs?: number
}

const messages = [{ role: 'user' as const, content: 'Hello' }]
const canaryHeaders = { 'x-gateway-token': PLATFORM_CANARY }
const NOWHERE = 'http://127.0.0.1:9/platform'

async function* texts<T>(
  stream: Promise<AsyncIterable<T>>,
  textOf: (part: T) => string | null | undefined,
): AsyncIterable<string> {
  for await (const part of await stream) {
    const text = textOf(part)
    if (text) yield text
  }
}

/** As much of the platform as the clients that Stainless generates take. */
const stainless = ({ retries, timeoutMs }: Options) => ({
  apiKey: PLATFORM_CANARY,
  baseURL: NOWHERE,
  defaultHeaders: canaryHeaders,
  defaultQuery: { token: PLATFORM_CANARY },
  maxRetries: retries,
  ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
})

const newOpenAi = (options: Options): OpenAI =>
  new OpenAI({ ...stainless(options), organization: PLATFORM_CANARY, project: PLATFORM_CANARY })

/** A maximum by its name, where one is asked for. */
const most = <N extends string>(name: N, { maxOutput }: Ask): Partial<Record<N, number>> =>
  maxOutput === undefined ? {} : ({ [name]: maxOutput } as Record<N, number>)

const chatOf = (client: OpenAI): Bound => {
  const body = (ask: Ask) => ({
    model: ask.model ?? MODEL,
    messages,
    ...most('max_completion_tokens', ask),
  })
  return {
    client,
    json: async (ask = {}) => {
      const answer = await client.chat.completions.create(body(ask), withSignal(ask.signal))
      return answer.choices[0]!.message.content!
    },
    stream: (ask = {}) =>
      texts(
        client.chat.completions.create({ ...body(ask), stream: true }, withSignal(ask.signal)),
        (chunk) => chunk.choices[0]!.delta.content,
      ),
  }
}

const openai: ClientCase = {
  name: 'openai, chat',
  provider: 'openai',
  wire: openaiChat,
  header: 'authorization',
  retries: 'option',
  timeout: 'repeats',
  leaves: 'at once',
  denial: 'itself',
  bind: (tk, context, options) => chatOf(tk.withTenantKey(newOpenAi(options), context)),
}

const openaiText: ClientCase = {
  ...openai,
  name: 'openai, completions',
  wire: openaiCompletions,
  bind: (tk, context, options) => {
    const client = tk.withTenantKey(newOpenAi(options), context)
    const body = ({ model = MODEL, maxOutput = 4096 }: Ask) => ({
      model,
      prompt: 'Hello',
      max_tokens: maxOutput,
    })
    return {
      client,
      json: async (ask = {}) =>
        (await client.completions.create(body(ask), withSignal(ask.signal))).choices[0]!.text,
      stream: (ask = {}) =>
        texts(
          client.completions.create({ ...body(ask), stream: true }, withSignal(ask.signal)),
          ({ choices }) => choices[0]!.text,
        ),
    }
  },
}

const openaiResponse: ClientCase = {
  ...openai,
  name: 'openai, Responses',
  wire: openaiResponses,
  bind: (tk, context, options) => {
    const client = tk.withTenantKey(newOpenAi(options), context)
    const body = (ask: Ask) => ({
      model: ask.model ?? MODEL,
      input: 'Hello',
      ...most('max_output_tokens', ask),
    })
    return {
      client,
      json: async (ask = {}) =>
        (await client.responses.create(body(ask), withSignal(ask.signal))).output_text,
      stream: (ask = {}) =>
        texts(
          client.responses.create({ ...body(ask), stream: true }, withSignal(ask.signal)),
          (event) => (event.type === 'response.output_text.delta' ? event.delta : null),
        ),
    }
  },
}

const anthropic: ClientCase = {
  name: '@anthropic-ai/sdk',
  provider: 'anthropic',
  wire: anthropicMessages,
  header: 'x-api-key',
  retries: 'option',
  timeout: 'repeats',
  leaves: 'at once',
  denial: 'itself',
  bind: (tk, context, options) => {
    const client = tk.withTenantKey(new Anthropic(stainless(options)), context)
    // A hold can grow with what a stream shows only.
    const body = ({ model = MODEL, maxOutput = 4096 }: Ask) => ({
      model,
      max_tokens: maxOutput,
      messages,
      thinking: { type: 'disabled' as const },
    })
    return {
      client,
      json: async (ask = {}) => {
        const { content } = await client.messages.create(body(ask), withSignal(ask.signal))
        return content[0]?.type === 'text' ? content[0].text : ''
      },
      stream: (ask = {}) =>
        texts(
          client.messages.create({ ...body(ask), stream: true }, withSignal(ask.signal)),
          (event) =>
            event.type === 'content_block_delta' && event.delta.type === 'text_delta'
              ? event.delta.text
              : null,
        ),
    }
  },
}

const azure: ClientCase = {
  ...openai,
  name: 'openai, AzureOpenAI',
  provider: 'azure',
  header: 'api-key',
  bind: (tk, context, options) => {
    const given = { apiVersion: '2024-10-21', organization: PLATFORM_CANARY }
    return chatOf(tk.withTenantKey(new AzureOpenAI({ ...stainless(options), ...given }), context))
  },
}

const bedrock: ClientCase = {
  name: '@aws-sdk/client-bedrock-runtime',
  provider: 'bedrock',
  wire: bedrockConverse,
  header: 'authorization',
  retries: 'option',
  timeout: null,
  leaves: 'at once',
  denial: 'itself',
  bind: (tk, context, { retries }) => {
    const client = tk.withTenantKey(
      new BedrockRuntimeClient({
        region: 'us-east-1',
        endpoint: NOWHERE,
        credentials: { accessKeyId: PLATFORM_CANARY, secretAccessKey: PLATFORM_CANARY },
        maxAttempts: retries + 1,
      }),
      context,
    )
    const input = (ask: Ask) => ({
      modelId: ask.model ?? MODEL,
      messages: [{ role: 'user' as const, content: [{ text: 'Hello' }] }],
      inferenceConfig: most('maxTokens', ask),
    })
    return {
      client,
      json: async (ask = {}) => {
        const answer = await client.send(new ConverseCommand(input(ask)), withAbort(ask.signal))
        return answer.output?.message?.content?.[0]?.text ?? ''
      },
      async *stream(ask = {}) {
        const command = new ConverseStreamCommand(input(ask))
        const { stream } = await client.send(command, withAbort(ask.signal))
        for await (const event of stream ?? []) {
          const text = event.contentBlockDelta?.delta?.text
          if (text) yield text
        }
      },
    }
  },
}

const groq: ClientCase = {
  name: 'groq-sdk',
  provider: 'groq',
  wire: openaiChatInline,
  header: 'authorization',
  retries: 'option',
  timeout: 'repeats',
  leaves: 'at once',
  denial: 'itself',
  // Its types are its own; its calls are OpenAI's.
  bind: (tk, context, options) =>
    chatOf(tk.withTenantKey(new Groq(stainless(options)), context) as unknown as OpenAI),
}

const google: ClientCase = {
  name: '@google/genai',
  provider: 'google',
  wire: gemini,
  header: 'x-goog-api-key',
  retries: 'option',
  timeout: 'ends',
  leaves: 'at once',
  denial: 'itself',
  bind: (tk, context, { retries, timeoutMs }) => {
    const client = tk.withTenantKey(
      new GoogleGenAI({
        // The environment of this test says otherwise.
        vertexai: false,
        apiKey: PLATFORM_CANARY,
        httpOptions: {
          baseUrl: NOWHERE,
          headers: canaryHeaders,
          ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
          ...(retries === 0
            ? {}
            : { retryOptions: { attempts: retries + 1, initialDelay: 0.001 } }),
        },
      }),
      context,
    )
    const params = (ask: Ask) => ({
      model: ask.model ?? MODEL,
      contents: 'Hello',
      config: { ...withAbort(ask.signal), ...most('maxOutputTokens', ask) },
    })
    return {
      client,
      json: async (ask = {}) => (await client.models.generateContent(params(ask))).text ?? '',
      stream: (ask = {}) =>
        texts(client.models.generateContentStream(params(ask)), (part) => part.text),
    }
  },
}

const mistral: ClientCase = {
  name: '@mistralai/mistralai',
  provider: 'mistral',
  wire: openaiChatInline,
  header: 'authorization',
  retries: 'option',
  timeout: 'ends',
  leaves: 'at once',
  denial: 'cause',
  bind: (tk, context, { retries, timeoutMs }) => {
    const client = tk.withTenantKey(
      new Mistral({
        apiKey: PLATFORM_CANARY,
        serverURL: NOWHERE,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        retryConfig: backoff(retries),
      }),
      context,
    )
    const body = (ask: Ask) => ({ model: ask.model ?? MODEL, messages, ...most('maxTokens', ask) })
    return {
      client,
      json: async (ask = {}) => {
        const answer = await client.chat.complete(body(ask), withSignal(ask.signal))
        return String(answer.choices?.[0]?.message?.content)
      },
      stream: (ask = {}) =>
        texts(client.chat.stream(body(ask), withSignal(ask.signal)), ({ data }) =>
          String(data.choices[0]?.delta.content ?? ''),
        ),
    }
  },
}

const openrouter: ClientCase = {
  name: '@openrouter/sdk',
  provider: 'openrouter',
  wire: openaiChatInline,
  header: 'authorization',
  retries: 'option',
  timeout: 'ends',
  leaves: 'at once',
  denial: 'cause',
  bind: (tk, context, { retries, timeoutMs }) => {
    const client = tk.withTenantKey(
      new OpenRouter({
        apiKey: PLATFORM_CANARY,
        serverURL: NOWHERE,
        httpReferer: `https://${PLATFORM_CANARY}.example`,
        appTitle: PLATFORM_CANARY,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        retryConfig: backoff(retries),
      }),
      context,
    )
    const body = (ask: Ask) => ({ model: ask.model ?? MODEL, messages, ...most('maxTokens', ask) })
    return {
      client,
      json: async (ask = {}) => {
        const chatRequest = { ...body(ask), stream: false as const }
        const answer = await client.chat.send({ chatRequest }, withSignal(ask.signal))
        return 'choices' in answer ? String(answer.choices[0]?.message.content) : ''
      },
      stream: (ask = {}) => {
        const chatRequest = { ...body(ask), stream: true as const }
        // Its types do not say that this is a stream.
        type Chunk = { readonly choices: readonly { readonly delta: { content?: unknown } }[] }
        const stream = client.chat.send({ chatRequest }, withSignal(ask.signal))
        return texts(stream as unknown as Promise<AsyncIterable<Chunk>>, ({ choices }) =>
          String(choices[0]?.delta.content ?? ''),
        )
      },
    }
  },
}

/** As most take what fetch takes. */
const withSignal = (signal?: AbortSignal): { signal?: AbortSignal } => (signal ? { signal } : {})

const withAbort = (signal?: AbortSignal): { abortSignal?: AbortSignal } =>
  signal ? { abortSignal: signal } : {}

/** Repeats for as long as it takes to repeat a few times. */
function backoff(retries: number) {
  if (retries === 0) return { strategy: 'none' as const }
  const times = { initialInterval: 1, maxInterval: 2, exponent: 1, maxElapsedTime: 3000 }
  return { strategy: 'backoff' as const, backoff: times, retryConnectionErrors: false }
}

const cohere: ClientCase = {
  name: 'cohere-ai',
  provider: 'cohere',
  wire: cohereChat,
  header: 'authorization',
  // Its delays cannot be set and begin at a second.
  retries: null,
  timeout: 'ends',
  leaves: 'at once',
  denial: 'cause',
  bind: (tk, context, { retries, timeoutMs }) => {
    const client = tk.withTenantKey(
      new CohereClientV2({
        token: PLATFORM_CANARY,
        clientName: PLATFORM_CANARY,
        headers: canaryHeaders,
        baseUrl: NOWHERE,
        maxRetries: retries,
        ...(timeoutMs === undefined ? {} : { timeoutInSeconds: timeoutMs / 1000 }),
      }),
      context,
    )
    const body = (ask: Ask) => ({ model: ask.model ?? MODEL, messages, ...most('maxTokens', ask) })
    return {
      client,
      json: async (ask = {}) => {
        const answer = await client.chat(body(ask), withAbort(ask.signal))
        const [part] = answer.message.content ?? []
        return part?.type === 'text' ? part.text : ''
      },
      stream: (ask = {}) =>
        texts(client.chatStream(body(ask), withAbort(ask.signal)), (event) =>
          event.type === 'content-delta' ? event.delta?.message?.content?.text : null,
        ),
    }
  },
}

const langchain: ClientCase = {
  name: '@langchain/openai',
  provider: 'openai',
  wire: openaiChat,
  header: 'authorization',
  retries: 'option',
  timeout: 'repeats',
  // It reads ahead, and does not stop that.
  leaves: 'with the next piece',
  denial: 'itself',
  bind: (tk, context, { retries, timeoutMs }) => {
    const make = (ask: Ask) =>
      tk.withTenantKey(
        new ChatOpenAI({
          model: ask.model ?? MODEL,
          ...most('maxTokens', ask),
          apiKey: PLATFORM_CANARY,
          maxRetries: retries,
          ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
          configuration: {
            baseURL: NOWHERE,
            organization: PLATFORM_CANARY,
            defaultHeaders: canaryHeaders,
          },
        }),
        context,
      )
    return {
      client: make({}),
      json: async (ask = {}) =>
        String((await make(ask).invoke('Hello', withSignal(ask.signal))).content),
      stream: (ask = {}) =>
        texts(make(ask).stream('Hello', withSignal(ask.signal)), ({ content }) => String(content)),
    }
  },
}

const aiSdkCase = (
  more: Pick<ClientCase, 'name' | 'provider' | 'wire' | 'header'>,
  modelOf: (tk: TenantKeys, context: CallContext | undefined, id: string) => LanguageModel,
): ClientCase => ({
  ...more,
  // Its delays cannot be set and begin at two seconds.
  retries: null,
  timeout: null,
  // It reads a stream in two branches, of which the loop is one.
  leaves: 'when aborted',
  denial: 'itself',
  bind: (tk, context, { retries: maxRetries }) => {
    const call = (ask: Ask) => ({
      model: modelOf(tk, context, ask.model ?? MODEL),
      prompt: 'Hello',
      maxRetries,
      providerOptions: { anthropic: { thinking: { type: 'disabled' } } },
      ...withAbort(ask.signal),
      ...most('maxOutputTokens', ask),
    })
    return {
      client: modelOf(tk, context, MODEL) as object,
      json: async (ask = {}) => (await generateText(call(ask))).text,
      async *stream(ask = {}) {
        const { fullStream } = streamText({ ...call(ask), onError: () => {} })
        for await (const part of fullStream) {
          if (part.type === 'error') throw part.error
          if (part.type === 'text-delta' && part.text) yield part.text
        }
      },
    }
  },
})

const aiSdkOpenAi = aiSdkCase(
  {
    name: 'ai, createOpenAI().chat',
    provider: 'openai',
    wire: openaiChat,
    header: 'authorization',
  },
  (tk, context, id) => tk.withTenantKey(createOpenAI, context)().chat(id),
)

const aiSdkResponses = aiSdkCase(
  {
    name: 'ai, createOpenAI()',
    provider: 'openai',
    wire: openaiResponses,
    header: 'authorization',
  },
  (tk, context, id) => tk.withTenantKey(createOpenAI, context)()(id),
)

const aiSdkCompatible = aiSdkCase(
  {
    name: 'ai, createOpenAICompatible()',
    provider: 'openai',
    wire: openaiChat,
    header: 'authorization',
  },
  (tk, context, id) =>
    tk.withTenantKey(createOpenAICompatible, context)({ name: 'openai', baseURL: NOWHERE })(id),
)

const aiSdkAnthropic = aiSdkCase(
  {
    name: 'ai, createAnthropic()',
    provider: 'anthropic',
    wire: anthropicMessages,
    header: 'x-api-key',
  },
  (tk, context, id) => tk.withTenantKey(createAnthropic, context)()(id),
)

/** No SDK: `tk.fetch` and the parser of this test. */
const plainFetch: ClientCase = {
  name: 'fetch',
  provider: 'openai',
  wire: openaiChat,
  header: 'authorization',
  retries: null,
  timeout: null,
  leaves: 'at once',
  denial: 'itself',
  bind: (tk, context) => {
    const client = tk.fetch(context)
    const send = (ask: Ask, stream: boolean): Promise<Response> =>
      client('https://api.openai.com/v1/chat/completions', {
        method: 'POST',
        headers: { authorization: `Bearer ${PLATFORM_CANARY}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: ask.model ?? MODEL,
          messages,
          stream,
          ...most('max_completion_tokens', ask),
        }),
        ...withSignal(ask.signal),
      })
    return {
      client,
      json: async (ask = {}) => {
        const answer = (await (await send(ask, false)).json()) as {
          choices: { message: { content: string } }[]
        }
        return answer.choices[0]!.message.content
      },
      async *stream(ask = {}) {
        const decoder = new TextDecoder()
        let rest = ''
        for await (const bytes of (await send(ask, true)).body!) {
          rest += decoder.decode(bytes, { stream: true })
          const events = rest.split('\n\n')
          rest = events.pop()!
          for (const event of events) {
            if (event === 'data: [DONE]') return
            const chunk = JSON.parse(event.slice('data: '.length))
            const text = chunk.choices[0].delta.content
            if (text) yield text
          }
        }
      },
    }
  },
}

export const CLIENT_CASES: readonly ClientCase[] = [
  openai,
  openaiText,
  openaiResponse,
  azure,
  bedrock,
  anthropic,
  groq,
  google,
  mistral,
  openrouter,
  cohere,
  langchain,
  aiSdkOpenAi,
  aiSdkResponses,
  aiSdkCompatible,
  aiSdkAnthropic,
  plainFetch,
]
