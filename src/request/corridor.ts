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
import { liveHold } from './live-hold.ts'
import type { CallContext, Caller, CorridorParts } from './parts.ts'
import { matchTarget, readRequest } from './read-request.ts'
import { reserve } from './reserve.ts'
import { resolveCredential } from './resolve-credential.ts'
import { createSettler, type Settler } from './settle.ts'

/**
 * A `fetch` that makes provider calls on behalf of a caller.
 *
 * @param contextOf - Asked at the start of every attempt.
 * @throws TenantKeysError for every denial, before anything is sent or held.
 */
export function corridorFetch(parts: CorridorParts, contextOf: () => CallContext): typeof fetch {
  return async (input, init) => {
    const context = contextOf()
    const request = await readRequest(input, init)
    const target = matchTarget(parts, context, request)
    const caller = await authenticate(parts, context)
    const plan = await denials(parts, caller, request.callId, () =>
      authorize(parts, context, caller, target, request),
    )
    await denials(parts, caller, request.callId, () => reserve(parts, plan))
    const hold = liveHold(parts, plan)
    const settler = createSettler(parts, plan, hold)
    // The provider's answer ends with the hold, as it does with the caller's own signal.
    const live = { ...plan, signal: hold.signal, request: { ...request, signal: hold.signal } }
    try {
      if (plan.waitMs > 0) await stillAllowed(parts, context, settler)
      const headers = await resolveCredential(parts, live, settler)
      const response = await callProvider(parts, live, headers, settler)
      if (request.signal) parts.receipts.note(request.signal, settler.receipt)
      hold.answered()
      return response
    } catch (error) {
      hold.stop()
      hold.release()
      throw error
    }
  }
}

/** A key that was revoked while its caller waited in line buys nothing any more. */
export async function stillAllowed(
  parts: CorridorParts,
  context: CallContext,
  settler: Settler,
): Promise<void> {
  try {
    await authenticate(parts, context)
  } catch (error) {
    await settler.void()
    throw error
  }
}

/** Reports a denial on its way out. */
export async function denials<T>(
  parts: Pick<CorridorParts, 'reporter'>,
  { key, tenant }: Caller,
  callId: string,
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step()
  } catch (error) {
    // A store that cannot answer is no denial.
    if (TenantKeysError.isInstance(error) && error.httpStatus < 500) {
      const who = { tenantId: tenant.id, keyId: key?.keyId ?? null }
      parts.reporter.emit({ kind: 'call.denied', code: error.code, ...who, callId })
    }
    throw error
  }
}
