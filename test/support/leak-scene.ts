/**
 * An installation whose every secret is a canary, used once through each of its parts, with all that
 * it wrote, logged and reported kept.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import OpenAI from 'openai'
import type { Logger, RuntimeEvent } from '../../src/kernel/events.ts'
import { parseKey } from '../../src/keys/key-format.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import type { Receipt } from '../../src/request/receipt.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import type { Canaries } from './canaries.ts'
import type { ContextChange } from './installation.ts'
import { chat, type ProviderServer, startProvider } from './provider-server.ts'
import { testKey } from './test-key.ts'

export const TENANT_SECRET = 'sk-tnt-CANARYCANARYCANARY-0123456789'
export const PLATFORM_SECRET = 'sk-plf-CANARYCANARYCANARY-9876543210'
/** Of the client that is bound: what the platform uses for itself. */
export const CLIENT_SECRET = 'sk-cli-CANARYCANARYCANARY-5555555555'
export const KEK = testKey(101)
export const PEPPER = testKey(102)

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

export const CHAT = {
  model: 'gpt-4o-mini',
  messages: [{ role: 'user' as const, content: 'Hello' }],
}

export interface Scene {
  readonly tk: TenantKeys
  readonly storage: Storage
  readonly server: ProviderServer
  readonly canaries: Canaries
  readonly key: string
  readonly keyId: string
  readonly receipts: Receipt[]
  /** All that went to `onEvent` and to the logger. */
  readonly told: unknown[]
  /** Another installation over the same store; closed with the scene, as its store is. */
  start(over?: Partial<TenantKeysOptions>): Promise<TenantKeys>
  client(tk?: TenantKeys, context?: ContextChange, options?: object): OpenAI
  /** A chat through `tk.fetch`. */
  call(tk?: TenantKeys, init?: RequestInit): Promise<Response>
  close(): Promise<void>
}

export async function openScene(storage: Storage): Promise<Scene> {
  const server = await startProvider(chat)
  const told: unknown[] = []
  const receipts: Receipt[] = []
  const note = (...args: unknown[]): void => void told.push(args)
  const logger: Logger = { debug: note, info: note, warn: note, error: note }
  const start = (over: Partial<TenantKeysOptions> = {}): Promise<TenantKeys> =>
    createTenantKeys({
      storage,
      keyWrapper: localKeyWrapper([{ id: 'kek-1', key: base64(KEK) }]),
      peppers: [{ id: 'pep-1', key: base64(PEPPER) }],
      policy: definePolicy({
        scopes: { chat: { providers: ['openai'], models: ['gpt-4o-mini'] } },
      }),
      providers: { openai: { baseUrl: server.baseUrl } },
      platformCredentials: { openai: { apiKey: PLATFORM_SECRET } },
      onEvent: (event: RuntimeEvent) => note(event),
      logger,
      settleWaitMs: 50,
      ...over,
    })
  const tk = await start()
  await tk.tenants.create({ id: 'acme' })
  await tk.tenants.create({ id: 'pooled', credentials: 'platform' })
  await tk.secrets.put({ tenantId: 'acme', provider: 'openai', value: { apiKey: TENANT_SECRET } })
  await tk.budgets.set({ account: { tenantId: 'acme' }, window: 'month', limit: { usd: '5.00' } })
  const { key, info } = await tk.keys.issue({ tenantId: 'acme', name: 'prod', scopes: ['chat'] })
  const headers = { 'content-type': 'application/json' }
  return {
    tk,
    storage,
    server,
    key,
    keyId: info.keyId,
    receipts,
    told,
    canaries: {
      'the tenant secret': TENANT_SECRET,
      'the platform secret': PLATFORM_SECRET,
      'the secret of the client': CLIENT_SECRET,
      'the KEK': KEK,
      'the KEK as text': base64(KEK),
      'the pepper': PEPPER,
      'the pepper as text': base64(PEPPER),
      'the platform key': key,
      'the secret of the key': parseKey(key)!.secret,
      'the plain hash of the key': createHash('sha256').update(key).digest(),
    },
    start,
    client: (of = tk, context = {}, options = {}) =>
      of.withTenantKey(
        new OpenAI({
          apiKey: CLIENT_SECRET,
          organization: `org-${CLIENT_SECRET}`,
          defaultHeaders: { 'x-own': CLIENT_SECRET },
          maxRetries: 0,
          ...options,
        }),
        {
          onReceipt: (receipt) => receipts.push(receipt),
          ...context,
          key: context.key ?? key,
        },
      ),
    call: (of = tk, init = {}) =>
      of.fetch({ key })(`${server.baseUrl}/chat/completions`, {
        method: 'POST',
        headers,
        body: JSON.stringify(CHAT),
        ...init,
      }),
    close: async () => {
      await tk.close().catch(() => {})
      await server.close()
    },
  }
}
