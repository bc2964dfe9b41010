import { execFile } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { memorySink } from '../../src/adapters/sinks/index.ts'
import { storageBudgetGuard } from '../../src/budgets/storage-budget-guard.ts'
import { systemMonotonicClock } from '../../src/kernel/clock.ts'
import { ask, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { tenants } from '../../src/testing/storage-conformance/samples.ts'
import { gatedBudgetGuard } from '../../src/usage/export-gate.ts'
import { createExporter } from '../../src/usage/exporter.ts'
import { bundle } from '../support/bundle.ts'
import { install } from '../support/installation.ts'
import { scriptedSink } from '../support/outbox.ts'
import { chat, type ProviderServer, startProvider, USAGE } from '../support/provider-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'
const fileOf = temporaryFiles()
/** One that does not end by itself is ended, so that nothing is left. */
const ENDS = { timeout: 200_000 }

let server: ProviderServer
beforeAll(async () => {
  server = await startProvider(chat)
})
afterAll(() => server.close())

const ask1 = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hi' }] }

describe('sinks of an installation', () => {
  test('T-U7 three attempts of one call: three rows and events, one call id, each charged once', async () => {
    let attempts = 0
    const failing = await startProvider((request, response, count) => {
      if (++attempts === 3) return chat(request, response, count)
      // It fails, and says what was used all the same.
      response.writeHead(500, { 'content-type': 'application/json' })
      return response.end(JSON.stringify({ error: { message: 'no' }, usage: USAGE }))
    })
    const sink = memorySink()
    const here = await install(failing.baseUrl, { sinks: [sink] })
    await here.client({}, { maxRetries: 2 }).chat.completions.create(ask1)
    await here.tk.flush()
    const { items } = await here.tk.usage.list({ tenantId: 'acme' })
    expect(items).toHaveLength(3)
    expect(new Set(items.map((row) => row.callId)).size).toBe(1)
    expect(new Set(items.map((row) => row.id)).size).toBe(3)
    expect(here.receipts.map((r) => r.attemptId).sort()).toEqual(items.map((row) => row.id).sort())
    const sum = items.reduce((all, row) => all + row.costNanoUsd, 0n)
    const [budget] = await here.tk.budgets.list({ tenantId: 'acme' })
    expect(budget?.usedAmount).toBe(sum)
    const usage = sink.events.filter((event) => event.kind === 'usage')
    expect(usage.map((event) => event.id).sort()).toEqual(items.map((row) => row.id).sort())
    expect(usage.reduce((all, { data }) => all + BigInt(String(data.costNanoUsd)), 0n)).toBe(sum)
    await here.tk.close()
    await failing.close()
  })

  test('T-U7 attempts that cost nothing have no row: two refusals and an answer are one', async () => {
    let attempts = 0
    const failing = await startProvider((request, response, count) => {
      if (++attempts === 3) return chat(request, response, count)
      response.writeHead(500).end()
      return response
    })
    const sink = memorySink()
    const here = await install(failing.baseUrl, { sinks: [sink] })
    await here.client({}, { maxRetries: 2 }).chat.completions.create(ask1)
    await here.tk.flush()
    expect((await here.tk.usage.list({ tenantId: 'acme' })).items).toHaveLength(1)
    expect(sink.events.filter((event) => event.kind === 'usage')).toHaveLength(1)
    await here.tk.close()
    await failing.close()
  })

  test('T-U10 a call does not wait for sinks: it ends while a sink hangs, and its event waits', async () => {
    let asked = 0
    const hanging = scriptedSink(() => {
      asked++
      return new Promise(() => {})
    })
    const here = await install(server.baseUrl, { sinks: [hanging] })
    for (let n = 0; n < 20; n++) await here.client().chat.completions.create(ask1)
    expect(here.receipts.every((receipt) => receipt.settled)).toBe(true)
    // One write at a time, however many calls end.
    expect(asked).toBeLessThanOrEqual(1)
    expect((await here.tk.outbox.status()).waiting).toBeGreaterThanOrEqual(20)
  })

  test('T-U10 a settle enqueues only: what it adds is printed', async () => {
    const storage = memory()
    await tenants(storage, 'acme')
    const guard = storageBudgetGuard({ storage, clock: systemMonotonicClock })
    const sink = scriptedSink()
    const exporter = createExporter({ storage, sinks: [sink] })
    const gated = gatedBudgetGuard(guard, exporter)
    const rounds = FULL ? 20_000 : 500
    const timeOf = async (used: typeof guard): Promise<number> => {
      // A store in memory never lets go of the process: the exporter gets its turns here.
      await new Promise((next) => setImmediate(next))
      const item = ask('acme', 1n)
      await used.reserve(item)
      const startedMs = performance.now()
      await used.settle(settleOf('acme', item.holdId, 1n))
      return performance.now() - startedMs
    }
    exporter.start()
    // In turns, so that whatever else this machine does meets both.
    const without: number[] = []
    const withSinks: number[] = []
    for (let n = 0; n < rounds; n++) {
      without.push(await timeOf(guard))
      withSinks.push(await timeOf(gated))
    }
    // Nothing was written to a sink by a settle itself: the exporter has a turn of its own.
    const writes = sink.writes.length
    expect(writes).toBeLessThan(rounds)
    await exporter.stop()
    if (!FULL) return
    const at = (times: readonly number[], p: number): number =>
      [...times].sort((a, b) => a - b)[Math.floor(times.length * p)]! * 1000
    const row = (of: (p: number) => number): Record<string, string> => ({
      'p50, us': of(0.5).toFixed(1),
      'p99, us': of(0.99).toFixed(1),
    })
    console.table({
      'settle alone': { settles: rounds, ...row((p) => at(without, p)) },
      'settle with sinks': {
        settles: rounds,
        ...row((p) => at(withSinks, p)),
        'writes to the sink meanwhile': writes,
      },
      'T-U10 added': row((p) => at(withSinks, p) - at(without, p)),
    })
  })

  test("whenFull: 'reject' refuses new calls and settles those under way; nothing is sent or held", async () => {
    let isDown = true
    const sink = scriptedSink(() => {
      if (isDown) throw new Error('down')
    })
    const exporter = { maxWaiting: 1, whenFull: 'reject' as const, retryMs: 1, start: false }
    const here = await install(server.baseUrl, { sinks: [sink], exporter })
    await here.client().chat.completions.create(ask1)
    await here.tk.flush()
    await here
      .client()
      .chat.completions.create(ask1)
      .catch(() => {})
    const sent = server.requests.length
    const refused = here.client().chat.completions.create(ask1)
    await expect(refused).rejects.toMatchObject({ code: 'TK_OUTBOX_FULL' })
    expect(server.requests.length).toBe(sent)
    expect(here.events.map((e) => e.kind)).toContain('outbox.full')
    isDown = false
    await here.tk.close()
  })

  test('what no sink takes is set aside, listed, and put back by tk.outbox, which is audited', async () => {
    let strict = true
    const sink = scriptedSink((events) => {
      const usage = events.filter((event) => event.kind === 'usage').map(({ id }) => id)
      if (!strict || usage.length === 0) return {}
      const rejected = usage.map((id) => ({ id, reason: 'not of interest' }))
      return { accepted: events.map(({ id }) => id).filter((id) => !usage.includes(id)), rejected }
    })
    const here = await install(server.baseUrl, { sinks: [sink] })
    await here.client().chat.completions.create(ask1)
    await here.tk.flush()
    expect(await here.tk.outbox.status()).toMatchObject({ waiting: 0, quarantined: 1 })
    const { items } = await here.tk.outbox.quarantined()
    expect(items).toMatchObject([{ kind: 'usage', reason: 'scripted: not of interest' }])
    strict = false
    const ids = items.map(({ id }) => id)
    expect(await here.tk.outbox.requeue({ ids, actor: 'ops@example.com' })).toBe(1)
    await here.tk.flush()
    expect(await here.tk.outbox.status()).toMatchObject({ waiting: 0, quarantined: 0 })
    expect(sink.counts.get(ids[0]!)).toBe(1)
    await here.tk.close()
  })

  test('a process with sinks ends by itself, and one that awaits flush waits for it', async () => {
    const script = await bundle('test/integration/idle-exporter-worker.ts', fileOf('built'), 'idle')
    symlinkSync(resolve('node_modules'), fileOf('node_modules'))
    const { stdout } = await promisify(execFile)(process.execPath, [script], ENDS)
    expect(stdout.trim().split('\n')).toEqual(['flushed false', 'the end'])
  })
})
