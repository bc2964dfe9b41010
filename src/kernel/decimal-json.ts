/**
 * Amounts as JSON: bigint inside, decimal strings outside. `JSON.stringify` throws on a bigint, which
 * would make every result with an amount a trap for `res.json()` and for loggers.
 *
 * @module
 */

/** Gives a flat object a hidden `toJSON` that writes its amounts as decimal strings. */
export function withDecimalJson<T extends object>(value: T): T {
  return Object.defineProperty(value, 'toJSON', { value: toJson })
}

function toJson(this: object): object {
  const fields = Object.entries(this)
  return Object.fromEntries(fields.map(([k, v]) => [k, typeof v === 'bigint' ? String(v) : v]))
}
