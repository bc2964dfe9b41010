/**
 * Answers that arrive in a bad way: one is fetched bare and through the corridor, by `fetch` and by the
 * real `openai` client, and both have to see the same. What was charged is looked up in the ledger.
 *
 * @module
 */
import { inspect } from 'node:util'
import OpenAI from 'openai'
import { expect } from 'vitest'
import { memory } from '../../../src/adapters/memory/index.ts'
import type { UsageRecord } from '../../../src/storage/ledger-records.ts'
import { acmeBudget, type Installation, install, TENANT_SECRET } from '../installation.ts'
import {
  type Answer,
  chunkOf,
  type ProviderServer,
  startProvider,
  USAGE,
  USAGE_COST_NANO,
} from '../provider-server.ts'

export const MODEL = 'gpt-4o-mini'
export const JSON_TYPE = 'application/json'
export const SSE_TYPE = 'text/event-stream'
export const HTML = '<!doctype html><html><body>502 Bad Gateway</body></html>'

export type Asking = 'JSON' | 'a stream'

export interface Transport extends AsyncDisposable {
  readonly server: ProviderServer
  readonly made: Installation
}

export async function openTransport(
  overrides: Parameters<typeof install>[1] = {},
): Promise<Transport> {
  const server = await startProvider()
  const made = await install(server.baseUrl, { storage: memory(), ...overrides })
  const close = async (): Promise<void> => {
    await made.tk.close()
    await server.close()
  }
  return { server, made, [Symbol.asyncDispose]: close }
}

/** A whole chat completion, as text. */
export const whole = (usage: unknown = USAGE, more: object = {}): string =>
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: MODEL,
    choices: [
      { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'héllo' } },
    ],
    usage,
    ...more,
  })

export const event = (data: object | string): string =>
  `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
export const word = (content: string): string => event(chunkOf(MODEL, { content }))
export const STOP = event(chunkOf(MODEL, {}, 'stop'))
export const DONE = event('[DONE]')
export const usageEvent = (usage: unknown = USAGE, more: object = {}): string =>
  event({ ...chunkOf(MODEL, {}), choices: [], usage, ...more })

/** A whole stream: words, the usage, the end marker. */
export const wholeStream = (usage: unknown = USAGE): string =>
  word('one two') + word(' thrée') + STOP + usageEvent(usage) + DONE

export const bodyOf = (asking: Asking, usage: unknown = USAGE): string =>
  asking === 'JSON' ? whole(usage) : wholeStream(usage)
export const typeOf = (asking: Asking): string => (asking === 'JSON' ? JSON_TYPE : SSE_TYPE)

/** Sends pieces, each in a write of its own. */
export const send =
  (headers: Record<string, string>, ...pieces: readonly (string | Uint8Array)[]): Answer =>
  async (_, response) => {
    response.writeHead(200, headers)
    for (const piece of pieces) {
      await new Promise<void>((written) => {
        response.write(piece, () => written())
      })
    }
    response.end()
  }

/** Sends what is given, as it stands on the line, and closes the connection. */
export const sendRaw =
  (head: string, body: string | Uint8Array): Answer =>
  (_, response) =>
    new Promise<void>((closed) => {
      const { socket } = response
      socket?.write(`HTTP/1.1 ${head}\r\n\r\n`)
      socket?.end(body, () => {
        socket.destroy()
        closed()
      })
    })

export interface Seen {
  readonly status: number | null
  /** A letter for every byte. */
  readonly bytes: string
  readonly error: string | null
}

/** The caller of `fetch`: reads at once, or piece by piece. */
export async function fetched(
  fetcher: typeof fetch,
  { server }: Transport,
  asking: Asking,
  how: 'whole' | 'in pieces',
): Promise<Seen> {
  const ask = {
    model: MODEL,
    messages: [{ role: 'user', content: 'Hello' }],
    ...(asking === 'JSON' ? {} : { stream: true, stream_options: { include_usage: true } }),
  }
  let status: number | null = null
  const pieces: Uint8Array[] = []
  let error: unknown = null
  try {
    const response = await fetcher(`${server.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': JSON_TYPE },
      body: JSON.stringify(ask),
    })
    status = response.status
    if (how === 'whole') pieces.push(new Uint8Array(await response.arrayBuffer()))
    else for await (const piece of response.body ?? []) pieces.push(piece)
  } catch (thrown) {
    error = thrown
  }
  return { status, bytes: Buffer.concat(pieces).toString('latin1'), error: told(error) }
}

/** An application with the real client. @returns what it was given, or the error that it was told. */
async function asked(
  client: OpenAI,
  asking: Asking,
): Promise<{ readonly seen: readonly unknown[]; readonly error?: string | null }> {
  const ask = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hello' }] }
  const seen: unknown[] = []
  try {
    if (asking === 'JSON') return { seen: [await client.chat.completions.create(ask)] }
    const options = { stream: true as const, stream_options: { include_usage: true } }
    for await (const chunk of await client.chat.completions.create({ ...ask, ...options })) {
      seen.push(chunk)
    }
    return { seen }
  } catch (error) {
    return { seen, error: told(error) }
  }
}

/** An error as its catcher knows it; no secret may stand anywhere in it. */
function told(error: unknown): string | null {
  if (error === null) return null
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(TENANT_SECRET)
  const { name, message } = error as Error
  return `${name}: ${message}`
}

/** The last of so many usage rows, which are all there is, and are what the budget was charged. */
export async function lastOf(count: number, { made: { tk } }: Transport): Promise<UsageRecord> {
  await tk.flush()
  const { items } = await tk.usage.list({ tenantId: 'acme' })
  expect(items).toHaveLength(count)
  const used = items.reduce((sum, { costNanoUsd }) => sum + costNanoUsd, 0n)
  expect(await acmeBudget(tk)).toEqual({ used, held: 0n })
  const row = items.at(-1)
  if (row === undefined) throw new Error('no usage row')
  expect(row.costNanoUsd).toBeGreaterThan(0n)
  return row
}

export interface Expected {
  readonly quality: 'measured' | 'estimated'
  /** `null`: whatever comes of it. */
  readonly outcome: UsageRecord['outcome'] | null
  /** Default: that of USAGE where it is measured, else whatever is estimated. */
  readonly costNanoUsd?: bigint
  /** Default: those that the caller was given. `settled first`: some came when all was settled. */
  readonly responseBytes?: 'settled first'
}

export const MEASURED: Expected = { quality: 'measured', outcome: 'completed' }
export const UNREADABLE: Expected = { quality: 'estimated', outcome: 'unreadable' }
export const BROKEN: Expected = { quality: 'estimated', outcome: 'broken' }
export const ESTIMATED: Expected = { quality: 'estimated', outcome: 'completed' }

/**
 * Three callers through the corridor see what three bare ones see; each is charged once, as expected.
 * How much of a body that breaks is seen before it does is a race of the platform's own: then only the
 * error is compared.
 */
export async function expectSame(
  transport: Transport,
  asking: Asking,
  answer: Answer,
  { quality, outcome, costNanoUsd, responseBytes }: Expected,
): Promise<void> {
  const { server, made } = transport
  server.answer = answer
  const charged = (row: UsageRecord): void => {
    expect(row).toMatchObject(outcome === null ? { quality } : { quality, outcome })
    const exact = costNanoUsd ?? (quality === 'measured' ? USAGE_COST_NANO : null)
    if (exact !== null) expect(row.costNanoUsd).toBe(exact)
  }
  let calls = 0
  for (const how of ['whole', 'in pieces'] as const) {
    const bare = await fetched(fetch, transport, asking, how)
    const ours = await fetched(made.tk.fetch({ key: made.key }), transport, asking, how)
    if (bare.error === null) expect(ours).toEqual(bare)
    else expect({ ...ours, bytes: bare.bytes }).toEqual(bare)
    const row = await lastOf(++calls, transport)
    charged(row)
    // Whoever waits for the whole of a body that breaks is given nothing, however much came.
    const isSure = responseBytes === undefined && (how === 'in pieces' || ours.error === null)
    if (isSure) expect(row.responseBytes).toBe(ours.bytes.length)
    else expect(row.responseBytes).toBeGreaterThanOrEqual(0)
  }
  const bare = new OpenAI({ apiKey: 'none', maxRetries: 0, baseURL: server.baseUrl })
  const [expected, seen] = [await asked(bare, asking), await asked(made.client(), asking)]
  expect('error' in expected ? { error: seen.error } : seen).toEqual(
    'error' in expected ? { error: expected.error } : expected,
  )
  charged(await lastOf(++calls, transport))
}

/** A test for each row. */
export type Row = readonly [what: string, asking: Asking, answer: Answer, expected: Expected]

/** The same for both ways of asking. */
export const both = (make: (asking: Asking) => readonly [string, Answer, Expected]): Row[] =>
  (['JSON', 'a stream'] as const).map((asking) => {
    const [what, answer, expected] = make(asking)
    return [what, asking, answer, expected]
  })
