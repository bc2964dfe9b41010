/**
 * Masks: what may be shown of a stored secret. Computed when it is stored, so that listing never
 * opens anything.
 *
 * | characters of the secret | shown |
 * |---|---|
 * | 24 and more | its known literal prefix and the last 4 |
 * | 16 to 23 | the last 2 |
 * | fewer | nothing |
 *
 * What is not shown is dots, always as many: the width of a mask tells nothing of the length (T-L8).
 *
 * @module
 */

/** `tail`: `...xyz9`. `prefix`: `sk-...***...xyz9`. */
export type MaskStyle = 'tail' | 'prefix'

/** Beginnings that say which kind of key it is and hold no secret; longer ones first. */
const PREFIXES = [
  'sk-svcacct-',
  'sk-or-v1-',
  'sk-admin-',
  'sk-proj-',
  'sk-ant-',
  'sk-',
  'gsk_',
] as const

const TAIL = 4

/**
 * @param text - the secret, of any length.
 * @param style - default `prefix`.
 * @returns 7 characters of style `tail`; of style `prefix` 13, and the known prefix in front of them.
 *   Only letters, digits, `-`, `_`, `*` and dots.
 */
export function maskSecret(text: string, style: MaskStyle = 'prefix'): string {
  const end = text.slice(text.length - shownOf(text.length)).replace(/[^A-Za-z0-9_-]/g, '.')
  const tail = `...${end.padStart(TAIL, '.')}`
  if (style === 'tail') return tail
  const prefix = PREFIXES.find((known) => text.startsWith(known)) ?? ''
  const start = text.length >= 24 ? prefix : '.'.repeat(prefix.length)
  return `${start}...***${tail}`
}

function shownOf(length: number): number {
  if (length >= 24) return TAIL
  return length >= 16 ? 2 : 0
}
