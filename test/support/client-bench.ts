/**
 * An installation in which every provider of the catalogue is the local server, with a tenant that has
 * a credential for each, and one price for every model.
 *
 * @module
 */
import { memory } from '../../src/adapters/memory/index.ts'
import type { RuntimeEvent } from '../../src/kernel/events.ts'
import { Secret } from '../../src/kernel/secret.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import type { CallContext } from '../../src/request/parts.ts'
import type { Receipt } from '../../src/request/receipt.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import type { ContextChange } from './installation.ts'
import { type ProviderServer, startProvider } from './provider-server.ts'
import { testKey } from './test-key.ts'

/** A model that every provider is said to have. `other` is priced, and not allowed by the scope. */
export const MODEL = 'test-model'
export const OTHER_MODEL = 'other-model'

/** 100 tokens of input at 1 USD per million, 20 of output at 2. */
export const COST_NANO = 140_000n

/** Of the platform, in options and environment: none of it may reach a provider. */
export const PLATFORM_CANARY = 'platform-canary-0123456789abcdef'

export const tenantSecret = (provider: string): string => `sk-tenant-${provider}-0123456789-CANARY`

export interface ClientBench extends AsyncDisposable {
  readonly tk: TenantKeys
  readonly server: ProviderServer
  readonly storage: Storage
  readonly key: string
  readonly receipts: Receipt[]
  readonly events: RuntimeEvent[]
  context(change?: ContextChange): CallContext
  budget(): Promise<{ readonly used: bigint; readonly held: bigint }>
  /** Usage rows as totals; every row must have exactly one event. */
  books(): Promise<{ readonly calls: number; readonly output: number; readonly events: number }>
}

export async function openClientBench(
  overrides: Partial<TenantKeysOptions> & { readonly monthlyUsd?: string } = {},
): Promise<ClientBench> {
  const { monthlyUsd = '1.00', ...options } = overrides
  const server = await startProvider()
  const { origin } = new URL(server.baseUrl)
  const storage = options.storage ?? memory()
  const receipts: Receipt[] = []
  const events: RuntimeEvent[] = []
  const ids = [...PROVIDERS.keys()]
  const tk = await createTenantKeys({
    storage,
    keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: definePolicy({
      scopes: {
        chat: { providers: ids, models: [MODEL] },
        tools: { providers: ids, models: ['*'] },
      },
    }),
    providers: Object.fromEntries(
      [...PROVIDERS.values()].map(({ id, baseUrl }) => [id, { baseUrl: origin + pathOf(baseUrl) }]),
    ),
    prices: ids.flatMap((provider) =>
      [MODEL, OTHER_MODEL].map((model) => ({
        provider,
        model,
        inputUsdPerMTok: '1',
        outputUsdPerMTok: '2',
        contextWindow: 128_000,
      })),
    ),
    allowedEndpoints: [origin],
    onEvent: (event) => events.push(event),
    ...options,
  })
  await tk.tenants.create({ id: 'acme' })
  for (const provider of PROVIDERS.values()) {
    const fields = Object.entries(provider.credential).filter(([, { required }]) => required)
    const value = Object.fromEntries(
      fields.map(([name, { kind }]) => [
        name,
        kind === 'secret' ? tenantSecret(provider.id) : publicField(name, origin),
      ]),
    )
    const first = Object.entries(provider.credential).find(([, { kind }]) => kind === 'secret')
    if (first && Object.keys(value).length === 0) value[first[0]] = tenantSecret(provider.id)
    await tk.secrets.put({ tenantId: 'acme', provider: provider.id, value })
  }
  await tk.budgets.set({
    account: { tenantId: 'acme' },
    window: 'month',
    limit: { usd: monthlyUsd },
  })
  const { key } = await tk.keys.issue({ tenantId: 'acme', name: 'test', scopes: ['chat'] })
  const close = async (): Promise<void> => {
    await tk.close()
    await server.close()
  }
  return {
    tk,
    server,
    storage,
    key,
    receipts,
    events,
    context: (change = {}) => ({
      onReceipt: (receipt) => receipts.push(receipt),
      ...change,
      key: change.key ?? new Secret(key),
    }),
    budget: async () => {
      const budget = await tk.budgets.get({ account: { tenantId: 'acme' }, window: 'month' })
      return { used: budget!.usedAmount, held: budget!.heldAmount }
    },
    books: async () => {
      const [total] = await tk.usage.query()
      const leased = await storage.outbox.lease({ limit: 1000, leaseMs: 1 })
      return {
        calls: total?.calls ?? 0,
        output: total?.outputTokens ?? 0,
        events: leased.events.filter(({ kind }) => kind === 'usage').length,
      }
    },
    [Symbol.asyncDispose]: close,
  }
}

/** What public fields of credentials are; regions and versions are in no URL of the local server. */
function publicField(name: string, origin: string): string {
  if (name === 'endpoint') return origin
  return name === 'region' ? 'eu-central-1' : MODEL
}

const pathOf = (baseUrl: string): string => new URL(baseUrl).pathname.replace(/\/$/, '')
