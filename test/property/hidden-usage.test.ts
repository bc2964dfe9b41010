import '../support/same-draws.ts'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { openaiChat } from '../../src/providers/openai.ts'
import { observeStream } from '../../src/request/observe-stream.ts'
import { createReceiptBook } from '../../src/request/receipt.ts'

const chunk = (choices: readonly unknown[], usage: unknown = null): string =>
  JSON.stringify({ object: 'chat.completion.chunk', choices, usage })

/** Events that stay, in text of one to four bytes a letter. */
const delta = fc
  .oneof(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.constantFrom('', '\\n\\n', 'é日🦊'))
  .map((content) => chunk([{ index: 0, delta: { content }, finish_reason: null }]))
const usage = chunk([], { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 })
const stream = fc.record({
  before: fc.array(delta, { maxLength: 6 }),
  after: fc.array(fc.constantFrom(`data: ${chunk([])}\n`, ': still there', 'unknown: field'), {
    maxLength: 2,
  }),
  /** How this server ends its lines, and writes its fields. */
  line: fc.constantFrom('\n', '\r\n', '\r'),
  field: fc.constantFrom('data: ', 'data:', 'event: x\nid: 7\ndata:', ': hm\nretry: 1\ndata: '),
  start: fc.constantFrom('', '\ufeff: hello\n\n', '\n\n', '<html>\n\n'),
  end: fc.constantFrom('data: [DONE]\n\n', 'data: [DONE]\n', '', 'data: {"cho'),
  cuts: fc.array(fc.nat(2000), { maxLength: 12 }),
  atEvents: fc.boolean(),
})

/** What arrives at a caller who did not ask for the usage chunk that we asked for. */
async function observed(pieces: readonly Uint8Array[]): Promise<string> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece)
      controller.close()
    },
  })
  const observer = {
    httpStatus: 200,
    reading: {
      model: 'gpt-4o-mini',
      stream: true,
      body: '',
      hidesUsageChunk: true,
      bound: { input: 100, output: 100 },
      inputEstimate: 1,
    },
    operation: openaiChat,
    settler: {
      receipt: new Promise<never>(() => {}),
      settle: async () => {},
      void: async () => {},
      hold: {
        signal: new AbortController().signal,
        answered: () => {},
        reading: () => {},
        delivered: () => null,
        heldOutput: () => 0,
        stop: () => {},
        release: () => {},
      },
    },
    signal: undefined,
    parts: { receipts: createReceiptBook() },
  }
  const response = observeStream(observer, new Response(body))
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(await response.arrayBuffer())
}

function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [0, ...places.map((at) => at % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  )
  return sorted.slice(1).map((to, i) => bytes.slice(sorted[i], to))
}

test('however a stream is written and cut, only the hidden usage chunk is missing from it', async () => {
  await fc.assert(
    fc.asyncProperty(stream, async ({ before, after, line, field, start, end, cuts, atEvents }) => {
      const lines = (text: string): string => text.replaceAll('\n', line)
      const shown = [start, ...before.map((data) => `${field}${data}\n\n`)].map(lines)
      const rest = [...after.map((text) => `${text}\n`), end].map(lines)
      const hidden = lines(`data: ${usage}\n\n`)
      const encoder = new TextEncoder()
      const pieces = atEvents
        ? [...shown, hidden, ...rest].map((event) => encoder.encode(event))
        : cut(encoder.encode([...shown, hidden, ...rest].join('')), cuts)
      expect(await observed(pieces)).toBe([...shown, ...rest].join(''))
    }),
    { numRuns: 600 },
  )
})
