/**
 * A tenant whose own servers say whatever they like about usage, with budgets all along its path.
 *
 * @module
 */
import type { RuntimeEvent } from '../../src/kernel/events.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import type { HoldMode } from '../../src/request/hold-amounts.ts'
import type { Receipt } from '../../src/request/receipt.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { createTenantKeys, TenantKeys } from '../../src/tenant-keys.ts'
import type { HostPrice } from '../../src/usage/host-price.ts'
import { type Answer, chunkOf, json, openStream, type ProviderServer } from './provider-server.ts'
import { testKey } from './test-key.ts'

export const MODEL = 'local-model'

/** Providers whose server the tenant names, and one whose server the operator runs. */
export const LIARS = ['vllm', 'openai', 'openrouter', 'ollama'] as const
/** `xai`: at an address of the operator's, which the tenant names too. */
export type Liar = (typeof LIARS)[number] | 'xai'
const ALL: readonly Liar[] = [...LIARS, 'xai']

/** What a server says of one call, as it stands in `usage`. */
export interface Lie {
  readonly liar: Liar
  readonly usage: object
  readonly tier?: string | undefined
  /** Deltas before it, of a token or so each; `null`: no stream. */
  readonly deltas: number | null
  readonly hold: HoldMode
  readonly maxTokens: number
  /** The caller leaves after so many deltas. */
  readonly leavesAfter?: number | undefined
}

export interface Scene {
  readonly tk: TenantKeys
  readonly receipts: Receipt[]
  readonly events: RuntimeEvent[]
  /** Resolves when the call is over; a denial of the budget is no failure. */
  tell(lie: Lie): Promise<void>
  /** `<account> <unit>`: used and limit of every budget. */
  books(): Promise<readonly { readonly name: string; used: bigint; limit: bigint; held: bigint }[]>
}

/** Dear classes that no request here can reach, searches, and the server's own word for `openrouter`. */
const priceOf = (provider: Liar): HostPrice => ({
  provider,
  model: MODEL,
  inputUsdPerMTok: '1',
  outputUsdPerMTok: '2',
  cacheReadUsdPerMTok: '0.1',
  cacheWriteUsdPerMTok: '1.25',
  inputAudioUsdPerMTok: '40',
  outputAudioUsdPerMTok: '80',
  unitsUsd: { web_search_requests: '0.01' },
  serviceTiers: { priority: { ratio: [2, 1] } },
  use: provider === 'openrouter' ? 'provider' : 'table',
})

const LIMITS = [
  { level: 'key', limit: { usd: '0.03' } },
  { level: 'acme', limit: { usd: '0.04' } },
  { level: 'acme', limit: { tokens: 20_000 } },
  { level: 'reseller', limit: { usd: '0.05' } },
  { level: 'reseller', limit: { tokens: 25_000 } },
  { level: 'reseller', limit: { credits: '30' } },
] as const

/** @param create - the real one, or one that was sabotaged. */
export async function lyingScene(
  create: typeof createTenantKeys,
  storage: Storage,
  server: ProviderServer,
): Promise<Scene> {
  const origin = new URL(server.baseUrl).origin
  const receipts: Receipt[] = []
  const events: RuntimeEvent[] = []
  const tk = await create({
    storage,
    migrate: true,
    keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: definePolicy({ scopes: { chat: { providers: [...ALL], models: [MODEL] } } }),
    providers: { ollama: { baseUrl: server.baseUrl }, xai: { baseUrl: `${origin}/xai/v1` } },
    allowedEndpoints: [origin],
    prices: ALL.map(priceOf),
    credits: { perInputToken: '0.001', perOutputToken: '0.001' },
    onEvent: (event) => events.push(event),
  })
  await tk.tenants.create({ id: 'reseller' })
  await tk.tenants.create({ id: 'acme', parentId: 'reseller' })
  for (const provider of ALL) {
    const apiKey = ['fake', provider, 'key', '0123456789'].join('-')
    const value = provider === 'ollama' ? { apiKey } : { apiKey, endpoint: server.baseUrl }
    await tk.secrets.put({ tenantId: 'acme', provider, value })
  }
  const { key, info } = await tk.keys.issue({ tenantId: 'acme', name: 'k', scopes: ['chat'] })
  const accountOf = (level: string) =>
    level === 'key' ? { tenantId: 'acme', keyId: info.keyId } : { tenantId: level }
  for (const { level, limit } of LIMITS)
    await tk.budgets.set({ account: accountOf(level), window: 'month', limit })

  const tell = async ({ liar, hold, maxTokens, deltas, leavesAfter }: Lie): Promise<void> => {
    const fetch = tk.fetch({ key, provider: liar, hold, onReceipt: (r) => receipts.push(r) })
    const ask = { model: MODEL, messages: [{ role: 'user', content: 'Hi' }], max_tokens: maxTokens }
    const body = JSON.stringify({ ...ask, ...(deltas === null ? {} : { stream: true }) })
    // Below the base URL of the provider, as its client has it.
    const base = PROVIDERS.get(liar)!.baseUrl
    const response = await fetch(`${base}/chat/completions`, { method: 'POST', body })
    if (deltas === null || leavesAfter === undefined) {
      await response.text()
      return
    }
    const reader = response.body!.getReader()
    for (let n = 0; n < leavesAfter; n++) if ((await reader.read()).done) break
    await reader.cancel()
  }
  return {
    tk,
    receipts,
    events,
    tell: (lie) => tell(lie).catch(unlessDenied),
    books: async () => {
      const lists = [
        await tk.budgets.list({ tenantId: 'acme' }),
        await tk.budgets.list({ tenantId: 'reseller' }),
      ]
      return lists.flat().map((budget) => ({
        name: `${JSON.stringify(budget.account)} ${budget.unit}`,
        used: budget.usedAmount,
        limit: budget.limitAmount,
        held: budget.heldAmount,
      }))
    },
  }
}

const DENIALS = ['TK_BUDGET_EXHAUSTED', 'TK_BUDGET_CONTENDED', 'TK_BUDGET_UNBOUNDED']

function unlessDenied(error: unknown): void {
  if (!DENIALS.includes(String((error as { code?: unknown }).code))) throw error
}

/** Answers each request with the lie that its maximum of output names; each has another one. */
export const lyingAnswer =
  (lies: readonly Lie[]): Answer =>
  async ({ body }, response) => {
    const named = (body as { max_tokens?: number }).max_tokens
    const lie = lies.find(({ maxTokens }) => maxTokens === named)
    if (!lie) throw new Error('nobody asked for that')
    const more = lie.tier === undefined ? {} : { service_tier: lie.tier }
    const { usage, deltas } = lie
    if (deltas === null) {
      const message = { role: 'assistant', content: 'hello' }
      json(response, { model: MODEL, choices: [{ index: 0, message }], usage, ...more })
      return
    }
    const out = openStream(response)
    for (let n = 0; n < deltas; n++) await out.send(chunkOf(MODEL, { content: 'ab ' }))
    await out.send({ ...chunkOf(MODEL, {}, 'stop'), choices: [], usage, ...more })
    await out.send('[DONE]')
    out.end()
  }
