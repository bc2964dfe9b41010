/**
 * The bank of sabotages of the bound clients, each with the attack that its guard stops.
 *
 * @module
 */
import { createOpenAI } from '@ai-sdk/openai'
import Anthropic, { type Middleware } from '@anthropic-ai/sdk'
import { ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime'
import { GoogleGenAI } from '@google/genai'
import { ChatOpenAI } from '@langchain/openai'
import { AzureOpenAI } from 'openai'
import { MODEL, PLATFORM_CANARY } from '../support/client-bench.ts'
import type { Sabotage } from '../support/mutant.ts'
import {
  anthropicMessages,
  bedrockConverse,
  gemini,
  openaiChat,
  openaiChatInline,
} from '../support/wire.ts'
import { type Attack, binds, denied, goesOn, rig, sends, splits } from './client-attacks.ts'
import {
  askGoogle,
  askMistral,
  askOpenAi,
  bedrock,
  converse,
  generate,
  google,
  hello,
  key,
  messages,
  mistral,
  OwnBedrock,
  OwnCohere,
  OwnOpenAi,
  openai,
} from './client-samples.ts'

/** What is taken out, and the attack that succeeds only then. */
export const MUTANTS: readonly (readonly [string, Sabotage, Attack])[] = [
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
