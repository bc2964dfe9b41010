/**
 * Reads what a client gave to `fetch`, and finds the provider operation it is.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidv7 } from '../kernel/ids.ts'
import { matchPath } from '../providers/path-pattern.ts'
import type {
  CallContext,
  CorridorParts,
  OutgoingRequest,
  ProviderSetting,
  Target,
} from './parts.ts'

/** A client binding puts the id that joins the attempts of one call under this key of `init`. */
export const CALL_ID: unique symbol = Symbol('tenantkeys.callId')

type Init = RequestInit & { [CALL_ID]?: string }

const OURS = new Set(['method', 'headers', 'body', 'signal', 'redirect'])

/** @throws TenantKeysError TK_REQUEST_INVALID, naming the part that cannot be read or metered. */
export async function readRequest(
  input: string | URL | Request,
  init: Init | null = null,
): Promise<OutgoingRequest> {
  const given = init ?? {}
  if (typeof given !== 'object') throw invalid('init', 'expected an object')
  const whole = input instanceof Request ? part('input', () => new Request(input, given)) : null
  const url = part('url', () => new URL(whole ? whole.url : String(input)))
  return {
    url,
    method: methodOf(whole?.method ?? given.method ?? 'GET'),
    headers: part('headers', () => new Headers(whole?.headers ?? given.headers)),
    body: whole ? await textOfRequest(whole) : textOf(given.body),
    signal: signalOf(whole?.signal ?? given.signal ?? undefined),
    passthrough: settingsOf(url, given),
    callId: given[CALL_ID] ?? uuidv7(),
  }
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_REQUEST_INVALID', { field, reason })

/** What the platform throws here quotes URLs and headers, so it must not travel (T-L3). */
function part<T>(field: string, read: () => T): T {
  try {
    return read()
  } catch {
    throw invalid(field, 'it is not well formed')
  }
}

function methodOf(method: unknown): string {
  if (typeof method !== 'string') throw invalid('method', 'expected text')
  return method.toUpperCase()
}

/** Looked at by its shape: other realms and older runtimes have an AbortSignal of their own. */
function signalOf(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined || typeof signal.addEventListener === 'function') return signal
  throw invalid('signal', 'expected an AbortSignal')
}

/** What is not ours goes to the runtime's fetch as it is. Tried out here: a setting that it refuses
 * must not fail after the hold, where nobody can tell whether something was sent. */
function settingsOf(url: URL, init: Init): Readonly<Record<string, unknown>> {
  const settings = Object.fromEntries(Object.entries(init).filter(([name]) => !OURS.has(name)))
  if (Object.keys(settings).length > 0) part('init', () => new Request(url, settings))
  return settings
}

async function textOfRequest(request: Request): Promise<string> {
  try {
    return textOf(new Uint8Array(await request.arrayBuffer()))
  } catch {
    throw invalid('body', 'it cannot be read as text')
  }
}

function textOf(body: unknown): string {
  if (typeof body === 'string') return body
  if (body === undefined || body === null) return ''
  if (body instanceof Uint8Array) {
    return part('body', () => new TextDecoder('utf-8', { fatal: true }).decode(body))
  }
  throw new TenantKeysError('TK_REQUEST_INVALID', {
    field: 'body',
    reason: 'only text bodies can be metered',
    hint: 'for files and forms use the callback form: tk.withTenantKey({ key, provider, estimate }, ...)',
  })
}

/**
 * The operation a request names: below the built-in or the operator's base URL of a provider, and one
 * of those that can be metered. Everything else is refused before the caller is even looked at.
 *
 * @throws TenantKeysError TK_ORIGIN_DENIED, TK_OPERATION_NOT_SUPPORTED, TK_REQUEST_INVALID
 */
export function matchTarget(
  parts: Pick<CorridorParts, 'providers'>,
  context: Pick<CallContext, 'provider'>,
  request: Pick<OutgoingRequest, 'url' | 'method'>,
): Target {
  const settings = context.provider
    ? [parts.providers.get(context.provider)].filter((s) => s !== undefined)
    : parts.providers.values()
  let nearest: ProviderSetting | null = null
  for (const setting of settings) {
    for (const base of [setting.provider.baseUrl, setting.baseUrl]) {
      const path = pathBelow(base, request.url)
      if (path === null) continue
      nearest ??= setting
      const target = operationAt(setting, path, request.method)
      if (target) return target
    }
  }
  if (nearest) {
    const { id, operations } = nearest.provider
    throw new TenantKeysError('TK_OPERATION_NOT_SUPPORTED', {
      provider: id,
      hint: `supported: ${operations.map((o) => `${o.method} ${o.path}`).join(', ')}`,
    })
  }
  throw new TenantKeysError('TK_ORIGIN_DENIED', {
    reason: 'the request is not below the base URL of a known provider',
    ...(context.provider ? { provider: context.provider } : {}),
  })
}

function operationAt(setting: ProviderSetting, path: string, method: string): Target | null {
  for (const operation of setting.provider.operations) {
    if (operation.method !== method) continue
    const values = matchPath(operation.path, path)
    if (values === null) continue
    if (values !== 'invalid') return { setting, operation, path: values }
    throw new TenantKeysError('TK_REQUEST_INVALID', {
      provider: setting.provider.id,
      field: 'url',
      reason: 'expected an id of letters, digits and . _ : @ + - in the path',
    })
  }
  return null
}

/** Base URLs come from the sources and the options only, so these few are kept. */
const bases = new Map<string, { readonly origin: string; readonly prefix: string }>()

/** Compared segment by segment on the parsed URL, where dots and escapes are already resolved. */
function pathBelow(base: string, url: URL): string | null {
  let known = bases.get(base)
  if (!known) {
    const { origin, pathname } = new URL(base)
    known = { origin, prefix: pathname.replace(/\/$/, '') }
    bases.set(base, known)
  }
  if (url.origin !== known.origin || !url.pathname.startsWith(`${known.prefix}/`)) return null
  return url.pathname.slice(known.prefix.length)
}
