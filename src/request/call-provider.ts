/**
 * Step 5: sends the request to the provider, once, and decides what its answer means for the hold.
 *
 * - not sent, or refused by the provider without usage: void
 * - answered with 2xx: the response is observed and settles when it ends
 * - aborted by the caller: posted as estimated, never zero
 * - broken after sending and before any status: the hold stays until it expires, and is reported
 *
 * @module
 */
import { fillPath } from '../providers/path-pattern.ts'
import type { Operation, ResponseUsage } from '../providers/provider.ts'
import { ByteBuffer } from '../providers/reading/byte-buffer.ts'
import { observeJson } from './observe-json.ts'
import { observeStream } from './observe-stream.ts'
import { askedTier, settleReported, settleUnread, whenDropped } from './observed.ts'
import type { CallPlan, CorridorParts } from './parts.ts'
import { NO_TOKENS } from './receipt.ts'
import type { Settler } from './settle.ts'
import { transportError } from './transport-error.ts'

/** Failures that happen before the first byte of the request leaves. */
const NOT_SENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'ERR_INVALID_ARG_TYPE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED',
])

/** Other codes, such as EHOSTUNREACH, come from these calls or from reading an answer. */
const BEFORE_SENDING: ReadonlySet<unknown> = new Set(['getaddrinfo', 'connect'])

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
  const observer = {
    httpStatus: response.status,
    reading,
    operation: target.operation,
    settler,
    signal: request.signal,
    parts,
  }
  if (!response.ok) {
    const usage = await reportedUsage(response, target.operation)
    await (usage
      ? settleReported(observer, 'completed', usage, null)
      : settler.void(response.status))
    // Nothing watches the reading of an error, which the caller may still end.
    whenDropped(response, settler.hold.release)
    return response
  }
  if (isEmpty(response)) {
    await settleUnread(observer, 'unreadable')
    settler.hold.release()
    return response
  }
  return isStream(response, plan)
    ? observeStream(observer, response)
    : observeJson(observer, response)
}

/** Of an error: what the provider says was used all the same. */
async function reportedUsage(
  response: Response,
  operation: Operation,
): Promise<ResponseUsage | null> {
  if (!contentType(response).includes('json')) return null
  try {
    const bytes = await beginning(response.clone())
    return bytes && operation.readJson(JSON.parse(new TextDecoder().decode(bytes)))
  } catch {
    return null
  }
}

/** Largest error that usage is looked for in, in bytes: what was read of it waits for the caller. */
const MAX_ERROR_BYTES = 1024 * 1024

/** The body of a clone; `null` when it is longer than an error may be. */
async function beginning({ body }: Response): Promise<Uint8Array | null> {
  const bytes = new ByteBuffer()
  const reader = body?.getReader()
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true }
    if (done) return bytes.take()
    bytes.append(value)
    if (bytes.length <= MAX_ERROR_BYTES) continue
    // Done only when the caller is done with the original.
    reader?.cancel().catch(() => {})
    return null
  }
}

async function send(
  parts: CorridorParts,
  plan: CallPlan,
  headers: Headers,
  settler: Settler,
): Promise<Response> {
  const { request, reading } = plan
  const { url, body } = routed(plan)
  try {
    return await parts.fetch(url, {
      ...request.passthrough,
      method: request.method,
      headers,
      body,
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
        counts: {},
        providerCostNanoUsd: null,
        servedModel: null,
        serviceTier: askedTier(reading),
        responseBytes: 0,
      })
      throw request.signal.reason
    }
    if (isUnsent(error)) await settler.void()
    else {
      const where = { tenantId: plan.tenant.id, holdId: plan.attemptId }
      parts.reporter.emit({ kind: 'call.outcome_unknown', ...where })
    }
    throw transportError('fetch failed', error, request.signal)
  }
}

/** Query parameters by which a client says who it is (Gemini takes its key so). */
const IDENTITY_PARAMETERS = ['key', 'api_key', 'apikey', 'access_token', 'token']

/** Where the request goes, and with what: the path written anew, the query less every identity. */
function routed({ credential, target, request, reading }: CallPlan): { url: string; body: string } {
  const { operation, setting } = target
  const path = fillPath(operation.path, target.path)
  const { route } = setting.provider
  if (!route && request.url.search === '') {
    return { url: credential.baseUrl + path, body: reading.body }
  }
  const query = new URLSearchParams(request.url.searchParams)
  for (const name of IDENTITY_PARAMETERS) query.delete(name)
  const unrouted = { path, query, body: reading.body }
  const out = route?.(unrouted, credential.publicFields) ?? unrouted
  const search = out.query.toString()
  const url = `${credential.baseUrl}${out.path}${search === '' ? '' : `?${search}`}`
  return { url, body: out.body }
}

/** Clients do not read what announces no content, so nothing would ever settle it. */
const isEmpty = (response: Response): boolean =>
  response.body === null || response.headers.get('content-length') === '0'

/** Clients read what they asked for, whatever else a server calls it. */
function isStream(response: Response, { reading, target }: CallPlan): boolean {
  const type = contentType(response)
  if (STREAM_TYPE.test(type)) return true
  if (type.startsWith('application/json'))
    return reading.stream && target.operation.streamsJson === true
  return reading.stream && !NO_STREAM_TYPE.test(type)
}

const STREAM_TYPE = /^(text\/event-stream|application\/vnd\.amazon\.eventstream)/
const NO_STREAM_TYPE = /^(text\/html|application\/[\w.-]+\+json)/

const contentType = (response: Response): string =>
  (response.headers.get('content-type') ?? '').toLowerCase()

/** Looks into an error and everything inside it; undici nests, and AggregateError lists. */
function isUnsent(error: unknown, depth = 4): boolean {
  if (typeof error !== 'object' || error === null || depth === 0) return false
  const { code, syscall, cause, errors } = error as Readonly<Record<string, unknown>>
  if (NOT_SENT.has(code) || BEFORE_SENDING.has(syscall)) return true
  const inside = [cause, ...(Array.isArray(errors) ? errors : [])]
  return inside.some((e) => isUnsent(e, depth - 1))
}
