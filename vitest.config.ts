/**
 * Tests. Nothing is retried: a test that passes the second time hides a defect.
 *
 * @module
 */
import { defineConfig } from 'vitest/config'

/** Where .ci/run wants the machine-readable report; unset at a desk. */
const report = process.env.TENANTKEYS_TEST_REPORT

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/services.ts',
    retry: 0,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    coverage: { provider: 'v8', include: ['src/**'] },
  },
})
