/**
 * What clients and servers throw, as errors of ours. Their texts hold rows and literals and are left
 * behind; what is read is the SQLSTATE (PostgreSQL documentation, appendix A) or the code of a broken
 * connection.
 *
 * @module
 */
import { ERROR_CODES, type ErrorCode, TenantKeysError } from '../../kernel/errors.ts'

/** What was under way: a read changes nothing, a write whose answer is lost may have happened, and a
 * COMMIT whose answer is lost above all. */
export type Sent = 'read' | 'write' | 'commit'

/** Raised by our own functions: MESSAGE is one of our error codes, DETAIL the field, if any. */
const OURS = 'TKERR'
/** Raised by our own functions: what they decided by has changed, ask again. */
const AGAIN = 'TKTRY'

const BY_STATE: Readonly<Record<string, ErrorCode>> = {
  // BEGIN ... READ WRITE on a standby.
  '0A000': 'TK_STORE_UNAVAILABLE',
  '23502': 'TK_INPUT_INVALID',
  '23514': 'TK_INPUT_INVALID',
  '3F000': 'TK_STORE_NOT_MIGRATED',
  '42P01': 'TK_STORE_NOT_MIGRATED',
  '42703': 'TK_STORE_NOT_MIGRATED',
  '42883': 'TK_STORE_NOT_MIGRATED',
  '42501': 'TK_STORE_UNAVAILABLE',
  '40001': 'TK_STORE_BUSY',
  '40P01': 'TK_STORE_BUSY',
  '55P03': 'TK_STORE_BUSY',
  [AGAIN]: 'TK_STORE_BUSY',
  '57014': 'TK_STORE_BUSY',
  XX001: 'TK_STORE_CORRUPT',
  XX002: 'TK_STORE_CORRUPT',
}

const BY_CLASS: Readonly<Record<string, ErrorCode>> = {
  '08': 'TK_STORE_UNAVAILABLE',
  '22': 'TK_INPUT_INVALID',
  '23': 'TK_STORE_CONFLICT',
  '25': 'TK_STORE_UNAVAILABLE',
  '28': 'TK_STORE_UNAVAILABLE',
  '3D': 'TK_STORE_UNAVAILABLE',
  '53': 'TK_STORE_UNAVAILABLE',
  '54': 'TK_INPUT_INVALID',
  '57': 'TK_STORE_UNAVAILABLE',
  '58': 'TK_STORE_UNAVAILABLE',
}

/** The server ends the connection with these: a statement may have been committed before. */
const CUT = ['08', '57P01', '57P02', '57P05']
/** Nothing was sent yet: no address, nobody there, no free connection. */
const NEVER_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENOENT|EACCES|CONNECT_TIMEOUT)$/
const NO_CONNECTION =
  /timeout exceeded when trying to connect|after calling end on the pool|PGlite is closed/

/** True when the same again may work at once: the server has rolled back what it refused. */
export function isRetry(error: unknown): boolean {
  return ['40001', '40P01', AGAIN].includes(stateOf(error) ?? '')
}

export function mapError(error: unknown, sent: Sent): TenantKeysError {
  if (TenantKeysError.isInstance(error)) return error
  const state = stateOf(error)
  const outcome = sent !== 'read' && isUnknown(error, state) ? 'unknown' : 'none'
  if (state === OURS) return raised(error)
  return new TenantKeysError(codeOf(error, state), {}, { cause: error, outcome })
}

function codeOf(error: unknown, state: string | null): ErrorCode {
  if (state !== null) return BY_STATE[state] ?? BY_CLASS[state.slice(0, 2)] ?? 'TK_INTERNAL'
  // A TypeError is a defect, of ours or of what we were given; everything else without a state never
  // came from the server.
  return error instanceof TypeError ? 'TK_INTERNAL' : 'TK_STORE_UNAVAILABLE'
}

function isUnknown(error: unknown, state: string | null): boolean {
  if (state !== null) return CUT.some((start) => state.startsWith(start))
  const { code, message } = fieldsOf(error)
  return !(NEVER_SENT.test(code ?? '') || NO_CONNECTION.test(message ?? ''))
}

/** An error code of ours, raised inside the database: held against the list before it is believed. */
function raised(error: unknown): TenantKeysError {
  const { message, detail } = fieldsOf(error)
  const code = Object.hasOwn(ERROR_CODES, message ?? '') ? (message as ErrorCode) : 'TK_INTERNAL'
  const field = detail !== undefined && /^[A-Za-z.]{1,64}$/.test(detail) ? { field: detail } : {}
  return new TenantKeysError(code, field)
}

/** The SQLSTATE, which Kysely and Drizzle may have put a level deeper. */
export function stateOf(error: unknown, depth = 2): string | null {
  const { code, cause } = fieldsOf(error)
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code)) return code
  return depth > 0 && cause !== undefined ? stateOf(cause, depth - 1) : null
}

interface Fields {
  readonly code?: string
  readonly message?: string
  readonly detail?: string
  readonly cause?: unknown
}

function fieldsOf(error: unknown): Fields {
  if (typeof error !== 'object' || error === null) return {}
  const { code, message, detail, cause } = error as Record<string, unknown>
  return {
    ...(typeof code === 'string' && { code }),
    ...(typeof message === 'string' && { message }),
    ...(typeof detail === 'string' && { detail }),
    ...(cause !== undefined && { cause }),
  }
}
