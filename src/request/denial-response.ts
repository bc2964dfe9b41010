/**
 * A denial as a Response, for SDKs that retry whatever `fetch` throws: they read the status, see
 * `x-should-retry: false`, and stop. A binding then gives the original error back to the caller.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'

const denials = new WeakMap<Headers, TenantKeysError>()

/** Wraps a corridor fetch so that its denials come as responses; other errors are thrown as before. */
export function denialsAsResponses(corridor: typeof fetch): typeof fetch {
  return async (input, init) => {
    try {
      return await corridor(input, init)
    } catch (error) {
      if (!TenantKeysError.isInstance(error)) throw error
      return denialResponse(error)
    }
  }
}

function denialResponse(error: TenantKeysError): Response {
  const { code, message, details } = error.toJSON() as {
    code: string
    message: string
    details: object
  }
  const response = new Response(
    JSON.stringify({ error: { type: 'tenantkeys_denial', code, message, details } }),
    {
      status: error.httpStatus,
      headers: { 'content-type': 'application/json', 'x-should-retry': 'false' },
    },
  )
  denials.set(response.headers, error)
  return response
}

/** The error behind a denial response, found by its headers object; `null` for a provider's answer. */
export function denialOf(headers: unknown): TenantKeysError | null {
  return headers instanceof Headers ? (denials.get(headers) ?? null) : null
}
