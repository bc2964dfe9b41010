// globex, with the `@anthropic-ai/sdk` package and the platform's credential.
import Anthropic from '@anthropic-ai/sdk'
import { receipt, row } from './print.mjs'

export async function askWithAnthropic(tk, key) {
  const receipts = []
  const anthropic = tk.withTenantKey(new Anthropic({ apiKey: 'unused' }), {
    key,
    onReceipt: (one) => receipts.push(one), // for every attempt, also of helpers and retries
  })
  const messages = [{ role: 'user', content: 'Who pays for this call?' }]
  const ask = { model: 'claude-haiku-4-5', max_tokens: 200, messages }

  const answer = await anthropic.messages.create(ask)
  row('create', answer.content[0].text)
  receipt('', receipts[0])

  const final = await anthropic.messages.stream(ask).finalMessage()
  row('stream()', final.content[0].text.trim())
  receipt('', receipts[1])
}
