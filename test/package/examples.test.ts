import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = async (name: string): Promise<string> => {
  const file = fileURLToPath(new URL(`../../examples/${name}/main.mjs`, import.meta.url))
  const { OPENAI_API_KEY: _, OPENAI_BASE_URL: __, ...env } = process.env
  return (await promisify(execFile)(process.execPath, [file], { env })).stdout
}

test('S0.25 S0.26 S0.27 S0.28 the prepaid reseller stops at what was paid less the margin, after one alert', async () => {
  const out = await run('prepaid-reseller')
  expect(out).toContain('paid 50.00 usable 40.00 margin 10.00')
  expect(out).toContain('TK_BUDGET_EXHAUSTED')
  expect(out).toContain('alerts: 80 %\n')
  expect(out).toContain('paid again, and the next call went through')
}, 30_000)

test('S0.22 S0.23 agents move to the pool, visibly, and the company is charged once', async () => {
  const out = await run('agents-with-overflow')
  expect(out).toContain('charged to the pool and tenant:company')
  expect(out).toContain('said aloud: a call of hopper moved to the pool')
}, 30_000)

test('S2.15 S2.29 plans hold quotas, and an upgrade keeps what was used', async () => {
  const out = await run('plans-and-quotas')
  expect(out).toContain("[ 'ok', 'TK_BUDGET_CONTENDED' ]")
  expect(out).toContain('TK_REQUEST_TOO_LARGE')
  expect(out).toContain('after the upgrade: 3 of 100 used')
  expect(out).toContain('unknown plans are refused: TK_PLAN_UNKNOWN')
}, 30_000)

test('the quickstart shows a call, its refusals, and books that agree', async () => {
  const out = await run('quickstart')
  for (const code of ['TK_SCOPE_DENIED', 'TK_BUDGET_EXHAUSTED', 'TK_SECRET_NOT_FOUND']) {
    expect(out).toContain(code)
  }
  expect(out).toContain('aborted, estimated')
  expect(out).toContain('nothing held')
}, 30_000)

test('S3.39 a SaaS of two processes on PostgreSQL keeps one limit, and a revoked key dies in both', async () => {
  const out = await run('saas-express-postgres')
  expect(out).toContain('a call at each: 200 200')
  expect(out).toMatch(/200 calls at once: .*"TK_BUDGET_(?:EXHAUSTED|CONTENDED)"/)
  expect(out).toContain('of 0.002 USD, held 0.00')
  expect(out).toContain('refused by the other: TK_KEY_REVOKED')
}, 120_000)
