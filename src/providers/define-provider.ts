/**
 * Providers of the host's own (docs/adding-a-provider.md), checked once, when they are defined.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Operation, Provider } from './provider.ts'

const defined = new WeakSet<object>()

/**
 * A provider that is not built in, for `createTenantKeys({ providers: { acme: defineProvider(...) } })`.
 *
 * @throws TenantKeysError TK_CONFIG_INVALID naming the field.
 */
export function defineProvider(provider: Provider): Provider {
  const { id, baseUrl, credential, operations } = provider
  if (typeof id !== 'string' || !/^[a-z0-9][a-z0-9_-]{0,63}$/.test(id))
    throw invalid('id', 'expected 1 to 64 of a-z 0-9 _ -')
  if (!isBaseUrl(baseUrl))
    throw invalid('baseUrl', 'expected an http or https URL without query and trailing slash')
  for (const [name, field] of Object.entries(credential ?? {})) {
    const isField = field?.kind === 'secret' || field?.kind === 'public'
    if (!isField || typeof field.required !== 'boolean')
      throw invalid(`credential.${name}`, 'expected { kind, required }')
  }
  if (typeof provider.authorize !== 'function') throw invalid('authorize', 'expected a function')
  if (!Array.isArray(operations) || operations.length === 0)
    throw invalid('operations', 'expected at least one operation')
  operations.forEach((operation: Operation, i) => {
    const field = `operations[${i}]`
    if (operation?.method !== 'POST') throw invalid(`${field}.method`, 'expected POST')
    if (typeof operation.name !== 'string' || !/^[a-z][a-z0-9_]{0,63}$/.test(operation.name))
      throw invalid(`${field}.name`, 'expected 1 to 64 of a-z 0-9 _')
    if (typeof operation.path !== 'string' || !operation.path.startsWith('/'))
      throw invalid(`${field}.path`, 'expected a path that begins with a slash')
    for (const name of ['read', 'hidesReasoning', 'readJson', 'openStream'] as const) {
      if (typeof operation[name] !== 'function')
        throw invalid(`${field}.${name}`, 'expected a function')
    }
  })
  const own = Object.freeze({ ...provider })
  defined.add(own)
  return own
}

/** True for what {@link defineProvider} returned. */
export function isDefined(value: unknown): value is Provider {
  return typeof value === 'object' && value !== null && defined.has(value)
}

function isBaseUrl(text: unknown): boolean {
  if (typeof text !== 'string' || !URL.canParse(text) || /[?#]|\/$/.test(text)) return false
  const { protocol, username, password } = new URL(text)
  return (protocol === 'https:' || protocol === 'http:') && username + password === ''
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_CONFIG_INVALID', { field: `provider.${field}`, reason })
