/**
 * `webhookSink()`: posts events to an HTTPS endpoint, signed. Any 2xx takes them; everything else is a
 * failure, after which they come again: the exporter finds out whether one event is at fault.
 *
 * @module
 */
import * as z from 'zod'
import { primitives } from '../../kernel/crypto/primitives.ts'
import { toHex, utf8, utf8Length } from '../../kernel/encoding.ts'
import type { Secret } from '../../kernel/secret.ts'
import { idSchema, parse } from '../../kernel/validate.ts'
import type { OutboxRecord } from '../../storage/records.ts'
import { eventText } from '../../usage/event-text.ts'
import type { UsageSink } from '../../usage/usage-sink.ts'
import { secretsSchema, signatureHeader } from './webhook-signature.ts'

export interface WebhookSinkOptions {
  /** `https:`; `http:` only to this machine. */
  readonly url: string
  /** `whsec_` and 24 to 64 random bytes in base64, 1 to 4 of them. Every request carries one signature
   * for each: put a new one first, and take the old one out when the receiver knows the new one. */
  readonly secrets: readonly (string | Secret)[]
  /** Default `webhook`. */
  readonly name?: string | undefined
  /** Most bytes of one request, 1,000 to 10,000,000; default 250,000. A larger event goes alone. */
  readonly maxBodyBytes?: number | undefined
  /** How long one request may take, in ms, 100 to 60,000; default 10,000. */
  readonly timeoutMs?: number | undefined
  /** Headers of the host's own, such as an authorization. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Default: the runtime's. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** For tests: ms since the epoch. */
  readonly now?: (() => number) | undefined
}

const LOCAL = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

const optionsSchema = z.strictObject({
  url: z.string().refine(isAllowed, 'expected an https URL without user and fragment'),
  secrets: secretsSchema,
  name: idSchema.default('webhook'),
  maxBodyBytes: z.int().min(1000).max(10_000_000).default(250_000),
  timeoutMs: z.int().min(100).max(60_000).default(10_000),
  headers: z.record(z.string(), z.string()).default({}),
  fetch: z.custom<typeof fetch>((v) => typeof v === 'function', 'expected a function').optional(),
  now: z.custom<() => number>((v) => typeof v === 'function', 'expected a function').optional(),
})

type Options = z.output<typeof optionsSchema>

function isAllowed(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && LOCAL.test(url.hostname))
  return safe && url.username + url.password + url.hash === ''
}

/** @throws TenantKeysError TK_CONFIG_INVALID naming the option */
export function webhookSink(options: WebhookSinkOptions): UsageSink {
  const read = parse(optionsSchema, options, 'options', 'TK_CONFIG_INVALID')
  return {
    contractVersion: 1,
    name: read.name,
    write: async (events) => {
      const accepted: string[] = []
      for (const part of parts(events, read.maxBodyBytes)) {
        try {
          await post(read, part)
        } catch (error) {
          // What was taken before must not come again for what was not; the rest is asked for next.
          if (accepted.length === 0) throw error
          break
        }
        accepted.push(...part.map(({ id }) => id))
      }
      return { accepted, rejected: [] }
    },
  }
}

interface Line {
  readonly id: string
  readonly text: string
}

/** In order, each part as large as it may be. */
function parts(events: readonly OutboxRecord[], maxBytes: number): readonly (readonly Line[])[] {
  const all: Line[][] = []
  let room = 0
  for (const event of events) {
    const line = { id: event.id, text: eventText(event) }
    const bytes = utf8Length(line.text) + 1
    const last = all.at(-1)
    if (last && bytes <= room) last.push(line)
    else all.push([line])
    room = (last && bytes <= room ? room : maxBytes - ENVELOPE.length) - bytes
  }
  return all
}

const ENVELOPE = '{"events":[]}'

async function post(options: Options, lines: readonly Line[]): Promise<void> {
  const body = `{"events":[${lines.map(({ text }) => text).join(',')}]}`
  // Of the same events the same id, whenever they are sent.
  const id = `msg_${toHex(primitives.sha256(utf8(lines.map((l) => l.id).join(' ')))).slice(0, 32)}`
  const timestamp = String(Math.floor((options.now ?? Date.now)() / 1000))
  const send = options.fetch ?? globalThis.fetch
  const response = await send(options.url, {
    method: 'POST',
    headers: {
      ...options.headers,
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': signatureHeader(options.secrets, { id, timestamp, body }),
    },
    body,
    // Events go where the host said, nowhere else.
    redirect: 'manual',
    signal: AbortSignal.timeout(options.timeoutMs),
  })
  // Nobody reads it, and an unread body keeps its connection.
  await response.body?.cancel()
  if (!response.ok) throw new WebhookError(response, options.now ?? Date.now)
}

/** What the endpoint answered: its status, and when it wants to be asked again. */
class WebhookError extends Error {
  readonly status: number
  readonly retryAfterMs: number

  constructor({ status, headers }: Response, now: () => number) {
    super('the webhook was not taken')
    this.name = 'WebhookError'
    this.status = status
    this.retryAfterMs = retryAfterOf(headers.get('retry-after'), now())
  }
}

/** Seconds or a date (RFC 9110 section 10.2.3), at most a day. */
function retryAfterOf(text: string | null, nowMs: number): number {
  if (text === null) return 0
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 86_400_000) : 0
}
