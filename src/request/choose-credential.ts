/**
 * Chooses whose credential a call uses, from the tenant's explicit setting. There is no fallback: a
 * tenant on `tenant` without a credential of its own is refused (S1.14 to S1.18, T-I4).
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { TenantRecord } from '../storage/records.ts'
import type { CallContext, CorridorParts, CredentialChoice, ProviderSetting } from './parts.ts'

/** @throws TenantKeysError TK_SECRET_NOT_FOUND, TK_ORIGIN_DENIED */
export async function chooseCredential(
  parts: Pick<CorridorParts, 'secrets' | 'allowedOrigins'>,
  context: Pick<CallContext, 'credential'>,
  tenant: TenantRecord,
  setting: ProviderSetting,
): Promise<CredentialChoice> {
  const provider = setting.provider.id
  const where = { provider, tenantId: tenant.id }
  if (tenant.credentials === 'platform') {
    if (setting.platformFields === null) {
      throw new TenantKeysError('TK_SECRET_NOT_FOUND', {
        ...where,
        reason: 'the tenant uses the platform credential, and none is configured',
      })
    }
    const reason = 'the tenant is set to use the platform credential'
    const { platformPublic: publicFields } = setting
    const baseUrl = serverOf(setting, publicFields, where)
    const capsUsage = isSelfHosted(setting)
    return { source: 'platform', reason, secret: null, baseUrl, capsUsage, publicFields }
  }
  const name = context.credential ?? 'default'
  const secret = await parts.secrets.get({ tenantId: tenant.id, provider, name })
  if (!secret) throw new TenantKeysError('TK_SECRET_NOT_FOUND', where)
  const reason = "the tenant's own credential is configured, so it is used exclusively"
  const { publicFields } = secret
  if (secret.origin === null) {
    const baseUrl = serverOf(setting, publicFields, where)
    const capsUsage = isSelfHosted(setting)
    return { source: 'tenant', reason, secret, baseUrl, capsUsage, publicFields }
  }
  // Stored while the origin was allowed; the operator may have withdrawn it since.
  const endpoint = publicFields.endpoint ?? ''
  const origin = URL.canParse(endpoint) ? new URL(endpoint).origin : null
  if (origin !== secret.origin || !parts.allowedOrigins.has(secret.origin)) {
    throw new TenantKeysError('TK_ORIGIN_DENIED', { ...where, origin: secret.origin })
  }
  // Looks back so that a long run of slashes, which the tenant chose, is tried once (T-I8).
  const baseUrl = endpoint.replace(/(?<!\/)\/+$/, '')
  const capsUsage = isSelfHosted(setting) || !isProviders(setting, publicFields, secret.origin)
  return { source: 'tenant', reason, secret, baseUrl, capsUsage, publicFields }
}

const isSelfHosted = ({ provider }: ProviderSetting): boolean => provider.selfHosted === true

/** Is this origin, which a tenant named, one where the provider sends its bill for what it reports: its
 * own, or the operator's address of it? */
function isProviders(
  { provider, baseUrl }: ProviderSetting,
  fields: Readonly<Record<string, string>>,
  origin: string,
): boolean {
  const servers = [baseUrl, provider.baseUrl, provider.server?.(fields) ?? baseUrl]
  return servers.some((server) => new URL(server).origin === origin)
}

/**
 * The operator's server, else the provider's own.
 *
 * @throws TenantKeysError TK_ORIGIN_DENIED for a base URL that only stands for a server to be named.
 */
function serverOf(
  { provider, baseUrl }: ProviderSetting,
  fields: Readonly<Record<string, string>>,
  where: { readonly provider: string; readonly tenantId: string },
): string {
  // Called in callbacks only, which know where.
  if (provider.operations.length === 0) return baseUrl
  const isOperators = baseUrl !== provider.baseUrl
  const server = isOperators || !provider.server ? baseUrl : provider.server(fields)
  if (server !== null && !new URL(server).hostname.endsWith('.invalid')) return server
  throw new TenantKeysError('TK_ORIGIN_DENIED', {
    ...where,
    reason: 'neither the credential nor the operator names a server for this provider',
    hint: `store an endpoint with the credential, or set options.providers.${provider.id}.baseUrl`,
  })
}
