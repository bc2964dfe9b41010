import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { UsageRecord } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import {
  fetched,
  lastOf,
  openTransport,
  SSE_TYPE,
  type Transport,
  typeOf,
  usageEvent,
  whole,
  wholeStream,
  word,
} from '../support/bad-input/transport.ts'
import { POSTGRES_KINDS, postgresServer, skipsPostgres } from '../support/postgres-server.ts'
import { type PostgresStore, postgresStore } from '../support/postgres-store.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()
const kind = POSTGRES_KINDS[0]!
const postgres: { store: PostgresStore | null } = { store: null }
const skipped = skipsPostgres(kind)
beforeAll(async () => {
  if (skipped) return
  postgres.store = await postgresStore(await (await postgresServer(kind)).freshDatabase())
})
afterAll(() => postgres.store?.dispose())

const STORES: readonly (readonly [string, boolean, () => Storage])[] = [
  ['memory', false, memory],
  ['SQLite', false, () => sqlite({ file: fileOf('bytes.db'), synchronous: 'NORMAL' })],
  [`PostgreSQL ${kind}`, skipped, () => postgres.store!.storage],
]

const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }
const STREAM = { ...ASK, stream: true as const }
const sizeOf = (text: string): number => Buffer.byteLength(text)

describe.each(STORES)('the bytes of an answer, in %s', (_, isSkipped, makeStore) => {
  let transport: Transport
  let calls = 0
  beforeAll(async () => {
    if (!isSkipped) transport = await openTransport({ storage: makeStore() })
  })
  afterAll(() => transport?.[Symbol.asyncDispose]())
  const it = test.skipIf(isSkipped)
  const last = (): Promise<UsageRecord> => lastOf(++calls, transport)

  it('are all of it, decoded, where it was read as a whole', async () => {
    const text = whole()
    transport.server.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': typeOf('JSON') })
      response.end(text)
    }
    await transport.made.client().chat.completions.create(ASK)
    expect((await last()).responseBytes).toBe(sizeOf(text))
  })

  it('are those of a stream up to its end, less what stayed hidden', async () => {
    transport.server.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': SSE_TYPE })
      response.end(wholeStream())
    }
    for await (const _chunk of await transport.made.client().chat.completions.create(STREAM));
    expect((await last()).responseBytes).toBe(sizeOf(wholeStream()) - sizeOf(usageEvent()))
  })

  it('are what came before a stream was left', async () => {
    transport.server.answer = async ({ closedEarly }, response) => {
      response.writeHead(200, { 'content-type': SSE_TYPE })
      response.write(word('one'))
      await closedEarly
    }
    for await (const _chunk of await transport.made.client().chat.completions.create(STREAM)) break
    expect(await last()).toMatchObject({ outcome: 'aborted', responseBytes: sizeOf(word('one')) })
  })

  it('are none where the caller gave up before any answer', async () => {
    const abort = new AbortController()
    transport.server.answer = async ({ closedEarly }) => {
      abort.abort()
      await closedEarly
    }
    const { made } = transport
    const aborting: typeof fetch = (input, init) =>
      made.tk.fetch({ key: made.key })(input, { ...init, signal: abort.signal })
    expect((await fetched(aborting, transport, 'JSON', 'whole')).status).toBeNull()
    expect(await last()).toMatchObject({ outcome: 'aborted', responseBytes: 0 })
  })

  it('are not known of an error that reported usage, nor of a callback', async () => {
    transport.server.answer = (_request, response) => {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(whole())
    }
    const { made } = transport
    await fetched(made.tk.fetch({ key: made.key }), transport, 'JSON', 'whole')
    expect(await last()).toMatchObject({ httpStatus: 400, responseBytes: null })
    const call = { key: made.key, provider: 'openai', model: ASK.model, estimate: { usd: '0.01' } }
    await made.tk.withTenantKey(call, ({ spent }) => spent({ usd: '0.001' }))
    expect(await last()).toMatchObject({ operation: 'callback', responseBytes: null })
  })

  it('T-I5 a model that no database can write down does not stop the settling', async () => {
    transport.server.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(whole(undefined, { model: 'gpt\0\ud800', service_tier: '\0' }))
    }
    await transport.made.client().chat.completions.create(ASK)
    expect(await last()).toMatchObject({ outcome: 'completed', servedModel: null })
  })

  it('add up in what is asked of usage', async () => {
    const { items } = await transport.made.tk.usage.list({ tenantId: 'acme' })
    const sum = items.reduce((bytes, row) => bytes + (row.responseBytes ?? 0), 0)
    expect((await transport.made.tk.usage.query())[0]?.responseBytes).toBe(sum)
  })
})
