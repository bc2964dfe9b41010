// Prints the count of a vitest JSON report as one line and fails when anything failed or nothing ran.
// Usage: node scripts/test-summary.mjs <report> <exit status of the whole run>
import { existsSync, readFileSync } from 'node:fs'

const [file = '', status = '1'] = process.argv.slice(2)
const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null
const passed = report?.numPassedTests ?? 0
const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0)

// A file that does not load holds no failed test, and a step before or after the tests is in no report.
const unloaded = (report?.testResults ?? []).filter(
  ({ status, assertionResults }) =>
    status === 'failed' && assertionResults.every((t) => t.status !== 'failed'),
).length
const inReport = (report?.numFailedTests ?? 0) + unloaded
const failed = inReport === 0 && status !== '0' ? 1 : inReport

console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
