// One platform, four tenants, four clients, whole, in one process: from platform keys to books that agree.
// Run it with `npm run demo`. It reads from top to bottom; each client has a file of its own.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTenantKeys, definePolicy, localKeyWrapper } from 'tenantkeys'
import { sqlite } from 'tenantkeys/sqlite'
import { startProvider } from '../start-provider.mjs'
import { askWithAiSdk } from './ask-ai-sdk.mjs'
import { askWithAnthropic } from './ask-anthropic.mjs'
import { askWithOpenAi } from './ask-openai.mjs'
import { askVllm } from './ask-vllm.mjs'
import { showBooks } from './books.mjs'
import { watchConnections } from './connections.mjs'
import { heading, line, promise } from './print.mjs'
import { showRefusals } from './refusals.mjs'
import { createTenants, platformKey } from './tenants.mjs'

const connections = watchConnections()
const folder = mkdtempSync(join(tmpdir(), 'tenantkeys-demo-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

line('tenantkeys: one platform, four tenants, four clients, one SQLite file.')
line(
  'OpenAI, Anthropic and vLLM are a stand-in on this machine; the clients are the real packages.',
)
const provider = await startProvider()

const tk = await createTenantKeys({
  storage: sqlite({ file: join(folder, 'demo.db') }),
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: randomBytes(32).toString('base64') }]),
  peppers: [{ id: 'pep-1', key: randomBytes(32).toString('base64') }],
  policy: definePolicy({
    scopes: {
      chat: {
        providers: ['openai', 'anthropic', 'vllm'],
        models: ['gpt-4o-mini', 'claude-haiku-4-5', 'qwen3-8b'],
      },
    },
  }),
  // The operator's own accounts, for tenants that bring none.
  platformCredentials: {
    openai: { apiKey: platformKey('oaip') },
    anthropic: { apiKey: platformKey('antp') },
  },
  // A server of a tenant's own is called when its origin is listed, and is free when a price says so.
  allowedEndpoints: [new URL(provider.vllm).origin],
  prices: [
    {
      provider: 'vllm',
      model: '*',
      inputUsdPerMTok: '0',
      outputUsdPerMTok: '0',
      version: '2026-11',
    },
  ],
  markups: [{ id: 'standard', ratio: [3, 2], tenantId: 'globex' }],
  // For the demo: the stand-in in place of the providers.
  providers: {
    openai: { baseUrl: provider.baseUrl },
    anthropic: { baseUrl: provider.anthropic },
  },
})

heading('1. Tenants, credentials, budgets, keys')
const keys = await createTenants(tk, provider)

heading('2. acme: the `openai` package, its own key')
await askWithOpenAi(tk, keys.acme)

heading("3. globex: the `@anthropic-ai/sdk` package, the platform's key")
await askWithAnthropic(tk, keys.globex)

heading('4. umbrella: the `openai` package, a vLLM server of its own')
await askVllm(tk, keys.umbrella)

heading('5. initech: the AI SDK, until the budget is used up')
await askWithAiSdk(tk, keys.initech, provider)

heading('6. What is refused')
await showRefusals(tk, keys)

heading('7. The books')
await showBooks(tk, provider)
await tk.close()
provider.stop()

const { count, elsewhere } = connections()
promise(
  `nothing left this machine: ${count} connections were opened, all of them to itself`,
  count > 0 && elsewhere.length === 0,
)
