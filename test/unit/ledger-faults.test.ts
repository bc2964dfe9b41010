import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { fakeClock, withFaults } from '../../src/testing/index.ts'
import {
  ask,
  ledgerBench,
  one,
  settleOf,
  TTL_MS,
  usd,
} from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE, newKey, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { FULL, printFigures } from '../support/figures.ts'
import { seeded } from '../support/seeded.ts'

const STORES: Readonly<
  Record<string, (clock: { nowMs(): number }) => Promise<{ storage: Storage; dispose(): unknown }>>
> = {
  memory: async (clock) => ({ storage: memory({ clock }), dispose: () => {} }),
  sqlite: async (clock) => {
    const folder = await mkdtemp(join(tmpdir(), 'tenantkeys-'))
    const file = join(folder, 'store.db')
    return {
      storage: sqlite({ file, synchronous: 'NORMAL', clock }),
      dispose: () => rm(folder, { recursive: true, force: true }),
    }
  },
}

const OPERATIONS = FULL ? 100_000 : 10_000
const WORKERS = 8

/** Asks until there is an answer: the same request with the same ids. */
async function insist<T>(ask: () => Promise<T>, lost: { count: number }): Promise<T> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      return await ask()
    } catch (error) {
      if (!TenantKeysError.isInstance(error) || error.code !== 'TK_STORE_UNAVAILABLE') throw error
      lost.count++
    }
  }
  throw new Error('never answered')
}

describe.each(Object.keys(STORES))('%s', (name) => {
  test('T-B5 with a tenth of all replies lost, retries with the same ids leave exact counters', async () => {
    const random = seeded(5)
    const clock = fakeClock()
    const { storage: inner, dispose } = await STORES[name]!(clock)
    await inner.migrate()
    const limit = BigInt(OPERATIONS) * 60n
    const bench = await ledgerBench(inner, { limit })
    const dropped = { count: 0 }
    const storage = withFaults(inner, () => {
      const roll = random(100)
      return roll < 10 ? 'lost-reply' : roll < 13 ? 'lost-request' : null
    })
    const { ledger } = storage
    const tenantId = 'acme'
    // The model: what was answered, and nothing else.
    const model = { posted: 0n, held: 0n, usage: 0, operations: 0 }
    const answers: string[] = []

    const callOnce = async (): Promise<void> => {
      const amount = BigInt(random(900))
      const item = ask(tenantId, amount)
      const { holdId } = item
      model.operations++
      const result = one(await insist(() => ledger.reserve([item]), dropped))
      if (!result.ok) {
        answers.push(result.code)
        return
      }
      model.held += amount
      let total = amount
      if (random(3) === 0) {
        const raised = amount + BigInt(random(90))
        const raise = { holdId, tenantId, sequence: 1, amounts: usd(raised), ttlMs: TTL_MS }
        model.operations++
        const extended = one(await insist(() => ledger.extend([raise]), dropped))
        if (extended.ok) {
          model.held += raised - total
          total = raised
        }
      }
      const end = random(10)
      if (end === 0) return
      model.operations++
      model.held -= total
      if (end < 4) {
        const voided = one(await insist(() => ledger.void([{ holdId, tenantId }]), dropped))
        expect(voided.ok).toBe(true)
        return
      }
      const actual = BigInt(random(Number(total) + 1))
      const settle = settleOf(tenantId, holdId, actual)
      const settled = one(await insist(() => ledger.settle([settle]), dropped))
      expect(settled).toMatchObject({ ok: true, state: 'posted' })
      model.posted += actual
      model.usage++
    }

    const worker = async (): Promise<void> => {
      while (model.operations < OPERATIONS) await callOnce()
    }
    const startedMs = performance.now()
    await Promise.all(Array.from({ length: WORKERS }, worker))
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    const query = { tenantId, fromMs: null, untilMs: null, by: [] }
    const [total] = await inner.usage.totals(query)
    const line = await bench.line()
    printFigures({
      store: name,
      operations: model.operations,
      'messages lost': dropped.count,
      refused: answers.length,
      settled: model.usage,
      'posted, above the model': line.posted - model.posted,
      'held, above the model': line.held - model.held,
      'usage rows, above the model': (total?.calls ?? 0) - model.usage,
      seconds,
    })

    expect(model.operations).toBeGreaterThanOrEqual(OPERATIONS)
    expect(dropped.count).toBeGreaterThan(OPERATIONS / 10)
    expect(answers.length).toBeGreaterThan(0)
    await bench.expect(model.posted, model.held)
    expect(model.posted).toBeLessThanOrEqual(limit)
    expect(total).toMatchObject({ calls: model.usage, costNanoUsd: model.posted })

    // Holds whose caller is gone come back, once.
    clock.advance(TTL_MS)
    while ((await insist(() => ledger.sweep(1000), dropped)) > 0);
    await bench.expect(model.posted, 0n)
    await inner.close()
    await dispose()
  }, 3_600_000)
})

test('a fake clock moves when it is told to; a correction leaves the elapsed time alone', () => {
  const clock = fakeClock(1000)
  clock.advance(5)
  expect([clock.nowMs(), clock.elapsedMs()]).toEqual([1005, 5])
  clock.set(10)
  expect([clock.nowMs(), clock.elapsedMs()]).toEqual([10, 5])
})

describe('the fault injector', () => {
  const at = { tenantId: 'acme', keyId: newKey('acme', 1).keyId }

  test('a lost request never reaches the store and says so', async () => {
    const inner = memory()
    await tenants(inner, 'acme')
    const storage = withFaults(inner, ({ command, count }) =>
      command === 'keys.create' && count === 1 ? 'lost-request' : null,
    )
    await expect(storage.keys.create(newKey('acme', 1), NONE)).rejects.toMatchObject({
      code: 'TK_STORE_UNAVAILABLE',
      outcome: 'none',
    })
    expect(await inner.keys.get(at)).toBeNull()
    await storage.keys.create(newKey('acme', 1), NONE)
    expect(await inner.keys.get(at)).not.toBeNull()
  })

  test('a lost reply is a write that happened, reported as unknown', async () => {
    const inner = memory()
    await tenants(inner, 'acme')
    const storage = withFaults(inner, () => 'lost-reply')
    await expect(storage.keys.create(newKey('acme', 1), NONE)).rejects.toMatchObject({
      code: 'TK_STORE_UNAVAILABLE',
      outcome: 'unknown',
    })
    expect(await inner.keys.get(at)).not.toBeNull()
  })

  test('a delayed command runs when it is released', async () => {
    const inner = memory()
    let release: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const storage = withFaults(inner, ({ command }) => (command === 'tenants.create' ? gate : null))
    const waiting = tenants(storage, 'acme')
    expect(await storage.tenants.get('acme')).toBeNull()
    release()
    await waiting
    expect(await storage.tenants.get('acme')).not.toBeNull()
  })

  test('the store keeps its own errors, its capabilities and its close', async () => {
    const inner = memory()
    const storage = withFaults(inner, () => null)
    expect(storage.capabilities).toEqual(inner.capabilities)
    await expect(storage.keys.create(newKey('nobody', 1), NONE)).rejects.toMatchObject({
      code: 'TK_TENANT_NOT_FOUND',
    })
    await storage.close()
    await expect(inner.epoch()).rejects.toMatchObject({ code: 'TK_CLOSED' })
  })
})
