/**
 * A holder for text that must not be printed.
 *
 * The text lives in a `#private` field: `util.inspect` (also with `showHidden`), `console.log`,
 * `JSON.stringify`, template strings, spread, `Object.entries`, `structuredClone` and `v8.serialize`
 * all see the mask or nothing (T-L1, T-L2). JavaScript strings cannot be wiped; what this buys is
 * that a secret leaves only where the code says `reveal()`.
 *
 * @module
 */

import { TenantKeysError } from './errors.ts'

const INSPECT = Symbol.for('nodejs.util.inspect.custom')
const MASK = '[secret]'

export class Secret {
  readonly #text: string

  /** @throws TenantKeysError TK_INPUT_INVALID when `text` is no string. */
  constructor(text: string) {
    if (typeof text !== 'string') {
      throw new TenantKeysError('TK_INPUT_INVALID', { field: 'text', reason: 'expected string' })
    }
    this.#text = text
    Object.freeze(this)
  }

  /** The text itself. Every call site is a place where a secret leaves its holder. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  valueOf(): string {
    return MASK
  }

  [Symbol.toPrimitive](): string {
    return MASK
  }

  [INSPECT](): string {
    return MASK
  }
}
