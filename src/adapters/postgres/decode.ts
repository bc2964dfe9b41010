/**
 * Reads one row column by column. Every column was selected as text, whatever its type (see
 * executor.ts): integers as decimal digits, bytes as hex, JSON as itself. A value that cannot be what
 * we wrote is TK_STORE_CORRUPT, named by table and column, never shown: rows may have been edited by
 * others, and no row is trusted further than its types.
 *
 * @module
 */
import { isUnit } from '../../budgets/amounts.ts'
import { fromHex } from '../../kernel/encoding.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { Amounts } from '../../storage/ledger-records.ts'
import type { PgRow } from './executor.ts'

export class RowReader {
  readonly #table: string
  readonly #row: PgRow

  constructor(table: string, row: PgRow) {
    this.#table = table
    this.#row = row
  }

  text(column: string): string {
    const value = this.#row[column]
    return typeof value === 'string' ? value : this.#corrupt(column)
  }

  textOrNull(column: string): string | null {
    return this.#row[column] === null ? null : this.text(column)
  }

  oneOf<T extends string>(column: string, allowed: readonly T[]): T {
    const value = this.text(column)
    return allowed.find((name) => name === value) ?? this.#corrupt(column)
  }

  /** An integer of at most 53 bits: times, counts, versions. */
  int(column: string): number {
    const value = Number(this.money(column))
    return Number.isSafeInteger(value) ? value : this.#corrupt(column)
  }

  intOrNull(column: string): number | null {
    return this.#row[column] === null ? null : this.int(column)
  }

  /** An integer of 64 bits. */
  money(column: string): bigint {
    const text = this.text(column)
    return /^-?\d{1,19}$/.test(text) ? BigInt(text) : this.#corrupt(column)
  }

  moneyOrNull(column: string): bigint | null {
    return this.#row[column] === null ? null : this.money(column)
  }

  /** Selected as `column::text`. */
  flag(column: string): boolean {
    return this.oneOf(column, ['true', 'false']) === 'true'
  }

  /** A sum of such integers, not negative, which may be longer. */
  sum(column: string): bigint {
    const text = this.text(column)
    return /^\d{1,40}$/.test(text) ? BigInt(text) : this.#corrupt(column)
  }

  isNull(column: string): boolean {
    return this.#row[column] === null
  }

  /** The name of a unit. */
  unit(column: string): string {
    const text = this.text(column)
    return isUnit(text) ? text : this.#corrupt(column)
  }

  /** Amounts by unit, written by {@link amountsText}. */
  amounts(column: string): Amounts {
    const texts = this.json(column, isDecimalRecord)
    return Object.fromEntries(Object.entries(texts).map(([unit, text]) => [unit, BigInt(text)]))
  }

  /** Selected as `encode(column, 'hex')`. */
  bytes(column: string, length?: number): Uint8Array {
    const bytes = fromHex(this.text(column))
    if (bytes === null || (length !== undefined && bytes.length !== length)) {
      return this.#corrupt(column)
    }
    return bytes
  }

  /** JSON text whose shape `is` vouches for. */
  json<T>(column: string, is: (value: unknown) => value is T): T {
    const text = this.text(column)
    try {
      const value: unknown = JSON.parse(text)
      if (is(value)) return value
    } catch {
      // Not JSON: corrupt, like JSON of another shape.
    }
    return this.#corrupt(column)
  }

  #corrupt(column: string): never {
    const reason = `column ${column} of table ${this.#table} cannot be read`
    throw new TenantKeysError('TK_STORE_CORRUPT', { reason })
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isText = (value: unknown): value is string => typeof value === 'string'
const isTextOrNull = (value: unknown): value is string | null => value === null || isText(value)

export const isTextList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(isText)

export const isTextRecord = (value: unknown): value is Readonly<Record<string, string>> =>
  isRecord(value) && Object.values(value).every(isText)

export const isCountRecord = (value: unknown): value is Readonly<Record<string, number>> =>
  isRecord(value) && Object.values(value).every((count) => Number.isFinite(count))

const isDecimalRecord = (value: unknown): value is Readonly<Record<string, string>> =>
  isTextRecord(value) && Object.values(value).every((text) => /^\d{1,19}$/.test(text))

/** JSON has no bigint: decimal strings. */
export const amountsText = (amounts: Amounts): string =>
  JSON.stringify(amounts, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  )

/** A list of objects that have these fields, of these types. */
export const listOf =
  <T>(fields: Readonly<Record<keyof T, 'text' | 'int'>>) =>
  (value: unknown): value is readonly T[] =>
    Array.isArray(value) &&
    value.every(
      (item) =>
        isRecord(item) &&
        Object.entries(fields).every(([name, type]) =>
          type === 'text' ? isText(item[name]) : Number.isSafeInteger(item[name]),
        ),
    )

/** An object whose fields are text or null; those in `required` are text. */
export const textFields =
  <T>(fields: readonly (keyof T & string)[], required: readonly (keyof T & string)[]) =>
  (value: unknown): value is T =>
    isRecord(value) &&
    fields.every((name) => isTextOrNull(value[name])) &&
    required.every((name) => isText(value[name]))
