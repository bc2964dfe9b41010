/**
 * Joins the attempts of one call for SDKs that build the headers of a request once and hand the same
 * object to `fetch` in each attempt.
 *
 * @module
 */
import { uuidv7 } from '../kernel/ids.ts'
import { CALL_ID } from '../request/read-request.ts'

export function joinedByHeaders(corridor: typeof fetch): typeof fetch {
  const callIds = new WeakMap<object, string>()
  return (input, init) => {
    const headers = init?.headers
    if (typeof headers !== 'object') return corridor(input, init)
    const callId = callIds.get(headers) ?? uuidv7()
    callIds.set(headers, callId)
    return corridor(input, Object.assign({}, init, { [CALL_ID]: callId }))
  }
}
