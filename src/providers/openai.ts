/**
 * OpenAI.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { openaiChat } from './openai-chat.ts'
import type { Provider } from './provider.ts'

export const openai: Provider = {
  id: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  credential: {
    apiKey: { kind: 'secret', required: true },
    /** A base URL of the tenant's own, admitted only where the operator listed its origin. */
    endpoint: { kind: 'public', required: false },
  },
  authorize: ({ apiKey }) => {
    if (apiKey === undefined)
      throw new TenantKeysError('TK_SECRET_NOT_FOUND', { provider: 'openai' })
    return { authorization: `Bearer ${apiKey.reveal()}` }
  },
  operations: [openaiChat],
}
