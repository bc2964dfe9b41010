/**
 * Step 1: who calls. The tenant comes from the verified key, never from a header (T-K13); without a key
 * from the host's own code.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { Secret } from '../kernel/secret.ts'
import type { KeyInfo } from '../keys/key-issuer.ts'
import type { CallContext, Caller, CorridorParts } from './parts.ts'

/** @throws TenantKeysError TK_KEY_*, TK_TENANT_NOT_FOUND, or TK_STORE_* when the store cannot answer. */
export async function authenticate(
  parts: Pick<CorridorParts, 'issuer' | 'reporter' | 'findTenant'>,
  { key, tenantId }: Pick<CallContext, 'key' | 'tenantId'>,
): Promise<Caller> {
  if (key !== undefined) return authenticateKey(parts, key)
  const tenant = tenantId === undefined ? null : await parts.findTenant(tenantId)
  if (tenant) return { key: null, tenant }
  throw new TenantKeysError('TK_TENANT_NOT_FOUND', tenantId === undefined ? {} : { tenantId })
}

/** @throws TenantKeysError TK_KEY_*, or TK_STORE_* when the store cannot answer. */
export async function authenticateKey(
  parts: Pick<CorridorParts, 'issuer' | 'reporter'>,
  key: string | Secret,
): Promise<Caller & { readonly key: KeyInfo }> {
  const verdict = await parts.issuer.verify(key instanceof Secret ? key.reveal() : key)
  if (verdict.ok) return verdict
  const { code, keyId } = verdict
  parts.reporter.emit({ kind: 'key.verify_failed', code, keyId })
  throw new TenantKeysError(code, keyId === null ? {} : { keyId })
}
