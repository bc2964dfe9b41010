// Four tenants below one platform: who pays, with which credential, up to which budget.
import { line, row } from './print.mjs'

/** Obviously not real, and different in the four characters that masks show. */
const fakeKey = (prefix, end) => `${prefix}-${'0'.repeat(32)}${end}`

export const platformKey = (end) => fakeKey('sk', end)

/** @returns a platform key for each tenant: what an application hands to its customers. */
export async function createTenants(tk, provider) {
  await tk.tenants.create({ id: 'platform' })
  await setBudget(tk, 'platform', { usd: '100.00' })

  // Brings its own OpenAI account: strict, so nobody else's credential is ever used for it.
  await tk.tenants.create({ id: 'acme', parentId: 'platform', credentials: 'tenant' })
  const own = await tk.secrets.put({
    tenantId: 'acme',
    provider: 'openai',
    value: { apiKey: fakeKey('sk', 'acme') },
  })
  await setBudget(tk, 'acme', { usd: '0.02' })
  row('acme', `BYOK: its own OpenAI key, encrypted, shown as ${own.masked}; 0.02 USD a month`)

  // Both use the platform's credentials; what they cost is billed to them.
  await tk.tenants.create({ id: 'globex', parentId: 'platform', credentials: 'platform' })
  await setBudget(tk, 'globex', { usd: '0.05' })
  row('globex', "the platform's credentials, billed with 50 % on top; 0.05 USD a month")
  await tk.tenants.create({ id: 'initech', parentId: 'platform', credentials: 'platform' })
  await setBudget(tk, 'initech', { usd: '0.003' })
  row('initech', "the platform's credentials; a budget so small that it runs out: 0.003 USD")

  // Runs a vLLM server: admitted because the operator listed its origin in `allowedEndpoints`.
  await tk.tenants.create({ id: 'umbrella', parentId: 'platform', credentials: 'tenant' })
  await tk.secrets.put({
    tenantId: 'umbrella',
    provider: 'vllm',
    value: { apiKey: fakeKey('vllm', 'umbr'), endpoint: provider.vllm },
  })
  await setBudget(tk, 'umbrella', { tokens: 5000 })
  row('umbrella', 'its own vLLM server, listed by the operator, price 0; 5000 tokens a month')

  const keys = {}
  for (const tenantId of ['acme', 'globex', 'initech', 'umbrella']) {
    const issued = await tk.keys.issue({ tenantId, name: `demo-${tenantId}`, scopes: ['chat'] })
    keys[tenantId] = issued.key
  }
  const { acme } = keys
  line('')
  line('Each gets a platform key, shown once; the database keeps a keyed hash of it.')
  line(`acme's: ${acme.slice(0, 12)}...${acme.slice(-4)}`)
  return keys
}

const setBudget = (tk, tenantId, limit) =>
  tk.budgets.set({ account: { tenantId }, window: 'month', limit })
