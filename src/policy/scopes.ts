/**
 * Scopes: names of what a key may do, such as `support:chat`, and the patterns a key may be issued
 * with.
 *
 * A scope is lower-case segments joined by `:`, 1 to 64 letters in all; a segment is letters, digits,
 * `_` and `-` and begins with a letter or digit. A pattern is a scope, a scope followed by `:*`, or
 * `*` alone. `support:*` stands for every scope with more segments after `support`, not for `support`
 * itself; `*` for every scope.
 *
 * @module
 */

const MAX_LENGTH = 64
const SCOPE = /^[a-z0-9][a-z0-9_-]*(?::[a-z0-9][a-z0-9_-]*)*$/

export function isScope(text: string): boolean {
  return text.length <= MAX_LENGTH && SCOPE.test(text)
}

/**
 * Whether every scope that `inner` stands for is one that `outer` stands for: compared by meaning,
 * so that a key cannot hand on more than it has (T-K14). Both are patterns, or plain scopes.
 */
export function covers(outer: string, inner: string): boolean {
  if (outer === inner || outer === '*') return true
  // `support:` is a prefix of every scope and of every pattern below `support`, and of no other.
  return outer.endsWith(':*') && inner.startsWith(outer.slice(0, -1))
}
