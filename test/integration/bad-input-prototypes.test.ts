import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { dump } from '../support/bad-input/dump.ts'
import { type Installation, install } from '../support/installation.ts'
import {
  chat,
  json,
  type ProviderServer,
  startProvider,
  USAGE,
} from '../support/provider-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()
const NAMES = ['__proto__', 'constructor', 'prototype'] as const
const DEPTHS = [1, 2, 3, 4, 5, 6]

/** JSON text of an object that holds `name` so many levels down. */
const nested = (name: string, depth: number): string =>
  depth === 1 ? `{"${name}":{"polluted":"yes"}}` : `{"a":${nested(name, depth - 1)}}`

const polluted = (): unknown =>
  [{}, [], () => 0, Object, Map].map((value) => (value as { polluted?: unknown }).polluted)
const CLEAN = [undefined, undefined, undefined, undefined, undefined]

let server: ProviderServer
beforeAll(async () => {
  server = await startProvider(chat)
})
afterAll(() => server.close())

describe.each<[string, () => Storage]>([
  ['memory', memory],
  ['sqlite', () => sqlite({ file: fileOf('names.db'), synchronous: 'NORMAL' })],
])('T-I7 over %s', (_, makeStore) => {
  let storage: Storage
  let made: Installation
  beforeAll(async () => {
    storage = makeStore()
    made = await install(server.baseUrl, { storage })
  })
  afterAll(() => made.tk.close())

  describe.each(NAMES)('the name %s', (name) => {
    test.each(DEPTHS)(
      '%i deep in a request pollutes nothing and passes for what it is',
      async (depth) => {
        const text = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"metadata":${nested(name, depth)}}`
        const request = { method: 'POST', body: text }
        const answer = await made.tk
          .fetch({ key: made.key })(`${server.baseUrl}/chat/completions`, request)
          .then((response) => response.json())
          .catch((error: unknown) => error)
        // Either it is refused by name, or it goes out as it came in.
        if (TenantKeysError.isInstance(answer)) expect(answer.code).toBe('TK_REQUEST_INVALID')
        else expect(server.requests.at(-1)?.text).toContain(nested(name, depth))
        expect(polluted()).toEqual(CLEAN)
      },
    )

    test.each(DEPTHS)('%i deep in an answer pollutes nothing', async (depth) => {
      const usage = JSON.stringify(USAGE).replace('{', `{"x":${nested(name, depth)},`)
      server.answer = (request, response) => {
        const choices = [
          { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'x' } },
        ]
        json(response, {
          id: 'c',
          object: 'chat.completion',
          created: 1,
          model: request.body.model,
          choices,
          usage: JSON.parse(usage),
        })
      }
      await made.client().chat.completions.create({
        model: 'gpt-4o-mini',
        messages: [{ role: 'user', content: 'Hi' }],
      })
      expect(made.receipts.at(-1)).toMatchObject({ quality: 'measured' })
      expect(polluted()).toEqual(CLEAN)
      server.answer = chat
    })

    test.each(DEPTHS)('%i deep in input is refused, and nothing is written', async (depth) => {
      const before = await dump(storage)
      const input = JSON.parse(nested(name, depth)) as never
      const { tk } = made
      const calls = [
        () => tk.tenants.create(input),
        () => tk.keys.issue(input),
        () => tk.secrets.put({ tenantId: 'acme', provider: 'openai', value: input }),
        () => tk.budgets.set({ account: input, window: 'month', limit: { usd: '1' } }),
        () => tk.budgets.set({ account: { tenantId: 'acme' }, window: 'month', limit: input }),
        () => tk.usage.query(input),
        () => tk.authorize(input),
        async () => tk.fetch(input),
      ]
      for (const call of calls) {
        await expect(call()).rejects.toMatchObject({ code: 'TK_INPUT_INVALID' })
      }
      expect(polluted()).toEqual(CLEAN)
      expect(await dump(storage)).toEqual(before)
    })

    test('as the id of a tenant is an id as any other', async () => {
      const { tk } = made
      await tk.tenants.create({ id: name })
      expect(await tk.tenants.get(name)).toMatchObject({ id: name, path: [name] })
      expect(await tk.keys.list({ tenantId: name })).toEqual({ items: [], next: null })
      await tk.secrets.put({
        tenantId: name,
        provider: 'openai',
        name,
        value: { apiKey: 'sk-fake' },
      })
      await tk.budgets.set({ account: { tenantId: name }, window: 'month', limit: { usd: '1.00' } })
      const { key } = await tk.keys.issue({ tenantId: name, name, scopes: ['support:chat'] })
      await made.client({ key, credential: name }).chat.completions.create({
        model: 'gpt-4o-mini',
        messages: [{ role: 'user', content: 'Hi' }],
      })
      const totals = await tk.usage.query({ by: ['tenant'] })
      expect(totals.find(({ tenant }) => tenant === name)).toMatchObject({ calls: 1 })
      const [row] = (await storage.audit.list({ rootId: name, after: null, limit: 1 })).items
      expect(row).toMatchObject({ rootId: name, sequence: 1, target: `tenant:${name}` })
      expect(polluted()).toEqual(CLEAN)
    })
  })
})
