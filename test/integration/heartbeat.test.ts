import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'
import { type FaultPlan, withFaults } from '../../src/testing/faults.ts'
import { acmeBudget, type Installation, install } from '../support/installation.ts'
import {
  chat,
  chunkOf,
  json,
  openStream,
  type ProviderServer,
  type Stream,
  startProvider,
  USAGE,
  USAGE_COST_NANO,
  usageChunk,
} from '../support/provider-server.ts'
import { until, type WatchedClock, watchedClock } from '../support/watched-clock.ts'

const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }
const STREAM = { ...ASK, stream: true as const }
const TTL_MS = 120_000

let server: ProviderServer
/** The process's time. */
let clock: WatchedClock
/** The store's; `pass` moves both. */
let storeClock: FakeClock
let extended: number[]
let opened: Installation[]

beforeEach(async () => {
  server = await startProvider(chat)
  clock = watchedClock()
  storeClock = fakeClock()
  extended = []
  opened = []
})
afterEach(async () => {
  for (const { tk } of opened) await tk.close()
  await server.close()
})

async function open(
  options: Partial<TenantKeysOptions> = {},
  faults: FaultPlan = () => null,
): Promise<Installation> {
  const inner = memory({ clock: storeClock })
  const extend: Storage['ledger']['extend'] = (items) => {
    extended.push(clock.elapsedMs())
    return inner.ledger.extend(items)
  }
  const storage = withFaults({ ...inner, ledger: { ...inner.ledger, extend } }, faults)
  const installation = await install(server.baseUrl, { storage, clock, ...options })
  opened.push(installation)
  return installation
}

/** Lets time pass in steps, with room for what each of them sets off. */
async function pass(ms: number, stepMs = 5000): Promise<void> {
  for (let at = 0; at < ms; at += stepMs) {
    storeClock.advance(stepMs)
    clock.advance(stepMs)
    for (let n = 0; n < 4; n++) await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A provider that streams what the test sends. */
function streaming(): Promise<Stream> {
  return new Promise((resolve) => {
    server.answer = async ({ body }, response) => {
      const out = openStream(response)
      await out.send(chunkOf(body.model, { role: 'assistant', content: 'word ' }))
      resolve(out)
    }
  })
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  return TenantKeysError.isInstance(error) ? error.code : String(error)
}

describe('a hold lives as long as its call', () => {
  test('it is extended at each third of its TTL, so that a call of 10 minutes is not late', async () => {
    const { tk, client, receipts } = await open()
    const source = streaming()
    const stream = await client().chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    const { held } = await acmeBudget(tk)
    await pass(600_000)
    expect(extended).toEqual(Array.from({ length: 15 }, (_, n) => (n + 1) * 40_000))
    expect(await acmeBudget(tk)).toEqual({ used: 0n, held })
    const out = await source
    await out.send(usageChunk(ASK.model))
    await out.send('[DONE]')
    out.end()
    while (!(await reader.next()).done);
    expect(await acmeBudget(tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
    expect(receipts).toMatchObject([{ outcome: 'completed', late: false }])
  })

  test('also while the provider has not answered yet', async () => {
    const { client, receipts } = await open()
    let answer = (): void => {}
    server.answer = (request, response, count) => {
      answer = () => void chat(request, response, count)
    }
    const call = client().chat.completions.create(ASK)
    await until(() => server.requests.length === 1)
    await pass(600_000)
    answer()
    await call
    expect(receipts).toMatchObject([{ outcome: 'completed', late: false }])
    expect(extended).toHaveLength(15)
  })

  test('a store that fails for less than the hold lives ends nothing', async () => {
    const away = { now: true }
    const { client, receipts } = await open({}, ({ command }) =>
      command === 'ledger.extend' && away.now ? 'lost-request' : null,
    )
    const source = streaming()
    const stream = await client().chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    await pass(95_000)
    away.now = false
    await pass(200_000)
    const out = await source
    await out.send(usageChunk(ASK.model))
    await out.send('[DONE]')
    out.end()
    while (!(await reader.next()).done);
    expect(receipts).toMatchObject([{ outcome: 'completed', late: false }])
  })

  test('a lost reply of an extension does not make the next a mismatch', async () => {
    const { client, receipts } = await open({}, ({ command, count }) =>
      command === 'ledger.extend' && count % 2 === 1 ? 'lost-reply' : null,
    )
    const source = streaming()
    const stream = await client().chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    await pass(400_000)
    const out = await source
    await out.send('[DONE]')
    out.end()
    while (!(await reader.next()).done);
    expect(receipts).toMatchObject([{ outcome: 'completed', late: false }])
  })
})

describe('a call whose hold is lost is ended', () => {
  /** As after a sleep of the machine: the store has gone on, this process finds out at its next look. */
  async function sleepThrough(): Promise<void> {
    storeClock.advance(TTL_MS)
    await pass(40_000)
  }

  test('a stream ends with the typed error, is charged by estimate, and the provider is cut off', async () => {
    const { tk, client, receipts, events } = await open()
    void streaming()
    const stream = await client().chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    expect((await reader.next()).value.choices[0].delta.content).toBe('word ')
    await sleepThrough()
    expect(await codeOf(reader.next())).toBe('TK_BUDGET_HOLD_LOST')
    await server.requests[0]!.closedEarly
    expect(receipts).toMatchObject([{ outcome: 'aborted', quality: 'estimated', late: true }])
    expect(events.filter((e) => e.kind === 'call.stopped')).toMatchObject([
      { code: 'TK_BUDGET_HOLD_LOST', tenantId: 'acme', holdId: receipts[0]!.attemptId },
    ])
    const { used, held } = await acmeBudget(tk)
    expect(used).toBeGreaterThan(0n)
    expect(held).toBe(0n)
  })

  test('a call that was not answered yet is refused with the typed error, and charged by estimate', async () => {
    const { client, receipts } = await open()
    server.answer = () => {}
    const call = codeOf(client().chat.completions.create(ASK))
    await until(() => server.requests.length === 1)
    await sleepThrough()
    expect(await call).toBe('TK_BUDGET_HOLD_LOST')
    await server.requests[0]!.closedEarly
    expect(receipts).toMatchObject([{ outcome: 'aborted', quality: 'estimated' }])
  })

  test.each([
    ['hands the reason on', false],
    ['makes an error of its own of it', true],
  ])(
    'an answer that is still being read breaks off with the typed error, where fetch %s',
    async (_, breaks) => {
      const own = async (...[input, init]: Parameters<typeof fetch>): Promise<Response> => {
        const start = (controller: ReadableStreamDefaultController): void => {
          init?.signal?.addEventListener('abort', () => controller.error(new Error('closed')))
        }
        if (breaks) return new Response(new ReadableStream({ start }))
        return fetch(input, init)
      }
      const { tk, key, receipts } = await open({ fetch: own })
      server.answer = (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write('{"id": ')
      }
      const url = 'https://api.openai.com/v1/chat/completions'
      const response = await tk.fetch({ key, onReceipt: (r) => receipts.push(r) })(url, {
        method: 'POST',
        body: JSON.stringify(ASK),
      })
      const reading = codeOf(response.json())
      await sleepThrough()
      expect(await reading).toBe('TK_BUDGET_HOLD_LOST')
      expect(receipts).toMatchObject([{ outcome: 'aborted', quality: 'estimated' }])
    },
  )

  test('a store that stays away ends the call before the hold expires', async () => {
    const { client, receipts } = await open({}, ({ command }) =>
      command === 'ledger.extend' ? 'lost-request' : null,
    )
    void streaming()
    const stream = await client().chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    await pass(105_000)
    expect(receipts).toEqual([])
    await pass(10_000)
    expect(await codeOf(reader.next())).toBe('TK_BUDGET_HOLD_LOST')
    expect(receipts).toMatchObject([{ outcome: 'aborted', late: false }])
  })

  test('a store that never answers an extension ends it as well', async () => {
    const { client, receipts } = await open({}, ({ command }) =>
      command === 'ledger.extend' ? new Promise<void>(() => {}) : null,
    )
    void streaming()
    const stream = await client().chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    await pass(115_000)
    expect(await codeOf(reader.next())).toBe('TK_BUDGET_HOLD_LOST')
    expect(receipts).toMatchObject([{ outcome: 'aborted', late: false }])
  })

  test('an answer that nobody reads gives its hold back after 11 minutes', async () => {
    const { tk, client, receipts } = await open()
    void streaming()
    const response = await client().chat.completions.create(STREAM).asResponse()
    expect(response.ok).toBe(true)
    await pass(655_000)
    expect((await acmeBudget(tk)).held).toBeGreaterThan(0n)
    await pass(20_000)
    expect((await acmeBudget(tk)).held).toBe(0n)
    expect(receipts).toMatchObject([{ outcome: 'aborted', quality: 'estimated', late: false }])
    expect(clock.timers()).toBe(0)
  })
})

describe('a stream whose caller waits may be silent for as long as its connection stands', () => {
  test('20 minutes without a byte end nothing: the caller gets what comes then, and its true cost', async () => {
    const { tk, client, receipts } = await open()
    const source = streaming()
    const stream = await client().chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    const next = reader.next()
    await pass(1_200_000)
    expect((await acmeBudget(tk)).held).toBeGreaterThan(0n)
    const out = await source
    await out.send(chunkOf(ASK.model, { content: 'late' }))
    expect((await next).value.choices[0].delta.content).toBe('late')
    await out.send(usageChunk(ASK.model))
    await out.send('[DONE]')
    out.end()
    while (!(await reader.next()).done);
    expect(await acmeBudget(tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
    expect(receipts).toMatchObject([{ outcome: 'completed', quality: 'measured', late: false }])
  })

  test('also while a hold grows with it', async () => {
    const { client, receipts } = await open({ hold: 'grow' })
    const source = streaming()
    const stream = await client().chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    const next = reader.next()
    await pass(1_200_000)
    const out = await source
    await out.send(usageChunk(ASK.model))
    await out.send('[DONE]')
    out.end()
    await next
    expect(receipts).toMatchObject([{ outcome: 'completed', quality: 'measured', late: false }])
  })

  test('one whose caller has stopped asking gives its hold back after 11 minutes', async () => {
    const { tk, client, receipts } = await open()
    void streaming()
    const stream = await client().chat.completions.create(STREAM)
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    await pass(655_000)
    expect((await acmeBudget(tk)).held).toBeGreaterThan(0n)
    await pass(20_000)
    expect((await acmeBudget(tk)).held).toBe(0n)
    expect(receipts).toMatchObject([{ outcome: 'aborted', quality: 'estimated', late: false }])
    expect(await codeOf(reader.next())).toBe('TK_BUDGET_HOLD_LOST')
  })

  test('the caller that waits may still be ended: by its own signal, and by a hold that is lost', async () => {
    const { client, receipts } = await open()
    void streaming()
    const abort = new AbortController()
    const stream = await client().chat.completions.create(STREAM, { signal: abort.signal })
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    const next = reader.next()
    await pass(800_000)
    abort.abort()
    // The SDK takes an abort of a stream for its end.
    expect(await next).toMatchObject({ done: true })
    expect(receipts).toMatchObject([{ outcome: 'aborted', quality: 'estimated', late: false }])

    void streaming()
    const other = (await client().chat.completions.create(STREAM))[Symbol.asyncIterator]()
    await other.next()
    const code = codeOf(other.next())
    storeClock.advance(TTL_MS)
    await pass(40_000)
    expect(await code).toBe('TK_BUDGET_HOLD_LOST')
  })
})

describe('an answer that is read may take as long as it takes', () => {
  /** A provider that begins an answer, and ends it when the test says so. */
  function slowJson(): Promise<(piece: string, ends?: boolean) => void> {
    return new Promise((resolve) => {
      server.answer = (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write(' ')
        resolve((piece, ends) => (ends ? response.end(piece) : response.write(piece)))
      }
    })
  }
  const TEXT = JSON.stringify({ model: ASK.model, choices: [], usage: USAGE })

  const begun = async ({ tk, key }: Installation) => {
    const source = slowJson()
    const response = await tk.fetch({ key })(`${server.baseUrl}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify(ASK),
    })
    return { response, write: await source }
  }

  test('as a whole', async () => {
    const installation = await open()
    const { response, write } = await begun(installation)
    const answer = response.json()
    await pass(1_200_000)
    write(TEXT, true)
    expect(await answer).toEqual(JSON.parse(TEXT))
    expect(await acmeBudget(installation.tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  })

  test('piece by piece', async () => {
    const installation = await open()
    const { response, write } = await begun(installation)
    const reader = response.body!.getReader()
    for (let n = 0; n < 4; n++) {
      await reader.read()
      await pass(400_000)
      write(' ')
    }
    await reader.read()
    const waiting = reader.read()
    await pass(1_200_000)
    write(' ')
    await waiting
    write(TEXT, true)
    while (!(await reader.read()).done);
    expect(await acmeBudget(installation.tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  })
})

describe('the heartbeat stops with the call', () => {
  const EXITS: readonly [string, (at: Installation) => Promise<unknown>][] = [
    ['a complete answer', ({ client }) => client().chat.completions.create(ASK)],
    [
      'a stream read to its end',
      async ({ client }) => {
        for await (const _ of await client().chat.completions.create(STREAM));
      },
    ],
    [
      'a stream that is left early',
      async ({ client }) => {
        for await (const _ of await client().chat.completions.create(STREAM)) break
      },
    ],
    [
      'an error of the provider',
      ({ client }) => {
        server.answer = (_, response) => json(response, { error: {} }, 500)
        return client().chat.completions.create(ASK)
      },
    ],
    [
      'a connection that breaks before any answer',
      ({ client }) => {
        server.answer = (_, response) => response.destroy()
        return client().chat.completions.create(ASK)
      },
    ],
    [
      'a stream that breaks',
      async ({ client }) => {
        server.answer = async ({ body }, response) => {
          const out = openStream(response)
          await out.send(chunkOf(body.model, { content: 'word' }))
          out.destroy()
        }
        for await (const _ of await client().chat.completions.create(STREAM));
      },
    ],
    [
      'a provider that cannot be reached',
      async ({ client }) => {
        await server.close()
        return client().chat.completions.create(ASK)
      },
    ],
    [
      'an abort before the answer',
      async ({ client }) => {
        server.answer = () => {}
        const abort = new AbortController()
        const call = client().chat.completions.create(ASK, { signal: abort.signal })
        await until(() => server.requests.length === 1)
        abort.abort()
        await call
      },
    ],
    [
      'an abort of a stream',
      async ({ client }) => {
        void streaming()
        const stream = await client().chat.completions.create(STREAM)
        for await (const _ of stream) stream.controller.abort()
      },
    ],
    [
      'a budget that refuses',
      async ({ tk, client }) => {
        const account = { tenantId: 'acme' }
        await tk.budgets.set({ account, window: 'month', limit: { usd: '0' } })
        return client().chat.completions.create(ASK)
      },
    ],
  ]
  test.each(EXITS)('after %s', async (_, run) => {
    const at = await open()
    await run(at).catch(() => {})
    await at.tk.flush()
    expect(clock.timers()).toBe(0)
    expect(clock.held()).toBe(0)
    await pass(TTL_MS)
    expect(extended).toEqual([])
  })
})
