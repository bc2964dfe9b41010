/**
 * A parsed JSON value, looked at without trust.
 *
 * @module
 */

export type JsonObject = Readonly<Record<string, unknown>>

/** `null` for everything that is no JSON object, arrays included. */
export function asObject(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : null
}

/** A list, else an empty one. */
export const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** A field that is absent or `null` says nothing. */
export const isGiven = (value: unknown): boolean => value !== undefined && value !== null
