import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { callbackSink } from '../../src/adapters/sinks/callback.ts'
import { memorySink } from '../../src/adapters/sinks/memory.ts'
import type { Timers } from '../../src/kernel/clock.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { acmeBudget, type Installation, install } from '../support/installation.ts'
import {
  chat,
  chunkOf,
  openStream,
  type ProviderServer,
  startProvider,
  USAGE_COST_NANO,
  usageChunk,
} from '../support/provider-server.ts'

const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }

let server: ProviderServer
let opened: Installation[]

beforeEach(async () => {
  server = await startProvider(chat)
  opened = []
})
afterEach(async () => {
  for (const { tk } of opened) await tk.close()
  await server.close()
})

async function open(options: Parameters<typeof install>[1]): Promise<Installation> {
  const installation = await install(server.baseUrl, options)
  opened.push(installation)
  return installation
}

/** A store whose settle waits for the gate, or fails as told, before it reaches the real one. */
function withSettle(before: () => Promise<void>): Storage {
  const inner = memory()
  const settle: Storage['ledger']['settle'] = async (items) => {
    await before()
    return inner.ledger.settle(items)
  }
  return { ...inner, ledger: { ...inner.ledger, settle } }
}

function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

describe('durable before delivered', () => {
  test('the answer waits until its settle is committed', async () => {
    const held = gate()
    const order: string[] = []
    const storage = withSettle(async () => {
      order.push('settle begins')
      await held.opened
      order.push('settle ends')
    })
    const { client } = await open({ storage, settleWaitMs: 60_000 })
    const call = client()
      .chat.completions.create(ASK)
      .then(() => order.push('delivered'))
    while (order.length === 0) await new Promise((resolve) => setImmediate(resolve))
    held.open()
    await call
    expect(order).toEqual(['settle begins', 'settle ends', 'delivered'])
  })

  test('the last chunk of a stream waits, the ones before do not', async () => {
    const held = gate()
    const wordsSeen = gate()
    const order: string[] = []
    server.answer = async ({ body }, response) => {
      const out = openStream(response)
      await out.send(chunkOf(body.model, { content: 'word' }))
      await wordsSeen.opened
      await out.send(usageChunk(body.model))
      await out.send('[DONE]')
      out.end()
    }
    const storage = withSettle(async () => {
      order.push('settle begins')
      await held.opened
    })
    const { client } = await open({ storage, settleWaitMs: 60_000 })
    const stream = await client().chat.completions.create({ ...ASK, stream: true })
    const reading = (async () => {
      for await (const chunk of stream) {
        order.push(chunk.choices[0]?.delta.content ?? '')
        wordsSeen.open()
      }
      order.push('ended')
    })()
    while (order.length < 2) await new Promise((resolve) => setImmediate(resolve))
    expect(order).toEqual(['word', 'settle begins'])
    held.open()
    await reading
    expect(order.at(-1)).toBe('ended')
  })

  test('settle: background delivers at once, and flush waits for the rest', async () => {
    const held = gate()
    const { tk, client } = await open({
      storage: withSettle(() => held.opened),
      settle: 'background',
    })
    const answer = await client().chat.completions.create(ASK)
    expect(answer.choices).toHaveLength(1)
    expect((await acmeBudget(tk)).used).toBe(0n)
    held.open()
    await tk.flush()
    expect(await acmeBudget(tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  })

  test('a store that does not answer in time delays nobody: the answer is delivered, an event says so, the settle follows', async () => {
    const held = gate()
    const { tk, client, events } = await open({
      storage: withSettle(() => held.opened),
      settleWaitMs: 1,
    })
    const answer = await client().chat.completions.create(ASK)
    expect(events.map((e) => e.kind)).toEqual(['settle.delayed'])
    expect(await tk.receiptOf(answer)).toMatchObject({
      settled: false,
      costNanoUsd: USAGE_COST_NANO,
    })
    held.open()
    await tk.flush()
    expect(await acmeBudget(tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  })
})

describe('flush and close have one bound for all of it', () => {
  /** What somebody waits for is over at once; what may be forgotten never comes. */
  function hurried() {
    let nowMs = 0
    let waited = 0
    const after: NonNullable<Timers['after']> = (ms, task, options) => {
      if (options?.unref) return () => {}
      const timer = setImmediate(() => {
        nowMs += ms
        waited += ms
        task()
      })
      return () => clearImmediate(timer)
    }
    const clock = { nowMs: () => Date.now(), elapsedMs: () => nowMs, after }
    return { clock, waited: () => waited }
  }
  const stuck = { kind: 'flush.incomplete', exported: 0, unsettled: 1 }

  test('a settle that the store does not take holds flush up for 10 s, and is told', async () => {
    const held = gate()
    const { clock, waited } = hurried()
    const storage = withSettle(() => held.opened)
    const { tk, client, events } = await open({ storage, settleWaitMs: 1, clock })
    await client().chat.completions.create(ASK)
    expect(await tk.flush()).toEqual({ exported: 0, done: false, unsettled: 1 })
    expect(waited()).toBe(10_000)
    expect(events.at(-1)).toEqual(stuck)
    held.open()
    expect(await tk.flush()).toEqual({ exported: 0, done: true, unsettled: 0 })
    expect(await acmeBudget(tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
  })

  test('events that wait go out meanwhile, and those of a late settle after it', async () => {
    const held = gate()
    const sink = memorySink()
    let settles = 0
    const storage = withSettle(async () => {
      if (settles++ > 0) await held.opened
    })
    const { tk, client } = await open({
      storage,
      settleWaitMs: 1,
      clock: hurried().clock,
      sinks: [sink, callbackSink(({ kind }) => void (kind === 'usage' && held.open()))],
      exporter: { start: false },
    })
    await client().chat.completions.create(ASK)
    await client().chat.completions.create(ASK)
    expect(await tk.flush()).toMatchObject({ done: true, unsettled: 0 })
    expect(sink.events.filter(({ kind }) => kind === 'usage')).toHaveLength(2)
  })

  test('close ends too, says so once, and closes the store', async () => {
    const { clock, waited } = hurried()
    const storage = withSettle(() => new Promise(() => {}))
    const { tk, client, events } = await open({ storage, settleWaitMs: 1, clock })
    await client().chat.completions.create(ASK)
    await Promise.all([tk.close(), tk.close()])
    expect(waited()).toBe(10_000)
    expect(events.filter(({ kind }) => kind === 'flush.incomplete')).toEqual([stuck])
    await expect(tk.tenants.get('acme')).rejects.toMatchObject({ code: 'TK_CLOSED' })
  })

  test('on a busy server a flush waits for what was under way when it was asked for', async () => {
    const held = gate()
    let settles = 0
    const storage = withSettle(async () => {
      if (settles++ > 0) await held.opened
    })
    const { tk, client } = await open({ storage, settle: 'background' })
    await client().chat.completions.create(ASK)
    const flushed = tk.flush()
    await client().chat.completions.create(ASK)
    expect(await flushed).toEqual({ exported: 0, done: true, unsettled: 0 })
    held.open()
  })
})

describe('a settle that fails', () => {
  const unavailable = (outcome: 'none' | 'unknown'): TenantKeysError =>
    new TenantKeysError('TK_STORE_UNAVAILABLE', {}, { outcome })

  test('is tried again, and recorded once', async () => {
    let failures = 1
    const storage = withSettle(async () => {
      if (failures-- > 0) throw unavailable('none')
    })
    const { tk, client } = await open({ storage, settleWaitMs: 60_000 })
    await client().chat.completions.create(ASK)
    const [total] = await tk.usage.query()
    expect(total).toMatchObject({ calls: 1, costNanoUsd: USAGE_COST_NANO })
  })

  test('T-B5 a reply that was lost leads to the same settle again, charged once', async () => {
    const inner = memory()
    let lost = 1
    const settle: Storage['ledger']['settle'] = async (items) => {
      const results = await inner.ledger.settle(items)
      if (lost-- > 0) throw unavailable('unknown')
      return results
    }
    const storage = { ...inner, ledger: { ...inner.ledger, settle } }
    const { tk, client } = await open({ storage, settleWaitMs: 60_000 })
    await client().chat.completions.create(ASK)
    expect(await acmeBudget(tk)).toEqual({ used: USAGE_COST_NANO, held: 0n })
    const [total] = await tk.usage.query()
    expect(total?.calls).toBe(1)
  })

  test('for good is reported, and the answer is delivered all the same', async () => {
    const storage = withSettle(async () => {
      throw new TenantKeysError('TK_STORE_CORRUPT')
    })
    const { client, events, receipts } = await open({ storage })
    const answer = await client().chat.completions.create(ASK)
    expect(answer.choices).toHaveLength(1)
    expect(events).toMatchObject([{ kind: 'settle.failed', code: 'TK_STORE_CORRUPT' }])
    expect(receipts[0]?.settled).toBe(false)
  })
})

test('what onReceipt and onEvent throw goes to the logger and no further', async () => {
  const errors: string[] = []
  const logger = {
    debug() {},
    info() {},
    warn() {},
    error: (message: string) => errors.push(message),
  }
  const { client } = await open({
    logger,
    onEvent: () => {
      throw new Error('host event handler')
    },
  })
  const onReceipt = (): never => {
    throw new Error('host receipt handler')
  }
  const answer = await client({ onReceipt }).chat.completions.create(ASK)
  expect(answer.choices).toHaveLength(1)
  expect(errors).toEqual(['tenantkeys: onReceipt threw'])
})

test('T-B7 a call that costs more than its hold is posted in full, flagged, reported, and denies the next', async () => {
  const usage = { prompt_tokens: 100, completion_tokens: 5_000_000, total_tokens: 5_000_100 }
  server.answer = (_, response) => {
    const message = { role: 'assistant', content: 'much', refusal: null }
    const choices = [{ index: 0, finish_reason: 'stop', logprobs: null, message }]
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify({
        id: 'c',
        object: 'chat.completion',
        created: 1,
        model: 'm',
        choices,
        usage,
      }),
    )
  }
  const { tk, client, events, receipts } = await open({})
  await client().chat.completions.create(ASK)
  expect(receipts[0]?.costNanoUsd).toBe(3_000_015_000n)
  expect(receipts[0]?.overageNanoUsd).toBeGreaterThan(2_990_000_000n)
  expect((await acmeBudget(tk)).used).toBe(3_000_015_000n)
  expect(events.map((e) => e.kind)).toContain('budget.overage')
  await expect(client().chat.completions.create(ASK)).rejects.toMatchObject({
    code: 'TK_BUDGET_EXHAUSTED',
  })
})

test('T-B1 64 callers on one cap: as many as one by one would hold, and never above it', async () => {
  const { tk, client } = await open({ monthlyUsd: '0.05' })
  const bound = client()
  const everyoneDecided = gate()
  let decided = 0
  const count = (): void => {
    if (++decided === 64) everyoneDecided.open()
  }
  server.answer = async (request, response, n) => {
    count()
    await everyoneDecided.opened
    return chat(request, response, n)
  }
  const results = await Promise.allSettled(
    Array.from({ length: 64 }, async () => {
      const call = bound.chat.completions.create({ ...ASK, max_completion_tokens: 10_000 })
      return call.catch((error: unknown) => {
        count()
        throw error
      })
    }),
  )
  const { used, held } = await acmeBudget(tk)
  const admitted = results.filter((r) => r.status === 'fulfilled').length
  // Each holds a little over 0.006 USD while it runs: eight fit under 0.05 at a time.
  expect(admitted).toBe(8)
  expect({ used, held }).toEqual({ used: 8n * USAGE_COST_NANO, held: 0n })
  const codes = results.flatMap((r) => (r.status === 'rejected' ? [r.reason.code] : []))
  expect(codes).toEqual(Array.from({ length: 56 }, () => 'TK_BUDGET_CONTENDED'))
})
