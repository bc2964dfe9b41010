/**
 * The corridor: what every call walks through, once per attempt, in this order.
 *
 * ```
 * authenticate -> authorize -> reserve -> resolve credential -> call provider -> settle -> receipt
 * ```
 *
 * It runs inside `fetch`, the one place that also covers an SDK's `parse()`, stream helpers, tool
 * runners and retries. Each step is given what it needs and returns a value; no step reaches back.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { authenticate } from './authenticate.ts'
import { authorize } from './authorize.ts'
import { callProvider } from './call-provider.ts'
import type { CallContext, CallPlan, CorridorParts } from './parts.ts'
import { matchTarget, readRequest } from './read-request.ts'
import { reserve } from './reserve.ts'
import { resolveCredential } from './resolve-credential.ts'
import { createSettler } from './settle.ts'

/**
 * A `fetch` that makes provider calls on behalf of one caller.
 *
 * @throws TenantKeysError for every denial, before anything is sent or held.
 */
export function corridorFetch(parts: CorridorParts, context: CallContext): typeof fetch {
  return async (input, init) => {
    const request = await readRequest(input, init)
    const target = matchTarget(parts, context, request)
    const caller = await authenticate(parts, context)
    const plan = await denials(parts, caller.key, request.callId, () =>
      authorize(parts, context, caller, target, request),
    )
    await denials(parts, caller.key, request.callId, () => reserve(parts, plan))
    const settler = createSettler(parts, plan)
    const headers = await resolveCredential(parts, plan, settler)
    return callProvider(parts, plan, headers, settler)
  }
}

/** Reports a denial on its way out. */
async function denials<T>(
  parts: CorridorParts,
  key: CallPlan['key'],
  callId: string,
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step()
  } catch (error) {
    // A store that cannot answer is no denial.
    if (TenantKeysError.isInstance(error) && error.httpStatus < 500) {
      const { tenantId, keyId } = key
      parts.reporter.emit({ kind: 'call.denied', code: error.code, tenantId, keyId, callId })
    }
    throw error
  }
}
