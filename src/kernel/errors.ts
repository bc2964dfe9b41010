/**
 * The one error class of the library, its codes, and how foreign errors are made safe to carry.
 *
 * A code is frozen within a major version; message texts are not. No error ever holds a key, a
 * secret, a prompt, a header, a body or a connection string: `details` takes only what
 * {@link ErrorDetails} lists, and `cause` is rebuilt from an allow-list by {@link scrubCause}.
 *
 * @module
 */

/** What every error of one code has in common. */
export interface CodeInfo {
  /** True when the same call may succeed later without any change by the caller. */
  readonly retryable: boolean
  /** The status an HTTP layer should answer with. Unknown, expired and revoked keys look alike. */
  readonly httpStatus: number
  readonly message: string
}

const info = (httpStatus: number, message: string, retryable = false): CodeInfo => ({
  retryable,
  httpStatus,
  message,
})

/** Every error code with its meaning. docs/errors.md has one heading for each; a test compares. */
export const ERROR_CODES = {
  TK_INPUT_INVALID: info(400, 'An argument is not valid.'),
  TK_CONFIG_INVALID: info(500, 'An option of createTenantKeys or of an adapter is not valid.'),
  TK_CLOSED: info(500, 'This instance was closed.'),

  TK_KEY_MALFORMED: info(401, 'The platform key is not well formed.'),
  TK_KEY_UNKNOWN: info(401, 'The platform key is not known.'),
  TK_KEY_EXPIRED: info(401, 'The platform key has expired.'),
  TK_KEY_REVOKED: info(401, 'The platform key was revoked.'),
  TK_KEY_DISABLED: info(401, 'The platform key is disabled.'),
  TK_KEY_NOT_FOUND: info(404, 'No such key in this tenant.'),
  TK_KEY_STALE: info(503, 'The state of the key could not be confirmed in time.', true),

  TK_SCOPE_REQUIRED: info(400, 'The key has several scopes; name the one to use.'),
  TK_SCOPE_DENIED: info(403, 'The key does not have this scope.'),
  TK_PROVIDER_DENIED: info(403, 'The scope does not allow this provider.'),
  TK_MODEL_DENIED: info(403, 'The scope does not allow this model.'),
  TK_OPERATION_NOT_SUPPORTED: info(
    400,
    'This provider operation cannot be metered, so it is refused.',
  ),
  TK_REQUEST_INVALID: info(400, 'The provider request cannot be read, so it cannot be metered.'),

  TK_TENANT_NOT_FOUND: info(404, 'No such tenant.'),
  TK_TENANT_EXISTS: info(409, 'A tenant with this id exists already.'),
  TK_PLAN_UNKNOWN: info(400, 'No plan of this name is among the options.'),

  TK_SECRET_NOT_FOUND: info(403, 'No credential is stored for this provider.'),
  TK_ENVELOPE_OPEN_FAILED: info(500, 'The stored secret cannot be opened.'),
  TK_KEK_UNKNOWN: info(500, 'The key-encryption key is not in the ring.'),
  TK_KEK_MISMATCH: info(
    500,
    'A key-encryption key or pepper is not the one this database was written with.',
  ),
  TK_PEPPER_UNKNOWN: info(500, 'The pepper that hashed this key is not in the list.'),
  TK_DEK_EXHAUSTED: info(500, 'The data key has sealed as often as it safely may.'),
  TK_ORIGIN_DENIED: info(403, 'The endpoint is not one this credential may be sent to.'),
  TK_CRYPTO_REFUSED: info(500, 'The cryptographic profile does not admit these parameters.'),

  TK_BUDGET_EXHAUSTED: info(402, 'The budget cannot cover this call.'),
  TK_BUDGET_CONTENDED: info(429, 'The budget is held by calls in flight.', true),
  TK_RATE_LIMITED: info(429, 'Too many requests in the sliding window.', true),
  TK_REQUEST_TOO_LARGE: info(413, 'The request is larger than the limit for one call.'),
  TK_BUDGET_UNBOUNDED: info(400, 'No upper bound of the cost of this request is known.'),
  TK_BUDGET_NOT_FOUND: info(404, 'No such budget.'),
  TK_BUDGET_ENTRY_MISMATCH: info(
    409,
    'This idempotency key was already used with other parameters.',
  ),
  TK_BUDGET_HOLD_NOT_FOUND: info(404, 'No such hold.'),
  TK_BUDGET_HOLD_MISMATCH: info(409, 'The hold was already used with other parameters.'),
  TK_BUDGET_HOLD_LOST: info(409, 'The hold has expired or is finished.'),
  TK_PRICE_MISSING: info(400, 'No price is known for this model, so it is refused.'),

  TK_WEBHOOK_INVALID: info(401, 'The webhook is not signed by us, or not of now.'),
  TK_OUTBOX_FULL: info(503, 'Too many usage events wait to be exported.', true),

  TK_CONTEXT_MISSING: info(500, 'Nobody says on whose behalf this call is made.'),
  TK_CLIENT_NOT_BINDABLE: info(500, 'This client cannot be bound safely.'),
  TK_RECEIPT_UNKNOWN: info(404, 'No receipt belongs to this value.'),

  TK_STORE_UNAVAILABLE: info(503, 'The store did not answer.', true),
  TK_STORE_BUSY: info(503, 'The store stayed locked by others.', true),
  TK_STORE_CONFLICT: info(409, 'The row was changed by someone else meanwhile.', true),
  TK_STORE_CORRUPT: info(500, 'The store holds a row or file that cannot be read.'),
  TK_STORE_NOT_MIGRATED: info(500, 'The tables are missing or of another version; run migrate().'),
  TK_STORE_DRIVER_MISSING: info(500, 'No SQLite driver was found.'),
  TK_INTERNAL: info(500, 'A defect in tenantkeys; please report it.'),
} as const satisfies Record<string, CodeInfo>

export type ErrorCode = keyof typeof ERROR_CODES

/** A refusal, its amounts as text in its unit: US dollars for `usd`, whole numbers for the others. */
export interface DenialDetails {
  /** `tenant:<id>` or `key:<id>`. */
  readonly account: string
  /** `usd`, `tokens`, `requests` ... */
  readonly unit: string
  /** `month`, `lifetime`, `rate_second` ... */
  readonly window: string
  readonly limit: string
  readonly used: string
  readonly held: string
  readonly asked: string
  /** The largest hold that the whole path would admit now. */
  readonly wouldFit: string
  /** ISO 8601; `null`: this budget never resets. */
  readonly resetsAt: string | null
  /** When calls in flight release what they hold at the latest; `null`: nothing is held. */
  readonly heldUntil: string | null
  /** Sliding limits: when the same call would fit; `null` for the others. */
  readonly fitsAt: string | null
}

/** What an error may carry besides its code. Ids, names of fields and amounts; never content. */
export interface ErrorDetails {
  /** Path of the offending input, for example `limit.usd`. */
  readonly field?: string
  /** Why, as fixed text of ours; never echoes the value. */
  readonly reason?: string
  /** What to do about it. */
  readonly hint?: string
  readonly tenantId?: string
  readonly keyId?: string
  readonly provider?: string
  readonly model?: string
  readonly scope?: string
  readonly scopes?: readonly string[]
  readonly holdId?: string
  readonly kekId?: string
  readonly pepperId?: string
  readonly secretId?: string
  readonly origin?: string
  /** Of a budget denial: which account and limit refused, and what would have fitted. */
  readonly denial?: DenialDetails
}

const MARK = Symbol.for('tenantkeys.error')

/** Causes may go round in circles. */
const MAX_DEPTH = 10

/**
 * The error that every part of tenantkeys throws.
 *
 * `outcome` speaks of writes: `none` means nothing was changed, `unknown` means the change may or
 * may not have happened (the same id can be sent again). Recognise errors by `code`, or across two
 * installed copies with {@link TenantKeysError.isInstance}.
 */
export class TenantKeysError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails
  readonly retryable: boolean
  readonly outcome: 'none' | 'unknown'
  readonly httpStatus: number

  constructor(
    code: ErrorCode,
    details: ErrorDetails = {},
    options: { cause?: unknown; outcome?: 'none' | 'unknown' } = {},
  ) {
    const known = ERROR_CODES[code]
    const cause = options.cause === undefined ? undefined : scrubCause(options.cause)
    super(describe(known.message, details), cause === undefined ? undefined : { cause })
    this.name = 'TenantKeysError'
    this.code = code
    this.details = Object.freeze({ ...details })
    this.retryable = known.retryable
    this.httpStatus = known.httpStatus
    this.outcome = options.outcome ?? 'none'
    Object.defineProperty(this, MARK, { value: true })
  }

  /** The heading of this code in docs/errors.md. */
  get docsUrl(): string {
    return `https://github.com/tenantkeys/tenantkeys/blob/main/docs/errors.md#${this.code.toLowerCase()}`
  }

  static isInstance(value: unknown): value is TenantKeysError {
    try {
      return typeof value === 'object' && value !== null && MARK in value
    } catch {
      // A Proxy that throws when it is asked is none of ours.
      return false
    }
  }

  /**
   * Ours, in an error of an SDK that wraps whatever its `fetch` throws: the error itself or the nearest
   * of its causes; `null`: there is none.
   */
  static find(error: unknown): TenantKeysError | null {
    let at: unknown = error
    for (let depth = 0; depth < MAX_DEPTH && typeof at === 'object' && at !== null; depth++) {
      if (TenantKeysError.isInstance(at)) return at
      at = read(at as Record<string, unknown>, 'cause')
    }
    return null
  }

  toJSON(): object {
    const { code, message, details, retryable, outcome, docsUrl } = this
    return { code, message, details: plain(details), retryable, outcome, docsUrl }
  }
}

function describe(message: string, details: ErrorDetails): string {
  const { field, reason, hint } = details
  const where = field === undefined ? '' : ` Field: ${field}.`
  const why = reason === undefined ? '' : ` ${capital(reason)}.`
  return `${message}${where}${why}${hint === undefined ? '' : ` ${capital(hint)}.`}`
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Copies details for JSON: amounts are bigint inside and decimal strings outside. */
function plain(details: ErrorDetails): object {
  return JSON.parse(JSON.stringify(details, (_, v) => (typeof v === 'bigint' ? String(v) : v)))
}

/**
 * Rebuilds a foreign error from an allow-list: its class name, `code`, `errno`, `syscall` and
 * numeric `status`, and the same of its own cause up to depth 3. Messages, stacks and every other
 * property are left behind, because drivers and SDKs put rows, URLs, headers and arguments there.
 * What is kept must look like what it is: a key put in the place of a code is left behind too.
 */
export function scrubCause(foreign: unknown, depth = 3): Error {
  if (TenantKeysError.isInstance(foreign)) return foreign
  const source = (typeof foreign === 'object' && foreign !== null ? foreign : {}) as Record<
    string,
    unknown
  >
  const name = safeText(read(source, 'name'), CLASS_NAME) ?? 'Error'
  const clean = new Error(`${name} (text withheld: it may hold secrets)`)
  clean.name = name
  clean.stack = `${name}: ${clean.message}`
  for (const [field, pattern] of KEPT) {
    const value = read(source, field)
    const kept = typeof value === 'number' ? value : safeText(value, pattern)
    if (kept !== undefined) Object.defineProperty(clean, field, { value: kept, enumerable: true })
  }
  const inner = read(source, 'cause')
  if (inner !== undefined && depth > 0) clean.cause = scrubCause(inner, depth - 1)
  return clean
}

/** `TypeError`, `SqliteError`, `ThrottlingException`, `DOMException`. */
const CLASS_NAME = /^(?:[A-Z][A-Za-z0-9]{0,30})?(?:Error|Exception)$/
/** Words of letters, at most 16 each, with a short number behind: `ECONNRESET`, `UND_ERR_SOCKET`,
 * `ERR_HTTP2_STREAM_ERROR`, `invalid_api_key`, `P2002`. Random keys have longer or mixed runs. */
const CODE =
  /^(?=.{1,48}$)(?:[A-Z]{1,16}\d{0,4}(?:_[A-Z]{1,16}\d{0,4})*|[a-z]{1,16}(?:_[a-z]{1,16})*)$/
/** `connect`, `getaddrinfo`. */
const SYSCALL = /^[a-z]{1,20}$/

const KEPT = [
  ['code', CODE],
  ['errno', CODE],
  ['syscall', SYSCALL],
  ['status', null],
] as const

/** Reads a property of an untrusted object; a throwing getter counts as absent. */
function read(source: Record<string, unknown>, field: string): unknown {
  try {
    return source[field]
  } catch {
    return undefined
  }
}

function safeText(value: unknown, pattern: RegExp | null): string | undefined {
  return typeof value === 'string' && pattern?.test(value) ? value : undefined
}
