/**
 * The bank of sabotages of the corridor as the clients meet it, each with the attack that succeeds then.
 *
 * @module
 */
import type { Receipt } from '../../src/request/receipt.ts'
import type { TenantKeys } from '../../src/tenant-keys.ts'
import { MODEL, tenantSecret } from '../support/client-bench.ts'
import type { Sabotage } from '../support/mutant.ts'
import { HANG, paced } from '../support/paced.ts'
import { testKey } from '../support/test-key.ts'
import { openaiChat } from '../support/wire.ts'
import type { Attack, Load } from './client-attacks.ts'
import { chat, openai } from './client-samples.ts'

/** A whole installation, with two keys. The corridor is the real one; its fetch is the test's. */
async function installed(
  load: Load,
  send: typeof fetch,
): Promise<{ tk: TenantKeys; keys: string[]; receipts: Receipt[]; onReceipt(r: Receipt): void }> {
  const all = await load<typeof import('../../src/index.ts')>('index.ts')
  const tk = await all.createTenantKeys({
    storage: all.memory(),
    keyWrapper: all.localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: all.definePolicy({ scopes: { chat: { providers: ['openai'], models: [MODEL] } } }),
    prices: [{ provider: 'openai', model: MODEL, inputUsdPerMTok: '1', outputUsdPerMTok: '2' }],
    fetch: send,
  })
  await tk.tenants.create({ id: 'acme' })
  const value = { apiKey: tenantSecret('openai') }
  await tk.secrets.put({ tenantId: 'acme', provider: 'openai', value })
  const limit = { usd: '0.0025' }
  await tk.budgets.set({ account: { tenantId: 'acme' }, window: 'month', limit })
  const issue = (name: string) => tk.keys.issue({ tenantId: 'acme', name, scopes: ['chat'] })
  const keys = [(await issue('a')).key, (await issue('b')).key]
  const receipts: Receipt[] = []
  return { tk, keys, receipts, onReceipt: (receipt) => void receipts.push(receipt) }
}

const words = (count: number): typeof fetch =>
  paced(openaiChat, function* () {
    yield* openaiChat.head(MODEL)
    for (let n = 0; n < count; n++) yield openaiChat.word(MODEL, 'ab ')
    return HANG
  })

/** Of the corridor, as the clients meet it. */
export const CORRIDOR: readonly (readonly [string, Sabotage, Attack])[] = [
  [
    'a stream that was aborted and left is never settled',
    {
      file: 'request/observe-stream.ts',
      from: "else signal?.addEventListener('abort', onAbort, { once: true })",
      to: '',
    },
    async (load) => {
      const { tk, keys, receipts, onReceipt } = await installed(load, words(3))
      const abort = new AbortController()
      const stream = await tk
        .withTenantKey(openai()(), { key: keys[0]!, onReceipt, hold: 'grow' })
        .chat.completions.create({ ...chat, stream: true }, { signal: abort.signal })
      await stream[Symbol.asyncIterator]().next()
      abort.abort()
      await tk.flush()
      return receipts.length === 0
    },
  ],
  [
    'a client stays in the context that it was first used in',
    {
      file: 'tenant-keys.ts',
      from: 'contextOf: () => ambientContext(ambient)',
      to: 'contextOf: ((kept) => () => (kept ??= ambientContext(ambient)))(undefined as never)',
    },
    async (load) => {
      const answer = async (): Promise<Response> => Response.json(openaiChat.json(MODEL, 'hello'))
      const { tk, keys, receipts, onReceipt } = await installed(load, answer)
      const client = tk.withTenantKey(openai()())
      const small = { ...chat, max_completion_tokens: 9 }
      for (const one of keys) {
        await tk.run({ key: one, onReceipt }, () => client.chat.completions.create(small))
      }
      return receipts[0]!.keyId === receipts[1]!.keyId
    },
  ],
  [
    'a stream goes past its hold',
    {
      file: 'request/observe-stream.ts',
      from: 'const covered = settler.hold.delivered(following.delivered())',
      to: 'const covered = null as Promise<void> | null',
    },
    async (load) => {
      const { tk, keys } = await installed(load, words(2000))
      const stream = await tk
        .withTenantKey(openai()(), { key: keys[0]!, hold: 'grow' })
        .chat.completions.create({ ...chat, stream: true })
      let read = 0
      try {
        for await (const _ of stream) if (++read === 2000) break
      } catch (error) {
        // How the guard ends it; anything else is a failure of this test.
        if ((error as { code?: unknown }).code !== 'TK_BUDGET_CONTENDED') throw error
      }
      return read === 2000
    },
  ],
]
