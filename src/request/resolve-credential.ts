/**
 * Step 4: opens the chosen credential, after the hold. A failure here voids the hold.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Secret } from '../kernel/secret.ts'
import type { CallPlan, CorridorParts, HeldCall } from './parts.ts'
import type { Settler } from './settle.ts'

/** Headers by which a client or its platform says who it is; none may reach a tenant's call. */
const IDENTITY_HEADERS = [
  'authorization',
  'api-key',
  'x-api-key',
  'x-goog-api-key',
  'x-goog-user-project',
  'x-amz-security-token',
  'x-amz-date',
  'x-amz-content-sha256',
  'openai-organization',
  'openai-project',
  // How a platform's application names itself at OpenRouter.
  'http-referer',
  'x-title',
  'x-openrouter-title',
  'x-openrouter-categories',
  'cookie',
  'proxy-authorization',
]

/**
 * Headers of the caller's connection and of its bytes (RFC 9110 section 7.6.1); the runtime makes its
 * own. With another accept-encoding the answer could come in one that it cannot read.
 */
const CONNECTION_HEADERS = [
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'content-length',
  'content-encoding',
  'accept-encoding',
]

/** In lower case, as `Headers` lists them. */
const LEFT_OUT: ReadonlySet<string> = new Set([...IDENTITY_HEADERS, ...CONNECTION_HEADERS])

/**
 * The headers to send: the client's own less every identity, plus the credential.
 *
 * @throws TenantKeysError TK_SECRET_NOT_FOUND, TK_ENVELOPE_OPEN_FAILED, TK_KEK_UNKNOWN, TK_STORE_*
 */
export async function resolveCredential(
  parts: Pick<CorridorParts, 'secrets' | 'providers'>,
  plan: CallPlan,
  settler: Settler,
): Promise<Headers> {
  try {
    const fields = await openFields(parts, plan)
    const headers = new Headers()
    for (const [name, value] of plan.request.headers) {
      if (!LEFT_OUT.has(name)) headers.append(name, value)
    }
    for (const [name, value] of Object.entries(plan.target.setting.provider.authorize(fields))) {
      setHeader(headers, name, value)
    }
    return headers
  } catch (error) {
    await settler.void()
    throw error
  }
}

/** @throws as {@link resolveCredential} */
export async function openFields(
  parts: Pick<CorridorParts, 'secrets' | 'providers'>,
  { credential, tenant, provider }: HeldCall,
): Promise<Readonly<Record<string, Secret>>> {
  if (credential.secret === null) return parts.providers.get(provider)?.platformFields ?? {}
  const { id, name, version, origin } = credential.secret
  const opened = await parts.secrets.open({ tenantId: tenant.id, provider, name })
  // Replaced between choosing and opening, or deleted and stored anew, which starts at version 1
  // again: where it goes was decided for another one.
  const { info } = opened ?? {}
  if (info && (info.id !== id || info.version !== version || info.origin !== origin)) {
    throw new TenantKeysError('TK_STORE_CONFLICT', { provider, tenantId: tenant.id })
  }
  if (!opened) throw new TenantKeysError('TK_SECRET_NOT_FOUND', { provider, tenantId: tenant.id })
  return opened.fields
}

/** `Headers` prints the whole value in its error, so that error must not travel (T-L3). */
function setHeader(headers: Headers, name: string, value: string): void {
  try {
    headers.set(name, value)
  } catch {
    throw new TenantKeysError('TK_ENVELOPE_OPEN_FAILED', {
      reason: 'the stored credential cannot stand in a header',
    })
  }
}
