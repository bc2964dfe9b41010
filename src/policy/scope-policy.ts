/**
 * The ScopePolicy port: may a key with these scopes do this? Pure and synchronous, decided without
 * storage; default deny.
 *
 * - SP-1 Nothing is allowed that no scope of the key names.
 * - SP-2 Names are compared exactly, letter by letter; a trailing `*` matches any rest (T-I5).
 * - SP-3 An omitted scope is filled in only when the key has exactly one that is defined.
 *
 * @module
 */

export interface PolicyAsk {
  /** What the key was issued with; may hold wildcards such as `support:*`. */
  readonly keyScopes: readonly string[]
  /** `null`: not named by the caller. */
  readonly scope: string | null
  /** `null`: only the scope is asked about. */
  readonly provider: string | null
  /** `null`: an operation without a model. */
  readonly model: string | null
}

export type PolicyDecision =
  | { readonly ok: true; readonly scope: string }
  | {
      readonly ok: false
      readonly code:
        | 'TK_SCOPE_REQUIRED'
        | 'TK_SCOPE_DENIED'
        | 'TK_PROVIDER_DENIED'
        | 'TK_MODEL_DENIED'
      readonly scope: string | null
      /** With TK_SCOPE_REQUIRED: the scopes to choose from. */
      readonly scopes: readonly string[]
    }

export interface ScopePolicy {
  readonly contractVersion: 1
  decide(ask: PolicyAsk): PolicyDecision
  /** Names the scopes among `scopes` that the policy does not define, so that issue can refuse them. */
  unknownScopes(scopes: readonly string[]): readonly string[]
}
