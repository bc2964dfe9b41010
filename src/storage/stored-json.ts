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

export const isLines = listOf<HoldLine>({
  accountId: 'text',
  unit: 'text',
  window: 'text',
  periodStartMs: 'int',
})
