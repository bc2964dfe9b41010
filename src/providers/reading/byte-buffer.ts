/**
 * Bytes that come in pieces and are needed whole. It doubles as it grows, so that a body which comes
 * byte by byte costs its length, and not its square.
 *
 * @module
 */
export class ByteBuffer {
  #bytes: Uint8Array = new Uint8Array(0)
  #length = 0

  get length(): number {
    return this.#length
  }

  append(piece: Uint8Array): void {
    const length = this.#length + piece.length
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#bytes.length))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#bytes.set(piece, this.#length)
    this.#length = length
  }

  /** What is in it, valid until the next `append`. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** What is in it; it is empty after that, and the bytes are the caller's own. */
  take(): Uint8Array {
    const taken = this.view()
    this.clear()
    return taken
  }

  /** Drops the first bytes. */
  drop(count: number): void {
    this.#bytes.copyWithin(0, count, this.#length)
    this.#length -= count
  }

  /** Empties it, and gives its memory back. */
  clear(): void {
    this.#bytes = new Uint8Array(0)
    this.#length = 0
  }
}
