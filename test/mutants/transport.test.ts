/**
 * Guards of answers on their way taken out, one at a time: what they stop must then happen.
 *
 * @module
 */
import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { CallEnd } from '../../src/request/receipt.ts'
import { awsChunk } from '../support/aws-frames.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'
import { observed, READING } from '../support/observed-answer.ts'
import { operationOf } from '../support/operations.ts'

const FOLDERS = `kernel storage budgets usage audit keys secrets policy tenants providers request`

type Load = <M>(file: string) => Promise<M>
/** Resolves to true when the attack succeeds. */
type Attack = (load: Load) => Promise<boolean>

interface Answer {
  readonly end: CallEnd
  readonly text: string
}

/** The answer, read through the watchers, ends up as something that is so. */
const answers =
  (
    [provider, path]: readonly [string, string],
    body: string | Uint8Array,
    so: (answer: Answer) => boolean,
    { type = 'text/event-stream', stream = true, hidesUsageChunk = false, leaves = false } = {},
  ): Attack =>
  async (load) => {
    const { observeJson } =
      await load<typeof import('../../src/request/observe-json.ts')>('request/observe-json.ts')
    const { observeStream } = await load<typeof import('../../src/request/observe-stream.ts')>(
      'request/observe-stream.ts',
    )
    const reading = { ...READING, stream, hidesUsageChunk }
    const watch = { observeJson, observeStream }
    const pieces = [new Uint8Array(Buffer.from(body))]
    const { end, out } = await observed(operationOf(provider, path), pieces, {
      type,
      reading,
      watch,
      leaves,
    })
    return so({ end, text: new TextDecoder().decode(out) })
  }

const CHAT = ['openai', '/chat/completions'] as const
const CONVERSE = ['bedrock', '/model/{model}/converse-stream'] as const
const INVOKE = ['bedrock', '/model/{model}/invoke-with-response-stream'] as const
const GEMINI = ['google', '/v1beta/models/{model}:streamGenerateContent'] as const
const AWS = { type: 'application/vnd.amazon.eventstream' }
const JSON_ANSWER = { type: 'application/json', stream: false }
const usage = { prompt_tokens: 10, completion_tokens: 5 }
const usageChunk = `data: ${JSON.stringify({ choices: [], usage })}\n\n`
const DONE = 'data: [DONE]\n\n'
const late = `data: ${JSON.stringify({ choices: [{ delta: { content: 'and so on' } }] })}\n\n`
const noFrame = Buffer.alloc(3000, 0xff)
const counted = Buffer.concat(
  [
    { type: 'message_start', message: { usage: { input_tokens: 10, output_tokens: 1 } } },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 5 } },
  ].map(awsChunk),
)

const keepsAll: Attack = async (load) => {
  const { EventBlocks, MAX_EVENT_BYTES } = await load<
    typeof import('../../src/providers/reading/event-blocks.ts')
  >('providers/reading/event-blocks.ts')
  const blocks = new EventBlocks(() => {})
  const piece = new Uint8Array(MAX_EVENT_BYTES / 4).fill(0x78)
  for (let n = 0; n < 5; n++) blocks.feed(piece)
  return blocks.end().length > MAX_EVENT_BYTES
}

/** A caller's signal is still listened to after it was let go. */
const clings: Attack = async (load) => {
  const { liveHold } =
    await load<typeof import('../../src/request/live-hold.ts')>('request/live-hold.ts')
  const { signal } = new AbortController()
  const timers = { after: () => () => {} }
  const parts = { holdTtlMs: 60_000, clock: { elapsedMs: () => 0 }, timers }
  const call = { signal, tenant: { id: 'acme' }, firstOutput: 0, mostOutput: 0 }
  const hold = liveHold(parts as never, call as never)
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  hold.release()
  return getEventListeners(signal, 'abort').length > 0
}

const STREAM = 'request/observe-stream.ts'

/** What is taken out, and the attack that succeeds only then. */
const MUTANTS: readonly (readonly [string, Sabotage, Attack])[] = [
  [
    "a call keeps its caller's signal",
    {
      file: 'kernel/follow-signal.ts',
      from: "signal.removeEventListener('abort', listener)",
      to: '',
    },
    clings,
  ],
  [
    'an event without an end is kept for good',
    { file: 'providers/reading/event-blocks.ts', from: ' > MAX_EVENT_BYTES)', to: ' > 2 ** 40)' },
    keepsAll,
  ],
  [
    'an answer that cannot be read has no output',
    {
      file: 'request/observed.ts',
      from: 'Math.ceil(bytes / BYTES_PER_TOKEN)',
      to: '0',
    },
    answers(CHAT, '{"usage":"many"}', ({ end }) => end.tokens.output === 0, JSON_ANSWER),
  ],
  [
    'an answer that cannot be read is measured',
    { file: 'request/observed.ts', from: "quality: 'estimated'", to: "quality: 'measured'" },
    answers(CHAT, '{"usage":"many"}', ({ end }) => end.quality === 'measured', JSON_ANSWER),
  ],
  [
    'what was in no event is free',
    { file: STREAM, from: ' + Math.ceil(framing.unread() / BYTES_PER_TOKEN)', to: '' },
    answers(CONVERSE, noFrame, ({ end }) => end.tokens.output === 0, AWS),
  ],
  [
    'what is no event stream is free',
    { file: 'request/framing.ts', from: '(hasEvents ? 0 : foreign)', to: '0' },
    answers(CHAT, '{"usage":"many"}', ({ end }) => end.tokens.output === 0),
  ],
  [
    'what came of an event that was cut is free',
    { file: STREAM, from: '    if (final === null) framing.cut()\n', to: '' },
    answers(CHAT, '{"line":"of JSON"}\n', ({ end }) => end.tokens.output === 0, { leaves: true }),
  ],
  [
    'what an object that stands in no list reports is lost',
    {
      file: 'providers/reading/json-array-stream.ts',
      from: "if (depth === 0 && letter === '[')",
      to: 'if (depth === 0)',
    },
    answers(
      GEMINI,
      JSON.stringify({ candidates: [], usageMetadata: { promptTokenCount: 9 } }),
      ({ end }) => end.tokens.input !== 9,
      { type: 'application/json' },
    ),
  ],
  [
    'what is neither list nor object is free',
    {
      file: 'providers/reading/json-array-stream.ts',
      from: 'BETWEEN.includes(letter))) unread++',
      to: 'BETWEEN.includes(letter))) unread',
    },
    answers(GEMINI, '<p>wrong</p>', ({ end }) => end.tokens.output === 0, {
      type: 'application/json',
    }),
  ],
  [
    'what could not be read changes no figure',
    { file: STREAM, from: 'usage === null || framing.unread() === 0', to: 'true' },
    answers(
      INVOKE,
      Buffer.concat([counted, noFrame]),
      ({ end }) => end.quality === 'measured',
      AWS,
    ),
  ],
  [
    'what comes behind the end is charged',
    { file: STREAM, from: 'final ?? counted()', to: 'counted()' },
    answers(CHAT, usageChunk + DONE + late, ({ end }) => end.quality === 'estimated'),
  ],
  [
    'the usage chunk that nobody asked for is shown',
    { file: STREAM, from: "? 'hide' : 'show'", to: "? 'show' : 'show'" },
    answers(CHAT, usageChunk + DONE, ({ text }) => text.includes('usage'), {
      hidesUsageChunk: true,
    }),
  ],
  [
    'what is no event is swallowed',
    { file: 'request/framing.ts', from: 'hiding?.kept() ?? null', to: 'null' },
    answers(CHAT, '<html>502</html>', ({ text }) => text === '', { hidesUsageChunk: true }),
  ],
  [
    'any name of a model is written down',
    {
      file: 'providers/reading/usage-format.ts',
      from: 'isModelId(model) ? model : null',
      to: "typeof model === 'string' ? model : null",
    },
    async (load) => {
      const { PROVIDERS } =
        await load<typeof import('../../src/providers/catalogue.ts')>('providers/catalogue.ts')
      const chat = PROVIDERS.get('openai')?.operations.find(({ path }) => path === CHAT[1])
      return chat?.readJson({ usage, model: 'a\0' })?.servedModel === 'a\0'
    },
  ],
]

describe('sabotage of answers on their way', () => {
  test.each(MUTANTS)('%s: noticed', async (_, sabotage, attack) => {
    expect(await attack((file) => import(new URL(`../../src/${file}`, import.meta.url).href))).toBe(
      false,
    )
    const mutant = new Mutant(sabotage, FOLDERS.split(' '))
    try {
      expect(await attack((file) => mutant.load(file))).toBe(true)
    } finally {
      mutant.dispose()
    }
  })
})
