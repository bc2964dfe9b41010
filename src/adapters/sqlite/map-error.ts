/**
 * What the drivers throw, as errors of ours. Their texts hold rows and paths and are left behind;
 * the numbers are SQLite's own (https://www.sqlite.org/rescode.html).
 *
 * @module
 */
import { type ErrorCode, TenantKeysError } from '../../kernel/errors.ts'

/** Primary result codes by the name that better-sqlite3 gives them. */
const NUMBERS: Readonly<Record<string, number>> = {
  ERROR: 1,
  PERM: 3,
  BUSY: 5,
  LOCKED: 6,
  NOMEM: 7,
  READONLY: 8,
  INTERRUPT: 9,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  PROTOCOL: 15,
  SCHEMA: 17,
  CONSTRAINT: 19,
  AUTH: 23,
  FORMAT: 24,
  NOTADB: 26,
}

const BUSY = [NUMBERS.BUSY, NUMBERS.LOCKED, NUMBERS.PROTOCOL]
const CORRUPT = [NUMBERS.CORRUPT, NUMBERS.FORMAT, NUMBERS.NOTADB]
const UNANSWERED = ['PERM', 'NOMEM', 'READONLY', 'INTERRUPT', 'IOERR', 'FULL', 'CANTOPEN', 'AUTH']
const CONSTRAINT_CHECK = 275
const CONSTRAINT_DATATYPE = 3091

/** Someone else holds the lock; the same again may work. */
export function isBusy(error: unknown): boolean {
  if (TenantKeysError.isInstance(error)) return error.code === 'TK_STORE_BUSY'
  // A database that its owner shares with us may be inside a transaction of theirs.
  return BUSY.includes(codeOf(error).primary) || textOf(error).includes('within a transaction')
}

/**
 * @param committing - the COMMIT itself failed: nobody can say whether it reached the disk.
 */
export function mapError(error: unknown, committing = false): TenantKeysError {
  if (TenantKeysError.isInstance(error)) return error
  const outcome = committing ? 'unknown' : 'none'
  return new TenantKeysError(ourCode(error), {}, { cause: error, outcome })
}

function ourCode(error: unknown): ErrorCode {
  const { primary, extended } = codeOf(error)
  const text = textOf(error)
  if (BUSY.includes(primary)) return 'TK_STORE_BUSY'
  if (CORRUPT.includes(primary)) return 'TK_STORE_CORRUPT'
  if (UNANSWERED.some((name) => NUMBERS[name] === primary)) return 'TK_STORE_UNAVAILABLE'
  if (extended === CONSTRAINT_CHECK || extended === CONSTRAINT_DATATYPE) return 'TK_INPUT_INVALID'
  if (primary === NUMBERS.CONSTRAINT) return 'TK_STORE_CONFLICT'
  if (/^no such (table|column)/.test(text)) return 'TK_STORE_NOT_MIGRATED'
  if (/not open/.test(text)) return 'TK_STORE_UNAVAILABLE'
  return 'TK_INTERNAL'
}

function codeOf(error: unknown): { primary: number | undefined; extended: number | undefined } {
  if (typeof error !== 'object' || error === null)
    return { primary: undefined, extended: undefined }
  // node:sqlite says `errcode`, libsql `rawCode`, better-sqlite3 only a name in `code`.
  const { errcode, rawCode, code } = error as Record<string, unknown>
  const extended = [errcode, rawCode].find((n) => typeof n === 'number')
  if (extended !== undefined) return { primary: extended & 0xff, extended }
  const name = typeof code === 'string' ? /^SQLITE_([A-Z]+)(_[A-Z]+)?/.exec(code) : null
  const special = { _CHECK: CONSTRAINT_CHECK, _DATATYPE: CONSTRAINT_DATATYPE }[name?.[2] ?? '']
  return { primary: NUMBERS[name?.[1] ?? ''], extended: special }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : '')
