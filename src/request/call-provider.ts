/**
 * Step 5: sends the request to the provider, once, and decides what its answer means for the hold.
 *
 * - not sent, or refused by the provider: void
 * - answered with 2xx: the response is observed and settles when it ends
 * - aborted by the caller: posted as estimated, never zero
 * - broken after sending and before any status: the hold stays until it expires, and is reported
 *
 * @module
 */
import { scrubCause } from '../kernel/errors.ts'
import { observeJson } from './observe-json.ts'
import { observeStream } from './observe-stream.ts'
import type { CallPlan, CorridorParts } from './parts.ts'
import { NO_TOKENS } from './receipt.ts'
import type { Settler } from './settle.ts'

/** Failures that happen before the first byte of the request leaves. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'ERR_INVALID_ARG_TYPE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED',
])

export async function callProvider(
  parts: CorridorParts,
  plan: CallPlan,
  headers: Headers,
  settler: Settler,
): Promise<Response> {
  const { request, target, reading } = plan
  if (request.signal?.aborted) {
    await settler.void()
    throw request.signal.reason
  }
  const response = await send(parts, plan, headers, settler)
  if (request.signal) parts.receipts.note(request.signal, settler.receipt)
  parts.receipts.note(response, settler.receipt)
  if (!response.ok) {
    await settler.void(response.status)
    return response
  }
  const observer = {
    response,
    reading,
    operation: target.operation,
    settler,
    signal: request.signal,
    parts,
  }
  return isEventStream(response) ? observeStream(observer) : observeJson(observer)
}

async function send(
  parts: CorridorParts,
  plan: CallPlan,
  headers: Headers,
  settler: Settler,
): Promise<Response> {
  const { request, credential, target, reading } = plan
  const url = `${credential.baseUrl}${target.operation.path}${request.url.search}`
  try {
    return await parts.fetch(url, {
      ...request.passthrough,
      method: request.method,
      headers,
      body: reading.body,
      // A redirect could carry the credential to another host: it is handed back as it is.
      redirect: 'manual',
      ...(request.signal ? { signal: request.signal } : {}),
    })
  } catch (error) {
    if (request.signal?.aborted) {
      const tokens = { ...NO_TOKENS, input: reading.inputEstimate }
      await settler.settle({
        outcome: 'aborted',
        quality: 'estimated',
        httpStatus: null,
        tokens,
        servedModel: null,
      })
      throw request.signal.reason
    }
    if (codes(error).some((code) => NOT_SENT.has(code))) await settler.void()
    else {
      const where = { tenantId: plan.tenant.id, holdId: plan.attemptId }
      parts.reporter.emit({ kind: 'call.outcome_unknown', ...where })
    }
    // The shape every client knows; what the runtime wrote into it may hold URLs and addresses.
    throw new TypeError('fetch failed', { cause: scrubCause(innermost(error)) })
  }
}

function isEventStream(response: Response): boolean {
  return (response.headers.get('content-type') ?? '').toLowerCase().startsWith('text/event-stream')
}

/** Codes of an error and of everything inside it; undici nests, and AggregateError lists. */
function codes(error: unknown, depth = 4): string[] {
  if (typeof error !== 'object' || error === null || depth === 0) return []
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown }
  const own = typeof code === 'string' ? [code] : []
  const listed = Array.isArray(errors) ? errors.flatMap((e) => codes(e, depth - 1)) : []
  return [...own, ...codes(cause, depth - 1), ...listed]
}

function innermost(error: unknown): unknown {
  return error instanceof TypeError && error.cause !== undefined ? error.cause : error
}
