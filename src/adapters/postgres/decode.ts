/**
 * How we read values from PostgreSQL: every column was selected as text, whatever its type (see
 * executor.ts): integers as decimal digits, bytes as hex, JSON as itself.
 *
 * @module
 */
import { fromHex } from '../../kernel/encoding.ts'
import { RowReader } from '../../storage/row-reader.ts'

export class PgRowReader extends RowReader {
  /** An integer of 64 bits. */
  override money(column: string): bigint {
    const text = this.text(column)
    return /^-?\d{1,19}$/.test(text) ? BigInt(text) : this.corrupt(column)
  }

  /** Selected as `column::text`. */
  override flag(column: string): boolean {
    return this.oneOf(column, ['true', 'false']) === 'true'
  }

  /** A sum of such integers, not negative, which may be longer. */
  sum(column: string): bigint {
    const text = this.text(column)
    return /^\d{1,40}$/.test(text) ? BigInt(text) : this.corrupt(column)
  }

  /** Selected as `encode(column, 'hex')`. */
  override bytes(column: string, length?: number): Uint8Array {
    const bytes = fromHex(this.text(column))
    if (bytes === null || (length !== undefined && bytes.length !== length)) {
      return this.corrupt(column)
    }
    return bytes
  }
}
