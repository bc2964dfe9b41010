/**
 * The clients that Stainless generates, and Azure and Groq with them.
 *
 * @module
 */
import Anthropic from '@anthropic-ai/sdk'
import Groq from 'groq-sdk'
import OpenAI, { AzureOpenAI } from 'openai'
import { MODEL, PLATFORM_CANARY } from '../client-bench.ts'
import {
  anthropicMessages,
  openaiChat,
  openaiChatInline,
  openaiCompletions,
  openaiResponses,
} from '../wire.ts'
import {
  type Ask,
  type Bound,
  type ClientCase,
  canaryHeaders,
  messages,
  most,
  NOWHERE,
  type Options,
  texts,
  withSignal,
} from './client-case.ts'

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

export const openai: ClientCase = {
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

export const openaiText: ClientCase = {
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

export const openaiResponse: ClientCase = {
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

export const anthropic: ClientCase = {
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

export const azure: ClientCase = {
  ...openai,
  name: 'openai, AzureOpenAI',
  provider: 'azure',
  header: 'api-key',
  bind: (tk, context, options) => {
    const given = { apiVersion: '2024-10-21', organization: PLATFORM_CANARY }
    return chatOf(tk.withTenantKey(new AzureOpenAI({ ...stainless(options), ...given }), context))
  },
}

export const groq: ClientCase = {
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
