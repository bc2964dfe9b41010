/**
 * How far off the estimate of a stream is: every recorded stream, sent by a local server through the
 * `fetch` of a tenant, once as it is and once with its usage taken out.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import type { Receipt } from '../../src/request/receipt.ts'
import { type ClientBench, MODEL, openClientBench } from '../support/client-bench.ts'
import { type Item, items, operationOf, providerOf, textOf } from './recorded-answers.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'

/**
 * Where the estimate is below the truth: a frame around an answer of a word or two, which no delta
 * shows, is counted as some tokens (Claude, gpt-5); and Gemini counts every digit of `1\n2\n3`.
 */
const FRAMED = /anthropic\/stream-short|openrouter\/stream-cache|azure\/|google\/stream-usage-live/

const streams = items.filter(({ stream, expected }) => stream && expected !== null)
const ASK = {
  model: MODEL,
  stream: true,
  messages: [{ role: 'user', content: 'Hello' }],
}

/** The least request of each format. */
function requestOf(path: string): object {
  if (path.endsWith('/responses')) return { model: MODEL, stream: true, input: 'Hello' }
  if (path.endsWith(':streamGenerateContent')) return { contents: [{ parts: [{ text: 'Hello' }] }] }
  return path.endsWith('/messages') ? { ...ASK, max_tokens: 4096 } : ASK
}

interface Row {
  readonly file: string
  readonly events: number
  readonly reported: number
  /** Less the reasoning that is reported apart, which a stream need not show. */
  readonly visible: number
  readonly estimate: number
  readonly ratio: number
}

let bench: ClientBench
const rows: Row[] = []

/** @returns the receipt of a call that is answered with these bytes. */
async function replay(item: Item, text: string): Promise<Receipt> {
  const { path } = operationOf(item)
  const provider = providerOf(item)
  bench.server.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(text)
  }
  const url = PROVIDERS.get(provider)!.baseUrl + path.replaceAll(/\{\w+\}/g, MODEL)
  const call = bench.tk.fetch(bench.context({ provider }))
  const response = await call(url, { method: 'POST', body: JSON.stringify(requestOf(path)) })
  await response.text()
  return bench.receipts.at(-1)!
}

/** All that it writes, and nothing of what it reports: usage is renamed on the way. */
const withoutUsage = (text: string): string =>
  text.replaceAll(/"(usage|usageMetadata)":/g, '"unread":')

describe.runIf(streams.length > 0)('the estimate of a recorded stream', () => {
  beforeAll(async () => {
    bench = await openClientBench({ monthlyUsd: '1000.00' })
  })
  afterAll(async () => {
    await bench[Symbol.asyncDispose]()
    if (FULL) print(rows)
  })

  test.each(streams.map((item) => [item.file, item] as const))(
    '%s: not below what it shows, and at most three times that and 32 tokens',
    async (file, item) => {
      const text = textOf(item)
      const measured = await replay(item, text)
      const { output_total: reported, reasoning } = item.expected!
      expect(measured.tokens.output).toBe(reported)
      const estimated = await replay(item, withoutUsage(text))
      expect(estimated.quality).toBe('estimated')
      const visible = reported - (reasoning ?? 0)
      const estimate = estimated.tokens.output
      const ratio = Math.round((100 * estimate) / visible) / 100
      const events = text.match(/^data:/gm)?.length ?? 0
      rows.push({ file, events, reported, visible, estimate, ratio })
      expect(estimate).toBeLessThanOrEqual(3 * visible + 32)
      if (!FRAMED.test(file)) expect(estimate).toBeGreaterThanOrEqual(visible)
    },
  )

  test('nothing is held any more, and every replay has one row', async () => {
    expect((await bench.budget()).held).toBe(0n)
    expect((await bench.books()).events).toBe(2 * streams.length)
  })
})

function print(measured: readonly Row[]): void {
  const ratios = measured.map(({ ratio }) => ratio).sort((a, b) => a - b)
  const at = (share: number): number => ratios[Math.round(share * (ratios.length - 1))]!
  console.table(measured)
  console.log(`median ${at(0.5)}, p10 ${at(0.1)}, p90 ${at(0.9)}, of ${measured.length} streams`)
}
