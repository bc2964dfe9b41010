import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { RuntimeEvent } from '../../src/kernel/events.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createExporter, type ExporterOptions } from '../../src/usage/exporter.ts'
import { migrated, openStore, type StoreSpec } from '../support/open-store.ts'
import { fillOutbox, idOf, scriptedSink } from '../support/outbox.ts'
import { POSTGRES_KINDS, postgresServer, skipsPostgres } from '../support/postgres-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'
import { workersOf } from '../support/workers.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'
const EVENTS = FULL ? 100_000 : 4000
const KILLS = FULL ? 50 : 6

const fileOf = temporaryFiles()
const { start, next, kill } = workersOf('test/integration/exporter-worker.ts')

async function onSqlite(): Promise<StoreSpec> {
  const file = fileOf(`exporter-${Math.random()}.db`)
  const storage = sqlite({ file })
  await storage.migrate()
  await storage.close()
  return { kind: 'sqlite', file }
}

const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []

const soon = (ms: number): Promise<void> => new Promise((over) => setTimeout(over, ms))

/** Exports until nothing waits any more: what killed processes had leased is free after a second. */
async function drain(storage: Storage, options: Partial<ExporterOptions>): Promise<RuntimeEvent[]> {
  const events: RuntimeEvent[] = []
  const exporter = createExporter({
    storage,
    sinks: [],
    onEvent: (event) => events.push(event),
    ...options,
  })
  for (;;) {
    await exporter.flush({ timeoutMs: 60_000 })
    if ((await storage.outbox.backlog({ limit: 1 })).waiting === 0) break
    await soon(50)
  }
  await exporter.stop()
  return events
}

function killExporters(open: () => Promise<StoreSpec>): void {
  it(`T-U4 exporters that are killed between sending and acknowledging lose no event: ${EVENTS} events, ${KILLS} kills`, async () => {
    const spec = await open()
    const { storage, close } = openStore(spec)
    const file = fileOf(`exported-${Math.random()}.txt`)
    await fillOutbox(storage, 0, EVENTS)
    for (let n = 0; n < KILLS; n++) {
      const isExact = n % 2 === 0
      const child = await start([JSON.stringify(spec), file, isExact ? 'halt' : ''])
      // Real processes, real time: half of the kills land wherever they do.
      const waits = (await storage.outbox.backlog({ limit: 1 })).waiting > 0
      const sent = next(child)
      // A kill may come before it.
      sent.catch(() => {})
      child.send('go')
      if (isExact && waits) await sent
      else await soon(Math.random() * 60)
      await kill(child)
    }
    const killed = linesOf(file)
    const sink = scriptedSink()
    await drain(storage, { sinks: [sink] })
    const { waiting, quarantined } = await storage.outbox.backlog({ limit: 10 })
    await close()
    expect({ waiting, quarantined }).toEqual({ waiting: 0, quarantined: 0 })

    const seen = [...killed, ...sink.counts.keys()]
    const effect = new Set(seen)
    console.table([
      { store: spec.kind, events: EVENTS, kills: KILLS, 'sent again': seen.length - effect.size },
    ])
    // By effect, which is by id, each event counts once: none is lost, and none is made up.
    expect(effect.size).toBe(EVENTS)
    for (let n = 0; n < EVENTS; n++) if (!effect.has(idOf(n))) expect.fail(`${idOf(n)} is lost`)
    // The kills hit what they were meant to hit.
    expect(seen.length - effect.size).toBeGreaterThan(0)
  }, 600_000)
}

function poisonAndOutage(open: () => Promise<StoreSpec>): void {
  it('T-U5 one poison in 500: 499 delivered, one set aside with its reason', async () => {
    const { storage, close } = openStore(await open())
    await fillOutbox(storage, 0, 500)
    const poison = idOf(321)
    const sink = scriptedSink((events) => {
      if (events.some(({ id }) => id === poison)) throw new Error('no')
    })
    const told = await drain(storage, { sinks: [sink], retryMs: 1 })
    expect(sink.counts.size).toBe(499)
    const { items } = await storage.outbox.quarantined({ after: null, limit: 10 })
    const asides = items.map(({ id, reason }) => ({ id, reason }))
    const reason = 'fails alone: Error'
    expect(asides).toEqual([{ id: poison, reason: `scripted: ${reason}` }])
    expect(told).toEqual([
      { kind: 'export.quarantined', sink: 'scripted', eventId: poison, reason },
    ])
    await close()
  })

  it('T-U6 a sink that is down for many rounds: the queue stays in the database, and all of it arrives', async () => {
    const { storage, close } = openStore(await open())
    let rounds = 0
    const sink = scriptedSink(() => {
      if (rounds++ < 100) throw Object.assign(new Error('down'), { code: 'ECONNREFUSED' })
    })
    await fillOutbox(storage, 0, 1500)
    const told = await drain(storage, { sinks: [sink], retryMs: 1 })
    expect(sink.counts.size).toBe(1500)
    expect(Math.max(...sink.writes)).toBe(500)
    expect(told.filter((e) => e.kind === 'sink.failed').length).toBeGreaterThan(3)
    expect((await storage.outbox.backlog({ limit: 10 })).quarantined).toBe(0)
    await close()
  })

  it('several exporters at once bring each event to the sink once', async () => {
    const { storage, close } = openStore(await open())
    await fillOutbox(storage, 0, 2000)
    const sink = scriptedSink(() => soon(1))
    const drains = Array.from({ length: 4 }, () => drain(storage, { sinks: [sink], batch: 100 }))
    await Promise.all(drains)
    expect(sink.counts.size).toBe(2000)
    expect(Math.max(...sink.counts.values())).toBe(1)
    await close()
  })
}

describe('exporters on SQLite', () => {
  killExporters(onSqlite)
  poisonAndOutage(onSqlite)
})

for (const kind of POSTGRES_KINDS) {
  describe.skipIf(skipsPostgres(kind))(`exporters on PostgreSQL: ${kind}`, () => {
    const open = async (): Promise<StoreSpec> =>
      migrated(await (await postgresServer(kind)).freshDatabase())
    killExporters(open)
    poisonAndOutage(open)
  })
}
