/**
 * Reads one row column by column. A value that cannot be what we wrote is TK_STORE_CORRUPT, named by
 * table and column, never shown: rows may have been edited by others, and no row is trusted further
 * than its types. How a driver gives integers, flags and bytes is each adapter's own.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Amounts } from './ledger-records.ts'
import { isDecimalRecord } from './stored-json.ts'
import { isUnit } from './vocabulary.ts'

export abstract class RowReader {
  readonly #table: string
  readonly #row: Readonly<Record<string, unknown>>

  constructor(table: string, row: Readonly<Record<string, unknown>>) {
    this.#table = table
    this.#row = row
  }

  text(column: string): string {
    const value = this.#row[column]
    return typeof value === 'string' ? value : this.corrupt(column)
  }

  textOrNull(column: string): string | null {
    return this.#row[column] === null ? null : this.text(column)
  }

  oneOf<T extends string>(column: string, allowed: readonly T[]): T {
    const value = this.text(column)
    return allowed.find((name) => name === value) ?? this.corrupt(column)
  }

  /** An integer of at most 53 bits: times, counts, versions. */
  int(column: string): number {
    const value = Number(this.money(column))
    return Number.isSafeInteger(value) ? value : this.corrupt(column)
  }

  intOrNull(column: string): number | null {
    return this.#row[column] === null ? null : this.int(column)
  }

  /** An integer of 64 bits. */
  abstract money(column: string): bigint

  moneyOrNull(column: string): bigint | null {
    return this.#row[column] === null ? null : this.money(column)
  }

  abstract flag(column: string): boolean

  isNull(column: string): boolean {
    return this.#row[column] === null
  }

  /** The name of a unit. */
  unit(column: string): string {
    const text = this.text(column)
    return isUnit(text) ? text : this.corrupt(column)
  }

  /** Amounts by unit, written by {@link amountsText}. */
  amounts(column: string): Amounts {
    const texts = this.json(column, isDecimalRecord)
    return Object.fromEntries(Object.entries(texts).map(([unit, text]) => [unit, BigInt(text)]))
  }

  /** A copy. */
  abstract bytes(column: string, length?: number): Uint8Array

  /** JSON text whose shape `is` vouches for. */
  json<T>(column: string, is: (value: unknown) => value is T): T {
    const text = this.text(column)
    try {
      const value: unknown = JSON.parse(text)
      if (is(value)) return value
    } catch {
      // Not JSON: corrupt, like JSON of another shape.
    }
    return this.corrupt(column)
  }

  protected value(column: string): unknown {
    return this.#row[column]
  }

  protected corrupt(column: string): never {
    const reason = `column ${column} of table ${this.#table} cannot be read`
    throw new TenantKeysError('TK_STORE_CORRUPT', { reason })
  }
}
