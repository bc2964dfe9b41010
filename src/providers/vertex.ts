/**
 * Google's Vertex AI, by access token. Project and location come from the credential, whatever the
 * client wrote into its URL; the location also chooses the server
 * (https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations).
 *
 * Access tokens live for an hour (https://cloud.google.com/docs/authentication/token-types): the
 * host stores a new token, as it stores any secret, before the old one runs out.
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

/** For example `europe-west4`. */
const REGION = /^[a-z]{2,16}-[a-z]{2,16}\d{1,2}$/

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
  server: ({ location = '' }) => {
    if (location === 'global') return 'https://aiplatform.googleapis.com'
    return REGION.test(location) ? `https://${location}-aiplatform.googleapis.com` : null
  },
  route: ({ path, query, body }, { project = '', location = '' }) => ({
    path: path.replace(
      /\/projects\/[^/]*\/locations\/[^/]*\//,
      () => `/projects/${encodeURIComponent(project)}/locations/${encodeURIComponent(location)}/`,
    ),
    query,
    body,
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
