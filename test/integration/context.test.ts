/**
 * S4.22: a context that travels with what a function starts.
 *
 * @module
 */
import OpenAI from 'openai'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createAmbient } from '../../src/kernel/ambient.ts'
import { type ClientBench, MODEL, openClientBench } from '../support/client-bench.ts'
import { answering, openaiChat } from '../support/wire.ts'

const ASK = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hello' }] }

let bench: ClientBench
beforeEach(async () => {
  bench = await openClientBench()
  bench.server.answer = answering(openaiChat)
})
afterEach(() => bench[Symbol.asyncDispose]())

const tagged = (who: string) => bench.context({ tags: { who } })
const tags = async (): Promise<string[]> => {
  const { events } = await bench.storage.outbox.lease({ limit: 100, leaseMs: 60_000 })
  return events
    .filter(({ kind }) => kind === 'usage')
    .map(({ payload }) => (JSON.parse(payload) as { tags: { who: string } }).tags.who)
}

test('S4.22 runs side by side, nested, in timers and after them keep apart', async () => {
  const client = bench.tk.withTenantKey(new OpenAI({ apiKey: 'unused' }))
  const call = (): Promise<unknown> => client.chat.completions.create(ASK)
  await Promise.all([
    bench.tk.run(tagged('a'), async () => {
      await call()
      await bench.tk.run(tagged('nested'), call)
      await call()
    }),
    bench.tk.run(tagged('b'), () => new Promise((done) => setTimeout(() => done(call()), 5))),
    bench.tk.run(tagged('c'), () => Promise.resolve().then(call)),
  ])
  expect((await tags()).sort()).toEqual(['a', 'a', 'b', 'c', 'nested'])
})

test('S4.22 an explicit context counts, also inside a run', async () => {
  const client = bench.tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), tagged('explicit'))
  await bench.tk.run(tagged('ambient'), () => client.chat.completions.create(ASK))
  expect(await tags()).toEqual(['explicit'])
})

test('S4.22 tk.fetch() looks for it at each call, and refuses where there is none', async () => {
  const fetch = bench.tk.fetch()
  const post = (): Promise<Response> =>
    fetch('https://api.openai.com/v1/chat/completions', {
      method: 'POST',
      body: JSON.stringify(ASK),
    })
  await expect(post()).rejects.toMatchObject({ code: 'TK_CONTEXT_MISSING' })
  await bench.tk.run(tagged('a'), async () => (await post()).json())
  await expect(post()).rejects.toMatchObject({ code: 'TK_CONTEXT_MISSING' })
  expect(bench.server.requests).toHaveLength(1)
})

test('S4.22 run returns what its function returns, and checks the context first', () => {
  expect(bench.tk.run(tagged('a'), () => 7)).toBe(7)
  expect(() => bench.tk.run({} as never, () => 7)).toThrow(
    expect.objectContaining({ code: 'TK_INPUT_INVALID' }),
  )
  expect(() => bench.tk.run({ ...tagged('a'), provider: 'openai' }, () => 7)).toThrow(
    expect.objectContaining({ details: expect.objectContaining({ field: 'context.provider' }) }),
  )
})

test('a tenant that the host vouches for needs no key, and no account of one is charged', async () => {
  const context = { tenantId: 'acme', scope: 'chat', onReceipt: bench.context().onReceipt }
  const client = bench.tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), context)
  await client.chat.completions.create(ASK)
  expect(bench.receipts).toMatchObject([{ keyId: null, tenantId: 'acme', scope: 'chat' }])
  expect(bench.receipts[0]!.budgets.map(({ account }) => account)).toEqual(['tenant:acme'])
  const nobody = bench.tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), {
    ...context,
    tenantId: 'nobody',
  })
  await expect(nobody.chat.completions.create(ASK)).rejects.toMatchObject({
    code: 'TK_TENANT_NOT_FOUND',
  })
})

test('a runtime without AsyncLocalStorage has no ambient context', () => {
  const { getBuiltinModule } = process
  try {
    process.getBuiltinModule = (() => undefined) as never
    expect(createAmbient()).toBeNull()
  } finally {
    process.getBuiltinModule = getBuiltinModule
  }
})
