/**
 * Measures what the events of a stream have delivered, without parsing them.
 *
 * @module
 */

/** What a tool call costs besides its name and arguments: the format around it (recorded: 7 to 16). */
const TOOL_CALL_TOKENS = 16

/** The token that ends an answer, which some servers count. */
const END_TOKENS = 1

/** UTF-8 bytes of text that make at least one token in every tokenizer we know; see docs/providers.md. */
export const BYTES_PER_TOKEN = 3

const QUOTE = 0x22
const COLON = 0x3a
const BACKSLASH = 0x5c
const LETTER_U = 0x75
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** Strings that say what a delta is, or prove where it comes from, and are not what the model wrote. */
const SILENT_KEYS = new Set(
  `role type id index status signature thoughtSignature encrypted_content finishReason stop_reason
   stop_sequence finish_reason mimeType data`.split(/\s+/),
)

/**
 * Adds up, for every string value of what the model wrote (content, refusal, reasoning, names and arguments of
 * tools), a third of its UTF-8 bytes and at least one token, and 16 tokens for every tool call.
 *
 * OpenAI sends a token or two per delta, so the count of deltas is close to the truth. Where a server
 * sends larger pieces, three bytes a token lies above it for English, code and Chinese, and below it
 * for dense punctuation and base64. Hidden reasoning is not seen at all.
 */
export class DeltaMeter {
  /** In thirds of a token, so that sums stay whole. */
  #thirds = 0
  /** Where the reading of the current event stands. */
  #at = 0
  readonly #keys: readonly string[]

  /** @param keys - whose values are what the model wrote, each with its closing quote: `delta"`. */
  constructor(keys: readonly string[]) {
    this.#keys = keys
  }

  /** 0 while nothing was delivered. */
  tokens(): number {
    return this.#thirds === 0 ? 0 : Math.ceil(this.#thirds / BYTES_PER_TOKEN) + END_TOKENS
  }

  /** @param data - one event. */
  add(data: string): void {
    for (const key of this.#keys) {
      let start = findKey(data, key, 0)
      while (start >= 0) {
        this.#addTree(data, start, key.slice(0, -1))
        start = findKey(data, key, this.#at)
      }
    }
  }

  /** Walks one value, strings as strings, to its end or that of a broken event. */
  #addTree(data: string, start: number, name: string): void {
    let depth = 0
    let key = name
    for (this.#at = start; this.#at < data.length; this.#at++) {
      const unit = data.charCodeAt(this.#at)
      if (unit === OPEN_BRACE || unit === OPEN_BRACKET) depth++
      else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) {
        if (--depth <= 0) return
      } else if (unit === QUOTE) {
        const textAt = this.#at + 1
        const bytes = this.#skipString(data)
        if (depth > 0 && data.charCodeAt(skipBlanks(data, this.#at + 1)) === COLON) {
          key = data.slice(textAt, this.#at)
        } else if (bytes > 0) this.#addValue(key, bytes)
        if (depth === 0) return
      } else if (depth === 0) return
    }
  }

  #addValue(key: string, bytes: number): void {
    if (SILENT_KEYS.has(key)) return
    this.#thirds += Math.max(bytes, BYTES_PER_TOKEN)
    if (key === 'name') this.#thirds += TOOL_CALL_TOKENS * BYTES_PER_TOKEN
  }

  /** Moves from an opening quote to the closing one. @returns the UTF-8 bytes of the text between. */
  #skipString(data: string): number {
    let bytes = 0
    let at = this.#at + 1
    for (; at < data.length; at++) {
      const unit = data.charCodeAt(at)
      if (unit === QUOTE) break
      if (unit === BACKSLASH) {
        at++
        // \uXXXX is at most three bytes; every other escape stands for one.
        const isUnicode = data.charCodeAt(at) === LETTER_U
        if (isUnicode) at += 4
        bytes += isUnicode ? 3 : 1
      } else bytes += utf8Bytes(unit)
    }
    this.#at = at
    return bytes
  }
}

/** Of a UTF-16 unit; each half of a pair counts two of the pair's four bytes. */
function utf8Bytes(unit: number): number {
  if (unit < 0x80) return 1
  return unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3
}

/**
 * Where the next value of a key begins; -1 when there is none.
 *
 * @param key - with its closing quote only: searching for a letter first is three times as fast as
 *   for a quote, of which there are many. Inside a string quotes are escaped, so what is found is a
 *   key, or a whole string value, which no colon follows.
 * @param onlyObjects - true: passes over values that are no object.
 */
export function findKey(data: string, key: string, from: number, onlyObjects = false): number {
  for (let at = data.indexOf(key, from); at >= 0; at = data.indexOf(key, at + 1)) {
    if (data.charCodeAt(at - 1) !== QUOTE) continue
    const colon = skipBlanks(data, at + key.length)
    if (data.charCodeAt(colon) !== COLON) continue
    const start = skipBlanks(data, colon + 1)
    if (!onlyObjects || data.charCodeAt(start) === OPEN_BRACE) return start
  }
  return -1
}

function skipBlanks(data: string, from: number): number {
  let at = from
  while (data.charCodeAt(at) <= 0x20) at++
  return at
}
