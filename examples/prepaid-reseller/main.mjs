// Reselling: a customer pays in advance, a margin is kept first, and calls stop hard when the rest is
// used. Alerts at 80 % come once, in the outbox. Run it with `node examples/prepaid-reseller/main.mjs`.
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
  policy: definePolicy({ scopes: { chat: { providers: ['openai'], models: ['gpt-4o-mini'] } } }),
  providers: { openai: { baseUrl: provider.baseUrl } },
  platformCredentials: { openai: { apiKey: 'sk-demo-of-the-reseller-000000000000' } },
})
await tk.tenants.create({ id: 'customer', credentials: 'platform' })
const account = { tenantId: 'customer' }

// A payment of 50 USD with a margin of 20 %: 40 can be used. Sent twice, it counts once.
const payment = { account, amount: { usd: '50.00' }, marginPercent: '20', idempotencyKey: 'pay-1' }
const first = await tk.budgets.credit({ ...payment, alerts: [80, 100] })
const again = await tk.budgets.credit({ ...payment, alerts: [80, 100] })
console.log('paid', first.paid, 'usable', first.credited, 'margin', first.margin)
console.log('the same payment again changed nothing:', again.replayed)

// Correct what is used, with an id of its own: here most of it, so that the demo reaches the end.
const correction = { usd: '39.9998' }
await tk.budgets.adjust({
  account,
  window: 'lifetime',
  amount: correction,
  reason: 'moved from the old system',
  idempotencyKey: 'move-1',
})

const { key } = await tk.keys.issue({ tenantId: 'customer', name: 'app', scopes: ['chat'] })
const openai = tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), { key })
const ask = {
  model: 'gpt-4o-mini',
  messages: [{ role: 'user', content: 'Hi' }],
  max_completion_tokens: 20,
}
let calls = 0
try {
  for (;;) {
    await openai.chat.completions.create(ask)
    calls++
  }
} catch (error) {
  console.log(`after ${calls} calls: ${error.code}`)
  console.log(error.message)
}

const budget = await tk.budgets.get({ account, window: 'lifetime' })
console.log('used', budget.used, 'of', budget.limit)
if (budget.usedAmount > budget.limitAmount) throw new Error('prepaid money was overspent')
const { events } = await storage.outbox.lease({ limit: 100, leaseMs: 1000 })
const alerts = events.filter((e) => e.kind === 'budget.threshold')
console.log('alerts:', alerts.map((e) => `${JSON.parse(e.payload).percent} %`).join(', '))

// The customer pays again, and goes on.
await tk.budgets.credit({
  account,
  amount: { usd: '10.00' },
  marginPercent: '20',
  idempotencyKey: 'pay-2',
})
await openai.chat.completions.create(ask)
console.log('paid again, and the next call went through')
await tk.close()
provider.stop()
