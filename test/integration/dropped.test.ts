/**
 * Answers that nobody reads, aborts or closes: thrown away.
 *
 * @module
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import OpenAI from 'openai'
import { expect, test } from 'vitest'
import { COST_NANO, MODEL, openClientBench } from '../support/client-bench.ts'
import { answering, openaiChat } from '../support/wire.ts'

setFlagsFromString('--expose_gc')
const collect: () => void = runInNewContext('gc')

const ASK = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hello' }] }
const COUNT = 1000

/** Collects again and again: the registry is told some time after memory was taken back. A test that
 * would wait for ever ends by its own time limit. */
async function collectUntil(done: () => boolean): Promise<void> {
  while (!done()) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A stream of one word that then stands still, as an answer that goes on does. */
const unending: typeof fetch = async () => {
  const encoder = new TextEncoder()
  const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    for (const piece of openaiChat.head(MODEL)) controller.enqueue(encoder.encode(String(piece)))
    controller.enqueue(encoder.encode(String(openaiChat.word(MODEL, 'one '))))
  }
  return new Response(new ReadableStream({ start }), {
    headers: { 'content-type': 'text/event-stream' },
  })
}

test('T-U2 a thousand streams that are dropped unread are all settled, and none twice', async () => {
  await using bench = await openClientBench({ fetch: unending, monthlyUsd: '1000.00' })
  const drop = async (): Promise<void> => {
    const client = bench.tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), bench.context())
    for (let n = 0; n < COUNT; n++) await client.chat.completions.create({ ...ASK, stream: true })
  }
  await drop()
  await collectUntil(() => bench.receipts.length >= COUNT)
  await bench.tk.flush()
  expect(bench.receipts).toHaveLength(COUNT)
  expect(new Set(bench.receipts.map((r) => r.attemptId)).size).toBe(COUNT)
  expect(new Set(bench.receipts.map((r) => `${r.outcome} ${r.quality}`))).toEqual(
    new Set(['aborted estimated']),
  )
  expect((await bench.books()).calls).toBe(COUNT)
  expect((await bench.budget()).held).toBe(0n)
})

test('T-U2 streams left half read, and answers never read, are settled too', async () => {
  await using bench = await openClientBench({ fetch: unending })
  const half = async (): Promise<void> => {
    const call = bench.tk.fetch(bench.context())
    const init = { method: 'POST', body: JSON.stringify({ ...ASK, stream: true }) }
    const response = await call('https://api.openai.com/v1/chat/completions', init)
    await response.body!.getReader().read()
  }
  await half()
  await collectUntil(() => bench.receipts.length >= 1)
  expect(bench.receipts[0]?.tokens.output).toBeGreaterThanOrEqual(0)
  expect((await bench.budget()).held).toBe(0n)
})

test('T-U2 over a real socket, and an answer that is still held is not settled', async () => {
  await using bench = await openClientBench()
  bench.server.answer = answering(openaiChat)
  const call = bench.tk.fetch(bench.context())
  const post = (): Promise<Response> =>
    call('https://api.openai.com/v1/chat/completions', {
      method: 'POST',
      body: JSON.stringify(ASK),
    })
  const kept = await post()
  await (async () => {
    await post()
  })()
  await collectUntil(() => bench.receipts.length >= 1)
  expect(bench.receipts).toHaveLength(1)
  await kept.json()
  expect(bench.receipts.map((r) => r.quality)).toEqual(['estimated', 'measured'])
  expect(bench.receipts[1]?.costNanoUsd).toBe(COST_NANO)
})
