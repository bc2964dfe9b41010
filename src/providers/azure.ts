/**
 * Azure OpenAI. A credential is four fields (S1.8): key, endpoint, version of the API, and the
 * deployment, which takes the place of the one that the client wrote into its URL.
 *
 * The model of a call, for policy and price, is the one that the client names, in the body or, as
 * deployments are often called like their model, in the path: what lies behind a deployment is known
 * to its owner alone. `servedModel` on the receipt says what Azure reports.
 *
 * Paths: https://learn.microsoft.com/azure/ai-foundry/openai/reference; those below `/openai/v1` carry
 * no version (https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle).
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
import { asObject, type JsonObject } from './reading/json-object.ts'

const OF_DEPLOYMENT = '/openai/deployments/{deployment}'

/** Models that reason refuse `max_tokens`; versions of 2024 know nothing else. */
const maxField = (model: string) =>
  OPENAI_MODELS.hidesReasoning.test(model) ? 'max_completion_tokens' : 'max_tokens'

/** The body may leave the model out, since the deployment says it; then the path is asked. */
function namedByBody(operation: Operation): Operation {
  return {
    ...operation,
    read: (body, path) => operation.read(withModel(body, path?.deployment ?? ''), path),
  }
}

const withModel = (body: string, deployment: string): string =>
  edited(body, (json) => (json.model ? json : { ...json, model: deployment }))

const withoutStreamOptions = ({ stream_options: _, ...json }: JsonObject): JsonObject => json

/** What is no JSON object is left as it is, for the operation to refuse. */
function edited(body: string, edit: (json: JsonObject) => JsonObject): string {
  try {
    const json = asObject(JSON.parse(body))
    return json === null ? body : JSON.stringify(edit(json))
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
  route: ({ path, query, body }, { apiVersion = '', deployment = '' }) => {
    // Without a deployment in the path the field `model` of the body names it.
    if (!path.includes('/deployments/')) {
      const routed = new URLSearchParams(query)
      if (!path.startsWith('/openai/v1/')) routed.set('api-version', apiVersion)
      return { path, query: routed, body: edited(body, (json) => ({ ...json, model: deployment })) }
    }
    const own = `/deployments/${encodeURIComponent(deployment)}/`
    return {
      path: path.replace(/\/deployments\/[^/]*\//, () => own),
      query: new URLSearchParams([['api-version', apiVersion]]),
      // Versions before it refuse the field; streams then report nothing, and are estimated.
      body: apiVersion < '2024-09' ? edited(body, withoutStreamOptions) : body,
    }
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
    openAiChat({
      provider: 'azure',
      path: '/openai/v1/chat/completions',
      ...OPENAI_MODELS,
      maxField,
    }),
    openAiEmbeddings({ provider: 'azure', path: '/openai/v1/embeddings' }),
    openAiResponses({ provider: 'azure', path: '/openai/v1/responses', ...OPENAI_MODELS }),
  ],
}
