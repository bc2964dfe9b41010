import type OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import { acmeBudget, type Installation, install } from '../support/installation.ts'
import {
  chat,
  type ProviderServer,
  startProvider,
  USAGE_COST_NANO,
} from '../support/provider-server.ts'
import { until } from '../support/watched-clock.ts'

const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }
/** Holds about 0.0025 USD: of a budget of 0.004 one call at a time, and costs a hundredth of that. */
const LIMIT = { monthlyUsd: '0.004' }
const WAIT = { waitMs: 60_000 }

let server: ProviderServer
let opened: Installation[]
/** Lets the provider answer the call that has waited longest. */
let answers: (() => void)[]
/** Holds that were asked for so far. */
let asked: Set<string>

beforeEach(async () => {
  answers = []
  asked = new Set()
  server = await startProvider((request, response, count) => {
    answers.push(() => void chat(request, response, count))
  })
  opened = []
})
afterEach(async () => {
  for (const { tk } of opened) await tk.close()
  await server.close()
})

async function open(options: Partial<TenantKeysOptions> = {}): Promise<Installation> {
  const inner = memory()
  const reserve: typeof inner.ledger.reserve = (items) => {
    for (const { holdId } of items) asked.add(holdId)
    return inner.ledger.reserve(items)
  }
  const storage = { ...inner, ledger: { ...inner.ledger, reserve } }
  const installation = await install(server.baseUrl, { ...LIMIT, storage, ...options })
  opened.push(installation)
  return installation
}

/** The client parses an answer only when it is awaited. */
const read = async (client: OpenAI): Promise<unknown> => client.chat.completions.create(ASK)

const sent = (count: number): Promise<void> => until(() => answers.length >= count)

/** Until so many calls have asked for a hold: those that were not sent wait. */
const inLine = (count: number): Promise<void> => until(() => asked.size >= count)

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: unknown) => (TenantKeysError.isInstance(error) ? error.code : String(error)),
  )

describe('BG-8 a call that waits for its budget', () => {
  test('goes out when the one before it is settled; without waitMs it is refused', async () => {
    const { tk, client } = await open()
    const first = read(client())
    await sent(1)
    expect(await codeOf(client().chat.completions.create(ASK))).toBe('TK_BUDGET_CONTENDED')
    const second = read(client(WAIT))
    answers[0]!()
    await first
    await sent(2)
    answers[1]!()
    await second
    expect(await acmeBudget(tk)).toEqual({ used: 2n * USAGE_COST_NANO, held: 0n })
  })

  test('BG-9 many callers are all served, one after the other, as the option waitMs says', async () => {
    const { tk, client } = await open(WAIT)
    const calls = Array.from({ length: 12 }, () => read(client()))
    for (let n = 1; n <= calls.length; n++) {
      await sent(n)
      answers[n - 1]!()
    }
    await Promise.all(calls)
    expect((await acmeBudget(tk)).used).toBe(12n * USAGE_COST_NANO)
  })

  test('a context can turn the waiting off', async () => {
    const { client } = await open(WAIT)
    const first = read(client())
    await sent(1)
    const second = client({ waitMs: 0 }).chat.completions.create(ASK)
    expect(await codeOf(second)).toBe('TK_BUDGET_CONTENDED')
    answers[0]!()
    await first
  })

  test('waits for one of the calls that may run at once', async () => {
    const { tk, client } = await open({ ...WAIT })
    const account = { tenantId: 'acme' }
    await tk.budgets.set({ account, window: 'month', limit: { usd: '10' } })
    await tk.budgets.set({ account, window: 'concurrent', limit: { calls: 2 } })
    const calls = Array.from({ length: 6 }, () => read(client()))
    for (let n = 0; n < 6; n++) {
      await sent(Math.min(n + 2, 6))
      expect(answers.length - n).toBeLessThanOrEqual(2)
      answers[n]!()
    }
    await Promise.all(calls)
    expect(server.requests).toHaveLength(6)
  })

  test('BG-12 leaves when its signal aborts, and never reaches the provider', async () => {
    const { tk, client, receipts } = await open()
    const first = read(client())
    await sent(1)
    const abort = new AbortController()
    const second = client(WAIT).chat.completions.create(ASK, { signal: abort.signal })
    second.catch(() => {})
    await inLine(2)
    abort.abort()
    await expect(second).rejects.toThrow(/abort/i)
    answers[0]!()
    await first
    expect(receipts).toHaveLength(1)
    expect(server.requests).toHaveLength(1)
    expect(await acmeBudget(tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  })

  test('is refused at once when the budget is spent meanwhile', async () => {
    const { tk, client } = await open()
    const first = read(client())
    await sent(1)
    const second = codeOf(client(WAIT).chat.completions.create(ASK))
    await inLine(2)
    const account = { tenantId: 'acme' }
    await tk.budgets.set({ account, window: 'month', limit: { usd: '0.001' } })
    answers[0]!()
    await first
    expect(await second).toBe('TK_BUDGET_EXHAUSTED')
  })

  test('makes no call with a key that was revoked while it waited', async () => {
    const { tk, client, keyId } = await open()
    const first = read(client())
    await sent(1)
    const second = codeOf(client(WAIT).chat.completions.create(ASK))
    await inLine(2)
    await tk.keys.revoke({ tenantId: 'acme', keyId })
    answers[0]!()
    await first
    expect(await second).toBe('TK_KEY_REVOKED')
    expect(server.requests).toHaveLength(1)
    expect((await acmeBudget(tk)).held).toBe(0n)
  })
})

describe('bad values of waitMs and hold', () => {
  test.each([-1, 1.5, 600_001, Number.NaN, '5', null])(
    'waitMs: %s is refused by name',
    async (bad) => {
      const waitMs = bad as number
      await expect(open({ waitMs })).rejects.toMatchObject({
        code: 'TK_CONFIG_INVALID',
        details: { field: 'options.waitMs' },
      })
      const { client } = await open()
      expect(() => client({ waitMs })).toThrow(
        expect.objectContaining({
          code: 'TK_INPUT_INVALID',
          details: expect.objectContaining({ field: 'context.waitMs' }),
        }),
      )
    },
  )

  test.each(['all', '', true, null])('hold: %s is refused by name', async (bad) => {
    const hold = bad as 'grow'
    await expect(open({ hold })).rejects.toMatchObject({
      code: 'TK_CONFIG_INVALID',
      details: { field: 'options.hold' },
    })
    const { client } = await open()
    expect(() => client({ hold })).toThrow(
      expect.objectContaining({
        code: 'TK_INPUT_INVALID',
        details: expect.objectContaining({ field: 'context.hold' }),
      }),
    )
  })
})
