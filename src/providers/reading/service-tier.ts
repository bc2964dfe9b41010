/**
 * The class of service that a request asks for: what it may be served in, and so be charged at.
 *
 * @module
 */
import type { ModelLimits } from '../provider.ts'
import type { RequestBody } from './request-body.ts'

/** Left to the provider, which may choose one with a price of its own: a project can be set to it. */
const ANY: readonly unknown[] = [undefined, null, 'auto']

/** Names of the class of service that costs what the price table says. */
const STANDARD: readonly unknown[] = ['default', 'standard', 'on_demand']

/**
 * The classes, besides the standard one, that it may be served in, for the `bound` of its reading:
 * nothing when that is left open.
 *
 * @throws TenantKeysError TK_PRICE_MISSING for one that has no price; TK_REQUEST_INVALID
 */
export function serviceTiers(
  body: RequestBody,
  model: string,
  { serviceTiers: priced = {} }: ModelLimits,
  field: 'service_tier' | 'serviceTier' = 'service_tier',
): { readonly serviceTiers?: readonly string[] } {
  const tier = body.json[field]
  if (ANY.includes(tier)) return {}
  if (typeof tier !== 'string') throw body.invalid(field, 'expected text')
  const name = tier.toLowerCase()
  if (STANDARD.includes(name)) return { serviceTiers: [] }
  if (Object.hasOwn(priced, name)) return { serviceTiers: [name] }
  throw body.unpriced(
    model,
    field,
    `leave ${field} out, ask for the standard one, or price this one`,
  )
}
