/**
 * The child process of killed-calls.test.ts: makes calls through the whole corridor and exports usage
 * events, until it is killed. What it was told is done, it writes to a file at once: a process that is
 * killed loses nothing that the kernel has.
 *
 * @module
 */
import { appendFileSync } from 'node:fs'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { createTenantKeys } from '../../src/tenant-keys.ts'
import { testKey } from '../support/test-key.ts'

const [, , file = '', baseUrl = '', key = '', acknowledged = '', exported = ''] = process.argv
const URL_OF_CHAT = 'https://api.openai.com/v1/chat/completions'

const storage = sqlite({ file, synchronous: 'NORMAL', busyTimeoutMs: 60_000 })
const tk = await createTenantKeys({
  storage,
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
  peppers: [{ id: 'pep-1', key: testKey(2) }],
  policy: definePolicy({
    scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
  }),
  providers: { openai: { baseUrl } },
})
const fetch = tk.fetch({
  key,
  onReceipt: ({ attemptId, settled }) => {
    if (settled) appendFileSync(acknowledged, `${attemptId}\n`)
  },
})
const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }] })

const once = async (): Promise<unknown> =>
  (await fetch(URL_OF_CHAT, { method: 'POST', body })).json()

async function call(): Promise<void> {
  for (;;) await once()
}

/** Hands on what the outbox holds, then says so: at least once, with stable ids. */
async function exportEvents(): Promise<void> {
  for (;;) {
    const { leaseId, events } = await storage.outbox.lease({ limit: 10, leaseMs: 200 })
    for (const { id, kind } of events) appendFileSync(exported, `${kind} ${id}\n`)
    await storage.outbox.ack({ leaseId, ids: events.map((event) => event.id) })
    if (events.length === 0) await new Promise((next) => setTimeout(next, 5))
  }
}

// What is loaded at the first call would take most of the time that this process has.
await once()
process.send?.('ready')
await Promise.all([call(), call(), call(), call(), exportEvents()])
