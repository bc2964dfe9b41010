/**
 * CRC-32 as of ISO 3309 and zlib: reflected polynomial 0xEDB88320, all bits inverted before and
 * after. Its published check value is 0xCBF43926 for `123456789`. It finds typing errors and lets
 * scanners recognise a key; it proves nothing about who made it.
 *
 * @module
 */

const TABLE = /* @__PURE__ */ makeTable()

function makeTable(): Uint32Array {
  const table = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let rest = byte
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1
    table[byte] = rest
  }
  return table
}

/** Of the first `length` letters, each of which must be ASCII. @returns 0 to 2^32 - 1. */
export function crc32Ascii(text: string, length: number = text.length): number {
  let crc = 0xffffffff
  for (let i = 0; i < length; i++) {
    crc = (crc >>> 8) ^ TABLE[(crc ^ text.charCodeAt(i)) & 0xff]!
  }
  return ~crc >>> 0
}
