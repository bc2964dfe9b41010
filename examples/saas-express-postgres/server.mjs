// One process of the SaaS: an Express application. Its routes know nothing of secrets or money; they
// hand the caller's platform key to tenantkeys.
import express from 'express'
import OpenAI from 'openai'
import pg from 'pg'
import {
  createTenantKeys,
  definePlans,
  definePolicy,
  localKeyWrapper,
  TenantKeysError,
} from 'tenantkeys'
import { postgres } from 'tenantkeys/postgres'

const { APP_URL, PROVIDER_URL, TENANTKEYS_KEK, TENANTKEYS_PEPPER, PLATFORM_KEY } = process.env

const tk = await createTenantKeys({
  storage: postgres({
    client: new pg.Pool({ connectionString: APP_URL, max: 10 }),
    // A connection of its own, so that a revoked key dies at once in every process.
    listen: () => new pg.Client({ connectionString: APP_URL }),
  }),
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: TENANTKEYS_KEK }]),
  peppers: [{ id: 'pep-1', key: TENANTKEYS_PEPPER }],
  policy: definePolicy({
    scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
  }),
  providers: { openai: { baseUrl: PROVIDER_URL } },
  platformCredentials: { openai: { apiKey: PLATFORM_KEY } },
  plans: definePlans({
    starter: {
      version: 1,
      credentials: 'platform',
      budgets: [{ window: 'month', limit: { usd: '0.002' }, alerts: [80] }],
    },
  }),
})

// What an operator may do; a real one checks who is asking.
const admin = express.Router()
admin.post('/tenants/:id', async (request, response) => {
  const tenantId = request.params.id
  await tk.tenants.create({ id: tenantId, plan: 'starter' })
  const { key, info } = await tk.keys.issue({ tenantId, name: 'web', scopes: ['support:chat'] })
  response.status(201).json({ key, keyId: info.keyId })
})
admin.delete('/tenants/:id/keys/:keyId', async (request, response) => {
  await tk.keys.revoke({ tenantId: request.params.id, keyId: request.params.keyId })
  response.status(204).end()
})
admin.get('/tenants/:id/budget', async (request, response) => {
  response.json(await tk.budgets.list({ tenantId: request.params.id }))
})

const app = express()
app.use(express.json({ limit: '1mb' }))
app.use('/admin', admin)
app.post('/chat', async (request, response) => {
  const key = request.get('x-api-key') ?? ''
  const openai = tk.withTenantKey(new OpenAI({ apiKey: 'unused', maxRetries: 0 }), { key })
  const answer = await openai.chat.completions.create({
    model: 'gpt-4o-mini',
    messages: [{ role: 'user', content: String(request.body.question) }],
    max_completion_tokens: 100,
  })
  const { costUsd } = await tk.receiptOf(answer)
  response.json({ text: answer.choices[0].message.content, costUsd })
})
app.use((error, _request, response, _next) => {
  if (!TenantKeysError.isInstance(error)) return response.status(500).json({ code: 'INTERNAL' })
  // `details` is made to be shown: ids, limits, what would have fitted; never a secret.
  response.status(error.httpStatus).json({ code: error.code, details: error.details })
})

const server = app.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }))
process.on('disconnect', () => {
  server.closeAllConnections()
  server.close()
  tk.close().finally(() => process.exit(0))
})
