/**
 * Anthropic. The version header is the client's own (`anthropic-version`).
 *
 * @module
 */
import { inHeader } from './authorize.ts'
import { anthropicMessages } from './formats/anthropic-messages.ts'
import type { Provider } from './provider.ts'

export const anthropic: Provider = {
  id: 'anthropic',
  baseUrl: 'https://api.anthropic.com',
  credential: {
    apiKey: { kind: 'secret', required: true },
    endpoint: { kind: 'public', required: false },
  },
  // Not `authorization`, which carries OAuth tokens (https://docs.claude.com/en/api/overview).
  authorize: inHeader('anthropic', 'x-api-key'),
  operations: [anthropicMessages({ provider: 'anthropic', path: '/v1/messages' })],
}
