/**
 * Servers that claim more than a call could use, on each store: who is believed, what is charged, and
 * what is kept for those who want to know.
 *
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { createTenantKeys } from '../../src/tenant-keys.ts'
import { type Lie, lyingAnswer, lyingScene, type Scene } from '../support/lying-scene.ts'
import { migrated, type OpenStore, openStore } from '../support/open-store.ts'
import { POSTGRES_KINDS, postgresServer, skipsPostgres } from '../support/postgres-server.ts'
import { type ProviderServer, startProvider } from '../support/provider-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const BILLION = 1_000_000_000
const LIE: Lie = {
  liar: 'vllm',
  usage: {
    prompt_tokens: BILLION,
    completion_tokens: BILLION,
    prompt_tokens_details: { cached_tokens: BILLION / 2 },
    completion_tokens_details: { reasoning_tokens: BILLION },
  },
  deltas: null,
  hold: 'bound',
  maxTokens: 500,
}

const fileOf = temporaryFiles()
let server: ProviderServer
let open: { scene: Scene; store: OpenStore } | null
beforeEach(async () => {
  server = await startProvider()
  open = null
})
afterEach(async () => {
  await open?.scene.tk.close()
  await open?.store.close()
  await server.close()
})

async function sceneOn(store: OpenStore, lies: readonly Lie[]): Promise<Scene> {
  server.answer = lyingAnswer(lies)
  const scene = await lyingScene(createTenantKeys, store.storage, server)
  open = { scene, store }
  return scene
}

function onStore(openOne: () => Promise<OpenStore>): void {
  test('T-B7 a lie is charged at what was held, marked, told, and kept: no budget passes its limit', async () => {
    const lies: readonly Lie[] = [
      LIE,
      { ...LIE, maxTokens: 501, deltas: 5 },
      { ...LIE, maxTokens: 502, deltas: 5, hold: 'grow' },
      { ...LIE, maxTokens: 503, liar: 'openai' },
      { ...LIE, maxTokens: 504, liar: 'ollama', deltas: 2 },
      { ...LIE, maxTokens: 505, liar: 'openrouter', usage: { ...LIE.usage, cost: 900_000 } },
    ]
    const { tk, tell, books, receipts, events } = await sceneOn(await openOne(), lies)
    for (const one of lies) await tell(one)
    expect(receipts).toHaveLength(lies.length)
    for (const { name, used, limit, held } of await books()) {
      expect(used > 0n && used <= limit, `${name}: ${used} of ${limit}`).toBe(true)
      expect(held, name).toBe(0n)
    }
    const { items } = await tk.usage.list({ tenantId: 'acme' })
    expect(items.map(({ priceId }) => priceId?.endsWith(' capped'))).toEqual(lies.map(() => true))
    for (const row of items) {
      expect(row).toMatchObject({ quality: 'estimated', overageNanoUsd: 0n })
      expect(row.costNanoUsd).toBe(row.amounts.usd)
      expect(row.counts).toMatchObject({
        claimed_input_tokens: BILLION,
        claimed_output_tokens: BILLION,
        claimed_reasoning_tokens: BILLION,
      })
    }
    expect(items.at(-1)?.providerCostNanoUsd).toBe(900_000n * 1_000_000_000n)
    expect(events.filter(({ kind }) => kind === 'usage.capped')).toHaveLength(lies.length)
    expect(events.filter(({ kind }) => kind === 'budget.overage')).toEqual([])
    const [total] = await tk.usage.query()
    expect(total).toMatchObject({ calls: lies.length, estimatedCalls: lies.length })
    expect((await tk.budgets.check()).drifts).toEqual([])
  })
}

describe('in memory', () => {
  onStore(async () => ({ storage: memory(), close: async () => {} }))
})

describe('on SQLite', () => {
  onStore(async () => {
    const storage = sqlite({ file: fileOf(`capped-${Math.random()}.db`) })
    return { storage, close: async () => {} }
  })
})

describe.each(POSTGRES_KINDS)('on PostgreSQL %s', (kind) => {
  describe.skipIf(skipsPostgres(kind))('whose server this machine has', () => {
    onStore(async () =>
      openStore(await migrated(await (await postgresServer(kind)).freshDatabase())),
    )
  })
})

describe('who is believed', () => {
  const onMemory = (lies: readonly Lie[]): Promise<Scene> =>
    sceneOn({ storage: memory(), close: async () => {} }, lies)

  test('an honest server of a tenant is charged what it says, as a measurement', async () => {
    const usage = { prompt_tokens: 12, completion_tokens: 450 }
    const lies: readonly Lie[] = [
      { ...LIE, usage },
      { ...LIE, usage, maxTokens: 501, liar: 'openai', deltas: 400 },
    ]
    const { tell, receipts, events } = await onMemory(lies)
    for (const one of lies) await tell(one)
    expect(receipts).toHaveLength(2)
    for (const { quality, costNanoUsd, priceId } of receipts) {
      expect({ quality, costNanoUsd }).toEqual({ quality: 'measured', costNanoUsd: 912_000n })
      expect(priceId).not.toContain('capped')
    }
    expect(events).toEqual([])
  })

  test("the operator's address of a provider is believed, also where a tenant names it: there the figure is a bill", async () => {
    const usage = { prompt_tokens: 12, completion_tokens: 5000 }
    server.answer = lyingAnswer([{ ...LIE, usage }])
    const { tell, receipts, events } = await onMemory([{ ...LIE, usage, liar: 'xai' }])
    await tell({ ...LIE, usage, liar: 'xai' })
    expect(receipts).toMatchObject([{ quality: 'measured', costNanoUsd: 10_012_000n }])
    expect(receipts[0]?.overageNanoUsd).toBeGreaterThan(0n)
    expect(events.map(({ kind }) => kind)).toEqual(['budget.overage'])
  })

  test('an estimate of ours is cut as well: a stream without end is no way around', async () => {
    const lies: readonly Lie[] = [{ ...LIE, usage: {}, maxTokens: 3, deltas: 300 }]
    const { tell, receipts, books } = await onMemory(lies)
    for (const one of lies) await tell(one)
    expect(receipts).toMatchObject([{ quality: 'estimated', tokens: { output: 3 } }])
    for (const { used, limit } of await books()) expect(used <= limit).toBe(true)
  })

  test('a figure above what a growing hold came to is cut to it, and no further', async () => {
    const usage = { prompt_tokens: 12, completion_tokens: 450 }
    const lies: readonly Lie[] = [
      { ...LIE, usage, hold: 'grow', deltas: 5 },
      { ...LIE, usage, hold: 'grow', deltas: 300, maxTokens: 501 },
    ]
    const { tell, receipts } = await onMemory(lies)
    for (const one of lies) await tell(one)
    expect(receipts).toMatchObject([
      { quality: 'estimated', tokens: { output: 256 }, counts: { claimed_output_tokens: 450 } },
      { quality: 'measured', tokens: { output: 450 }, counts: {} },
    ])
  })
})
