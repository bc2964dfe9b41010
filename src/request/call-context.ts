/**
 * Checks what the host says about a caller, once, when a client is bound.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { Secret } from '../kernel/secret.ts'
import { idSchema, parse } from '../kernel/validate.ts'
import type { CallContext, CorridorParts } from './parts.ts'

const schema = z.strictObject({
  key: z.custom<string | Secret>(
    (value) => typeof value === 'string' || value instanceof Secret,
    'expected the platform key as text',
  ),
  scope: z.string().min(1).max(64).optional(),
  provider: z.string().optional(),
  credential: idSchema.optional(),
  waitMs: z.int().min(0).max(600_000).optional(),
  hold: z.enum(['bound', 'grow']).optional(),
  onReceipt: z
    .custom<NonNullable<CallContext['onReceipt']>>(
      (v) => typeof v === 'function',
      'expected a function',
    )
    .optional(),
})

/**
 * @returns a copy that holds the key as {@link Secret}, so that printing a context shows no key.
 * @throws TenantKeysError TK_INPUT_INVALID; a key of the wrong form is refused by the call itself.
 */
export function checkContext(
  { providers }: Pick<CorridorParts, 'providers'>,
  context: CallContext,
): CallContext {
  const { key, ...rest } = parse(schema, context, 'context')
  if (rest.provider !== undefined && !providers.has(rest.provider)) {
    const field = 'context.provider'
    throw new TenantKeysError('TK_INPUT_INVALID', { field, reason: 'this provider is not known' })
  }
  return Object.freeze({ ...rest, key: key instanceof Secret ? key : new Secret(key) })
}
