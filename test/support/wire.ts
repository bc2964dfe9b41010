/**
 * What providers send, format by format, cut into the pieces that tests need: the head of a stream, a
 * word of it, the usage, the end. Every answer reports 100 tokens of input and 20 of output.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { crc32 } from 'node:zlib'
import { json, type SeenRequest } from './provider-server.ts'

export type Piece = string | Uint8Array

export interface Wire {
  /** A whole answer. */
  json(model: string, text: string): object
  /** Pieces of a stream, each as it is written to the socket. */
  head(model: string): readonly Piece[]
  word(model: string, text: string): Piece
  /** What comes between the last word and the usage. */
  stop(model: string): readonly Piece[]
  usage(model: string): readonly Piece[]
  end(): readonly Piece[]
  readonly streamType: string
  /** Does a request ask for a stream? */
  isStream(request: SeenRequest): boolean
}

const data = (value: object | string): string =>
  `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`
const named = (value: { readonly type: string } & Readonly<Record<string, unknown>>): string =>
  `event: ${value.type}\n${data(value)}`

const SSE = 'text/event-stream'
const asksInBody = ({ body }: SeenRequest): boolean => body.stream === true

const OPENAI_USAGE = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 }
const chunk = (model: string, choices: object[], more: object = {}): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model,
  choices,
  ...more,
})
const choice = (delta: object, finish_reason: string | null = null): object[] => [
  { index: 0, delta, finish_reason },
]

export const openaiChat: Wire = {
  json: (model, content) => ({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model,
    system_fingerprint: null,
    choices: [
      {
        index: 0,
        finish_reason: 'stop',
        logprobs: null,
        message: { role: 'assistant', content, refusal: null },
      },
    ],
    usage: OPENAI_USAGE,
  }),
  head: (model) => [data(chunk(model, choice({ role: 'assistant', content: '' })))],
  word: (model, content) => data(chunk(model, choice({ content }))),
  stop: (model) => [data(chunk(model, choice({}, 'stop')))],
  usage: (model) => [data(chunk(model, [], { usage: OPENAI_USAGE }))],
  end: () => [data('[DONE]')],
  streamType: SSE,
  isStream: asksInBody,
}

/** As Mistral, Groq and OpenRouter send it: the usage is in the last chunk that has a choice. */
export const openaiChatInline: Wire = {
  ...openaiChat,
  stop: () => [],
  usage: (model) => [data(chunk(model, choice({ content: '' }, 'stop'), { usage: OPENAI_USAGE }))],
}

const completion = (model: string, choices: object[], more: object = {}): object => ({
  id: 'cmpl-1',
  object: 'text_completion',
  created: 1,
  model,
  choices,
  ...more,
})
const written = (text: string, finish_reason: string | null = null): object[] => [
  { index: 0, text, logprobs: null, finish_reason },
]

export const openaiCompletions: Wire = {
  ...openaiChat,
  json: (model, text) => completion(model, written(text, 'stop'), { usage: OPENAI_USAGE }),
  head: () => [],
  word: (model, text) => data(completion(model, written(text))),
  stop: (model) => [data(completion(model, written('', 'stop')))],
  usage: (model) => [data(completion(model, [], { usage: OPENAI_USAGE }))],
}

const responseOf = (model: string, status: string, output: object[], usage: object | null) => ({
  id: 'resp_1',
  object: 'response',
  created_at: 1,
  status,
  background: false,
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: null,
  model,
  output,
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: null, summary: null },
  store: true,
  temperature: 1,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [],
  top_p: 1,
  truncation: 'disabled',
  usage,
  user: null,
  metadata: {},
})
const messageOf = (status: string, text: string): object => ({
  id: 'msg_1',
  type: 'message',
  status,
  role: 'assistant',
  content: [{ type: 'output_text', annotations: [], logprobs: [], text }],
})
const RESPONSES_USAGE = {
  input_tokens: 100,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 20,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 120,
}
const at = { item_id: 'msg_1', output_index: 0, content_index: 0 }

export const openaiResponses: Wire = {
  json: (model, text) =>
    responseOf(model, 'completed', [messageOf('completed', text)], RESPONSES_USAGE),
  head: (model) => [
    named({
      type: 'response.created',
      sequence_number: 0,
      response: responseOf(model, 'in_progress', [], null),
    }),
    named({
      type: 'response.output_item.added',
      sequence_number: 1,
      output_index: 0,
      item: { id: 'msg_1', type: 'message', status: 'in_progress', role: 'assistant', content: [] },
    }),
    named({
      type: 'response.content_part.added',
      sequence_number: 2,
      ...at,
      part: { type: 'output_text', annotations: [], logprobs: [], text: '' },
    }),
  ],
  word: (_, delta) =>
    named({
      type: 'response.output_text.delta',
      sequence_number: 3,
      ...at,
      delta,
      logprobs: [],
    }),
  stop: () => [],
  usage: (model) => [
    named({
      type: 'response.completed',
      sequence_number: 9,
      response: responseOf(model, 'completed', [messageOf('completed', 'all')], RESPONSES_USAGE),
    }),
  ],
  end: () => [],
  streamType: SSE,
  isStream: asksInBody,
}

const CLAUDE_INPUT = {
  input_tokens: 100,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  service_tier: 'standard',
}

export const anthropicMessages: Wire = {
  json: (model, text) => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model,
    content: [{ type: 'text', text }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { ...CLAUDE_INPUT, output_tokens: 20 },
  }),
  head: (model) => [
    named({
      type: 'message_start',
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { ...CLAUDE_INPUT, output_tokens: 1 },
      },
    }),
    named({
      type: 'content_block_start',
      index: 0,
      content_block: { type: 'text', text: '' },
    }),
  ],
  word: (_, text) =>
    named({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text },
    }),
  stop: () => [named({ type: 'content_block_stop', index: 0 })],
  usage: () => [
    named({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: 20 },
    }),
  ],
  end: () => [named({ type: 'message_stop' })],
  streamType: SSE,
  isStream: asksInBody,
}

const GEMINI_USAGE = { promptTokenCount: 100, candidatesTokenCount: 20, totalTokenCount: 120 }
const candidate = (text: string, finishReason?: string): object => ({
  content: { role: 'model', parts: [{ text }] },
  index: 0,
  ...(finishReason ? { finishReason } : {}),
})

export const gemini: Wire = {
  json: (modelVersion, text) => ({
    candidates: [candidate(text, 'STOP')],
    usageMetadata: GEMINI_USAGE,
    modelVersion,
    responseId: 'r1',
  }),
  head: () => [],
  // The real service reports as it goes: here the counts so far would be too low.
  word: (modelVersion, text) => data({ candidates: [candidate(text)], modelVersion }),
  stop: () => [],
  usage: (modelVersion) => [
    data({ candidates: [candidate('', 'STOP')], usageMetadata: GEMINI_USAGE, modelVersion }),
  ],
  end: () => [],
  streamType: SSE,
  isStream: ({ url }) => url.includes(':streamGenerateContent'),
}

const COHERE_USAGE = {
  billed_units: { input_tokens: 100, output_tokens: 20 },
  tokens: { input_tokens: 100, output_tokens: 20 },
}

export const cohereChat: Wire = {
  json: (_, text) => ({
    id: 'c1',
    finish_reason: 'COMPLETE',
    message: { role: 'assistant', content: [{ type: 'text', text }] },
    usage: COHERE_USAGE,
  }),
  head: () => [
    named({
      type: 'message-start',
      id: 'c1',
      delta: {
        message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] },
      },
    }),
    named({
      type: 'content-start',
      index: 0,
      delta: { message: { content: { type: 'text', text: '' } } },
    }),
  ],
  word: (_, text) =>
    named({
      type: 'content-delta',
      index: 0,
      delta: { message: { content: { text } } },
    }),
  stop: () => [named({ type: 'content-end', index: 0 })],
  usage: () => [
    named({
      type: 'message-end',
      delta: { finish_reason: 'COMPLETE', usage: COHERE_USAGE },
    }),
  ],
  end: () => [],
  streamType: SSE,
  isStream: asksInBody,
}

/** A frame of AWS's event stream encoding. */
function frame(event: string, payload: object): Uint8Array {
  const header = (name: string, value: string): Buffer => {
    const length = Buffer.alloc(3)
    length.writeUInt8(7, 0)
    length.writeUInt16BE(value.length, 1)
    return Buffer.concat([
      Buffer.from([name.length]),
      Buffer.from(name),
      length,
      Buffer.from(value),
    ])
  }
  const headers = Buffer.concat([
    header(':event-type', event),
    header(':content-type', 'application/json'),
    header(':message-type', 'event'),
  ])
  const body = Buffer.from(JSON.stringify(payload))
  const bytes = Buffer.alloc(16 + headers.length + body.length)
  bytes.writeUInt32BE(bytes.length, 0)
  bytes.writeUInt32BE(headers.length, 4)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8)
  headers.copy(bytes, 12)
  body.copy(bytes, 12 + headers.length)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, -4)), bytes.length - 4)
  return bytes
}

const BEDROCK_USAGE = { inputTokens: 100, outputTokens: 20, totalTokens: 120 }

export const bedrockConverse: Wire = {
  json: (_, text) => ({
    output: { message: { role: 'assistant', content: [{ text }] } },
    stopReason: 'end_turn',
    usage: BEDROCK_USAGE,
    metrics: { latencyMs: 1 },
  }),
  head: () => [frame('messageStart', { role: 'assistant' })],
  word: (_, text) => frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } }),
  stop: () => [
    frame('contentBlockStop', { contentBlockIndex: 0 }),
    frame('messageStop', { stopReason: 'end_turn' }),
  ],
  usage: () => [frame('metadata', { usage: BEDROCK_USAGE, metrics: { latencyMs: 1 } })],
  end: () => [],
  streamType: 'application/vnd.amazon.eventstream',
  isStream: ({ url }) => url.endsWith('/converse-stream'),
}

export const WORDS = ['one ', 'two ', 'three ', 'four ', 'five ']

export const modelOf = ({
  url,
  body,
}: {
  readonly url: string
  readonly body: { readonly model?: string }
}): string => body.model ?? /\/(?:models?|deployments)\/([^/:]+)/.exec(url)?.[1] ?? 'm'

/** Answers as the request asks, whole. */
export const answering =
  (wire: Wire, words: readonly string[] = WORDS) =>
  async (request: SeenRequest, response: ServerResponse): Promise<void> => {
    const model = modelOf(request)
    if (!wire.isStream(request)) return json(response, wire.json(model, words.join('')))
    response.writeHead(200, { 'content-type': wire.streamType })
    for (const piece of wholeStream(wire, model, words)) response.write(piece)
    response.end()
  }

const wholeStream = (wire: Wire, model: string, words: readonly string[]): Piece[] => [
  ...wire.head(model),
  ...words.map((word) => wire.word(model, word)),
  ...wire.stop(model),
  ...wire.usage(model),
  ...wire.end(),
]
