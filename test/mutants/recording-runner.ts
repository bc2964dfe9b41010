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
  /** Of the failed: title and error. */
  readonly reasons: readonly string[]
}

/** Bodies that wait for what never comes have failed. */
const waited = (ms: number): Promise<never> =>
  new Promise((_, reject) => setTimeout(() => reject(new Error('no end')), ms).unref())

/** @param limits - `only`: titles with this text, or of which this is true; `patienceMs`: how long a
 * test may take. */
export async function runSuite(
  options: ConformanceOptions,
  limits: {
    readonly only?: string | ((title: string) => boolean)
    readonly patienceMs?: number
  } = {},
): Promise<SuiteReport> {
  const { only, patienceMs } = limits
  const tests: { title: string; body: () => Promise<void> }[] = []
  const skipped: string[] = []
  const test = Object.assign(
    (title: string, body: () => Promise<void>) => tests.push({ title, body }),
    { skip: (title: string) => skipped.push(title) },
  )
  storageConformance({ describe: (_, body) => body(), test }, options)
  const passed: string[] = []
  const failed: string[] = []
  const reasons: string[] = []
  for (const { title, body } of tests) {
    if (typeof only === 'string' && !title.includes(only)) continue
    if (typeof only === 'function' && !only(title)) continue
    const end = patienceMs === undefined ? body() : Promise.race([body(), waited(patienceMs)])
    try {
      await end
      passed.push(title)
    } catch (error) {
      failed.push(title)
      reasons.push(`${title}: ${(error as Error).stack ?? error}`)
    }
  }
  return { passed, failed, skipped, reasons }
}
