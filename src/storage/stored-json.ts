/**
 * What JSON text in a row may hold: guards for those who read it, since rows may have been edited by
 * others.
 *
 * @module
 */
import type { Amounts, HoldLine } from './ledger-records.ts'

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

export const isDecimalRecord = (value: unknown): value is Readonly<Record<string, string>> =>
  isTextRecord(value) && Object.values(value).every((text) => /^\d{1,19}$/.test(text))

/** JSON has no bigint: decimal strings. Not by a replacer, which costs each text a microsecond. */
export function amountsText(amounts: Amounts): string {
  const texts: Record<string, string> = {}
  for (const unit of Object.keys(amounts)) texts[unit] = String(amounts[unit])
  return JSON.stringify(texts)
}

/** A list of objects that have these fields, of these types. */
export function listOf<T>(
  types: Readonly<Record<keyof T, 'text' | 'int'>>,
): (value: unknown) => value is readonly T[] {
  const fields = Object.entries(types)
  const isItem = (item: unknown): boolean =>
    isRecord(item) &&
    fields.every(([name, type]) =>
      type === 'text' ? isText(item[name]) : Number.isSafeInteger(item[name]),
    )
  return (value): value is readonly T[] => Array.isArray(value) && value.every(isItem)
}

/** An object whose fields are text or null; those in `required` are text. */
export const textFields =
  <T>(fields: readonly (keyof T & string)[], required: readonly (keyof T & string)[]) =>
  (value: unknown): value is T =>
    isRecord(value) &&
    fields.every((name) => isTextOrNull(value[name])) &&
    required.every((name) => isText(value[name]))

export const isLines = listOf<HoldLine>({
  accountId: 'text',
  unit: 'text',
  window: 'text',
  periodStartMs: 'int',
})
