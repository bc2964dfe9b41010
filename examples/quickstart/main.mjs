// One call, whole: from a platform key to a receipt, in one process. Run it with `npm run demo`.
// With OPENAI_API_KEY set it calls the real API; otherwise a local stand-in, in a child process.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { createTenantKeys, definePolicy, formatUsd, localKeyWrapper } from 'tenantkeys'
import { sqlite } from 'tenantkeys/sqlite'
import { startProvider } from '../start-provider.mjs'

const say = (title, ...lines) => console.log(`\n${title}\n${lines.map((l) => `  ${l}`).join('\n')}`)
const real = process.env.OPENAI_API_KEY
const provider = real ? null : await startProvider()
const folder = mkdtempSync(join(tmpdir(), 'tenantkeys-demo-'))

// 1. One installation: a database file, a key-encryption key, a pepper, and what each scope allows.
const tk = await createTenantKeys({
  storage: sqlite({ file: join(folder, 'demo.db') }),
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: randomBytes(32).toString('base64') }]),
  peppers: [{ id: 'pep-1', key: randomBytes(32).toString('base64') }],
  policy: definePolicy({
    scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
  }),
  ...(provider ? { providers: { openai: { baseUrl: provider.baseUrl } } } : {}),
})

// 2. A reseller with two tenants; only acme brings a credential of its own.
await tk.tenants.create({ id: 'reseller' })
await tk.tenants.create({ id: 'acme', parentId: 'reseller' })
await tk.tenants.create({ id: 'globex', parentId: 'reseller' })
const stored = await tk.secrets.put({
  tenantId: 'acme',
  provider: 'openai',
  value: { apiKey: real ?? 'sk-demo-000000000000000000000000acme' },
})
await tk.budgets.set({
  account: { tenantId: 'reseller' },
  window: 'month',
  limit: { usd: '100.00' },
})
await tk.budgets.set({ account: { tenantId: 'acme' }, window: 'month', limit: { usd: '0.02' } })
say('Stored for acme, encrypted; all that can be listed is a mask:', stored.masked)

// 3. A scoped platform key. It is shown once; the database keeps a keyed hash.
const issue = async (tenantId) =>
  (await tk.keys.issue({ tenantId, name: `demo-${tenantId}`, scopes: ['support:chat'] })).key
const acmeKey = await issue('acme')
const globexKey = await issue('globex')
say('Issued for acme:', `${acmeKey.slice(0, 12)}...${acmeKey.slice(-4)}`)

// 4. The real OpenAI client, bound to that key.
const openai = tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), { key: acmeKey })
const messages = [{ role: 'user', content: 'What does an embeddable key SDK do?' }]
const ask = { model: 'gpt-4o-mini', messages, max_completion_tokens: 200 }

const answer = await openai.chat.completions.create(ask)
say('A plain call:', answer.choices[0].message.content)
printReceipt(await tk.receiptOf(answer))

const stream = await openai.chat.completions.create({ ...ask, stream: true })
let text = ''
for await (const chunk of stream) text += chunk.choices[0].delta.content ?? ''
say('A streaming call:', text)
printReceipt(await tk.receiptOf(stream))

if (provider) say('Whose credential the provider saw:', provider.lastKey())

// 5. What is refused, and why.
await refused('A scope that this key does not have', () => {
  const context = { key: acmeKey, scope: 'agents:finance' }
  return tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), context).chat.completions.create(ask)
})
await refused('A call that could cost more than is left', () =>
  openai.chat.completions.create({ ...ask, max_completion_tokens: 50_000 }),
)
await refused('globex has no credential of its own: no silent fallback', () =>
  tk
    .withTenantKey(new OpenAI({ apiKey: 'unused' }), { key: globexKey })
    .chat.completions.create(ask),
)

// 6. A stream the caller leaves early is billed for what was delivered.
const left = await openai.chat.completions.create({ ...ask, stream: true })
let seen = 0
for await (const _ of left) if (++seen === 5) break
say(`A stream left after ${seen} chunks:`, 'charged by estimate for what was delivered')
printReceipt(await tk.receiptOf(left))

// 7. The books: usage by tenant, key and model adds up to the ledger, to the last nano-dollar.
const rows = await tk.usage.query({ by: ['tenant', 'key', 'model'] })
console.log('\nUsage by tenant, key and model:')
console.table(
  rows.map(({ tenant, key, model, calls, inputTokens, outputTokens, costUsd }) => ({
    tenant,
    key,
    model,
    calls,
    inputTokens,
    outputTokens,
    costUsd,
  })),
)
const used = rows.reduce((sum, row) => sum + row.costNanoUsd, 0n)
const [ledger] = await tk.budgets.list({ tenantId: 'reseller' })
say(
  'Sum of usage and ledger of the reseller:',
  `${formatUsd(used)} USD and ${ledger.used} USD${ledger.heldAmount === 0n ? ', nothing held' : ''}`,
)
if (used !== ledger.usedAmount) throw new Error('usage and ledger differ')

await tk.close()
rmSync(folder, { recursive: true })
provider?.stop()

function printReceipt({ paidBy, credential, tokens, priceId, costUsd, outcome, quality, budgets }) {
  const [nearest] = budgets
  say(
    'Receipt',
    `${outcome}, ${quality}; paid by the ${paidBy}'s ${credential.masked}: ${credential.reason}`,
    `${tokens.input} tokens in, ${tokens.output} out, ${costUsd} USD at ${priceId}`,
    `${nearest.account} has ${nearest.left} of ${nearest.limit} USD left until ${nearest.resetsAt}`,
  )
}

async function refused(title, call) {
  try {
    await call()
  } catch (error) {
    return say(`Refused: ${title}`, error.code, error.message)
  }
  throw new Error(`not refused: ${title}`)
}
