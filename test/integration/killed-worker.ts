/**
 * The child process of the tests that kill callers: makes calls through the whole corridor and exports usage
 * events, until it is killed. What it was told is done, it writes to a file at once: a process that is
 * killed loses nothing that the kernel has.
 *
 * @module
 */
import { appendFileSync } from 'node:fs'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { createTenantKeys } from '../../src/tenant-keys.ts'
import { openStore, type StoreSpec } from '../support/open-store.ts'
import { testKey } from '../support/test-key.ts'

const [, , opens = '', baseUrl = '', key = '', acknowledged = '', exported = '', ttlMs = ''] =
  process.argv
const URL_OF_CHAT = 'https://api.openai.com/v1/chat/completions'

const { storage } = openStore(JSON.parse(opens) as StoreSpec)
const tk = await createTenantKeys({
  storage,
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
  peppers: [{ id: 'pep-1', key: testKey(2) }],
  policy: definePolicy({
    scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
  }),
  providers: { openai: { baseUrl } },
  holdTtlMs: Number(ttlMs),
  migrate: false,
})
const fetch = tk.fetch({
  key,
  onReceipt: ({ attemptId, settled }) => {
    if (!settled) return
    appendFileSync(acknowledged, `${attemptId}\n`)
    process.send?.('acknowledged')
  },
})
const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }] })

/** One call. On a machine that has more to do than it can, the store may be too slow for one: as every
 * caller does, it asks again. */
async function once(): Promise<void> {
  for (;;) {
    try {
      await (await fetch(URL_OF_CHAT, { method: 'POST', body })).json()
      return
    } catch (error) {
      if (!TenantKeysError.isInstance(error) || !error.retryable) throw error
    }
  }
}

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
