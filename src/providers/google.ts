/**
 * Google's Gemini API. The key goes into a header, never into the URL, where logs would keep it.
 *
 * @module
 */
import { inHeader } from './authorize.ts'
import { geminiEmbed, geminiGenerate } from './formats/gemini.ts'
import { geminiInteractions } from './formats/gemini-interactions.ts'
import type { Provider } from './provider.ts'

const VERSIONS = ['v1beta', 'v1']

export const google: Provider = {
  id: 'google',
  baseUrl: 'https://generativelanguage.googleapis.com',
  credential: {
    apiKey: { kind: 'secret', required: true },
    endpoint: { kind: 'public', required: false },
  },
  authorize: inHeader('google', 'x-goog-api-key'),
  operations: [
    ...VERSIONS.flatMap((version) => [
      ...geminiGenerate('google', `/${version}/models/{model}`),
      ...geminiEmbed('google', `/${version}/models/{model}`),
    ]),
    geminiInteractions('google', '/v1beta/interactions'),
  ],
}
