/**
 * What a binding of one SDK is given, and what all of them share.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Receipt } from '../request/receipt.ts'

/** What a binding needs from the facade. */
export interface Binding {
  /** A corridor fetch for this provider; its denials are thrown. */
  fetchFor(provider: string): typeof fetch
  /** Built-in base URL of a provider. @throws TenantKeysError TK_INPUT_INVALID for an unknown one. */
  baseUrlOf(provider: string): string
  /** True for the id of a provider that this installation knows. */
  isProvider(id: string): boolean
  /** The provider that the context names; `null`: the client's own. */
  readonly provider: string | null
  /** Told what the client made of a response, so that its receipt can be found. */
  onAnswer(answer: unknown, response: object): void
  /** As `tk.receiptOf`. */
  receiptOf(value: unknown): Promise<Receipt>
  /** Told when the client had a base URL that its tenant calls will not use. */
  onBaseUrlIgnored(provider: string): void
}

/** Stands where an SDK demands a key; the real credential is set by the corridor, per attempt. */
export const PLACEHOLDER = 'tenantkeys'

export function notBindable(reason: string, hint: string): TenantKeysError {
  return new TenantKeysError('TK_CLIENT_NOT_BINDABLE', { reason, hint })
}

/** Told as an event, since who reads the code would expect the base URL to be used. */
export function compareBaseUrl(
  binding: Binding,
  provider: string,
  own: string | undefined,
  used: string,
): void {
  if (own !== undefined && own.replace(/\/+$/, '') !== used) binding.onBaseUrlIgnored(provider)
}

/** Where an SDK that brings `suffix` with each of its paths has to begin. */
export function withoutSuffix(baseUrl: string, suffix: string): string {
  return baseUrl.endsWith(suffix) ? baseUrl.slice(0, baseUrl.length - suffix.length) : baseUrl
}

/** Where an SDK that expects `suffix` in its base URL has to begin. */
export function withSuffix(baseUrl: string, suffix: string): string {
  return baseUrl.endsWith(suffix) ? baseUrl : `${baseUrl}${suffix}`
}
