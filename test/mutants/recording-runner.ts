/**
 * Runs the conformance suite outside a test framework and tells what failed.
 *
 * @module
 */
import { type ConformanceOptions, storageConformance } from '../../src/testing/index.ts'

export interface SuiteReport {
  readonly passed: readonly string[]
  readonly failed: readonly string[]
  readonly skipped: readonly string[]
}

export async function runSuite(options: ConformanceOptions): Promise<SuiteReport> {
  const tests: { title: string; body: () => Promise<void> }[] = []
  const skipped: string[] = []
  const test = Object.assign(
    (title: string, body: () => Promise<void>) => tests.push({ title, body }),
    { skip: (title: string) => skipped.push(title) },
  )
  storageConformance({ describe: (_, body) => body(), test }, options)
  const passed: string[] = []
  const failed: string[] = []
  for (const { title, body } of tests) {
    const ok = await body().then(
      () => true,
      () => false,
    )
    if (ok) passed.push(title)
    else failed.push(title)
  }
  return { passed, failed, skipped }
}
