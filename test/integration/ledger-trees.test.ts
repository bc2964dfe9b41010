import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { AccountRef, ReserveItem } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { FULL, printFigures } from '../support/figures.ts'
import { acmeBudget, install } from '../support/installation.ts'
import {
  chatJson,
  json,
  startProvider,
  USAGE,
  USAGE_COST_NANO,
} from '../support/provider-server.ts'
import { seeded } from '../support/seeded.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const TREES = FULL ? 10_000 : 1000
const CALLS = FULL ? 20_000 : 1500
const fileOf = temporaryFiles()

const CALL = { callId: 'c', keyId: null, scope: null, provider: 'p', model: 'm', priceId: null }

/** A random tree of tenants, each with a budget; `paths[i]` leads from tenant i to the root. */
async function grow(
  storage: Storage,
  size: number,
  random: (below: number) => number,
): Promise<{ names: string[]; parents: number[]; paths: AccountRef[][] }> {
  const names: string[] = []
  const parents: number[] = []
  const paths: AccountRef[][] = []
  const prefix = `t${random(1e9)}`
  for (let i = 0; i < size; i++) {
    const parent = i === 0 ? -1 : random(i)
    const id = `${prefix}-${i}`
    const parentId = parent < 0 ? null : names[parent]!
    await storage.tenants.create({ id, parentId, credentials: 'tenant' }, {})
    const depth = parent < 0 ? 0 : paths[parent]!.length
    const account = { id: `tenant:${id}`, depth }
    const budget = { tenantId: id, account, unit: 'usd', window: 'month', zone: 'UTC' } as const
    const limit = BigInt(20 + random(200))
    await storage.ledger.setBudget({ ...budget, limit, source: 'explicit' }, {})
    names.push(id)
    parents.push(parent)
    paths.push([account, ...(parent < 0 ? [] : paths[parent]!)])
  }
  return { names, parents, paths }
}

const holdOf = (
  n: number,
  tenantId: string,
  accounts: readonly AccountRef[],
  usd: bigint,
): ReserveItem => ({
  holdId: `01890000-0000-7000-8000-${String(n).padStart(12, '0')}`,
  tenantId,
  accounts,
  amounts: { usd },
  ttlMs: 60_000,
  call: CALL,
})

test(`T-B12 in ${TREES} random trees no level keeps a hold that another refused, and a parent holds what is held under it`, async () => {
  const random = seeded(12)
  const storage = memory({ clock: fakeClock() })
  await storage.migrate()
  let ids = 0
  let refusals = 0
  const wrong: string[] = []
  for (let tree = 0; tree < TREES; tree++) {
    const { names, parents, paths } = await grow(storage, 2 + random(5), random)
    const live: { tenant: number; item: ReserveItem }[] = []
    for (let step = 0; step < 6; step++) {
      const tenant = random(names.length)
      const item = holdOf(ids++, names[tenant]!, paths[tenant]!, BigInt(1 + random(90)))
      const [result] = await storage.ledger.reserve([item])
      if (result?.ok) live.push({ tenant, item })
      else refusals++
      if (live.length > 0 && random(3) === 0) {
        const [{ item: done }] = live.splice(random(live.length), 1) as [(typeof live)[number]]
        const { holdId, tenantId, amounts } = done
        if (random(2) === 0) await storage.ledger.void([{ holdId, tenantId }])
        else await storage.ledger.settle([settleOf(tenantId, holdId, amounts.usd! / 2n)])
      }
    }
    const held = await Promise.all(
      names.map(async (name) => (await storage.ledger.budgets(name))[0]!.held),
    )
    const own = names.map((_, i) =>
      live.filter((l) => l.tenant === i).reduce((sum, l) => sum + l.item.amounts.usd!, 0n),
    )
    for (let i = 0; i < names.length; i++) {
      const under = parents.flatMap((parent, child) => (parent === i ? [held[child]!] : []))
      const due = under.reduce((sum, h) => sum + h, own[i]!)
      if (held[i] !== due) wrong.push(`${names[i]} holds ${held[i]}, not ${due}`)
    }
  }
  printFigures({
    'T-B12': 'memory',
    trees: TREES,
    calls: ids,
    refused: refusals,
    'accounts that hold more or less than is below them': wrong.length,
  })
  expect(wrong).toEqual([])
  expect(refusals).toBeGreaterThan(TREES / 10)
}, 600_000)

describe('T-B13 32 workers with overlapping paths of depth 4 in random order', () => {
  const stores: [string, () => Storage][] = [
    ['memory', () => memory()],
    ['sqlite', () => sqlite({ file: fileOf('paths.db'), synchronous: 'NORMAL' })],
  ]
  test.each(stores)(
    `end, all of them, within their limits, on %s (${CALLS} calls)`,
    async (store, make) => {
      const random = seeded(13)
      const storage = make()
      await storage.migrate()
      const { names, paths } = await grow(storage, 12, random)
      let ids = 0
      let settled = 0
      const worker = async (): Promise<void> => {
        while (ids < CALLS) {
          const tenant = random(names.length)
          const tenantId = names[tenant]!
          // The same accounts in any order: the store sorts them into the order of its locks.
          const accounts = [...paths[tenant]!].sort(() => random(3) - 1)
          const item = holdOf(ids++, tenantId, accounts, BigInt(1 + random(9)))
          const [result] = await storage.ledger.reserve([item])
          if (!result?.ok) continue
          await storage.ledger.settle([settleOf(tenantId, item.holdId, 0n)])
          settled++
        }
      }
      const startedMs = performance.now()
      await Promise.all(Array.from({ length: 32 }, worker))
      const seconds = Math.round((performance.now() - startedMs) / 1000)
      const lines = await Promise.all(names.map((name) => storage.ledger.budgets(name)))
      const off = lines.filter(([line]) => line?.held !== 0n || line.posted !== 0n)
      const depth = Math.max(...paths.map((path) => path.length))
      printFigures({
        ...{ 'T-B13': store, workers: 32, accounts: names.length, 'deepest path': depth },
        ...{ calls: ids, settled, 'accounts that are not back at zero': off.length, seconds },
      })
      expect(settled).toBeGreaterThan(CALLS / 2)
      expect(depth).toBeGreaterThanOrEqual(4)
      expect(off).toEqual([])
      await storage.close()
    },
    600_000,
  )
})

test('T-U7 three attempts of one call are three rows under one call id, each charged once', async () => {
  const server = await startProvider((request, response, count) =>
    count < 3
      ? json(response, { error: { message: 'cut off' }, usage: USAGE }, 500, {
          'retry-after-ms': '1',
        })
      : chatJson()(request, response, count),
  )
  const { tk, client, receipts } = await install(server.baseUrl)
  const ask = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hi' }] }
  await client({}, { maxRetries: 2 }).chat.completions.create(ask)
  expect(new Set(receipts.map((r) => r.callId)).size).toBe(1)
  expect(new Set(receipts.map((r) => r.attemptId)).size).toBe(3)
  const [total] = await tk.usage.query()
  expect(total).toMatchObject({ calls: 3, costNanoUsd: 3n * USAGE_COST_NANO })
  expect(await acmeBudget(tk)).toEqual({ used: 3n * USAGE_COST_NANO, held: 0n })
  await tk.close()
  await server.close()
})

test('S3.4 S3.25 S3.43 a key has a cap per day of its own, in the database, below that of its tenant', async () => {
  const server = await startProvider(chatJson())
  const { tk, keyId, client } = await install(server.baseUrl, { monthlyUsd: '10.00' })
  const account = { tenantId: 'acme', keyId }
  await tk.budgets.set({ account, window: 'day', limit: { usd: '0.0030' } })
  const ask = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hi' }] }
  const call = () => client().chat.completions.create(ask)
  await call()
  await tk.budgets.set({ account, window: 'day', limit: { usd: '0.00003' } })
  await expect(call()).rejects.toMatchObject({
    code: 'TK_BUDGET_EXHAUSTED',
    details: { denial: { account: `key:${keyId}`, window: 'day', used: '0.000024' } },
  })
  expect(server.requests).toHaveLength(1)
  await tk.close()
  await server.close()
})

test('S2.6 S2.29 a request above the size limit of a plan is refused before it is held', async () => {
  const server = await startProvider(chatJson())
  const { tk, client } = await install(server.baseUrl)
  await tk.budgets.set({ account: { tenantId: 'acme' }, window: 'call', limit: { bytes: 1000 } })
  const call = (content: string) =>
    client().chat.completions.create({
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content }],
    })
  await call('short')
  await expect(call('x'.repeat(1000))).rejects.toMatchObject({ code: 'TK_REQUEST_TOO_LARGE' })
  expect(server.requests).toHaveLength(1)
  await tk.close()
  await server.close()
})
