/**
 * Google's Vertex AI, by access token. Project and location come from the credential, whatever the
 * client wrote into its URL. The built-in base URL is the global endpoint; a regional one is set by the
 * operator, or by the tenant where the operator listed its origin.
 *
 * Access tokens live for an hour (https://cloud.google.com/docs/authentication/token-types): the host
 * stores a new one before, as any other secret.
 *
 * @module
 */
import { bearer } from './authorize.ts'
import { anthropicMessages } from './formats/anthropic-messages.ts'
import { geminiEmbed, geminiGenerate } from './formats/gemini.ts'
import type { Provider } from './provider.ts'

const PLACES = ['v1', 'v1beta1'].map(
  (version) => `/${version}/projects/{project}/locations/{location}/publishers`,
)

export const vertex: Provider = {
  id: 'vertex',
  baseUrl: 'https://aiplatform.googleapis.com',
  credential: {
    accessToken: { kind: 'secret', required: true },
    project: { kind: 'public', required: true },
    location: { kind: 'public', required: true },
    endpoint: { kind: 'public', required: false },
  },
  authorize: bearer('vertex', 'accessToken'),
  // Which share of its capacity serves a request is asked for by headers, at other prices.
  unpricedHeaders: ['x-vertex-ai-llm-request-type', 'x-vertex-ai-llm-shared-request-type'],
  route: ({ path, query }, { project = '', location = '' }) => ({
    path: path.replace(
      /\/projects\/[^/]*\/locations\/[^/]*\//,
      () => `/projects/${encodeURIComponent(project)}/locations/${encodeURIComponent(location)}/`,
    ),
    query,
  }),
  operations: PLACES.flatMap((place) => [
    ...geminiGenerate('vertex', `${place}/google/models/{model}`),
    ...geminiEmbed('vertex', `${place}/google/models/{model}`),
    // https://docs.claude.com/en/api/claude-on-vertex-ai
    anthropicMessages({
      provider: 'vertex',
      path: `${place}/anthropic/models/{model}:rawPredict`,
      stream: false,
    }),
    anthropicMessages({
      provider: 'vertex',
      path: `${place}/anthropic/models/{model}:streamRawPredict`,
      stream: true,
    }),
  ]),
}
