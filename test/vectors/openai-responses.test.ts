/**
 * Recorded answers of OpenAI's chat completions: the reader arrives at the counts that the index
 * gives, however the bytes arrive.
 *
 * @module
 */
import { createParser } from 'eventsource-parser'
import { describe, expect, test } from 'vitest'
import { openaiChat } from '../../src/providers/openai-chat.ts'
import type { ResponseUsage, StreamReader } from '../../src/providers/provider.ts'
import { readVectors } from './read-vectors.ts'

interface Expected {
  input_total: number
  cached_read: number | null
  cache_write: number | null
  output_total: number
  reasoning: number | null
  input_audio?: number
}

interface Item {
  file: string
  provider: string
  api: string
  stream: boolean
  http_status: number
  expected: Expected | null
}

function compare(usage: ResponseUsage | null, expected: Expected | null): void {
  if (expected === null) {
    expect(usage).toBeNull()
    return
  }
  expect(usage?.tokens).toMatchObject({
    input: expected.input_total,
    cacheRead: expected.cached_read,
    cacheWrite: expected.cache_write,
    cacheWrite1h: null,
    output: expected.output_total,
    reasoning: expected.reasoning,
    ...(expected.input_audio === undefined ? {} : { inputAudio: expected.input_audio }),
  })
}

/** Feeds a stream in writes of `size` bytes; returns the reader and what it said of each event. */
function feed(bytes: Uint8Array, size: number): { reader: StreamReader; kinds: string[] } {
  const reader = openaiChat.openStream()
  const kinds: string[] = []
  const parser = createParser({
    onEvent: (event) => kinds.push(reader.push({ event: event.event, data: event.data })),
  })
  const decoder = new TextDecoder()
  for (let at = 0; at < bytes.length; at += size) {
    parser.feed(decoder.decode(bytes.subarray(at, at + size), { stream: true }))
  }
  return { reader, kinds }
}

/** The stream up to the event that first reports usage. */
function cutBeforeUsage(text: string): string {
  const events = text.split(/(?<=\n\n)/)
  const first = events.findIndex((event) => /"usage": ?\{/.test(event))
  return events.slice(0, first).join('')
}

/** APIs that send chat completion chunks in OpenAI's format. */
const ALIKE = new Set(['openai-chat', 'deepseek', 'groq', 'mistral', 'openrouter-chat'])

const index = readVectors('provider-responses/index.json')
if (index !== null) {
  const { items } = JSON.parse(index) as { items: Item[] }
  const own = items.filter(
    (i) => i.provider === 'openai' && (i.api === 'openai-chat' || i.file.includes('error-404')),
  )
  const alike = items.filter(
    (i) => i.provider !== 'openai' && ALIKE.has(i.api) && i.expected !== null,
  )

  describe('recorded answers of OpenAI', () => {
    test('there are some of each kind', () => {
      expect(own.filter((i) => i.stream).length).toBeGreaterThanOrEqual(2)
      expect(own.filter((i) => !i.stream).length).toBeGreaterThanOrEqual(3)
    })

    for (const item of own) {
      const text = readVectors(`provider-responses/${item.file}`) ?? ''
      if (!item.stream) {
        test(`${item.file}: its counts, class by class`, () => {
          compare(openaiChat.readJson(JSON.parse(text)), item.expected)
        })
        continue
      }
      const bytes = new TextEncoder().encode(text)
      for (const [name, size] of [
        ['whole', bytes.length],
        ['97 bytes at a time', 97],
        ['byte by byte', 1],
      ] as const) {
        test(`${item.file}, ${name}: its counts, one hidden chunk, one end`, () => {
          const { reader, kinds } = feed(bytes, size)
          compare(reader.usage(), item.expected)
          expect(kinds.slice(-2)).toEqual(['usage-only', 'end'])
          expect(new Set(kinds.slice(0, -2))).toEqual(new Set(['data']))
        })
      }
      test(`${item.file}, cut before the usage: unknown, and the estimate is not below the truth`, () => {
        const { reader, kinds } = feed(new TextEncoder().encode(cutBeforeUsage(text)), 97)
        expect(kinds.length).toBeGreaterThan(0)
        expect(reader.usage()).toBeNull()
        const truth = (item.expected?.output_total ?? 0) - (item.expected?.reasoning ?? 0)
        expect(reader.deliveredEstimate()).toBeGreaterThanOrEqual(truth)
        expect(reader.deliveredEstimate()).toBeLessThanOrEqual(3 * truth)
      })
    }
  })

  describe('recorded answers of servers that speak the same format', () => {
    for (const item of alike) {
      const text = readVectors(`provider-responses/${item.file}`) ?? ''
      test(`${item.file}: its totals`, () => {
        const usage = item.stream
          ? feed(new TextEncoder().encode(text), 97).reader.usage()
          : openaiChat.readJson(JSON.parse(text))
        const { input_total: input, output_total: output } = item.expected ?? {}
        expect(usage?.tokens).toMatchObject({ input, output })
      })
      // Claude's own frame counts tokens that no delta shows, so a two-letter answer has five.
      if (!item.stream || item.api === 'openrouter-chat') continue
      test(`${item.file}: the estimate of its text is not below the truth`, () => {
        const { reader } = feed(new TextEncoder().encode(text), 97)
        expect(reader.deliveredEstimate()).toBeGreaterThanOrEqual(item.expected?.output_total ?? 0)
      })
    }
  })
}
