/**
 * `tk.secrets`: tenants' provider credentials, checked against the provider's schema.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { Secret } from '../kernel/secret.ts'
import {
  actorSchema,
  fieldsHint,
  idSchema,
  pageFields,
  parse,
  printable,
} from '../kernel/validate.ts'
import type { Provider } from '../providers/provider.ts'
import type { Page } from '../storage/storage.ts'
import { maskSecret } from './masking.ts'
import type { SecretInfo, SecretStore } from './secret-store.ts'

export interface PutSecretInput {
  readonly tenantId: string
  /** For example `openai`. */
  readonly provider: string
  /** Tells several credentials for one provider apart; default `default`. */
  readonly name?: string | undefined
  /**
   * All fields of the credential, for OpenAI `{ apiKey }` or `{ apiKey, endpoint }`. Always whole: a
   * new endpoint demands the key again, so that nobody who cannot read the key can send it elsewhere.
   */
  readonly value: Readonly<Record<string, string>>
  readonly actor?: string | undefined
}

export interface SecretsApi {
  /** Creates or replaces. @throws TenantKeysError TK_INPUT_INVALID, TK_ORIGIN_DENIED, TK_TENANT_NOT_FOUND */
  put(input: PutSecretInput): Promise<SecretInfo>
  /** Masked; `null` when there is none. */
  get(ref: { tenantId: string; provider: string; name?: string }): Promise<SecretInfo | null>
  /** Masked, in order of provider and name. */
  list(query: {
    tenantId: string
    after?: string | null
    limit?: number
  }): Promise<Page<SecretInfo>>
  /** @returns false when there was none. */
  delete(ref: {
    tenantId: string
    provider: string
    name?: string
    actor?: string
  }): Promise<boolean>
}

const providerSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'expected the id of a provider')
const refFields = {
  tenantId: idSchema,
  provider: providerSchema,
  name: idSchema.default('default'),
}
const putSchema = z.strictObject({
  ...refFields,
  // Not z.record: its copy lacks a field named `__proto__`, which has to be refused (T-I7). Read here
  // and once, since a getter may throw what must not travel, or say something else the next time.
  value: z
    .custom<Readonly<Record<string, unknown>>>(isPlainObject, 'expected an object')
    .transform((value): readonly Field[] => Object.entries(value)),
  actor: actorSchema,
})
const refSchema = z.strictObject(refFields)
const listSchema = z.strictObject({ ...pageFields, tenantId: idSchema })
const deleteSchema = z.strictObject({ ...refFields, actor: actorSchema })

type Field = readonly [name: string, value: unknown]

const MAX_FIELD = 10_240
/** What may stand in an HTTP header: visible ASCII. A pasted line break is the usual mistake. */
const VISIBLE_ASCII = /^[\x21-\x7e]+$/

export function secretsApi(options: {
  readonly store: SecretStore
  readonly providers: ReadonlyMap<string, { readonly provider: Provider }>
  readonly allowedOrigins: ReadonlySet<string>
}): SecretsApi {
  const { store } = options
  return {
    put: async (input) => {
      const { value, ...ref } = parse(putSchema, input)
      const provider = options.providers.get(ref.provider)?.provider
      if (!provider) throw invalid('provider', 'this provider is not known')
      const { secretFields, publicFields } = splitFields(provider, value)
      const origin = originOf(publicFields.endpoint, options.allowedOrigins)
      const [first] = Object.values(secretFields)
      const masked = first ? maskSecret(first.reveal()) : ''
      return store.put({ ...ref, secretFields, publicFields, origin, masked })
    },
    get: async (ref) => store.get(parse(refSchema, ref)),
    list: async (query) => store.list(parse(listSchema, query)),
    delete: async (ref) => store.delete(parse(deleteSchema, ref)),
  }
}

function isPlainObject(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Object]'
}

const invalid = (field: string, reason: string, hint?: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason, ...(hint && { hint }) })

/** Sorts the fields by what the provider's schema says of them; a field it does not know is refused. */
function splitFields(provider: Provider, fields: readonly Field[]) {
  const secretFields: Record<string, Secret> = {}
  const publicFields: Record<string, string> = {}
  for (const [name, text] of fields) {
    const known = Object.hasOwn(provider.credential, name) ? provider.credential[name] : undefined
    const field = `value.${printable(name)}`
    if (!known)
      throw invalid(field, 'this field is not known for the provider', fieldsHint(provider))
    if (typeof text !== 'string') throw invalid(field, 'expected string')
    if (text.length === 0 || text.length > MAX_FIELD)
      throw invalid(field, `must be 1 to ${MAX_FIELD} characters long`)
    if (!VISIBLE_ASCII.test(text))
      throw invalid(field, 'only visible ASCII may be used; look for spaces or line breaks')
    if (known.kind === 'secret') secretFields[name] = new Secret(text)
    else publicFields[name] = text
  }
  for (const [name, { required }] of Object.entries(provider.credential)) {
    if (required && !fields.some(([given]) => given === name))
      throw invalid(`value.${name}`, 'this field is required', fieldsHint(provider))
  }
  return { secretFields, publicFields }
}

/** The origin of a tenant's own endpoint, which the operator must have listed; `null` without one. */
function originOf(endpoint: string | undefined, allowed: ReadonlySet<string>): string | null {
  if (endpoint === undefined) return null
  const field = 'value.endpoint'
  if (!URL.canParse(endpoint)) throw invalid(field, 'expected an absolute URL')
  const url = new URL(endpoint)
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw invalid(field, 'expected http or https')
  if (url.username !== '' || url.password !== '')
    throw invalid(field, 'must not hold user information')
  // Of the text: an empty query is '' in the URL, and yet a path put behind it would be part of it.
  if (/[?#]/.test(endpoint)) throw invalid(field, 'must not hold a query or fragment')
  if (!allowed.has(url.origin)) {
    throw new TenantKeysError('TK_ORIGIN_DENIED', {
      field,
      hint: 'the operator can list this origin in allowedEndpoints',
    })
  }
  return url.origin
}
