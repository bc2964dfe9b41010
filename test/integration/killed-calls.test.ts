import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { systemWallClock } from '../../src/kernel/clock.ts'
import { bundle } from '../support/bundle.ts'
import { install } from '../support/installation.ts'
import { chat, type ProviderServer, startProvider } from '../support/provider-server.ts'
import { queryAll, temporaryFiles } from '../support/sqlite.ts'

const KILLS = process.env.TENANTKEYS_FORCE === '1' ? 200 : 12
const HOUR_MS = 3_600_000

const fileOf = temporaryFiles()
let script = ''
let server: ProviderServer
let child: ChildProcess | null = null

beforeAll(async () => {
  script = await bundle('test/integration/killed-worker.ts', fileOf('built'), 'worker')
  symlinkSync(resolve('node_modules'), fileOf('node_modules'))
  server = await startProvider(chat)
})
afterAll(async () => {
  child?.kill('SIGKILL')
  await server.close()
})

const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []

test(`T-B3 T-U3 ${KILLS} kills between reserve, call, settle, outbox and export lose nothing and double nothing`, async () => {
  const file = fileOf('killed-calls.db')
  const acknowledged = fileOf('acknowledged.txt')
  const exported = fileOf('exported.txt')
  const scene = await install(server.baseUrl, {
    storage: sqlite({ file, synchronous: 'NORMAL' }),
    monthlyUsd: '1000.00',
  })
  const { key } = scene
  await scene.tk.close()

  for (let n = 0; n < KILLS; n++) {
    child = fork(script, [file, server.baseUrl, key, acknowledged, exported])
    await once(child, 'message')
    // Real processes, real time: where the kill lands is what this test is about.
    await new Promise((next) => setTimeout(next, Math.random() * 60))
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  // An hour later by the store's clock every hold has expired.
  const later = { nowMs: () => systemWallClock.nowMs() + HOUR_MS }
  const storage = sqlite({ file, clock: later })
  await storage.migrate()
  while ((await storage.ledger.sweep(64)) > 0);
  const events: string[] = linesOf(exported)
  for (;;) {
    const leased = await storage.outbox.lease({ limit: 1000, leaseMs: 1 })
    if (leased.events.length === 0) break
    events.push(...leased.events.map(({ kind, id }) => `${kind} ${id}`))
    await storage.outbox.ack({ leaseId: leased.leaseId, ids: leased.events.map((e) => e.id) })
  }
  const budgets = (await storage.ledger.budgets('acme')).filter((line) => line.unit === 'usd')
  await storage.close()

  const usage = queryAll(file, 'SELECT id, cost_nano_usd AS cost FROM api_key_usage_logs')
  const expired = queryAll(file, "SELECT id FROM tk_holds WHERE state = 'expired'")
  const inLedger = usage.map((row) => String(row.id))
  const asUsage = events.filter((line) => line.startsWith('usage ')).map((line) => line.slice(6))
  const asUnknown = events.filter((line) => line.startsWith('unknown_spend '))
  const told = linesOf(acknowledged)
  console.table([
    {
      kills: KILLS,
      'seen by the provider': server.requests.length,
      acknowledged: told.length,
      'in the ledger': inLedger.length,
      exported: new Set(asUsage).size,
      'delivered twice': asUsage.length - new Set(asUsage).size,
      'unknown spend': new Set(asUnknown).size,
      'held after the TTL': String(budgets[0]?.held),
    },
  ])
  expect(inLedger.length).toBeGreaterThan(0)
  expect(new Set(inLedger).size).toBe(inLedger.length)
  expect(told.filter((id) => !inLedger.includes(id))).toEqual([])
  expect([...new Set(asUsage)].sort()).toEqual([...inLedger].sort())
  expect(inLedger.length).toBeLessThanOrEqual(server.requests.length)
  expect(new Set(asUnknown).size).toBe(expired.length)
  expect(budgets).toHaveLength(1)
  expect(budgets[0]?.held).toBe(0n)
  expect(budgets[0]?.posted).toBe(usage.reduce((sum, row) => sum + (row.cost as bigint), 0n))
}, 900_000)
