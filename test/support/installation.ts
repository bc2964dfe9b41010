/**
 * A small installation for tests: one reseller, the tenant `acme` with a credential and a key.
 *
 * @module
 */
import OpenAI from 'openai'
import { memory } from '../../src/adapters/memory/index.ts'
import type { RuntimeEvent } from '../../src/kernel/events.ts'
import type { Secret } from '../../src/kernel/secret.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import type { CallSettings } from '../../src/request/parts.ts'
import type { Receipt } from '../../src/request/receipt.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import { testKey } from './test-key.ts'

export const TENANT_SECRET = 'sk-tenant-0123456789abcdefghij-CANARY'
export const PLATFORM_SECRET = 'sk-platform-0123456789abcdefghij-CANARY'

/** What a test says otherwise than the installation. */
export type ContextChange = CallSettings & { readonly key?: string | Secret | undefined }

export interface Installation {
  readonly tk: TenantKeys
  readonly key: string
  readonly keyId: string
  readonly events: RuntimeEvent[]
  readonly receipts: Receipt[]
  /** The real client, bound to acme's key. */
  client(context?: ContextChange, options?: object): OpenAI
}

export async function install(
  baseUrl: string,
  overrides: Partial<TenantKeysOptions> & { monthlyUsd?: string } = {},
): Promise<Installation> {
  const { monthlyUsd = '1.00', ...options } = overrides
  const events: RuntimeEvent[] = []
  const receipts: Receipt[] = []
  const tk = await createTenantKeys({
    storage: memory(),
    keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: definePolicy({
      scopes: {
        'support:chat': { providers: ['openai'], models: ['gpt-4o-mini', 'local-model'] },
        'support:other': { providers: ['openai'], models: ['gpt-4o'] },
      },
    }),
    providers: { openai: { baseUrl } },
    onEvent: (event) => events.push(event),
    ...options,
  })
  await tk.tenants.create({ id: 'reseller' })
  await tk.tenants.create({ id: 'acme', parentId: 'reseller' })
  await tk.secrets.put({ tenantId: 'acme', provider: 'openai', value: { apiKey: TENANT_SECRET } })
  await tk.budgets.set({
    account: { tenantId: 'acme' },
    window: 'month',
    limit: { usd: monthlyUsd },
  })
  const { key, info } = await tk.keys.issue({
    tenantId: 'acme',
    name: 'test',
    scopes: ['support:chat'],
  })
  return {
    tk,
    key,
    keyId: info.keyId,
    events,
    receipts,
    client: (context = {}, clientOptions = {}) =>
      tk.withTenantKey(new OpenAI({ apiKey: 'unused', maxRetries: 0, ...clientOptions }), {
        onReceipt: (receipt) => receipts.push(receipt),
        ...context,
        key: context.key ?? key,
      }),
  }
}

/** What acme's budget says now. */
export async function acmeBudget(tk: TenantKeys): Promise<{ used: bigint; held: bigint }> {
  const budget = await tk.budgets.get({ account: { tenantId: 'acme' }, window: 'month' })
  return { used: budget!.usedAmount, held: budget!.heldAmount }
}
