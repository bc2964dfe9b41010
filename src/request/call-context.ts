/**
 * Checks what the host says about a caller, once, when a client is bound.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { Secret } from '../kernel/secret.ts'
import { idSchema, parse, textSchema } from '../kernel/validate.ts'
import type { CallContext, CallSettings, CorridorParts } from './parts.ts'

const MAX_TAGS = 16
const TAG_NAME = /^[A-Za-z0-9_.-]{1,64}$/

const text = textSchema(256)

/** Not z.record: its copy lacks a field named `__proto__`, which has to be refused (T-I7). */
const tagsSchema = z
  .custom<Readonly<Record<string, string>>>(
    (value) => Object.prototype.toString.call(value) === '[object Object]',
    'expected an object of texts',
  )
  .transform((value) => Object.entries(value))
  .refine((tags) => tags.length <= MAX_TAGS, `at most ${MAX_TAGS} tags may be given`)
  .refine(
    (tags) => tags.every(([name]) => TAG_NAME.test(name) && name !== '__proto__'),
    'names are 1 to 64 of A-Z, a-z, 0-9, _, . and -',
  )
  .refine(
    (tags) => tags.every(([, value]) => text.safeParse(value).success),
    'values are texts of 1 to 256 characters on one line',
  )
  .transform((tags): Readonly<Record<string, string>> => Object.freeze(Object.fromEntries(tags)))

const callers = {
  key: z
    .custom<string | Secret>(
      (value) => typeof value === 'string' || value instanceof Secret,
      'expected the platform key as text',
    )
    .optional(),
  tenantId: idSchema.optional(),
}

const settings = {
  scope: z.string().min(1).max(64).optional(),
  credential: idSchema.optional(),
  waitMs: z.int().min(0).max(600_000).optional(),
  tags: tagsSchema.optional(),
  onReceipt: z
    .custom<NonNullable<CallSettings['onReceipt']>>(
      (v) => typeof v === 'function',
      'expected a function',
    )
    .optional(),
}

/** The fields of a context, for the schemas of whatever is said about a caller. */
export const contextFields = { ...callers, ...settings }

type Read = z.output<z.ZodObject<typeof contextFields>>

const schema = z.strictObject({
  ...contextFields,
  provider: z.string().optional(),
  hold: z.enum(['bound', 'grow']).optional(),
})

/**
 * @returns a copy that holds the key as {@link Secret}, so that printing a context shows no key.
 * @throws TenantKeysError TK_INPUT_INVALID; a key of the wrong form is refused by the call itself.
 */
export function checkContext(
  { providers }: Pick<CorridorParts, 'providers'>,
  context: CallContext,
): CallContext {
  const { key, tenantId, ...read } = parse(schema, context, 'context')
  checkProvider(read.provider, providers, 'context.provider')
  const caller = checkCaller({ key, tenantId, scope: read.scope }, 'context')
  return Object.freeze({ ...read, ...caller })
}

export function checkProvider(
  provider: string | undefined,
  providers: ReadonlyMap<string, unknown>,
  field: string,
): void {
  if (provider !== undefined && !providers.has(provider)) {
    throw invalid(field, 'this provider is not known')
  }
}

/** Exactly one of key and tenant; the latter with a scope. */
export function checkCaller(
  { key, tenantId, scope }: Pick<Read, 'key' | 'tenantId' | 'scope'>,
  root: string,
): CallContext {
  if (key !== undefined) {
    if (tenantId !== undefined) throw invalid(`${root}.tenantId`, 'the key says whose call it is')
    return { key: key instanceof Secret ? key : new Secret(key) }
  }
  if (tenantId === undefined) throw invalid(`${root}.key`, 'expected the platform key as text')
  if (scope === undefined) throw invalid(`${root}.scope`, 'a call without a key has to name it')
  return { tenantId, scope }
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason })
