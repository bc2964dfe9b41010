/**
 * Guards of the exporter, the sinks and the export of rows taken out, one at a time: each rule must
 * hold on the sources as they are, and fail on the copy.
 *
 * @module
 */
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { systemMonotonicClock, systemTimers } from '../../src/kernel/clock.ts'
import type { OutboxRecord } from '../../src/storage/records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { usage } from '../../src/testing/storage-conformance/samples.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'
import { fillOutbox, idOf, type ScriptedSink, scriptedSink } from '../support/outbox.ts'

const FOLDERS = ['kernel', 'storage', 'budgets', 'usage', 'adapters', 'audit', 'providers']

type Load = <M>(file: string) => Promise<M>

/** Throws when the rule does not hold. */
type Rule = (load: Load) => Promise<void>

/** Flushes once. */
async function flushed(
  load: Load,
  sinks: readonly ScriptedSink[],
  count: number,
  storage: Storage = memory(),
): Promise<Storage> {
  const { createExporter } =
    await load<typeof import('../../src/usage/exporter.ts')>('usage/exporter.ts')
  await fillOutbox(storage, 0, count)
  await createExporter({ storage, sinks, retryMs: 1 }).flush({ timeoutMs: 60_000 })
  return storage
}

/** A flush of an exporter that has nothing to do. */
const IDLE = {
  exporter: { flush: async () => ({ exported: 0, done: true }) },
  clock: systemMonotonicClock,
  timers: systemTimers,
}

/** @returns what `work` has come to after so many ms of a clock that stands still otherwise. */
async function endsIn<T>(ms: number, work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  try {
    let ended: { readonly value: T } | null = null
    void work().then((value) => {
      ended = { value }
    })
    await vi.advanceTimersByTimeAsync(ms)
    expect(ended).not.toBeNull()
    return (ended as unknown as { readonly value: T }).value
  } finally {
    vi.useRealTimers()
  }
}

const backlog = (storage: Storage) => storage.outbox.backlog({ limit: 1000 })

const down = (): never => {
  throw new Error('down')
}

const failingOn = (id: string): ScriptedSink =>
  scriptedSink((events) => (events.some((event) => event.id === id) ? down() : undefined))

const SECRETS = [1, 2, 3].map((n) => `whsec_${Buffer.alloc(32, n).toString('base64')}`) as [
  string,
  string,
  string,
]

/** A webhook as it was sent, at the time given. */
async function webhookOf(load: Load, secrets: readonly string[], nowMs: number) {
  const { webhookSink } = await load<typeof import('../../src/adapters/sinks/webhook.ts')>(
    'adapters/sinks/webhook.ts',
  )
  let sent: RequestInit = {}
  const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
    sent = init ?? {}
    return new Response(null, { status: 204 })
  }
  const options = { url: 'https://example.com/', secrets, fetch, now: () => nowMs }
  await webhookSink(options as Parameters<typeof webhookSink>[0]).write([event])
  return { headers: sent.headers as Record<string, string>, body: String(sent.body) }
}

const event: OutboxRecord = {
  id: 'event-1',
  kind: 'sample',
  tenantId: null,
  atMs: 1,
  payload: '{}',
  attempts: 1,
}

const SIGNATURE = 'adapters/sinks/webhook-signature.ts'
const verifier = async (load: Load) =>
  (await load<typeof import('../../src/adapters/sinks/webhook-signature.ts')>(SIGNATURE))
    .verifyWebhook

const RULES = {
  'nothing leaves the queue before the sink has it': async (load) => {
    const storage = await flushed(load, [scriptedSink(down)], 3)
    expect(await backlog(storage)).toMatchObject({ waiting: 3 })
  },
  'what is given back can be leased again': async (load) => {
    const storage = await flushed(load, [scriptedSink(down)], 3)
    await new Promise((next) => setTimeout(next, 50))
    expect((await storage.outbox.lease({ limit: 9, leaseMs: 1000 })).events).toHaveLength(3)
  },
  'one poison is set aside, the others arrive': async (load) => {
    const sink = failingOn(idOf(20))
    const storage = await flushed(load, [sink], 64)
    expect(sink.counts.size).toBe(63)
    expect(await backlog(storage)).toMatchObject({ waiting: 0, quarantined: 1 })
  },
  'an event on which a sink never answers is found over several leases': async (load) => {
    const { createExporter } =
      await load<typeof import('../../src/usage/exporter.ts')>('usage/exporter.ts')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
    try {
      const storage = memory()
      await fillOutbox(storage, 0, 64)
      const sink = scriptedSink((events) =>
        events.some(({ id }) => id === idOf(20)) ? new Promise(() => {}) : undefined,
      )
      const exporter = createExporter({ storage, sinks: [sink] })
      exporter.start()
      await vi.advanceTimersByTimeAsync(900_000)
      await exporter.stop()
      expect(await backlog(storage)).toMatchObject({ waiting: 0, quarantined: 1 })
    } finally {
      vi.useRealTimers()
    }
  },
  'an event on which a sink never answers is found by flushes alone': async (load) => {
    const { createExporter } =
      await load<typeof import('../../src/usage/exporter.ts')>('usage/exporter.ts')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
    try {
      const storage = memory()
      await fillOutbox(storage, 0, 8)
      const sink = scriptedSink((events) =>
        events.some(({ id }) => id === idOf(2)) ? new Promise(() => {}) : undefined,
      )
      const exporter = createExporter({ storage, sinks: [sink] })
      for (let n = 0; n < 10; n++) {
        void exporter.flush()
        await vi.advanceTimersByTimeAsync(70_000)
      }
      expect(await backlog(storage)).toMatchObject({ waiting: 0, quarantined: 1 })
    } finally {
      vi.useRealTimers()
    }
  },
  'a flush ends in time, whatever the store does': async (load) => {
    const { createExporter } =
      await load<typeof import('../../src/usage/exporter.ts')>('usage/exporter.ts')
    const outbox = { ...memory().outbox, lease: () => new Promise<never>(() => {}) }
    const exporter = createExporter({ storage: { outbox }, sinks: [scriptedSink()] })
    await endsIn(1000, () => exporter.flush({ timeoutMs: 1000 }))
  },
  'a flush ends in time, whatever settles do': async (load) => {
    const { flushWithin } = await load<typeof import('../../src/usage/flush.ts')>('usage/flush.ts')
    const pending = new Set([new Promise(() => {})])
    await endsIn(1000, () => flushWithin(1000, { ...IDLE, pending }))
  },
  'a flush says how many settles are left': async (load) => {
    const { flushWithin } = await load<typeof import('../../src/usage/flush.ts')>('usage/flush.ts')
    const pending = new Set([new Promise(() => {}), Promise.resolve()])
    const flushed = await endsIn(1000, () => flushWithin(1000, { ...IDLE, pending }))
    expect(flushed).toEqual({ exported: 0, done: false, unsettled: 1 })
  },
  'what a sink names as unfit is kept': async (load) => {
    const sink = scriptedSink((events) => {
      return { accepted: [], rejected: events.map(({ id }) => ({ id, reason: 'no' })) }
    })
    expect(await backlog(await flushed(load, [sink], 2))).toMatchObject({ quarantined: 2 })
  },
  'a sink that goes down blames no event': async (load) => {
    let writes = 0
    const sink = scriptedSink(() => (writes++ > 6 || writes < 6 ? down() : undefined))
    expect(await backlog(await flushed(load, [sink], 8))).toMatchObject({ quarantined: 0 })
  },
  'a failed write is tried again': async (load) => {
    let writes = 0
    const sink = scriptedSink(() => (writes++ === 0 ? down() : undefined))
    await flushed(load, [sink], 4)
    expect(sink.writes).toEqual([4, 4])
  },
  'a sink that asks for time is left alone': async (load) => {
    const sink = scriptedSink(() => {
      throw Object.assign(new Error('busy'), { retryAfterMs: 60_000 })
    })
    await flushed(load, [sink], 4)
    expect(sink.writes).toEqual([4])
  },
  'a sink is not given again what it has taken': async (load) => {
    const [good, bad] = [scriptedSink(undefined, 'good'), scriptedSink(down, 'bad')]
    const { createExporter } =
      await load<typeof import('../../src/usage/exporter.ts')>('usage/exporter.ts')
    const storage = memory()
    await fillOutbox(storage, 0, 2)
    const exporter = createExporter({ storage, sinks: [good, bad], retryMs: 1 })
    for (let n = 0; n < 3; n++) {
      await exporter.flush()
      await new Promise((next) => setTimeout(next, 20))
    }
    expect([...good.counts.values()]).toEqual([1, 1])
    expect(bad.writes.length).toBeGreaterThan(5)
  },
  'a full outbox refuses new calls': async (load) => {
    const { gatedBudgetGuard } =
      await load<typeof import('../../src/usage/export-gate.ts')>('usage/export-gate.ts')
    const guard = gatedBudgetGuard(
      { reserve: async () => ({ ok: true }), settle: async () => ({ ok: true }) } as never,
      { isFull: () => true, nudge: () => {} },
    )
    await expect(guard.reserve({} as never)).rejects.toMatchObject({ code: 'TK_OUTBOX_FULL' })
    expect(await guard.settle({} as never)).toMatchObject({ ok: true })
  },
  'a webhook that nobody of ours signed is refused': async (load) => {
    const request = await webhookOf(load, [SECRETS[0]], Date.now())
    const verify = await verifier(load)
    expect(() => verify({ ...request, secrets: [SECRETS[1]] })).toThrow()
    const { 'webhook-signature': _, ...headers } = request.headers
    expect(() => verify({ headers, body: request.body, secrets: [SECRETS[0]] })).toThrow()
    expect(verify({ ...request, secrets: [SECRETS[0]] })).toHaveLength(1)
  },
  'a webhook of another time is refused': async (load) => {
    const nowMs = Date.now()
    const verify = await verifier(load)
    for (const sentMs of [nowMs - 301_000, nowMs + 302_000]) {
      const request = await webhookOf(load, [SECRETS[0]], sentMs)
      expect(() => verify({ ...request, secrets: [SECRETS[0]], nowMs })).toThrow()
    }
  },
  'the time of a webhook is signed with it': async (load) => {
    const nowMs = Date.now()
    const { headers, body } = await webhookOf(load, [SECRETS[0]], nowMs - 3_600_000)
    const fresh = { ...headers, 'webhook-timestamp': String(Math.floor(nowMs / 1000)) }
    const verify = await verifier(load)
    expect(() => verify({ headers: fresh, body, secrets: [SECRETS[0]], nowMs })).toThrow()
  },
  'a webhook is signed with every secret': async (load) => {
    const request = await webhookOf(load, [SECRETS[0], SECRETS[1]], Date.now())
    const verify = await verifier(load)
    for (const secret of [SECRETS[0], SECRETS[1]]) {
      expect(verify({ ...request, secrets: [secret] })).toHaveLength(1)
    }
  },
  'a torn line is cut off': async (load) => {
    const { ndjsonSink } = await load<typeof import('../../src/adapters/ndjson/index.ts')>(
      'adapters/ndjson/index.ts',
    )
    const folder = await mkdtemp(join(tmpdir(), 'tenantkeys-'))
    try {
      const file = join(folder, 'events.ndjson')
      await ndjsonSink({ file }).write([event])
      await appendFile(file, '{"torn')
      await ndjsonSink({ file }).write([event])
      const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
      expect(lines.map((line) => JSON.parse(line).id)).toEqual(['event-1', 'event-1'])
    } finally {
      await rm(folder, { recursive: true })
    }
  },
  'a spreadsheet runs no formula': async (load) => {
    const { usageText } =
      await load<typeof import('../../src/usage/usage-export.ts')>('usage/usage-export.ts')
    async function* pages() {
      const own = { id: 'a', tenantId: 't', state: 'posted', lines: [], amounts: {} } as const
      const times = { overageNanoUsd: 0n, startedAtMs: 1, settledAtMs: 2 }
      yield [{ ...usage(1n, { model: '=1+1' }), ...own, ...times }]
    }
    let text = ''
    for await (const part of usageText(pages(), 'csv')) text += part
    expect(text).toContain(",'=1+1,")
  },
} as const satisfies Record<string, Rule>

const EXPORTER = 'usage/exporter.ts'
const DELIVERY = 'usage/delivery.ts'

const SABOTAGES: readonly (readonly [string, keyof typeof RULES, Sabotage])[] = [
  [
    'events are acknowledged before they are sent',
    'nothing leaves the queue before the sink has it',
    {
      file: EXPORTER,
      from: 'const leased = this.#within(leaseMs * 0.8, signal, true)',
      to: 'const leased = this.#within(leaseMs * 0.8, signal, true)\n    await storage.outbox.ack({ leaseId, ids: events.map(({ id }) => id) })',
    },
  ],
  [
    'what is left is acknowledged too',
    'nothing leaves the queue before the sink has it',
    { file: EXPORTER, from: '.filter((id) => !left.has(id) && !gone.has(id))', to: '' },
  ],
  [
    'a lease is kept after a failure',
    'what is given back can be leased again',
    { file: EXPORTER, from: 'await outbox.release({ leaseId, ids: [...left], delayMs })', to: '' },
  ],
  [
    'a failing batch is not halved',
    'one poison is set aside, the others arrive',
    { file: DELIVERY, from: 'await this.#findPoison(batch, halves(open), signal)', to: '' },
  ],
  [
    'a search for poison begins anew with every lease',
    'an event on which a sink never answers is found over several leases',
    { file: DELIVERY, from: 'for (const { id } of part) this.#doubts.set(id, doubt)', to: '' },
  ],
  [
    'waits for one event do not add up',
    'an event on which a sink never answers is found by flushes alone',
    { file: DELIVERY, from: 'doubt.waitedMs += waitedMs', to: '' },
  ],
  [
    'a flush waits for its store',
    'a flush ends in time, whatever the store does',
    {
      file: EXPORTER,
      from: 'await Promise.race([this.#turn(work.signal), over])',
      to: 'await this.#turn(work.signal)',
    },
  ],
  [
    'a flush waits for settles',
    'a flush ends in time, whatever settles do',
    {
      file: 'usage/flush.ts',
      from: 'await Promise.race([Promise.allSettled(ended), over])',
      to: 'await Promise.allSettled(ended)',
    },
  ],
  [
    'settles that are left are not told',
    'a flush says how many settles are left',
    { file: 'usage/flush.ts', from: 'const unsettled = asked.size', to: 'const unsettled = 0' },
  ],
  [
    'rejected events are dropped',
    'what a sink names as unfit is kept',
    {
      file: EXPORTER,
      from: 'await outbox.quarantine({ leaseId, events: named })',
      to: 'await outbox.ack({ leaseId, ids: named.map(({ id }) => id) })',
    },
  ],
  [
    'events are blamed without asking whether the sink is up',
    'a sink that goes down blames no event',
    {
      file: DELIVERY,
      from: 'if (suspects.length > 0 && (await this.#isUp(batch, signal)))',
      to: 'if (suspects.length > 0)',
    },
  ],
  [
    'there are no retries',
    'a failed write is tried again',
    { file: DELIVERY, from: 'const RETRIES = 3', to: 'const RETRIES = 0' },
  ],
  [
    'Retry-After is not read',
    'a sink that asks for time is left alone',
    { file: DELIVERY, from: 'retryAfterOf(error) === 0,', to: 'true,' },
  ],
  [
    'a sink gets again what it has',
    'a sink is not given again what it has taken',
    { file: EXPORTER, from: 'events.filter(({ id }) => !taken.has(id))', to: 'events' },
  ],
  [
    'a full outbox takes calls',
    'a full outbox refuses new calls',
    { file: 'usage/export-gate.ts', from: 'if (exporter.isFull())', to: 'if (false)' },
  ],
  [
    'unsigned webhooks are accepted',
    'a webhook that nobody of ours signed is refused',
    { file: SIGNATURE, from: '|| !signed)', to: ')' },
  ],
  [
    'old webhooks are accepted',
    'a webhook of another time is refused',
    { file: SIGNATURE, from: '|| !inTime ', to: '' },
  ],
  [
    'the time is not signed',
    'the time of a webhook is signed with it',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
    { file: SIGNATURE, from: '`${id}.${timestamp}.${body}`', to: '`${id}..${body}`' },
  ],
  [
    'only the newest secret signs',
    'a webhook is signed with every secret',
    { file: SIGNATURE, from: 'return keys.map(', to: 'return keys.slice(0, 1).map(' },
  ],
  [
    'a torn line stays',
    'a torn line is cut off',
    {
      file: 'adapters/ndjson/index.ts',
      from: 'if (end < size) await handle.truncate(end)',
      to: '',
    },
  ],
  [
    'formulas stay formulas',
    'a spreadsheet runs no formula',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
    { file: 'usage/usage-export.ts', from: "? `'${cell}`", to: '? cell' },
  ],
]

describe('sabotage of exports', () => {
  const real: Load = (file) => import(new URL(`../../src/${file}`, import.meta.url).href)

  test.each(Object.entries(RULES))('holds: %s', (_, rule) => rule(real))

  test.each(SABOTAGES)('%s: caught by "%s"', async (_, rule, change) => {
    const mutant = new Mutant(change, FOLDERS)
    try {
      await expect(RULES[rule]((file) => mutant.load(file))).rejects.toThrow()
    } finally {
      mutant.dispose()
    }
  })

  test('every rule has a sabotage', () => {
    const named = new Set(SABOTAGES.map(([, rule]) => rule))
    expect([...named].sort()).toEqual(Object.keys(RULES).sort())
  })
})
