/**
 * Cohere. Tokens are what its models read and wrote; what is invoiced are billed units, kept beside them
 * in the counts `billed_input` and `billed_output`.
 *
 * @module
 */
import { bearer } from './authorize.ts'
import { cohereChat, cohereEmbed } from './formats/cohere.ts'
import type { Provider } from './provider.ts'

export const cohere: Provider = {
  id: 'cohere',
  baseUrl: 'https://api.cohere.com',
  credential: {
    apiKey: { kind: 'secret', required: true },
    endpoint: { kind: 'public', required: false },
  },
  authorize: bearer('cohere'),
  operations: [cohereChat('cohere'), cohereEmbed('cohere')],
}
