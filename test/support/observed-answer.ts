/**
 * Lets bytes pass through the watcher that stands around every answer, and tells what would be settled.
 *
 * @module
 */
import type { Operation, RequestReading } from '../../src/providers/provider.ts'
import { observeJson } from '../../src/request/observe-json.ts'
import { observeStream } from '../../src/request/observe-stream.ts'
import { type CallEnd, createReceiptBook } from '../../src/request/receipt.ts'

export const READING: RequestReading = {
  model: 'a-model',
  stream: true,
  body: '{}',
  hidesUsageChunk: false,
  bound: { input: 100_000, output: 100_000 },
  inputEstimate: 7,
}

/** @param leaves - the caller goes away when it has all of the pieces, before the stream has ended.
 * @returns what was settled, and the bytes that reached the caller. */
export async function observed(
  operation: Operation,
  pieces: readonly Uint8Array[],
  {
    type = 'text/event-stream',
    reading = READING,
    watch = { observeJson, observeStream },
    leaves = false,
  } = {},
): Promise<{ end: CallEnd; out: Uint8Array }> {
  const ends: CallEnd[] = []
  let next = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces[next++]
      if (piece === undefined) controller.close()
      else controller.enqueue(piece)
    },
  })
  const given = new Response(body, { headers: { 'content-type': type } })
  const observer = {
    httpStatus: 200,
    reading,
    operation,
    settler: {
      receipt: new Promise<never>(() => {}),
      settle: async (end: CallEnd) => void ends.push(end),
      void: async () => {},
      hold: {
        signal: new AbortController().signal,
        answered: () => {},
        reading: () => {},
        delivered: () => null,
        heldOutput: () => reading.bound.output,
        stop: () => {},
        release: () => {},
      },
    },
    signal: undefined,
    parts: { receipts: createReceiptBook() },
  }
  const response = reading.stream
    ? watch.observeStream(observer, given)
    : watch.observeJson(observer, given)
  const out = leaves
    ? await readAndLeave(response, pieces.length)
    : new Uint8Array(await response.arrayBuffer())
  const [end] = ends
  if (end === undefined) throw new Error('nothing was settled')
  return { end, out }
}

async function readAndLeave(response: Response, count: number): Promise<Uint8Array> {
  const reader = response.body!.getReader()
  const seen: number[] = []
  for (let n = 0; n < count; n++) seen.push(...((await reader.read()).value ?? []))
  await reader.cancel()
  return Uint8Array.from(seen)
}

/** Cuts bytes into pieces of one size. */
export function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const out: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) out.push(bytes.slice(at, at + size))
  return out
}
