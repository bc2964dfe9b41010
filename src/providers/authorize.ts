/**
 * How a credential goes into a request: the few forms that providers use.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Provider } from './provider.ts'

type Authorize = Provider['authorize']

/** `Authorization: Bearer <apiKey>` (RFC 6750). @param field - of the credential; default `apiKey`. */
export const bearer = (provider: string, field = 'apiKey'): Authorize =>
  inHeader(provider, 'authorization', { field, prefix: 'Bearer ' })

/** A header of the provider's own that holds the key, such as `x-api-key`. */
export function inHeader(
  provider: string,
  header: string,
  { field = 'apiKey', prefix = '' } = {},
): Authorize {
  return (fields) => {
    const secret = fields[field]
    if (secret === undefined) throw new TenantKeysError('TK_SECRET_NOT_FOUND', { provider })
    return { [header]: `${prefix}${secret.reveal()}` }
  }
}

/** As {@link bearer}; without a key no header is sent. */
export const optionalBearer: Authorize = ({ apiKey }) =>
  apiKey === undefined ? {} : { authorization: `Bearer ${apiKey.reveal()}` }
