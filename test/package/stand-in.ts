/**
 * The stand-in for every provider that the pages call: the formats of `test/support/wire.ts` on a real
 * socket, chosen by the host that `to-stand-in.mjs` puts in front of the path. It refuses a request
 * without the credential that the page stored.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import {
  json,
  type ProviderServer,
  type SeenRequest,
  startProvider,
} from '../support/provider-server.ts'
import {
  answering,
  anthropicMessages,
  bedrockConverse,
  cohereChat,
  gemini,
  openaiChat,
  openaiChatInline,
  openaiResponses,
  type Wire,
} from '../support/wire.ts'

const WIRES: readonly (readonly [path: RegExp, Wire])[] = [
  [/^\/api\.openai\.com\/v1\/chat\/completions$/, openaiChat],
  [/^\/api\.openai\.com\/v1\/responses$/, openaiResponses],
  [/^\/api\.anthropic\.com\/v1\/messages$/, anthropicMessages],
  [/^\/generativelanguage\.googleapis\.com\/v1beta\/models\//, gemini],
  [/^\/api\.(?:mistral|groq)\.(?:ai|com)\/(?:openai\/)?v1\/chat\/completions$/, openaiChatInline],
  [/^\/openrouter\.ai\/api\/v1\/chat\/completions$/, openaiChatInline],
  [/^\/api\.cohere\.com\/v2\/chat$/, cohereChat],
  [/^\/bedrock-runtime\.eu-central-1\.amazonaws\.com\/model\//, bedrockConverse],
  [/^\/[a-z-]+\.example\/(?:v1|openai\/deployments\/[^/]+)\/chat\/completions$/, openaiChat],
]

/** What the pages store for their tenants. */
const STORED = /their-own-key|obviously-fake/

const CREDENTIAL_HEADERS = ['authorization', 'x-api-key', 'x-goog-api-key', 'api-key']

export const startStandIn = (): Promise<ProviderServer> =>
  startProvider((request: SeenRequest, response: ServerResponse) => {
    const credentials = CREDENTIAL_HEADERS.map((name) => request.headers[name] ?? '').join('')
    if (!STORED.test(credentials)) {
      return json(response, { error: { message: `whose key is this? ${credentials}` } }, 401)
    }
    const path = request.url.split('?')[0]!
    const input = { prompt_tokens: 9, total_tokens: 9 }
    if (path === '/api.openai.com/v1/embeddings') {
      const data = [{ object: 'embedding', index: 0, embedding: [0.1, 0.2] }]
      return json(response, { object: 'list', model: request.body.model, data, usage: input })
    }
    if (path === '/api.cartesia.ai/tts/bytes') return response.end(Buffer.alloc(16))
    const wire = WIRES.find(([pattern]) => pattern.test(path))?.[1]
    if (wire) return answering(wire)(request, response)
    return json(response, { error: { message: `no example calls ${path}` } }, 404)
  })
