/**
 * Finds the shared test data beside the project. It is not part of the project: without it a test is
 * skipped, loudly; with TENANTKEYS_REQUIRE_ALL=1 its absence fails.
 *
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'vitest'

/** Contents of a file below `../shared/vectors`, or `null` when it is not there. */
export function readVectors(path: string): string | null {
  const url = new URL(`../../../shared/vectors/${path}`, import.meta.url)
  if (existsSync(url)) return readFileSync(url, 'utf8')
  if (process.env.TENANTKEYS_REQUIRE_ALL === '1') {
    throw new Error(`${path} is required and not there`)
  }
  console.warn(`SKIPPED: no shared vectors (${path}); nothing below was compared with real data`)
  test.skip(`vectors of ${path}: not there, so nothing was compared`, () => {})
  return null
}
