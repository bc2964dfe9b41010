/**
 * Envelope v1: one secret, sealed under a tenant's data key (DEK) and bound to where it belongs.
 * Usable alone; the bytes are described in docs/envelope-format.md and frozen.
 *
 * ```
 * magic 4 | format 1 | suite 2 | flags 1 | dek id 16 | salt 32 | nonce 12 | commitment 32 |
 * length 4 | ciphertext | tag 16
 * ```
 *
 * Suite 1: HKDF-SHA-512 (RFC 5869) makes from the DEK, a random salt and the context a key for
 * AES-256-GCM (SP 800-38D) and a commitment of 32 bytes. GCM alone lets one ciphertext open under
 * two keys; the commitment, compared first, ties it to one DEK and one context.
 *
 * @module
 */
import { primitives } from '../kernel/crypto/primitives.ts'
import { GCM_KEY_BYTES, GCM_NONCE_BYTES } from '../kernel/crypto/profile.ts'
import { concat, fromBase64Url, toBase64Url, utf8 } from '../kernel/encoding.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidFromBytes, uuidToBytes } from '../kernel/ids.ts'
import { checkFields, type EnvelopeContext, type EnvelopeHeader, encodeContext } from './aad.ts'

export type { EnvelopeContext } from './aad.ts'

/** Longest plaintext, in bytes. */
export const MAX_PLAINTEXT_BYTES = 65_536
/** What an envelope adds to its plaintext, in bytes. */
const ENVELOPE_OVERHEAD_BYTES = 120
/** The only suite there is; part of every cache key of data keys (T-C19). */
export const SUITE = 1

const MAGIC = utf8('TKEV')
const FORMAT = 1
const FLAGS = 0
const SALT_BYTES = 32
const COMMITMENT_BYTES = 32

const SUITE_AT = 5
const FLAGS_AT = 7
const DEK_ID_AT = 8
const SALT_AT = 24
const NONCE_AT = SALT_AT + SALT_BYTES
const COMMITMENT_AT = NONCE_AT + GCM_NONCE_BYTES
const LENGTH_AT = COMMITMENT_AT + COMMITMENT_BYTES
const CIPHERTEXT_AT = LENGTH_AT + 4

const INFO = concat(utf8('tenantkeys envelope key'), Uint8Array.of(SUITE >> 8, SUITE))
const TEXT_PREFIX = 'enc:tk:v1:'

const SEAL_FIELDS: ReadonlySet<string> = new Set<keyof SealInput>([
  'plaintext',
  'dek',
  'dekId',
  'context',
])
const OPEN_FIELDS: ReadonlySet<string> = new Set<keyof OpenInput>(['envelope', 'dek', 'context'])

export interface SealInput {
  /** 0 to 65,536 bytes. Not kept and not erased. */
  readonly plaintext: Uint8Array
  /** Data key: 32 random bytes. Not kept and not erased. */
  readonly dek: Uint8Array
  /** UUID of the data key; stands readable in the envelope, see {@link dekIdOf}. */
  readonly dekId: string
  readonly context: EnvelopeContext
}

export interface OpenInput {
  readonly envelope: Uint8Array
  /** The data key that {@link dekIdOf} names: 32 bytes. Not kept and not erased. */
  readonly dek: Uint8Array
  /** The same as at sealing. */
  readonly context: EnvelopeContext
}

/**
 * Seals a secret into an envelope of `plaintext.length + 120` bytes. Two seals of the same input
 * differ: salt and nonce are drawn anew.
 *
 * @throws TenantKeysError TK_INPUT_INVALID naming the field.
 */
export function seal(input: SealInput): Uint8Array {
  const salt = primitives.randomBytes(SALT_BYTES)
  return sealWith(input, { salt, nonce: primitives.randomBytes(GCM_NONCE_BYTES) })
}

/** With salt and nonce given: only the frozen vectors may. The same pair twice reveals plaintexts. */
export function sealWith(
  input: SealInput,
  { salt, nonce }: Pick<EnvelopeHeader, 'salt' | 'nonce'>,
): Uint8Array {
  checkFields(input, SEAL_FIELDS, '')
  const { plaintext, dek, dekId, context } = input
  checkDek(dek)
  if (!(plaintext instanceof Uint8Array)) throw invalid('plaintext', 'must be a Uint8Array')
  if (plaintext.length > MAX_PLAINTEXT_BYTES)
    throw invalid('plaintext', 'is longer than 65,536 bytes')
  const id = typeof dekId === 'string' ? uuidToBytes(dekId) : null
  if (id === null) throw invalid('dekId', 'must be a UUID in lower case')
  const header = { format: FORMAT, suite: SUITE, flags: FLAGS, dekId: id, salt, nonce }
  const aad = encodeContext(context, header)
  const derived = derive(dek, salt, aad)
  const out = new Uint8Array(ENVELOPE_OVERHEAD_BYTES + plaintext.length)
  out.set(MAGIC)
  out[4] = FORMAT
  out[SUITE_AT] = SUITE >> 8
  out[SUITE_AT + 1] = SUITE
  out[FLAGS_AT] = FLAGS
  out.set(id, DEK_ID_AT)
  out.set(salt, SALT_AT)
  out.set(nonce, NONCE_AT)
  out.set(derived.subarray(GCM_KEY_BYTES), COMMITMENT_AT)
  putLength(out, plaintext.length)
  const key = derived.subarray(0, GCM_KEY_BYTES)
  out.set(primitives.gcmSeal({ key, nonce, aad, data: plaintext }), CIPHERTEXT_AT)
  derived.fill(0)
  return out
}

/**
 * Opens an envelope. Every failure to open (other key, other context, changed, cut or foreign bytes,
 * a context nothing can be sealed under) is the same error, with nothing in it that tells them apart.
 *
 * @returns the plaintext, in memory of its own; erase it with `fill(0)` when done.
 * @throws TenantKeysError TK_ENVELOPE_OPEN_FAILED; TK_INPUT_INVALID when `envelope` is no Uint8Array,
 *   `dek` not one of 32 bytes, or a field of the input is not known.
 */
export function open(input: OpenInput): Uint8Array {
  checkFields(input, OPEN_FIELDS, '')
  const { envelope, dek, context } = input
  checkDek(dek)
  if (!(envelope instanceof Uint8Array)) throw invalid('envelope', 'must be a Uint8Array')
  if (!isWellFormed(envelope)) throw failed()
  const aad = contextOrNull(context, headerOf(envelope))
  if (aad === null) throw failed()
  const derived = derive(dek, envelope.subarray(SALT_AT, NONCE_AT), aad)
  const plaintext = openDerived(envelope, derived, aad)
  derived.fill(0)
  if (plaintext === null) throw failed()
  return plaintext
}

/** The id of the data key an envelope was sealed under; readable without any key, so unproven.
 * @throws TenantKeysError TK_ENVELOPE_OPEN_FAILED when the bytes are no envelope of this version. */
export function dekIdOf(envelope: Uint8Array): string {
  if (!(envelope instanceof Uint8Array)) throw invalid('envelope', 'must be a Uint8Array')
  if (!isWellFormed(envelope)) throw failed()
  return uuidFromBytes(envelope.subarray(DEK_ID_AT, SALT_AT))
}

/** An envelope as text: `enc:tk:v1:` and base64url without padding (RFC 4648 section 5). */
export function toText(envelope: Uint8Array): string {
  if (!(envelope instanceof Uint8Array)) throw invalid('envelope', 'must be a Uint8Array')
  return TEXT_PREFIX + toBase64Url(envelope)
}

/** The bytes of {@link toText}; any other text is refused, also one that merely decodes the same.
 * @throws TenantKeysError TK_ENVELOPE_OPEN_FAILED */
export function fromText(text: string): Uint8Array {
  if (typeof text !== 'string') throw invalid('text', 'must be a string')
  const tooLong = text.length > MAX_TEXT_LENGTH || !text.startsWith(TEXT_PREFIX)
  const envelope = tooLong ? null : fromBase64Url(text.slice(TEXT_PREFIX.length))
  if (envelope === null || !isWellFormed(envelope)) throw failed()
  return envelope
}

const MAX_TEXT_LENGTH =
  TEXT_PREFIX.length + Math.ceil(((ENVELOPE_OVERHEAD_BYTES + MAX_PLAINTEXT_BYTES) * 4) / 3)

function openDerived(
  envelope: Uint8Array,
  derived: Uint8Array,
  aad: Uint8Array,
): Uint8Array | null {
  const commitment = envelope.subarray(COMMITMENT_AT, LENGTH_AT)
  if (!primitives.equal(derived.subarray(GCM_KEY_BYTES), commitment)) return null
  return primitives.gcmOpen({
    key: derived.subarray(0, GCM_KEY_BYTES),
    nonce: envelope.subarray(NONCE_AT, COMMITMENT_AT),
    aad,
    data: envelope.subarray(CIPHERTEXT_AT),
  })
}

/** 32 bytes of key, then 32 of commitment. The caller erases them. */
function derive(dek: Uint8Array, salt: Uint8Array, aad: Uint8Array): Uint8Array {
  const info = concat(INFO, primitives.sha512(aad))
  return primitives.hkdfSha512({ key: dek, salt, info, length: GCM_KEY_BYTES + COMMITMENT_BYTES })
}

/** Exact lengths, known numbers, nothing left over. Says nothing about who wrote it. */
function isWellFormed(bytes: Uint8Array): boolean {
  const length = bytes.length - ENVELOPE_OVERHEAD_BYTES
  return (
    length >= 0 &&
    length <= MAX_PLAINTEXT_BYTES &&
    MAGIC.every((byte, i) => bytes[i] === byte) &&
    bytes[4] === FORMAT &&
    bytes[SUITE_AT] === SUITE >> 8 &&
    bytes[SUITE_AT + 1] === SUITE &&
    bytes[FLAGS_AT] === FLAGS &&
    readLength(bytes) === length
  )
}

function headerOf(envelope: Uint8Array): EnvelopeHeader {
  return {
    format: FORMAT,
    suite: SUITE,
    flags: FLAGS,
    dekId: envelope.subarray(DEK_ID_AT, SALT_AT),
    salt: envelope.subarray(SALT_AT, NONCE_AT),
    nonce: envelope.subarray(NONCE_AT, COMMITMENT_AT),
  }
}

/** Nothing was ever sealed under a context that cannot be encoded. */
function contextOrNull(context: EnvelopeContext, header: EnvelopeHeader): Uint8Array | null {
  try {
    return encodeContext(context, header)
  } catch {
    return null
  }
}

function checkDek(dek: Uint8Array): void {
  if (!(dek instanceof Uint8Array) || dek.length !== GCM_KEY_BYTES) {
    throw invalid('dek', 'must be a Uint8Array of 32 bytes')
  }
}

function putLength(out: Uint8Array, length: number): void {
  new DataView(out.buffer).setUint32(LENGTH_AT, length)
}

function readLength(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(LENGTH_AT)
}

function invalid(field: string, reason: string): TenantKeysError {
  return new TenantKeysError('TK_INPUT_INVALID', { field, reason })
}

function failed(): TenantKeysError {
  return new TenantKeysError('TK_ENVELOPE_OPEN_FAILED')
}
