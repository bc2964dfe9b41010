/**
 * The conformance suite of the UsageSink port. Every case opens with the clause it holds a sink to;
 * the clauses are in `usage/usage-sink.ts` and docs/ports.md.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { uuidv7 } from '../kernel/ids.ts'
import type { OutboxRecord } from '../storage/records.ts'
import { type ExportedEvent, exportedEvent } from '../usage/event-text.ts'
import type { UsageSink } from '../usage/usage-sink.ts'
import type { ConformanceRunner } from './storage-conformance/index.ts'

/** One sink of its own, with nothing behind it yet. */
export interface SinkUnderTest {
  readonly sink: UsageSink
  /** Everything that arrived, in order; an event may be there more than once. */
  received(): Promise<readonly ExportedEvent[]>
  /** Makes what is behind the sink fail from now on; without it US-3 is left out. */
  breakBackend?(): Promise<void>
  /** Removes everything; called once. */
  dispose(): Promise<void>
}

export interface SinkConformanceOptions {
  readonly name: string
  make(): Promise<SinkUnderTest>
}

const TEXTS = [
  'plain',
  'line\nbreak',
  '"quoted"',
  'back\\slash',
  '\u2028',
  'snowman \u2603 \u{1f511}',
  '',
]

const event = (n: number): OutboxRecord => ({
  id: uuidv7(),
  kind: n % 2 === 0 ? 'usage' : 'sample',
  tenantId: n % 3 === 0 ? null : `tenant-${n}`,
  atMs: Date.UTC(2026, 0, 15) + n,
  payload: JSON.stringify({ n, text: TEXTS[n % TEXTS.length], costNanoUsd: String(10n ** 18n) }),
  attempts: 1,
})

const events = (count: number): readonly OutboxRecord[] =>
  Array.from({ length: count }, (_, n) => event(n))

const idsOf = (list: readonly { readonly id: string }[]): readonly string[] =>
  list.map(({ id }) => id)

type Case = (here: SinkUnderTest) => Promise<void>

const CASES: Readonly<Record<string, Case>> = {
  'US-1 what is accepted has arrived, each event once': async ({ sink, received }) => {
    const written = events(50)
    const { accepted, rejected } = await sink.write(written)
    assert.deepEqual([...accepted].sort(), [...idsOf(written)].sort())
    assert.deepEqual(rejected, [])
    assert.deepEqual([...idsOf(await received())].sort(), [...idsOf(written)].sort())
  },
  'US-1 several writes add up': async ({ sink, received }) => {
    const written = events(30)
    for (const part of [written.slice(0, 1), written.slice(1, 20), written.slice(20)]) {
      assert.deepEqual([...(await sink.write(part)).accepted].sort(), [...idsOf(part)].sort())
    }
    assert.deepEqual([...idsOf(await received())].sort(), [...idsOf(written)].sort())
  },
  'US-4 an event that comes again is accepted again': async ({ sink, received }) => {
    const written = events(5)
    await sink.write(written)
    const again = await sink.write([...written.slice(2), event(9)])
    assert.equal(again.accepted.length, 4)
    assert.deepEqual(again.rejected, [])
    const arrived = new Set(idsOf(await received()))
    assert.equal(arrived.size, 6)
  },
  'US-5 events arrive as they were written': async ({ sink, received }) => {
    const written = events(2 * TEXTS.length)
    await sink.write(written)
    const arrived = new Map((await received()).map((e) => [e.id, e]))
    for (const one of written) assert.deepEqual(arrived.get(one.id), exportedEvent(one))
  },
}

const BROKEN: Readonly<Record<string, Case>> = {
  'US-3 nothing is accepted that did not arrive': async ({ sink, received, breakBackend }) => {
    const written = events(3)
    await sink.write(written)
    const before = await received()
    await breakBackend!()
    const answer = await sink.write(events(4)).catch(() => ({ accepted: [], rejected: [] }))
    assert.deepEqual(answer, { accepted: [], rejected: [] })
    assert.deepEqual(await received(), before)
  },
}

/** Declares the suite for one sink. */
export function sinkConformance(runner: ConformanceRunner, options: SinkConformanceOptions): void {
  const declare = (title: string, run: Case): unknown =>
    runner.test(title, async () => {
      const here = await options.make()
      try {
        await run(here)
        await here.sink.close?.()
      } finally {
        await here.dispose()
      }
    })
  runner.describe(`UsageSink: ${options.name}`, () => {
    for (const [title, run] of Object.entries(CASES)) declare(title, run)
    for (const [title, run] of Object.entries(BROKEN)) {
      declare(title, async (here) => (here.breakBackend ? run(here) : undefined))
    }
  })
}
