import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { callbackSink } from '../../src/adapters/sinks/callback.ts'
import type { RuntimeEvent } from '../../src/kernel/events.ts'
import type { OutboxRecord } from '../../src/storage/records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { withFaults } from '../../src/testing/faults.ts'
import { createExporter, type Exporter, type ExporterOptions } from '../../src/usage/exporter.ts'
import { fillOutbox, idOf, scriptedSink } from '../support/outbox.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

interface Bench {
  readonly storage: Storage
  readonly exporter: Exporter
  readonly events: RuntimeEvent[]
}

async function bench(
  sinks: ExporterOptions['sinks'],
  options: Partial<ExporterOptions> & { readonly waiting?: number } = {},
): Promise<Bench> {
  const { waiting = 0, storage = memory(), ...rest } = options
  const events: RuntimeEvent[] = []
  if (waiting > 0) await fillOutbox(storage as Storage, 0, waiting)
  const onEvent = (event: RuntimeEvent): number => events.push(event)
  const exporter = createExporter({ storage, sinks, onEvent, ...rest })
  return { storage: storage as Storage, exporter, events }
}

/** Lets `ms` pass while `work` is under way. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  await vi.advanceTimersByTimeAsync(ms)
  return work
}

const down = (): never => {
  throw Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:443'), { code: 'ECONNREFUSED' })
}

const refuses =
  (...ids: readonly string[]) =>
  (events: readonly OutboxRecord[]): void => {
    if (events.some(({ id }) => ids.includes(id))) throw new Error('no such thing')
  }

const waitingIn = async (storage: Storage): Promise<number> =>
  (await storage.outbox.backlog({ limit: 1_000_000 })).waiting

const kinds = (events: readonly RuntimeEvent[]): readonly string[] => events.map((e) => e.kind)

describe('the exporter', () => {
  test('brings every event to every sink once, in batches, and takes it out of the queue', async () => {
    const [one, two] = [scriptedSink(undefined, 'one'), scriptedSink(undefined, 'two')]
    const { storage, exporter } = await bench([one, two], { waiting: 1200 })
    expect(await exporter.flush()).toEqual({ exported: 1200, done: true })
    for (const sink of [one, two]) {
      expect(sink.writes).toEqual([500, 500, 200])
      expect(sink.counts.size).toBe(1200)
    }
    expect(await waitingIn(storage)).toBe(0)
  })

  test('acknowledges only after every sink has answered', async () => {
    let arrived = (): void => {}
    const slow = scriptedSink(() => new Promise<void>((resolve) => (arrived = resolve)), 'slow')
    const { storage, exporter } = await bench([scriptedSink(), slow], { waiting: 3 })
    const flushed = exporter.flush()
    await vi.advanceTimersByTimeAsync(1)
    expect(await waitingIn(storage)).toBe(3)
    arrived()
    expect(await flushed).toEqual({ exported: 3, done: true })
    expect(await waitingIn(storage)).toBe(0)
  })

  test('tries a failed write again after 1, 2 and 4 s, then gives the lease back', async () => {
    const at: number[] = []
    const startMs = Date.now()
    const sink = scriptedSink(() => {
      at.push(Date.now() - startMs)
      return down()
    })
    const { storage, exporter, events } = await bench([sink], { waiting: 1 })
    expect(await within(10_000, exporter.flush())).toEqual({ exported: 0, done: false })
    expect(at).toEqual([0, 1000, 3000, 7000])
    expect(await waitingIn(storage)).toBe(1)
    expect(events).toEqual([
      { kind: 'sink.failed', sink: 'scripted', reason: 'Error ECONNREFUSED', events: 1 },
    ])
    await vi.advanceTimersByTimeAsync(60_000)
    expect((await storage.outbox.lease({ limit: 10, leaseMs: 1000 })).events).toHaveLength(1)
  })

  test('a sink that comes back within the schedule takes the batch, nothing is lost or reported', async () => {
    let fails = 2
    const sink = scriptedSink(() => (fails-- > 0 ? down() : undefined))
    const { exporter, events } = await bench([sink], { waiting: 7 })
    expect(await within(4000, exporter.flush())).toEqual({ exported: 7, done: true })
    expect(sink.counts.size).toBe(7)
    expect(events).toEqual([])
  })

  test('a sink that says when to come back is not asked before', async () => {
    const at: number[] = []
    const startMs = Date.now()
    const sink = scriptedSink(() => {
      at.push(Date.now() - startMs)
      if (at.length === 1)
        throw Object.assign(new Error('busy'), { status: 429, retryAfterMs: 90_000 })
    })
    const { exporter } = await bench([sink], { waiting: 2 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(300_000)
    await within(1, exporter.stop())
    expect(at).toEqual([0, 90_000])
    expect(sink.counts.size).toBe(2)
  })

  test('a sink that is down holds up the others, which are not given the same events again', async () => {
    let isDown = true
    const good = scriptedSink(undefined, 'good')
    const bad = scriptedSink(() => (isDown ? down() : undefined), 'bad')
    const { storage, exporter } = await bench([good, bad], { waiting: 4 })
    await within(10_000, exporter.flush())
    expect(await waitingIn(storage)).toBe(4)
    isDown = false
    await vi.advanceTimersByTimeAsync(60_000)
    expect(await exporter.flush()).toEqual({ exported: 4, done: true })
    expect([...good.counts.values()]).toEqual([1, 1, 1, 1])
    expect([...bad.counts.values()]).toEqual([1, 1, 1, 1])
  })

  test('a sink that does not answer has failed after its time', async () => {
    const sink = scriptedSink(() => new Promise(() => {}))
    const { exporter, events } = await bench([sink], { waiting: 1, writeTimeoutMs: 500 })
    await within(10_000, exporter.flush())
    expect(sink.writes).toHaveLength(4)
    expect(events).toMatchObject([{ kind: 'sink.failed', reason: 'TimeoutError' }])
  })

  test.each([
    ['no object', null],
    ['no lists', {}],
    ['text', { accepted: 'all', rejected: 7 }],
    ['ids of others', { accepted: ['someone else'], rejected: [] }],
    ['nothing', { accepted: [], rejected: [] }],
  ])('an answer that names %s takes no event out of the queue', async (_, answer) => {
    const sink = { ...scriptedSink(), write: async () => answer as never }
    const { storage, exporter } = await bench([sink], { waiting: 3 })
    await within(10_000, exporter.flush())
    expect(await waitingIn(storage)).toBe(3)
    expect((await storage.outbox.quarantined({ after: null, limit: 9 })).items).toEqual([])
  })

  test('several at once share the work: each event arrives once', async () => {
    const storage = memory()
    const sink = scriptedSink(() => new Promise((resolve) => setTimeout(resolve, 5)))
    const exporters = await Promise.all(
      Array.from({ length: 4 }, async () => (await bench([sink], { storage, batch: 50 })).exporter),
    )
    await fillOutbox(storage, 0, 1000)
    const flushed = Promise.all(exporters.map((exporter) => exporter.flush()))
    const results = await within(5000, flushed)
    expect(results.reduce((sum, { exported }) => sum + exported, 0)).toBe(1000)
    expect(Math.max(...sink.counts.values())).toBe(1)
  })

  test('exports in the background within 100 ms of being told, 1 s otherwise', async () => {
    const sink = scriptedSink()
    const { storage, exporter } = await bench([sink])
    exporter.start()
    await vi.advanceTimersByTimeAsync(10)
    await fillOutbox(storage, 0, 1)
    exporter.nudge()
    await vi.advanceTimersByTimeAsync(99)
    expect(sink.counts.size).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    expect(sink.counts.size).toBe(1)
    await fillOutbox(storage, 1, 2)
    await vi.advanceTimersByTimeAsync(1200)
    expect(sink.counts.size).toBe(2)
    await exporter.stop()
  })

  test('stop ends the work in hand, gives events back and closes each sink once', async () => {
    const sink = scriptedSink(down)
    const { storage, exporter } = await bench([sink], { waiting: 5 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(500)
    await Promise.all([exporter.stop(), exporter.stop()])
    expect(sink.closed).toBe(1)
    expect(sink.writes).toEqual([5])
    await vi.advanceTimersByTimeAsync(100_000)
    expect(sink.writes).toEqual([5])
    expect(await waitingIn(storage)).toBe(5)
    exporter.start()
    exporter.nudge()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(sink.writes).toEqual([5])
  })

  test('a callback that is slow is called once for each event', async () => {
    const calls = new Map<string, number>()
    const sink = callbackSink(async ({ id }) => {
      calls.set(id, (calls.get(id) ?? 0) + 1)
      await new Promise((resolve) => setTimeout(resolve, 100))
    })
    const { storage, exporter } = await bench([sink], { waiting: 600 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(300_000)
    expect(await waitingIn(storage)).toBe(0)
    expect(calls.size).toBe(600)
    // What proves that a sink is up is given to it once more (US-4).
    expect([...calls.values()].filter((times) => times > 1).length).toBeLessThanOrEqual(4)
    await within(1, exporter.stop())
  })

  test('a callback that is slower than its lease has not failed: no pause, and few come again', async () => {
    let calls = 0
    const sink = callbackSink(async () => {
      calls++
      await new Promise((resolve) => setTimeout(resolve, 1000))
    })
    const { storage, exporter, events } = await bench([sink], { waiting: 300 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(330_000)
    expect(await waitingIn(storage)).toBe(0)
    // Those of the write that each of three leases ended in.
    expect(calls).toBeLessThanOrEqual(300 + 3 * 2)
    expect(events).toEqual([])
    await within(1, exporter.stop())
  })

  test('a sink that takes nothing within the time of a flush has failed, and its batch is searched', async () => {
    const asked: number[] = []
    const sink = scriptedSink((events) => {
      asked.push(events.length)
      return new Promise<never>(() => {})
    })
    const { exporter, events } = await bench([sink], { waiting: 8 })
    expect(await within(10_000, exporter.flush())).toEqual({ exported: 0, done: false })
    expect(events).toMatchObject([{ kind: 'sink.failed', reason: 'no answer in time', events: 8 }])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(await within(10_000, exporter.flush())).toEqual({ exported: 0, done: false })
    expect(asked).toEqual([8, 4])
    await exporter.stop()
  })

  test('a callback that is slow to fail is not called by two writes at once', async () => {
    let under = 0
    let most = 0
    const sink = callbackSink(async () => {
      most = Math.max(most, ++under)
      await new Promise((resolve) => setTimeout(resolve, 5000))
      under--
      return down()
    })
    const { storage, exporter } = await bench([sink], { waiting: 100 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(300_000)
    expect(await waitingIn(storage)).toBe(100)
    expect(most).toBe(1)
    const stopped = exporter.stop()
    await vi.advanceTimersByTimeAsync(60_000)
    await stopped
  })

  test.each([
    ['returns nothing', () => undefined, 0],
    ['throws', down, 1],
    ['never answers', () => new Promise(() => {}), 1],
  ])('a sink whose close %s does not hinder the others, nor stop', async (_, close, told) => {
    const other = scriptedSink(undefined, 'other')
    const { exporter, events } = await bench([{ ...scriptedSink(), close: close as never }, other])
    await within(30_000, exporter.stop())
    expect(other.closed).toBe(1)
    expect(kinds(events)).toEqual(Array.from({ length: told }, () => 'export.failed'))
  })

  test('a store that does not answer is reported, and asked again', async () => {
    let broken = true
    const storage = withFaults(memory(), ({ command }) =>
      broken && command === 'outbox.lease' ? 'lost-request' : null,
    )
    const sink = scriptedSink()
    const { exporter, events } = await bench([sink], { storage, waiting: 2 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(5000)
    expect(events[0]).toEqual({ kind: 'export.failed', code: 'TK_STORE_UNAVAILABLE', sink: null })
    broken = false
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sink.counts.size).toBe(2)
    await exporter.stop()
  })

  test.each([
    ['the same exporter, which remembers', 1],
    ['another one, with the same ids', 2],
  ])('a lost acknowledgement brings events again to %s', async (_, times) => {
    let lost = true
    const storage = withFaults(memory(), ({ command }) =>
      lost && command === 'outbox.ack' ? 'lost-request' : null,
    )
    const sink = scriptedSink()
    const first = await bench([sink], { storage, waiting: 3 })
    expect(await first.exporter.flush()).toEqual({ exported: 0, done: false })
    expect(first.events).toMatchObject([{ kind: 'export.failed', code: 'TK_STORE_UNAVAILABLE' }])
    lost = false
    await vi.advanceTimersByTimeAsync(200_000)
    const next = times === 1 ? first : await bench([sink], { storage })
    expect(await next.exporter.flush()).toEqual({ exported: 3, done: true })
    expect([...sink.counts.values()]).toEqual([times, times, times])
  })

  test('flush gives up after its time, also behind a round of a sink that does not answer, and does not say done', async () => {
    const sink = scriptedSink(() => new Promise(() => {}))
    const { exporter } = await bench([sink], { waiting: 2 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(1000)
    let flushed: unknown = null
    void exporter.flush({ timeoutMs: 5000 }).then((result) => {
      flushed = result
    })
    await vi.advanceTimersByTimeAsync(4499)
    expect(flushed).toBe(null)
    await vi.advanceTimersByTimeAsync(501)
    expect(flushed).toEqual({ exported: 0, done: false })
    await within(1, exporter.stop())
    expect(await exporter.flush()).toEqual({ exported: 0, done: false })
  })

  test.each(['lease', 'ack', 'backlog'] as const)(
    'flush ends in time, and does not say done, when the store does not answer to %s',
    async (command) => {
      const inner = memory()
      const outbox = { ...inner.outbox, [command]: () => new Promise<never>(() => {}) }
      const storage = { ...inner, outbox } as Storage
      const { exporter } = await bench([scriptedSink()], { storage, waiting: 1 })
      const flushed = exporter.flush({ timeoutMs: 5000 })
      expect(await within(5000, flushed)).toEqual({ exported: 0, done: false })
      expect(await within(5000, exporter.flush({ timeoutMs: 5000 }))).toMatchObject({ done: false })
    },
  )

  test('work on a lease ends before the lease does', async () => {
    const sink = scriptedSink(() => new Promise(() => {}))
    const { storage, exporter } = await bench([sink], { waiting: 1, leaseMs: 5000 })
    const flushed = exporter.flush({ timeoutMs: 60_000 })
    await vi.advanceTimersByTimeAsync(3999)
    expect((await storage.outbox.lease({ limit: 1, leaseMs: 1000 })).events).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(await flushed).toEqual({ exported: 0, done: false })
    expect(await waitingIn(storage)).toBe(1)
  })
})

describe('poison', () => {
  const quarantine = async (storage: Storage): Promise<readonly string[]> => {
    const { items } = await storage.outbox.quarantined({ after: null, limit: 1000 })
    return items.map(({ id, reason }) => `${id} ${reason}`)
  }

  test.each([
    ['first', [0]],
    ['in the middle', [137]],
    ['last', [499]],
    ['first and last', [0, 499]],
    ['twenty in a row', Array.from({ length: 20 }, (_, n) => 200 + n)],
    ['every other one', Array.from({ length: 250 }, (_, n) => 2 * n)],
  ])(
    'T-U5 events that make the sink fail, %s of 500, are set aside and the others delivered',
    async (_, poison) => {
      const ids = poison.map(idOf)
      const sink = scriptedSink(refuses(...ids))
      const { storage, exporter, events } = await bench([sink], { waiting: 500 })
      const flushed = await within(30_000, exporter.flush({ timeoutMs: 60_000 }))
      expect(flushed).toEqual({ exported: 500 - ids.length, done: true })
      expect(sink.counts.size).toBe(500 - ids.length)
      expect(await quarantine(storage)).toEqual(
        ids.map((id) => `${id} scripted: fails alone: Error`),
      )
      expect(await waitingIn(storage)).toBe(0)
      expect(events.filter((e) => e.kind === 'export.quarantined').map((e) => e.eventId)).toEqual(
        ids,
      )
    },
  )

  test('US-2 T-U5 an event that the sink names is set aside at once, with its reason on one line', async () => {
    const poison = idOf(250)
    const sink = scriptedSink((events) => {
      const accepted = events.map(({ id }) => id).filter((id) => id !== poison)
      const named = accepted.length < events.length
      return {
        accepted,
        rejected: named ? [{ id: poison, reason: `too\nlong ${'x'.repeat(999)}` }] : [],
      }
    })
    const { storage, exporter } = await bench([sink], { waiting: 500 })
    expect(await exporter.flush()).toEqual({ exported: 499, done: true })
    expect(sink.writes).toEqual([500])
    expect(await quarantine(storage)).toEqual([`${poison} scripted: too long ${'x'.repeat(191)}`])
  })

  test('T-U5 one poison costs few writes', async () => {
    const sink = scriptedSink(refuses(idOf(137)))
    const { exporter } = await bench([sink], { waiting: 500 })
    await within(30_000, exporter.flush({ timeoutMs: 60_000 }))
    // 4 of the whole, 2 for each of 9 halvings, 1 for the canary.
    expect(sink.writes.length).toBeLessThanOrEqual(4 + 18 + 1)
  })

  test('T-U5 events on which the sink never answers are found over several leases, while the others arrive', async () => {
    const poison = [idOf(137), idOf(555)]
    const sink = scriptedSink((events) =>
      events.some(({ id }) => poison.includes(id)) ? new Promise(() => {}) : undefined,
    )
    const { storage, exporter } = await bench([sink], { waiting: 600 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(1_800_000)
    expect(await quarantine(storage)).toEqual(
      poison.map((id) => `${id} scripted: fails alone: TimeoutError`),
    )
    expect(sink.counts.size).toBe(598)
    await exporter.stop()
  })

  describe.each([
    ['one', [137]],
    ['the first', [0]],
    ['the last', [499]],
    ['two', [3, 400]],
    ['two beside each other', [255, 256]],
  ])('T-U5 with short flushes and nothing else, %s', (_, at) => {
    const poison = at.map(idOf)
    const hanging = (events: readonly OutboxRecord[]): unknown =>
      events.some(({ id }) => poison.includes(id)) ? new Promise(() => {}) : undefined

    test.each([10_000, 2000])(
      'events without an answer are found by flushes of %d ms, and keep few others waiting',
      async (timeoutMs) => {
        const sink = scriptedSink(hanging)
        const { storage, exporter } = await bench([sink], { waiting: 500 })
        // Once for the whole, and for each at most: its halvings, and waits that add up to 30 s.
        const most = 1 + at.length * (9 + Math.ceil(30_000 / (0.9 * timeoutMs)) + 1)
        let flushes = 0
        for (; flushes < most && (await waitingIn(storage)) > 0; flushes++) {
          await within(timeoutMs, exporter.flush({ timeoutMs }))
          await vi.advanceTimersByTimeAsync(60_000)
        }
        expect(await quarantine(storage)).toEqual(
          poison.map((id) => `${id} scripted: fails alone: no answer`),
        )
        expect(sink.counts.size).toBe(500 - at.length)
        expect(await waitingIn(storage)).toBe(0)
      },
    )

    test('what comes later waits for one flush at most', async () => {
      const sink = scriptedSink(hanging)
      const { storage, exporter } = await bench([sink], { waiting: 500, batch: 1000 })
      await within(2000, exporter.flush({ timeoutMs: 2000 }))
      for (let n = 500; n < 520; n++) {
        await fillOutbox(storage, n, n + 1)
        await vi.advanceTimersByTimeAsync(120_000)
        await within(2000, exporter.flush({ timeoutMs: 2000 }))
        expect(sink.counts.has(idOf(n - 1)) || n === 500).toBe(true)
      }
    })
  })

  test('a sink that stops answering between flushes is never taken for poison', async () => {
    let mute = false
    const sink = scriptedSink(() => (mute ? new Promise(() => {}) : undefined))
    const { storage, exporter } = await bench([sink], { waiting: 1 })
    await within(2000, exporter.flush())
    await fillOutbox(storage, 1, 2)
    mute = true
    for (let n = 0; n < 40; n++) {
      await within(2000, exporter.flush({ timeoutMs: 2000 }))
      await vi.advanceTimersByTimeAsync(120_000)
    }
    expect(await quarantine(storage)).toEqual([])
    mute = false
    await within(2000, exporter.flush({ timeoutMs: 2000 }))
    expect(sink.counts.get(idOf(1))).toBe(1)
  })

  test('a sink that is down is never taken for poison, also when it goes down while halving', async () => {
    for (const failsFrom of [0, 1, 5, 6, 9, 12]) {
      let writes = 0
      const poison = refuses(idOf(3))
      const sink = scriptedSink((events) => {
        if (writes++ >= failsFrom) down()
        poison(events)
      })
      const { storage, exporter } = await bench([sink], { waiting: 64 })
      await within(30_000, exporter.flush({ timeoutMs: 60_000 }))
      expect(await quarantine(storage)).toEqual([])
      const delivered = sink.counts.size
      expect(await waitingIn(storage)).toBe(64 - delivered)
    }
  })

  test('a batch of nothing but poison does not stand in the way of what comes after it', async () => {
    const poison = Array.from({ length: 50 }, (_, n) => idOf(n))
    const sink = scriptedSink(refuses(...poison))
    const { storage, exporter } = await bench([sink], { waiting: 80, batch: 50 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(sink.counts.size).toBe(30)
    expect(await quarantine(storage)).toHaveLength(50)
    expect(await waitingIn(storage)).toBe(0)
    await exporter.stop()
  })

  test('what one sink cannot take still reaches the others before it is set aside', async () => {
    let isDown = true
    const strict = scriptedSink(refuses(idOf(1)), 'strict')
    const late = scriptedSink(() => (isDown ? down() : undefined), 'late')
    const { storage, exporter } = await bench([strict, late], { waiting: 3 })
    await within(30_000, exporter.flush({ timeoutMs: 60_000 }))
    expect(await quarantine(storage)).toEqual([])
    isDown = false
    await vi.advanceTimersByTimeAsync(60_000)
    await within(30_000, exporter.flush({ timeoutMs: 60_000 }))
    expect(late.counts.size).toBe(3)
    expect(await quarantine(storage)).toEqual([`${idOf(1)} strict: fails alone: Error`])
  })
})

describe('back-pressure', () => {
  test('T-U6 a sink that is down for an hour: nothing is dropped, one batch at most is in memory, every failure is told', async () => {
    const startMs = Date.now()
    const isDown = (): boolean => Date.now() - startMs < 3_600_000
    const sink = scriptedSink(() => (isDown() ? down() : undefined))
    const inner = memory()
    let inMemory = 0
    let most = 0
    const leased = async (...args: Parameters<Storage['outbox']['lease']>) => {
      const lease = await inner.outbox.lease(...args)
      inMemory += lease.events.length
      most = Math.max(most, inMemory)
      return lease
    }
    const left = async <A extends { readonly ids: readonly string[] }>(
      command: (at: A) => Promise<number>,
      at: A,
    ) => {
      inMemory -= at.ids.length
      return command(at)
    }
    const outbox: Storage['outbox'] = {
      ...inner.outbox,
      lease: leased,
      ack: (at) => left(inner.outbox.ack, at),
      release: (at) => left(inner.outbox.release, at),
    }
    const { exporter, events } = await bench([sink], { storage: { ...inner, outbox } as Storage })
    exporter.start()
    for (let minute = 0; minute < 60; minute++) {
      await fillOutbox(inner, minute * 100, minute * 100 + 100)
      await vi.advanceTimersByTimeAsync(60_000)
    }
    expect(sink.counts.size).toBe(0)
    expect(await waitingIn(inner)).toBe(6000)
    // Told about once a minute, not once a write.
    const told = events.filter((e) => e.kind === 'sink.failed').length
    expect(told).toBeGreaterThan(50)
    expect(told).toBeLessThan(120)
    await vi.advanceTimersByTimeAsync(300_000)
    expect(sink.counts.size).toBe(6000)
    expect(Math.max(...sink.counts.values())).toBe(1)
    expect(await waitingIn(inner)).toBe(0)
    expect((await inner.outbox.backlog({ limit: 10 })).quarantined).toBe(0)
    expect(most).toBeLessThanOrEqual(500)
    await exporter.stop()
  })

  test.each(['report', 'reject'] as const)('T-U6 with whenFull: %s', async (whenFull) => {
    let isDown = true
    const sink = scriptedSink(() => (isDown ? down() : undefined))
    const options = { maxWaiting: 100, whenFull, waiting: 100 }
    const { storage, exporter, events } = await bench([sink], options)
    exporter.start()
    await vi.advanceTimersByTimeAsync(70_000)
    expect(kinds(events)).not.toContain('outbox.full')
    await fillOutbox(storage, 100, 101)
    await vi.advanceTimersByTimeAsync(70_000)
    const limits = { waiting: 101, maxWaiting: 100, whenFull }
    expect(events.filter((e) => e.kind.startsWith('outbox.'))).toEqual([
      { kind: 'outbox.full', ...limits },
    ])
    expect(exporter.isFull()).toBe(whenFull === 'reject')
    isDown = false
    await vi.advanceTimersByTimeAsync(130_000)
    expect(events.at(-1)).toEqual({ kind: 'outbox.drained', ...limits, waiting: 100 })
    expect(exporter.isFull()).toBe(false)
    await exporter.stop()
  })

  test('T-U6 too many waiting events are noticed within five seconds, also while a sink does not answer', async () => {
    const sink = scriptedSink(() => new Promise(() => {}))
    const options = { maxWaiting: 100, whenFull: 'reject', waiting: 100 } as const
    const { storage, exporter } = await bench([sink], options)
    exporter.start()
    await vi.advanceTimersByTimeAsync(1000)
    await fillOutbox(storage, 100, 101)
    await vi.advanceTimersByTimeAsync(5000)
    expect(exporter.isFull()).toBe(true)
    await within(1, exporter.stop())
  })
})

test('T-U6 no count is left out, with timers that come early and rounds that count too', async () => {
  const inner = memory()
  const at: number[] = []
  const outbox: Storage['outbox'] = {
    ...inner.outbox,
    backlog: (limits) => {
      at.push(performance.now())
      return inner.outbox.backlog(limits)
    },
  }
  const storage = { ...inner, outbox } as Storage
  const clock = {
    elapsedMs: () => performance.now(),
    after: (ms: number, task: () => void) => {
      const timer = setTimeout(task, Math.max(ms - 1, 0))
      return () => clearTimeout(timer)
    },
  }
  // After three rounds that count there are none: this one does not end.
  let writes = 0
  const sink = scriptedSink(() => (++writes > 3 ? new Promise(() => {}) : undefined))
  const { exporter } = await bench([sink], { storage, clock, leaseMs: 3_600_000, waiting: 1 })
  exporter.start()
  for (let n = 1; n < 5; n++) {
    await vi.advanceTimersByTimeAsync(1700)
    await fillOutbox(inner, n, n + 1)
  }
  await vi.advanceTimersByTimeAsync(60_000)
  const gaps = at.slice(1).map((ms, n) => ms - at[n]!)
  expect(gaps.length).toBeGreaterThanOrEqual(12)
  expect(Math.max(...gaps)).toBeLessThanOrEqual(5010)
  await within(100_000, exporter.stop())
})

describe('options', () => {
  const storage = memory()
  test.each([
    ['options.sinks[0]', { sinks: [{ contractVersion: 2, name: 'a', write: async () => {} }] }],
    ['options.sinks[0]', { sinks: [{ ...scriptedSink(), name: 'no good name' }] }],
    ['options.sinks', { sinks: [scriptedSink(), scriptedSink()] }],
    ['options.batch', { batch: 0 }],
    ['options.batch', { batch: 1001 }],
    ['options.leaseMs', { leaseMs: 999 }],
    ['options.whenFull', { whenFull: 'drop' }],
    ['options.other', { other: 1 }],
    ['options.storage', { storage: {} }],
  ])('%s is refused when it is not valid', (field, wrong) => {
    const options = { storage, sinks: [], ...wrong } as unknown as ExporterOptions
    expect(() => createExporter(options)).toThrow(
      expect.objectContaining({
        code: 'TK_CONFIG_INVALID',
        details: expect.objectContaining({ field }),
      }),
    )
  })

  test('without sinks nothing is leased', async () => {
    const { storage: own, exporter } = await bench([], { waiting: 1 })
    exporter.start()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await exporter.flush()).toEqual({ exported: 0, done: true })
    expect((await own.outbox.lease({ limit: 1, leaseMs: 1 })).events[0]?.attempts).toBe(1)
  })
})
