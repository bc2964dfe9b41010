/**
 * LangChain and the AI SDK, which stand before several providers, and no SDK at all.
 *
 * @module
 */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { ChatOpenAI } from '@langchain/openai'
import { generateText, type LanguageModel, streamText } from 'ai'
import type { CallContext } from '../../../src/request/parts.ts'
import type { TenantKeys } from '../../../src/tenant-keys.ts'
import { MODEL, PLATFORM_CANARY } from '../client-bench.ts'
import { anthropicMessages, openaiChat, openaiResponses } from '../wire.ts'
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

export const langchain: ClientCase = {
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

export const aiSdkOpenAi = aiSdkCase(
  {
    name: 'ai, createOpenAI().chat',
    provider: 'openai',
    wire: openaiChat,
    header: 'authorization',
  },
  (tk, context, id) => tk.withTenantKey(createOpenAI, context)().chat(id),
)

export const aiSdkResponses = aiSdkCase(
  {
    name: 'ai, createOpenAI()',
    provider: 'openai',
    wire: openaiResponses,
    header: 'authorization',
  },
  (tk, context, id) => tk.withTenantKey(createOpenAI, context)()(id),
)

export const aiSdkCompatible = aiSdkCase(
  {
    name: 'ai, createOpenAICompatible()',
    provider: 'openai',
    wire: openaiChat,
    header: 'authorization',
  },
  (tk, context, id) =>
    tk.withTenantKey(createOpenAICompatible, context)({ name: 'openai', baseURL: NOWHERE })(id),
)

export const aiSdkAnthropic = aiSdkCase(
  {
    name: 'ai, createAnthropic()',
    provider: 'anthropic',
    wire: anthropicMessages,
    header: 'x-api-key',
  },
  (tk, context, id) => tk.withTenantKey(createAnthropic, context)()(id),
)

/** No SDK: `tk.fetch` and the parser of this test. */
export const plainFetch: ClientCase = {
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
