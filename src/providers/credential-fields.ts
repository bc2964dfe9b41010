/**
 * What an error says of a credential whose fields are not those of its provider: their names, never a
 * value.
 *
 * @module
 */
import type { Provider } from './provider.ts'

/** For example `the fields of openai: apiKey, endpoint (optional)`. */
export function fieldsHint({ id, credential }: Provider): string {
  const names = Object.entries(credential).map(([name, { required }]) =>
    required ? name : `${name} (optional)`,
  )
  return `the fields of ${id}: ${names.join(', ')}`
}
