/**
 * Cuts the bytes of a stream of server-sent events where its empty lines are, and changes none of them:
 * a block is one event, or less, with the empty line that ends it. Lines end with LF, CR LF or CR
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). What the
 * lines say is left to eventsource-parser, which does not tell where an event stood.
 *
 * @module
 */
import { ByteBuffer } from './byte-buffer.ts'

/** What is longer is not waited for, in bytes: an image of some MB is shorter. */
export const MAX_EVENT_BYTES = 64 * 1024 * 1024

const LF = 0x0a
const CR = 0x0d

/**
 * @param block - the whole of it; `null` when it was too long to be kept.
 * @param newest - the bytes of it that came last.
 */
export type OnBlock = (block: Uint8Array | null, newest: Uint8Array) => void

export class EventBlocks {
  readonly #onBlock: OnBlock
  readonly #pending = new ByteBuffer()
  /** The current block is too long, and is not kept. */
  #isTooLong = false
  /** Nothing stands in the current line yet. */
  #isLineEmpty = true
  /** The last byte was CR: an LF behind it belongs to the same end of a line. */
  #isAfterCr = false
  #unread = 0

  constructor(onBlock: OnBlock) {
    this.#onBlock = onBlock
  }

  /** Bytes of blocks that were too long to be kept. */
  get unread(): number {
    return this.#unread
  }

  /** No more bytes come. @returns what came of a block that has not ended, as far as it was kept. */
  end(): Uint8Array {
    return this.#pending.take()
  }

  /** @returns how many of the bytes belong to a block that has not ended. */
  feed(bytes: Uint8Array): number {
    const hasCr = bytes.includes(CR)
    let from = 0
    if (this.#isBetween() && this.#isAfterCr && bytes[0] === LF) {
      // The second half of the empty line that has ended a block already.
      this.#isAfterCr = false
      from = 1
      this.#onBlock(bytes.subarray(0, 1), bytes.subarray(0, 1))
    }
    for (let end = this.#endOfBlock(bytes, from, hasCr); end >= 0; ) {
      const newest = bytes.subarray(from, end)
      this.#onBlock(this.#wholeWith(newest), newest)
      from = end
      end = this.#endOfBlock(bytes, from, hasCr)
    }
    if (from < bytes.length) this.#keep(bytes.subarray(from))
    return bytes.length - from
  }

  #isBetween(): boolean {
    return this.#isLineEmpty && !this.#isTooLong && this.#pending.length === 0
  }

  #wholeWith(newest: Uint8Array): Uint8Array | null {
    if (this.#isTooLong) {
      this.#isTooLong = false
      this.#unread += newest.length
      return null
    }
    if (this.#pending.length === 0) return newest
    this.#pending.append(newest)
    return this.#pending.take()
  }

  #keep(bytes: Uint8Array): void {
    if (!this.#isTooLong && this.#pending.length + bytes.length > MAX_EVENT_BYTES) {
      this.#isTooLong = true
      this.#unread += this.#pending.length
      this.#pending.clear()
    }
    if (this.#isTooLong) this.#unread += bytes.length
    else this.#pending.append(bytes)
  }

  /** Where the bytes behind the next empty line begin; -1: it has not come. */
  #endOfBlock(bytes: Uint8Array, from: number, hasCr: boolean): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]
      const isSecondHalf = byte === LF && this.#isAfterCr
      this.#isAfterCr = byte === CR
      if (isSecondHalf) continue
      if (byte !== LF && byte !== CR) {
        this.#isLineEmpty = false
        // Far faster than a look at every byte; CR is rare.
        if (!hasCr) {
          const end = bytes.indexOf(LF, at)
          if (end < 0) return -1
          at = end - 1
        }
        continue
      }
      if (this.#isLineEmpty)
        return byte === CR && bytes[at + 1] === LF ? this.#past(at + 1) : at + 1
      this.#isLineEmpty = true
    }
    return -1
  }

  /** Behind an LF that belongs to the CR before it. */
  #past(lineFeed: number): number {
    this.#isAfterCr = false
    return lineFeed + 1
  }
}
