/**
 * Step 1: who calls. The tenant comes from the verified key, never from a header (T-K13).
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { Secret } from '../kernel/secret.ts'
import type { CallContext, Caller, CorridorParts } from './parts.ts'

/** @throws TenantKeysError TK_KEY_*, or TK_STORE_* when the store cannot answer. */
export async function authenticate(
  parts: Pick<CorridorParts, 'issuer' | 'reporter'>,
  context: Pick<CallContext, 'key'>,
): Promise<Caller> {
  const key = context.key instanceof Secret ? context.key.reveal() : context.key
  const verdict = await parts.issuer.verify(key)
  if (verdict.ok) return verdict
  const { code, keyId } = verdict
  parts.reporter.emit({ kind: 'key.verify_failed', code, keyId })
  throw new TenantKeysError(code, keyId === null ? {} : { keyId })
}
