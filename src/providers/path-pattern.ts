/**
 * Paths of operations, some of which name the model: `/models/{model}:generateContent`. What stands in
 * the place of braces is decoded, checked, and written anew, so that the provider is asked for exactly
 * the id that the policy was (T-I5).
 *
 * @module
 */
import type { PathValues } from './provider.ts'

/** No slash, no blank, no percent sign, no leading dot: nothing that a server could read otherwise. */
const VALUE = /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,199}$/

/**
 * Compared segment by segment.
 *
 * @returns the values by name; `null` when it is another path; `'invalid'` when it is this one with
 *   something in a place of braces that cannot be an id.
 */
export function matchPath(pattern: string, path: string): PathValues | 'invalid' | null {
  if (!pattern.includes('{')) return pattern === path ? NO_VALUES : null
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return null
  const values: Record<string, string> = {}
  let isValid = true
  for (const [i, segment] of wanted.entries()) {
    const at = place(segment)
    const text = given[i] ?? ''
    if (at === null) {
      if (segment !== text) return null
      continue
    }
    const length = text.length - at.before.length - at.after.length
    if (length < 0 || !text.startsWith(at.before) || !text.endsWith(at.after)) return null
    const value = decoded(text.slice(at.before.length, at.before.length + length))
    if (value === null) isValid = false
    else values[at.name] = value
  }
  return isValid ? values : 'invalid'
}

/** The path with each value encoded in its place. */
export function fillPath(pattern: string, values: PathValues): string {
  if (!pattern.includes('{')) return pattern
  return pattern.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''))
}

const NO_VALUES: PathValues = Object.freeze({})

function place(segment: string): { before: string; name: string; after: string } | null {
  const match = /^([^{]*)\{(\w+)\}([^{]*)$/.exec(segment)
  return match && { before: match[1] ?? '', name: match[2] ?? '', after: match[3] ?? '' }
}

function decoded(text: string): string | null {
  try {
    const value = decodeURIComponent(text)
    return VALUE.test(value) ? value : null
  } catch {
    return null
  }
}
