/**
 * The stream governor through every client, each with the stream format of its provider: what comes is
 * counted in all of them, and a hold that cannot grow ends all of them.
 *
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type ClientBench, MODEL, openClientBench } from '../support/client-bench.ts'
import { CLIENT_CASES } from '../support/client-cases.ts'
import type { ClientCase } from '../support/clients/client-case.ts'
import { paced } from '../support/paced.ts'
import type { Piece } from '../support/wire.ts'

/** Models that show all they write, where it takes more than any name. */
const MODELS: Readonly<Record<string, string>> = {
  bedrock: 'meta.llama3-1-8b-instruct-v1:0',
  google: 'gemini-2.0-flash',
}
/** Providers whose models may all think unseen. */
const HIDING = ['openrouter']

/** 2 USD per million, as the bench has it. */
const OUTPUT_NANO = 2000n
const SLICE = 256n * OUTPUT_NANO
/** One token, and with the one that ends an answer 461 after 460 of them: 90 % of 512. */
const WORD = 'ab '
const LAST = 460

const CASES = CLIENT_CASES.filter(({ provider }) => !HIDING.includes(provider))

let bench: ClientBench
/** US dollars that the reserve asked for, then each extension. */
let asked: bigint[]
/** Words that the provider was made to write. */
let written: number

beforeEach(() => {
  asked = []
  written = 0
})
afterEach(() => bench[Symbol.asyncDispose]())

async function open(client: ClientCase, more: { fetch?: typeof fetch } = {}): Promise<string> {
  const inner = memory()
  const ledger: Storage['ledger'] = {
    ...inner.ledger,
    reserve: (items) => {
      asked.push(...items.map((item) => item.amounts.usd!))
      return inner.ledger.reserve(items)
    },
    extend: (items) => {
      asked.push(...items.map((item) => item.amounts.usd!))
      return inner.ledger.extend(items)
    },
  }
  const model = MODELS[client.provider] ?? MODEL
  const scope = { providers: [...PROVIDERS.keys()], models: ['*'] }
  const rates = { inputUsdPerMTok: '1', outputUsdPerMTok: '2', contextWindow: 128_000 }
  const { provider } = client
  bench = await openClientBench({
    storage: { ...inner, ledger },
    policy: definePolicy({ scopes: { chat: scope } }),
    prices: [...new Set([model, MODEL])].map((id) => ({ provider, model: id, ...rates })),
    ...more,
  })
  return model
}

/** Room for the input and so many slices of output, beyond what is used. */
async function leave(slices: bigint, first: bigint): Promise<bigint> {
  const { used } = await bench.budget()
  const limit = used + first + (slices - 1n) * SLICE
  const usd = `${limit / 1_000_000_000n}.${String(limit % 1_000_000_000n).padStart(9, '0')}`
  await bench.tk.budgets.set({ account: { tenantId: 'acme' }, window: 'month', limit: { usd } })
  return limit
}

/** So many words, then the end. */
const words = ({ wire }: ClientCase, count: () => number): typeof fetch =>
  paced(wire, function* (model) {
    yield* wire.head(model)
    while (written < count()) {
      written++
      yield wire.word(model, WORD)
    }
    yield* [...wire.stop(model), ...wire.usage(model), ...wire.end()]
  })

async function readAll(
  client: ClientCase,
  model: string,
): Promise<{ texts: string; code: string }> {
  const bound = client.bind(bench.tk, bench.context({ hold: 'grow' }), { retries: 0 })
  let texts = ''
  try {
    for await (const text of bound.stream({ model })) texts += text
    return { texts, code: 'none' }
  } catch (error) {
    return { texts, code: TenantKeysError.find(error)?.code ?? String(error) }
  }
}

/** In slices of output, beyond what the input takes. */
const slices = (): number[] => asked.map((usd) => Number((usd - asked[0]!) / SLICE) + 1)

describe.each(CASES.map((client) => [client.name, client] as const))('%s', (_, client) => {
  test('a stream that goes past its hold is extended while there is budget', async () => {
    const model = await open(client, { fetch: words(client, () => 1000) })
    expect(await readAll(client, model)).toEqual({ texts: WORD.repeat(1000), code: 'none' })
    expect(slices()).toEqual([1, 2, 4, 8])
    expect(bench.receipts).toMatchObject([{ outcome: 'completed', quality: 'measured' }])
    expect((await bench.budget()).held).toBe(0n)
  })

  test('and is ended by the typed error where there is none: what came is charged, never more than is there', async () => {
    let count = 1
    const model = await open(client, { fetch: words(client, () => count) })
    await readAll(client, model)
    const limit = await leave(2n, asked[0]!)
    asked = []
    written = 0
    count = 5000
    const { texts, code } = await readAll(client, model)
    expect(code).toBe('TK_BUDGET_CONTENDED')
    // The piece that reached 90 % of 512 is the last one read; what a client reads ahead it may drop.
    expect(written).toBe(LAST)
    expect(texts.length).toBeLessThanOrEqual(WORD.length * LAST)
    // Four times the slice and three times were refused.
    expect(slices()).toEqual([1, 2, 4, 3])
    const [, receipt] = bench.receipts
    expect(receipt).toMatchObject({
      outcome: 'aborted',
      quality: 'estimated',
      tokens: { output: LAST + 1 },
      overageNanoUsd: 0n,
    })
    expect(receipt!.costNanoUsd).toBeGreaterThanOrEqual(BigInt(LAST) * OUTPUT_NANO)
    const { used, held } = await bench.budget()
    expect(used).toBeLessThanOrEqual(limit)
    expect(held).toBe(0n)
    expect((await bench.books()).events).toBe(2)
    expect(bench.events.filter(({ kind }) => kind === 'call.stopped')).toHaveLength(1)
  })

  test('over a socket the provider is cut off, and one row says what it cost', async () => {
    const model = await open(client)
    let count = 1
    bench.server.answer = async (_request, response) => {
      const { wire } = client
      const send = (piece: Piece) =>
        new Promise<void>((done) => response.write(piece, () => done()))
      response.writeHead(200, { 'content-type': wire.streamType })
      for (const piece of wire.head(model)) await send(piece)
      for (let n = 0; n < count; n++) await send(wire.word(model, WORD))
      if (count > 1) return
      for (const piece of [...wire.stop(model), ...wire.usage(model), ...wire.end()]) {
        await send(piece)
      }
      response.end()
    }
    await readAll(client, model)
    await leave(2n, asked[0]!)
    count = 5000
    expect((await readAll(client, model)).code).toBe('TK_BUDGET_CONTENDED')
    await bench.server.requests[1]!.closedEarly
    expect(bench.receipts).toHaveLength(2)
    // How many pieces come at once is the socket's affair: at least 90 % of the slice.
    expect(bench.receipts[1]!.tokens.output).toBeGreaterThanOrEqual(231)
    expect((await bench.budget()).held).toBe(0n)
    expect((await bench.books()).events).toBe(2)
  })
})

describe('where output may be hidden', () => {
  const named = CLIENT_CASES.filter(({ provider }) => MODELS[provider] || HIDING.includes(provider))

  test.each(named.map((client) => [client.name, client] as const))(
    '%s refuses a growing hold for a model that may think, before anything is sent',
    async (_, client) => {
      await open(client)
      expect((await readAll(client, MODEL)).code).toBe('TK_BUDGET_UNBOUNDED')
      expect(asked).toEqual([])
      expect(bench.server.requests).toEqual([])
    },
  )
})
