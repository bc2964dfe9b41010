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
    // Files wait for servers and processes as much as they compute: one for each core.
    maxWorkers: '100%',
    retry: 0,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    coverage: { provider: 'v8', include: ['src/**'] },
  },
})
