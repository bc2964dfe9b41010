/**
 * How the SQLite drivers give values: integers as bigint, bytes as a view of their own memory.
 *
 * @module
 */
import { RowReader } from '../../storage/row-reader.ts'

export class SqliteRowReader extends RowReader {
  /** An integer of 64 bits. */
  override money(column: string): bigint {
    const value = this.value(column)
    return typeof value === 'bigint' ? value : this.corrupt(column)
  }

  override flag(column: string): boolean {
    const value = this.int(column)
    return value === 0 || value === 1 ? value === 1 : this.corrupt(column)
  }

  /** A copy. libsql returns an ArrayBuffer from `all` and a Buffer from `get`. */
  override bytes(column: string, length?: number): Uint8Array {
    const value = this.value(column)
    if (!(value instanceof Uint8Array || value instanceof ArrayBuffer)) return this.corrupt(column)
    const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : Uint8Array.from(value)
    return length === undefined || bytes.length === length ? bytes : this.corrupt(column)
  }
}
