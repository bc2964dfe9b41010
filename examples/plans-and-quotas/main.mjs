// Plans: quotas by month, rate and size, an upgrade in the middle of the month that keeps what was
// used, and a new version of a plan that changes nobody until it is applied.
// Run it with `node examples/plans-and-quotas/main.mjs`.
import { randomBytes } from 'node:crypto'
import OpenAI from 'openai'
import { createTenantKeys, definePlans, definePolicy, localKeyWrapper, memory } from 'tenantkeys'
import { startProvider } from '../start-provider.mjs'

const provider = await startProvider()
const storage = memory()
const options = (plans) => ({
  storage,
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: kek }]),
  peppers: [{ id: 'pep-1', key: pepper }],
  policy: definePolicy({ scopes: { chat: { providers: ['openai'], models: ['gpt-4o-mini'] } } }),
  providers: { openai: { baseUrl: provider.baseUrl } },
  platformCredentials: { openai: { apiKey: 'sk-demo-of-the-platform-000000000000' } },
  plans,
})
const [kek, pepper] = [randomBytes(32), randomBytes(32)]

const free = {
  version: 1,
  credentials: 'platform',
  budgets: [
    { window: 'month', limit: { requests: 3 } },
    { window: 'concurrent', limit: { calls: 1 } },
    { window: 'call', limit: { bytes: 2000 } },
  ],
}
const pro = { ...free, budgets: [{ window: 'month', limit: { requests: 100 } }] }
const tk = await createTenantKeys(options(definePlans({ free, pro })))
await tk.tenants.create({ id: 'shop', plan: 'free' })
const { key } = await tk.keys.issue({ tenantId: 'shop', name: 'web', scopes: ['chat'] })
const openai = tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), { key })
const call = (content) =>
  openai.chat.completions.create({ model: 'gpt-4o-mini', messages: [{ role: 'user', content }] })
const outcome = (work) =>
  work.then(
    () => 'ok',
    (error) => error.code,
  )

console.log('two at once:', await Promise.all([outcome(call('a')), outcome(call('b'))]))
console.log('a request of 4 kB:', await outcome(call('x'.repeat(4000))))
console.log(
  'the rest of the month:',
  await outcome(call('c')),
  await outcome(call('d')),
  await outcome(call('e')),
)

await tk.plans.assign({ tenantId: 'shop', plan: 'pro' })
const budget = await tk.budgets.get({
  account: { tenantId: 'shop' },
  window: 'month',
  unit: 'requests',
})
console.log(
  `after the upgrade: ${budget.used} of ${budget.limit} used, next call`,
  await outcome(call('f')),
)

// A later release brings pro at version 2; nobody moves before it is applied.
const bigger = { ...pro, version: 2, budgets: [{ window: 'month', limit: { requests: 500 } }] }
const later = await createTenantKeys(options(definePlans({ free, pro: bigger })))
console.log('on the old version still:', (await later.plans.of('shop')).version)
console.log('moved by apply:', (await later.plans.apply({ plan: 'pro' })).moved)
console.log(
  'unknown plans are refused:',
  await outcome(later.plans.assign({ tenantId: 'shop', plan: 'constructor' })),
)
await tk.close()
provider.stop()
