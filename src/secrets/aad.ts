/**
 * The canonical encoding of what an envelope is bound to. Every field has a fixed width or a length
 * in front, so two different contexts never encode to the same bytes (T-C11). The layout is part of
 * envelope v1 and frozen: docs/envelope-format.md.
 *
 * @module
 */
import { utf8, utf8Length } from '../kernel/encoding.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { ID_PATTERN } from '../kernel/ids.ts'

/**
 * Where a sealed secret belongs. It opens only when all six fields are given again as they were.
 * Texts are 1 to 1024 bytes of UTF-8, compared byte by byte: no case folding, no Unicode
 * normalisation.
 */
export interface EnvelopeContext {
  readonly tenantId: string
  /** What kind of secret it is, for example `provider-secret`. */
  readonly purpose: string
  readonly provider: string
  /** Origin the secret may be sent to; `null`: bound to none. */
  readonly origin: string | null
  /** Id of the row that holds the envelope. */
  readonly secretId: string
  /** Version of that row, 1 to 2^53 - 1. */
  readonly version: number
}

/** The fields of the envelope itself that stand in its context. */
export interface EnvelopeHeader {
  readonly format: number
  readonly suite: number
  readonly flags: number
  /** 16 bytes. */
  readonly dekId: Uint8Array
  /** 32 bytes. */
  readonly salt: Uint8Array
  /** 12 bytes. */
  readonly nonce: Uint8Array
}

const LABEL = utf8('tenantkeys envelope')
const CONTEXT_FIELDS: ReadonlySet<string> = new Set<keyof EnvelopeContext>([
  'tenantId',
  'purpose',
  'provider',
  'origin',
  'secretId',
  'version',
])
const MAX_TEXT_BYTES = 1024
/** Format, suite, flags, five lengths, origin mark, version, dek id, salt, nonce. */
const FIXED_BYTES = LABEL.length + 1 + 2 + 1 + 5 * 2 + 1 + 8 + 16 + 32 + 12

/** @throws TenantKeysError TK_INPUT_INVALID naming the field. */
export function encodeContext(context: EnvelopeContext, header: EnvelopeHeader): Uint8Array {
  checkFields(context, CONTEXT_FIELDS, 'context')
  const { tenantId, purpose, provider, secretId, version } = context
  const origin = context.origin === null ? '' : context.origin
  const textBytes =
    checkText(tenantId, 'context.tenantId') +
    checkText(purpose, 'context.purpose') +
    checkText(provider, 'context.provider') +
    (context.origin === null ? 0 : checkText(origin, 'context.origin')) +
    checkText(secretId, 'context.secretId')
  if (!Number.isSafeInteger(version) || version < 1) {
    refuse('context.version', 'must be an integer from 1 to 2^53 - 1')
  }
  const out = new Uint8Array(FIXED_BYTES + textBytes)
  out.set(LABEL)
  let at = LABEL.length
  out[at++] = header.format
  at = putUint16(out, at, header.suite)
  out[at++] = header.flags
  at = putText(out, at, tenantId)
  at = putText(out, at, purpose)
  at = putText(out, at, provider)
  out[at++] = context.origin === null ? 0 : 1
  at = putText(out, at, origin)
  at = putText(out, at, secretId)
  at = putUint64(out, at, version)
  out.set(header.dekId, at)
  out.set(header.salt, at + 16)
  out.set(header.nonce, at + 48)
  return out
}

/**
 * An object with no fields but these: one that is misspelt must not count as left out.
 *
 * @param path - of the object; empty for the argument itself.
 */
export function checkFields(value: object, fields: ReadonlySet<string>, path: string): void {
  if (typeof value !== 'object' || value === null) refuse(path || '(argument)', 'must be an object')
  for (const name of Object.keys(value)) {
    if (fields.has(name)) continue
    const known = ID_PATTERN.test(name) ? name : '?'
    refuse(path === '' ? known : `${path}.${known}`, 'this field is not known')
  }
}

/** @returns the length in UTF-8 bytes. */
export function checkText(text: string, field: string): number {
  if (typeof text !== 'string') return refuse(field, 'must be a string')
  const bytes = utf8Length(text)
  if (bytes < 1 || bytes > MAX_TEXT_BYTES) {
    return refuse(field, `must be 1 to ${MAX_TEXT_BYTES} bytes of UTF-8`)
  }
  // A lone surrogate has no UTF-8 form: the encoder would write the same U+FFFD for each of them.
  if (bytes !== text.length && /\p{Surrogate}/u.test(text)) {
    return refuse(field, 'is not well-formed Unicode')
  }
  return bytes
}

function refuse(field: string, reason: string): never {
  throw new TenantKeysError('TK_INPUT_INVALID', { field, reason })
}

/** Length in two bytes, then the text. @returns where the next field begins. */
export function putText(out: Uint8Array, at: number, text: string): number {
  const start = at + 2
  let length = 0
  // ASCII by hand: the encoder costs more than the loop for texts this short.
  for (; length < text.length; length++) {
    const unit = text.charCodeAt(length)
    if (unit > 0x7f) {
      const bytes = utf8(text)
      out.set(bytes, start)
      length = bytes.length
      break
    }
    out[start + length] = unit
  }
  putUint16(out, at, length)
  return start + length
}

function putUint16(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 8
  out[at + 1] = value
  return at + 2
}

/** Big-endian; `value` is a safe integer, not negative. */
export function putUint64(out: Uint8Array, at: number, value: number): number {
  const high = Math.floor(value / 2 ** 32)
  putUint16(out, at, high >>> 16)
  putUint16(out, at + 2, high)
  putUint16(out, at + 4, value >>> 16)
  putUint16(out, at + 6, value)
  return at + 8
}
