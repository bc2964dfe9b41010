/**
 * Azure OpenAI. A credential is four fields (S1.8): key, endpoint, version of the API, and the
 * deployment, which takes the place of the one that the client wrote into its URL.
 *
 * The model of a call, for policy and price, is the one that the client names, in the body or, as
 * deployments are often called like their model, in the path: what lies behind a deployment is known
 * to its owner alone. `servedModel` on the receipt says what Azure reports.
 *
 * Paths: https://learn.microsoft.com/azure/ai-foundry/openai/reference
 *
 * @module
 */
import { inHeader } from './authorize.ts'
import { openAiChat } from './formats/openai-chat.ts'
import { openAiCompletions } from './formats/openai-completions.ts'
import { openAiEmbeddings } from './formats/openai-embeddings.ts'
import { openAiResponses } from './formats/openai-responses.ts'
import { OPENAI_MODELS } from './openai.ts'
import type { Operation, Provider } from './provider.ts'

const OF_DEPLOYMENT = '/openai/deployments/{deployment}'

/** The body may leave the model out, since the deployment says it; then the path is asked. */
function namedByBody(operation: Operation): Operation {
  return {
    ...operation,
    read: (body, path) => operation.read(withModel(body, path?.deployment ?? ''), path),
  }
}

/** What is no JSON object is left as it is, for the operation to refuse. */
function withModel(body: string, deployment: string): string {
  try {
    const json: unknown = JSON.parse(body)
    const isObject = typeof json === 'object' && json !== null && !Array.isArray(json)
    if (!isObject || (json as { model?: unknown }).model) return body
    return JSON.stringify({ ...json, model: deployment })
  } catch {
    return body
  }
}

export const azure: Provider = {
  id: 'azure',
  baseUrl: 'https://azure.invalid',
  credential: {
    apiKey: { kind: 'secret', required: true },
    /** For example `https://my-resource.openai.azure.com`, admitted where the operator listed it. */
    endpoint: { kind: 'public', required: true },
    /** For example `2024-02-15-preview`. */
    apiVersion: { kind: 'public', required: true },
    deployment: { kind: 'public', required: true },
  },
  authorize: inHeader('azure', 'api-key'),
  route: ({ path, query }, { apiVersion = '', deployment = '' }) => {
    const routed = new URLSearchParams(query)
    // The paths below /openai/v1 carry no version (https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle).
    if (!path.startsWith('/openai/v1/')) routed.set('api-version', apiVersion)
    const own = `/deployments/${encodeURIComponent(deployment)}/`
    return { path: path.replace(/\/deployments\/[^/]*\//, () => own), query: routed }
  },
  operations: [
    namedByBody(
      openAiChat({
        provider: 'azure',
        path: `${OF_DEPLOYMENT}/chat/completions`,
        ...OPENAI_MODELS,
      }),
    ),
    namedByBody(openAiEmbeddings({ provider: 'azure', path: `${OF_DEPLOYMENT}/embeddings` })),
    namedByBody(openAiCompletions({ provider: 'azure', path: `${OF_DEPLOYMENT}/completions` })),
    openAiResponses({ provider: 'azure', path: '/openai/responses', ...OPENAI_MODELS }),
    openAiChat({ provider: 'azure', path: '/openai/v1/chat/completions', ...OPENAI_MODELS }),
    openAiEmbeddings({ provider: 'azure', path: '/openai/v1/embeddings' }),
    openAiResponses({ provider: 'azure', path: '/openai/v1/responses', ...OPENAI_MODELS }),
  ],
}
