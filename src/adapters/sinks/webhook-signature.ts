/**
 * Signatures of webhooks, as Standard Webhooks 1.0 describes them (standardwebhooks.com): HMAC-SHA-256
 * over `id.timestamp.body`, several signatures while secrets are rotated.
 *
 * @module
 */
import * as z from 'zod'
import { primitives } from '../../kernel/crypto/primitives.ts'
import { utf8 } from '../../kernel/encoding.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import { Secret } from '../../kernel/secret.ts'
import { parse } from '../../kernel/validate.ts'
import type { ExportedEvent } from '../../usage/event-text.ts'

const PREFIX = 'whsec_'
const MIN_SECRET_BYTES = 24
const MAX_SECRET_BYTES = 64
const VERSION = 'v1'

const secretSchema = z
  .custom<string | Secret>(
    (value) => keyOf(value) !== null,
    'expected whsec_ and 24 to 64 bytes in base64',
  )
  .transform((value) => keyOf(value)!)

/** The newest first; all sign, so that a receiver may know either. */
export const secretsSchema = z.array(secretSchema).min(1).max(4)

function keyOf(value: unknown): Uint8Array | null {
  const text = value instanceof Secret ? value.reveal() : value
  if (typeof text !== 'string' || !text.startsWith(PREFIX)) return null
  const bytes = fromBase64(text.slice(PREFIX.length))
  const fits = bytes && bytes.length >= MIN_SECRET_BYTES && bytes.length <= MAX_SECRET_BYTES
  return fits ? bytes : null
}

/** @param keys - one signature each. */
export function signatureHeader(
  keys: readonly Uint8Array[],
  message: { readonly id: string; readonly timestamp: string; readonly body: string },
): string {
  return keys.map((key) => `${VERSION},${toBase64(macOf(key, message))}`).join(' ')
}

const macOf = (
  key: Uint8Array,
  { id, timestamp, body }: { id: string; timestamp: string; body: string },
): Uint8Array => primitives.hmacSha256(key, utf8(`${id}.${timestamp}.${body}`))

export interface VerifyWebhookInput {
  /** Of the request, as a `Headers` or an object with names in lower case. */
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>
  /** Exactly as it arrived, before it is parsed. */
  readonly body: string
  /** Any of them may have signed. */
  readonly secrets: readonly (string | Secret)[]
  /** How far the time of the request may be from now, in seconds, 1 to 86,400; default 300. A copy of
   * a request is refused after that; within it, event ids tell that it is one. */
  readonly toleranceSeconds?: number | undefined
  /** For tests: ms since the epoch. Default: the system's clock. */
  readonly nowMs?: number | undefined
}

const verifySchema = z.strictObject({
  headers: z.custom<VerifyWebhookInput['headers']>((v) => typeof v === 'object' && v !== null),
  body: z.string(),
  secrets: secretsSchema,
  toleranceSeconds: z.int().min(1).max(86_400).default(300),
  nowMs: z.number().optional(),
})

/**
 * For the receiver: checks signature and time, then reads the events.
 *
 * @throws TenantKeysError TK_WEBHOOK_INVALID, the same for every fault of the request; TK_INPUT_INVALID
 *   for a fault of the receiver's own, such as a malformed secret
 */
export function verifyWebhook(input: VerifyWebhookInput): readonly ExportedEvent[] {
  const { headers, body, secrets, toleranceSeconds, nowMs } = parse(verifySchema, input)
  const id = header(headers, 'webhook-id')
  const timestamp = header(headers, 'webhook-timestamp')
  const given = header(headers, 'webhook-signature').split(' ').flatMap(signatureOf)
  const distance = Math.abs((nowMs ?? Date.now()) / 1000 - Number(timestamp))
  const inTime = /^\d{1,12}$/.test(timestamp) && distance <= toleranceSeconds
  const macs = secrets.map((key) => macOf(key, { id, timestamp, body }))
  const signed = given.some((mac) => macs.some((own) => primitives.equal(own, mac)))
  if (id === '' || !inTime || !signed) throw new TenantKeysError('TK_WEBHOOK_INVALID')
  return eventsOf(body)
}

function header(headers: VerifyWebhookInput['headers'], name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name]
  return typeof value === 'string' ? value : ''
}

/** Of any other version: none. */
function signatureOf(part: string): Uint8Array[] {
  const [version, text = ''] = part.split(',')
  const bytes = version === VERSION ? fromBase64(text) : null
  return bytes ? [bytes] : []
}

function eventsOf(body: string): readonly ExportedEvent[] {
  try {
    const { events } = JSON.parse(body) as { events: readonly ExportedEvent[] }
    if (Array.isArray(events)) return events
  } catch {
    // Signed by us and yet no JSON: a body that was changed would not have passed.
  }
  throw new TenantKeysError('TK_WEBHOOK_INVALID')
}

const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))

/** `null` for what {@link toBase64} would not have written. */
function fromBase64(text: string): Uint8Array | null {
  try {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
    return toBase64(bytes) === text ? bytes : null
  } catch {
    return null
  }
}
