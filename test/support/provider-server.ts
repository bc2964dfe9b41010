/**
 * A scriptable provider on loopback: a real HTTP server whose answer each test writes itself.
 *
 * @module
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: ChatBody
  /** Resolves when the client closed the connection before the answer was complete. */
  readonly closedEarly: Promise<void>
}

export interface ChatBody {
  readonly model: string
  readonly messages: readonly { role: string; content: string }[]
  readonly stream?: boolean
  readonly stream_options?: { include_usage?: boolean }
  readonly max_completion_tokens?: number
}

export type Answer = (request: SeenRequest, response: ServerResponse, count: number) => unknown

export interface ProviderServer extends AsyncDisposable {
  /** With the `/v1` of the provider. */
  readonly baseUrl: string
  readonly requests: readonly SeenRequest[]
  answer: Answer
  close(): Promise<void>
}

export async function startProvider(answer: Answer = chatJson()): Promise<ProviderServer> {
  const requests: SeenRequest[] = []
  const state = { answer }
  const server = createServer(async (message, response) => {
    const seen = await read(message, response)
    requests.push(seen)
    try {
      await state.answer(seen, response, requests.length)
    } catch {
      response.destroy()
    }
  })
  // A process that computes for seconds does not see that an idle connection was closed, and sends its
  // next request into it: here only clients close them.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    get answer() {
      return state.answer
    },
    set answer(next: Answer) {
      state.answer = next
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function read(message: IncomingMessage, response: ServerResponse): Promise<SeenRequest> {
  let text = ''
  for await (const part of message) text += part
  const closedEarly = new Promise<void>((resolve) => {
    response.on('close', () => {
      if (!response.writableFinished) resolve()
    })
  })
  const { method = '', url = '', headers } = message
  return { method, url, headers, text, body: text === '' ? {} : JSON.parse(text), closedEarly }
}

export const USAGE = {
  prompt_tokens: 100,
  completion_tokens: 20,
  total_tokens: 120,
  prompt_tokens_details: { cached_tokens: 40, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 5, audio_tokens: 0 },
}
/** USAGE at the bundled prices of gpt-4o-mini: 60 x 0.15 + 40 x 0.075 + 20 x 0.6 USD per million. */
export const USAGE_COST_NANO = 24_000n

/** A chat completion as JSON. `usage: null` leaves it out. */
export function chatJson(options: { usage?: object | null; content?: string } = {}): Answer {
  const { usage = USAGE, content = 'hello' } = options
  return ({ body }, response) => {
    const message = { role: 'assistant', content, refusal: null }
    const choices = [{ index: 0, finish_reason: 'stop', logprobs: null, message }]
    const base = { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: body.model }
    json(response, { ...base, choices, ...(usage === null ? {} : { usage }) })
  }
}

export function json(
  response: ServerResponse,
  value: unknown,
  status = 200,
  headers: object = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(value))
}

export const chunkOf = (model: string, delta: object, finish: string | null = null): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model,
  choices: [{ index: 0, delta, finish_reason: finish }],
})

export const usageChunk = (model: string, usage: object = USAGE): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model,
  choices: [],
  usage,
})

/** An open event stream that a test writes step by step. */
export interface Stream {
  send(data: object | string): Promise<void>
  end(): void
  destroy(): void
}

export function openStream(response: ServerResponse): Stream {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
  return {
    send: (data) =>
      new Promise((resolve) => {
        const text = typeof data === 'string' ? data : JSON.stringify(data)
        response.write(`data: ${text}\n\n`, () => resolve())
      }),
    end: () => response.end(),
    destroy: () => response.destroy(),
  }
}

export const WORDS = ['one ', 'two ', 'three ', 'four ', 'five ']

/** A whole chat stream at once; sends the usage chunk only when it was asked for, as OpenAI does. */
export function chatStream(words: readonly string[] = WORDS): Answer {
  return async ({ body }, response) => {
    const stream = openStream(response)
    await stream.send(chunkOf(body.model, { role: 'assistant', content: '' }))
    for (const content of words) await stream.send(chunkOf(body.model, { content }))
    await stream.send(chunkOf(body.model, {}, 'stop'))
    if (body.stream_options?.include_usage) await stream.send(usageChunk(body.model))
    await stream.send('[DONE]')
    stream.end()
  }
}

/** Both of the above, by what the request asks. */
export const chat: Answer = (request, response, count) =>
  (request.body.stream ? chatStream() : chatJson())(request, response, count)
