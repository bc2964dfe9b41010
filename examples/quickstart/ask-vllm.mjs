// umbrella, with the `openai` package, on a vLLM server of its own. It costs nothing because a price row
// says so; its budget counts tokens.
import OpenAI from 'openai'
import { promise, receipt, row } from './print.mjs'

export async function askVllm(tk, key) {
  const context = { key, provider: 'vllm' }
  const vllm = tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), context)
  const answer = await vllm.chat.completions.create({
    model: 'qwen3-8b',
    messages: [{ role: 'user', content: 'Are you really free?' }],
    max_completion_tokens: 200,
    top_k: 20, // a parameter of vLLM's own
  })
  row('answer', answer.choices[0].message.content)
  const told = await tk.receiptOf(answer)
  receipt('', told)
  row('', `went to ${told.credential.origin}, priced by ${told.priceId}`)
  promise(
    'it cost nothing, by a price that the operator set',
    told.priceId.startsWith('host:vllm/'),
  )
}
