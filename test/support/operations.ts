/**
 * Operations of the catalogue, found by provider and path, and read as the corridor reads them.
 *
 * @module
 */
import { expect } from 'vitest'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import type {
  ModelLimits,
  Operation,
  PathValues,
  RequestReading,
} from '../../src/providers/provider.ts'

export const KNOWN: ModelLimits = { contextWindow: 200_000, maxOutput: 64_000 }
export const UNKNOWN: ModelLimits = { contextWindow: null, maxOutput: null }

export function operationOf(provider: string, path: string | RegExp): Operation {
  const found = PROVIDERS.get(provider)?.operations.find((o) =>
    typeof path === 'string' ? o.path === path : path.test(o.path),
  )
  if (found === undefined) throw new Error(`${provider} has no ${path}`)
  return found
}

export const every: readonly { id: string; operation: Operation }[] = [
  ...PROVIDERS.values(),
].flatMap(({ id, operations }) => operations.map((operation) => ({ id, operation })))

/** An id in every place that the path of an operation leaves open. */
export const valuesOf = ({ path }: Operation): PathValues =>
  Object.fromEntries([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name ?? '', 'a-model']))

export const reader =
  (operation: Operation, base: object) =>
  (own: object = {}, limits: ModelLimits = KNOWN): RequestReading =>
    operation.read(JSON.stringify({ ...base, ...own }), valuesOf(operation)).bound(limits)

export const refusal = (code: string, field: string) =>
  expect.objectContaining({ code, details: expect.objectContaining({ field }) })
