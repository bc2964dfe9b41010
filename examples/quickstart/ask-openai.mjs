// acme, with the `openai` package and its own OpenAI key: a plain call, a stream, a stream left early.
import OpenAI from 'openai'
import { line, receipt, row } from './print.mjs'

export async function askWithOpenAi(tk, key) {
  const openai = tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), { key })
  const messages = [{ role: 'user', content: 'What does an embeddable key SDK do?' }]
  const ask = { model: 'gpt-4o-mini', messages, max_completion_tokens: 200 }

  line(
    'Below each call is its receipt. measured: counted by the provider; estimated: by tenantkeys.',
  )
  line('')
  const answer = await openai.chat.completions.create(ask)
  row('answer', answer.choices[0].message.content)
  receipt('', await tk.receiptOf(answer))

  const stream = await openai.chat.completions.create({ ...ask, stream: true })
  let chunks = 0
  for await (const _ of stream) chunks += 1
  row('stream', `${chunks} chunks, each passed on as it came`)
  receipt('', await tk.receiptOf(stream))

  const story = [{ role: 'user', content: 'Tell me a long story.' }]
  const long = { ...ask, messages: story, max_completion_tokens: 400, stream: true }
  const left = await openai.chat.completions.create(long)
  let seen = 0
  for await (const _ of left) if (++seen === 5) break
  row(
    'left early',
    `after ${seen} chunks: charged for what was delivered, and marked as an estimate`,
  )
  receipt('', await tk.receiptOf(left))
}
