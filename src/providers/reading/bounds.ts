/**
 * The upper bound of a call, in tokens (docs/decisions/0008). Shared by all formats.
 *
 * @module
 */
import type { ModelLimits } from '../provider.ts'
import type { RequestBody } from './request-body.ts'

/** Output written into a request that names no maximum, in tokens. */
const DEFAULT_MAX_OUTPUT = 4096

/** No request can be held for more tokens than this; see the largest price in usage/price. */
export const MAX_BOUND = 1_000_000_000

/** Estimates for calls that nobody counted: English and code lie near four bytes a token. */
const BYTES_PER_TOKEN = 4
const TOKENS_PER_OPAQUE_PART = 1024

/** The most that a model can write, as far as anything is known of it. */
export const ceilingOf = ({ contextWindow, maxOutput }: ModelLimits): number =>
  Math.min(maxOutput ?? MAX_BOUND, contextWindow ?? MAX_BOUND)

/**
 * What one choice can produce, and the maximum to write into the request; `null`: leave it.
 *
 * @param named - every maximum that the request names: the provider may obey any of them.
 */
export function boundOutput(
  named: readonly (number | null)[],
  limits: ModelLimits,
): { readonly tokens: number; readonly write: number | null } {
  const ceiling = ceilingOf(limits)
  const given = named.filter((one) => one !== null)
  if (given.length > 0) return { tokens: Math.min(Math.max(...given), ceiling), write: null }
  const chosen = Math.min(DEFAULT_MAX_OUTPUT, ceiling)
  return { tokens: chosen, write: chosen }
}

/** @throws TenantKeysError TK_BUDGET_UNBOUNDED for a bound that no budget can hold. */
export function checkedTotal(
  body: RequestBody,
  total: number,
  at: { readonly model: string; readonly field: string },
): number {
  if (total <= MAX_BOUND) return total
  throw body.unbounded(at.model, at.field, 'maxOutputTokens')
}

/**
 * The context window, for a request with parts whose tokens its bytes do not tell.
 *
 * @throws TenantKeysError TK_BUDGET_UNBOUNDED naming the part, when the window is not known.
 */
export function windowOf(
  body: RequestBody,
  limits: ModelLimits,
  at: { readonly model: string; readonly field: string },
): number {
  if (limits.contextWindow === null) throw body.unbounded(at.model, at.field, 'contextWindow')
  return limits.contextWindow
}

/** What the input comes to, when nobody reports it; never above its bound. */
export function estimateInput(
  bytes: number,
  bound: number,
  opaque: { readonly bytes: number; readonly parts: number } = { bytes: 0, parts: 0 },
): number {
  const text = Math.max(0, bytes - opaque.bytes)
  const tokens = Math.ceil(text / BYTES_PER_TOKEN) + opaque.parts * TOKENS_PER_OPAQUE_PART
  return Math.min(bound, tokens)
}
