/**
 * SDKs that the providers write themselves.
 *
 * @module
 */
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime'
import { GoogleGenAI } from '@google/genai'
import { Mistral } from '@mistralai/mistralai'
import { OpenRouter } from '@openrouter/sdk'
import { CohereClientV2 } from 'cohere-ai'
import { MODEL, PLATFORM_CANARY } from '../client-bench.ts'
import { bedrockConverse, cohereChat, gemini, openaiChatInline } from '../wire.ts'
import {
  type Ask,
  type ClientCase,
  canaryHeaders,
  messages,
  most,
  NOWHERE,
  texts,
  withAbort,
  withSignal,
} from './client-case.ts'

/** Repeats for as long as it takes to repeat a few times. */
function backoff(retries: number) {
  if (retries === 0) return { strategy: 'none' as const }
  const times = { initialInterval: 1, maxInterval: 2, exponent: 1, maxElapsedTime: 3000 }
  return { strategy: 'backoff' as const, backoff: times, retryConnectionErrors: false }
}

export const bedrock: ClientCase = {
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

export const google: ClientCase = {
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

export const mistral: ClientCase = {
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

export const openrouter: ClientCase = {
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

export const cohere: ClientCase = {
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
