import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const main = (name: string): string =>
  fileURLToPath(new URL(`../../examples/${name}/main.mjs`, import.meta.url))

const run = async (name: string, env: NodeJS.ProcessEnv = {}): Promise<string> => {
  const { OPENAI_API_KEY: _, OPENAI_BASE_URL: __, ...own } = process.env
  return (await execute(process.execPath, [main(name)], { env: { ...own, ...env } })).stdout
}

const execute = promisify(execFile)

test('S0.25 S0.26 S0.27 S0.28 the prepaid reseller stops at what was paid less the margin, after one alert', async () => {
  const out = await run('prepaid-reseller')
  expect(out).toContain('paid 50.00 usable 40.00 margin 10.00')
  expect(out).toContain('TK_BUDGET_EXHAUSTED')
  expect(out).toContain('alerts: 80 %\n')
  expect(out).toContain('paid again, and the next call went through')
})

test('S0.22 S0.23 agents move to the pool, visibly, and the company is charged once', async () => {
  const out = await run('agents-with-overflow')
  expect(out).toContain('charged to the pool and tenant:company')
  expect(out).toContain('said aloud: a call of hopper moved to the pool')
})

test('S2.15 S2.29 plans hold quotas, and an upgrade keeps what was used', async () => {
  const out = await run('plans-and-quotas')
  expect(out).toContain("[ 'ok', 'TK_BUDGET_CONTENDED' ]")
  expect(out).toContain('TK_REQUEST_TOO_LARGE')
  expect(out).toContain('after the upgrade: 3 of 100 used')
  expect(out).toContain('unknown plans are refused: TK_PLAN_UNKNOWN')
})

describe('the quickstart', () => {
  /** The line of the first table that begins with the name of a tenant. */
  const figuresOf = (out: string, tenant: string): string[] =>
    out
      .match(new RegExp(`^ +${tenant} +\\d.*$`, 'm'))![0]
      .trim()
      .split(/ {2,}/)

  test('shows four clients, refusals and books that agree, and calls nobody else', async () => {
    // What a developer's machine may have in its environment is neither used nor shown.
    const canary = `sk-${'canary'.repeat(5)}`
    const nowhere = 'http://127.0.0.1:9/nowhere'
    const out = await run('quickstart', {
      OPENAI_API_KEY: canary,
      ANTHROPIC_API_KEY: canary,
      OPENAI_BASE_URL: nowhere,
      ANTHROPIC_BASE_URL: nowhere,
    })
    expect(out).not.toContain('canary')
    for (const client of ['`openai` package', '`@anthropic-ai/sdk` package', 'AI SDK', 'vLLM']) {
      expect(out).toContain(client)
    }
    for (const code of ['MODEL_DENIED', 'SECRET_NOT_FOUND', 'ORIGIN_DENIED', 'KEY_REVOKED']) {
      expect(out).toContain(`TK_${code}`)
    }
    expect(out).toContain('aborted, estimated')
    expect(out).toMatch(
      /one by one +\d+ more answered, then a TenantKeysError:\n.*TK_BUDGET_EXHAUSTED/,
    )
    expect(out.split('\n').filter((line) => line.length > 100)).toEqual([])

    const [acme, globex, umbrella] = ['acme', 'globex', 'umbrella'].map((id) => figuresOf(out, id))
    // Two calls measured, one left early; its own key paid.
    expect([acme![1], acme![5]]).toEqual(['3', '0.000000000'])
    // 24 tokens in at 1 USD and 36 out at 5 USD per million, billed with 50 % on top.
    expect(globex!.slice(1, 6)).toEqual(['2', '24', '36', '0.000204000', '0.000306000'])
    expect(umbrella!.slice(1)).toEqual([
      '1',
      '11',
      '18',
      '0.000000000',
      '0.000000000',
      '4971 of 5000 tokens',
    ])
    // The comparison: a ledger and a usage figure for each of the four, and for all together.
    const compared = [...out.matchAll(/ {2}(?:usd|tokens) +([\d.]+) +([\d.]+) +([\d.]+)$/gm)]
    expect(compared.map(([, ledger, usage, held]) => [ledger === usage, Number(held)])).toEqual(
      Array.from({ length: 5 }, () => [true, 0]),
    )
    expect(out.match(/^ +ok /gm)).toHaveLength(7)
    expect(out).toMatch(/nothing left this machine: [1-9]\d* connections/)
  })

  /** What a program did that is expected to fail. */
  const failure = async (args: string[]): Promise<{ code: number; stderr: string }> => {
    const failed = await execute(process.execPath, args).catch((error) => error)
    return { code: failed.code, stderr: failed.stderr }
  }
  const preload = (code: string): string[] => [
    '--import',
    `data:text/javascript,${encodeURIComponent(code)}`,
  ]

  test('fails when a connection goes elsewhere', async () => {
    // With the first connection opens another, whose name is never looked up: no packet is sent.
    const elsewhere = `
      import { connect } from 'node:net'
      import { subscribe, unsubscribe } from 'node:diagnostics_channel'
      const first = () => {
        unsubscribe('net.client.socket', first)
        connect({ host: 'elsewhere.example', port: 9, lookup: () => {} }).unref()
      }
      subscribe('net.client.socket', first)`
    const { code, stderr } = await failure([...preload(elsewhere), main('quickstart')])
    expect(stderr).toContain('this promise does not hold: nothing left this machine')
    expect(code).toBe(1)
  })

  test('fails when a provider says other figures than it counted', async () => {
    // In the process of the stand-in, which is the one with a parent.
    const lie = `
      const stringify = JSON.stringify
      JSON.stringify = (value, ...more) => {
        const usage = process.send && value?.usage
        if (usage?.completion_tokens) usage.total_tokens = usage.prompt_tokens + ++usage.completion_tokens
        return stringify(value, ...more)
      }`
    const { code, stderr } = await failure([...preload(lie), main('quickstart')])
    expect(stderr).toContain('this promise does not hold: the stand-in counted')
    expect(code).toBe(1)
  })

  test.each([
    ['a nano-dollar more in the ledger', '{ unit: "usd", usedAmount: 3n, heldAmount: 0n }'],
    ['a hold that was forgotten', '{ unit: "usd", usedAmount: 2n, heldAmount: 1n }'],
  ])('fails on %s', async (_, budget) => {
    const books = new URL('books.mjs', new URL(`file://${main('quickstart')}`)).href
    const program = `
      import { compared } from '${books}'
      compared('acme', { unit: 'usd', usedAmount: 2n, heldAmount: 0n }, { costNanoUsd: 2n })
      console.error('the honest ones pass')
      compared('acme', ${budget}, { costNanoUsd: 2n })`
    const { code, stderr } = await failure(['--input-type=module', '-e', program])
    expect(stderr).toContain('the honest ones pass')
    expect(code).toBe(1)
  })
})

test('S3.39 a SaaS of two processes on PostgreSQL keeps one limit, and a revoked key dies in both', async () => {
  const out = await run('saas-express-postgres')
  expect(out).toContain('a call at each: 200 200')
  expect(out).toMatch(/200 calls at once: .*"TK_BUDGET_(?:EXHAUSTED|CONTENDED)"/)
  expect(out).toContain('of 0.002 USD, held 0.00')
  expect(out).toContain('refused by the other: TK_KEY_REVOKED')
})
