/**
 * Reads what a client gave to `fetch`, and finds the provider operation it is.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidv7 } from '../kernel/ids.ts'
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

/** @throws TenantKeysError TK_REQUEST_INVALID for a body that is not text. */
export async function readRequest(
  input: string | URL | Request,
  init: Init = {},
): Promise<OutgoingRequest> {
  const whole = input instanceof Request ? new Request(input, init) : null
  const url = new URL(whole ? whole.url : String(input))
  const body = whole ? await whole.text() : textOf(init.body)
  const passthrough = Object.entries(init).filter(([name]) => !OURS.has(name))
  return {
    url,
    method: (whole?.method ?? init.method ?? 'GET').toUpperCase(),
    headers: new Headers(whole?.headers ?? init.headers),
    body,
    signal: whole?.signal ?? init.signal ?? undefined,
    passthrough: Object.fromEntries(passthrough),
    callId: init[CALL_ID] ?? uuidv7(),
  }
}

function textOf(body: unknown): string {
  if (typeof body === 'string') return body
  if (body === undefined || body === null) return ''
  if (body instanceof Uint8Array) return new TextDecoder().decode(body)
  throw new TenantKeysError('TK_REQUEST_INVALID', {
    field: 'body',
    reason: 'only text bodies can be metered',
  })
}

/**
 * The operation a request names: below the built-in or the operator's base URL of a provider, and one
 * of those that can be metered. Everything else is refused before the caller is even looked at.
 *
 * @throws TenantKeysError TK_ORIGIN_DENIED, TK_OPERATION_NOT_SUPPORTED
 */
export function matchTarget(
  parts: Pick<CorridorParts, 'providers'>,
  context: Pick<CallContext, 'provider'>,
  request: Pick<OutgoingRequest, 'url' | 'method'>,
): Target {
  const settings = context.provider
    ? [parts.providers.get(context.provider)].filter((s) => s !== undefined)
    : [...parts.providers.values()]
  for (const setting of settings) {
    const path = pathBelow(setting, request.url)
    if (path === null) continue
    const operation = setting.provider.operations.find(
      (o) => o.path === path && o.method === request.method,
    )
    if (operation) return { setting, operation }
    throw new TenantKeysError('TK_OPERATION_NOT_SUPPORTED', {
      provider: setting.provider.id,
      hint: `supported: ${setting.provider.operations.map((o) => `${o.method} ${o.path}`).join(', ')}`,
    })
  }
  throw new TenantKeysError('TK_ORIGIN_DENIED', {
    reason: 'the request is not below the base URL of a known provider',
    ...(context.provider ? { provider: context.provider } : {}),
  })
}

/** Compared segment by segment on the parsed URL, where dots and escapes are already resolved. */
function pathBelow(setting: ProviderSetting, url: URL): string | null {
  for (const base of [setting.provider.baseUrl, setting.baseUrl]) {
    const { origin, pathname } = new URL(base)
    const prefix = pathname.replace(/\/$/, '')
    if (url.origin === origin && url.pathname.startsWith(`${prefix}/`)) {
      return url.pathname.slice(prefix.length)
    }
  }
  return null
}
