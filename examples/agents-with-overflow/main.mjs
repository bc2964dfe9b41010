// Agents with budgets of their own and a shared pool for emergencies: nobody takes another's share,
// and who runs out moves to the pool, visibly. Run it with `node examples/agents-with-overflow/main.mjs`.
import { randomBytes } from 'node:crypto'
import OpenAI from 'openai'
import { createTenantKeys, definePolicy, localKeyWrapper, memory } from 'tenantkeys'
import { startProvider } from '../start-provider.mjs'

const provider = await startProvider()
const storage = memory()
const tk = await createTenantKeys({
  storage,
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: randomBytes(32) }]),
  peppers: [{ id: 'pep-1', key: randomBytes(32) }],
  policy: definePolicy({ scopes: { agent: { providers: ['openai'], models: ['gpt-4o-mini'] } } }),
  providers: { openai: { baseUrl: provider.baseUrl } },
  platformCredentials: { openai: { apiKey: 'sk-demo-of-the-platform-000000000000' } },
})

// The company, its pool, and two agents. The pool belongs to the company, so every path that moves to
// it is charged to the company once, as before.
await tk.tenants.create({ id: 'company', credentials: 'platform' })
await tk.budgets.set({ account: { tenantId: 'company' }, window: 'month', limit: { usd: '13.00' } })
const pool = await tk.keys.issue({ tenantId: 'company', name: 'emergency-pool', scopes: ['agent'] })
const poolAccount = { tenantId: 'company', keyId: pool.info.keyId }
await tk.budgets.set({ account: poolAccount, window: 'month', limit: { usd: '2.00' } })

const agents = { code: '5.00', hopper: '0.00003' }
const keys = {}
for (const [id, usd] of Object.entries(agents)) {
  await tk.tenants.create({ id, parentId: 'company', credentials: 'platform' })
  const account = { tenantId: id }
  await tk.budgets.set({ account, window: 'month', limit: { usd }, overflowTo: poolAccount })
  keys[id] = (await tk.keys.issue({ tenantId: id, name: id, scopes: ['agent'] })).key
}

const call = async (id) => {
  const openai = tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), { key: keys[id] })
  const messages = [{ role: 'user', content: `Hello from ${id}` }]
  const answer = await openai.chat.completions.create({
    model: 'gpt-4o-mini',
    messages,
    max_completion_tokens: 20,
  })
  return tk.receiptOf(answer)
}

for (const id of ['code', 'hopper']) {
  const receipt = await call(id)
  const accounts = receipt.budgets.map(({ account }) => account.replace(/^key:.*/, 'the pool'))
  console.log(`${id}: ${receipt.costUsd} USD, charged to ${accounts.join(' and ')}`)
}

const { events } = await storage.outbox.lease({ limit: 100, leaseMs: 1000 })
for (const event of events.filter((e) => e.kind === 'budget.overflow')) {
  console.log(`said aloud: a call of ${event.tenantId} moved to the pool`)
}
const company = await tk.budgets.get({ account: { tenantId: 'company' }, window: 'month' })
const total = await tk.usage.query()
console.log('the company was charged once for each:', company.used, '=', total[0].costUsd)
if (company.used !== total[0].costUsd) throw new Error('the pool was charged twice')
await tk.close()
provider.stop()
