// What is refused, and why: typed errors, before anything is sent or written.
import OpenAI from 'openai'
import { TenantKeysError } from 'tenantkeys'
import { row } from './print.mjs'

export async function showRefusals(tk, keys) {
  const ask = (key, more) =>
    tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), { key }).chat.completions.create({
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content: 'Hello' }],
      ...more,
    })

  await refused('TK_MODEL_DENIED', 'acme asks for a model that its scope does not name', () =>
    ask(keys.acme, { model: 'gpt-4o' }),
  )
  await refused(
    'TK_BUDGET_EXHAUSTED',
    'acme asks for an answer that could cost more than is left',
    () => ask(keys.acme, { max_completion_tokens: 50_000 }),
  )
  await refused(
    'TK_SECRET_NOT_FOUND',
    'umbrella has no OpenAI key: no silent fallback to another',
    () => ask(keys.umbrella),
  )
  await refused('TK_ORIGIN_DENIED', 'umbrella names a server that the operator did not list', () =>
    tk.secrets.put({
      tenantId: 'umbrella',
      provider: 'vllm',
      value: { apiKey: 'vllm-unused', endpoint: 'http://169.254.169.254/v1' },
    }),
  )
  const { keyId } = (await tk.keys.list({ tenantId: 'acme' })).items[0]
  await tk.keys.revoke({ tenantId: 'acme', keyId })
  await refused('TK_KEY_REVOKED', "acme's key was revoked a moment ago", () => ask(keys.acme))
}

async function refused(code, title, call) {
  try {
    await call()
  } catch (error) {
    if (!TenantKeysError.isInstance(error) || error.code !== code) throw error
    return row('', `${code.padEnd(20)} ${title}`)
  }
  throw new Error(`not refused: ${title}`)
}
