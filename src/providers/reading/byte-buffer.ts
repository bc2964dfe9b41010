/**
 * Bytes that come in pieces and are needed whole. Kept in pages, so that a body which comes byte by byte
 * costs its length, and one that never ends costs no more than what was kept of it.
 *
 * @module
 */

const MAX_PAGE = 1024 * 1024

export class ByteBuffer {
  #pages: Uint8Array[] = []
  /** Bytes used of the last page. */
  #used = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  append(piece: Uint8Array): void {
    let rest = piece
    const page = this.#pages.at(-1)
    if (page !== undefined) {
      const fits = rest.subarray(0, page.length - this.#used)
      page.set(fits, this.#used)
      this.#used += fits.length
      rest = rest.subarray(fits.length)
    }
    if (rest.length > 0) {
      const next = new Uint8Array(Math.max(rest.length, Math.min(this.#length, MAX_PAGE)))
      next.set(rest)
      this.#pages.push(next)
      this.#used = rest.length
    }
    this.#length += piece.length
  }

  /** What is in it, in one piece of the caller's own; it is empty after that. */
  take(): Uint8Array {
    const all = new Uint8Array(this.#length)
    let at = 0
    for (const page of this.#pages) {
      const used = page.subarray(0, this.#length - at)
      all.set(used, at)
      at += used.length
    }
    this.clear()
    return all
  }

  /** Empties it, and gives its memory back. */
  clear(): void {
    this.#pages = []
    this.#used = 0
    this.#length = 0
  }
}
