/**
 * Cohere's chat and embed, version 2 (https://docs.cohere.com/reference/chat; fields as in `cohere-ai` 8).
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { Operation, RequestDraft } from '../provider.ts'
import { boundOutput, checkedTotal, estimateInput, windowOf } from '../reading/bounds.ts'
import { followStream, type StreamFormat } from '../reading/follow-stream.ts'
import { asObject, isGiven } from '../reading/json-object.ts'
import { noStream } from '../reading/no-stream.ts'
import { RequestBody, words } from '../reading/request-body.ts'
import { readAnswer } from '../reading/usage-format.ts'
import { cohereUsage } from './cohere-usage.ts'

/** Its own preamble is counted as tokens, though not billed (recorded: 529 and more beside tools). */
const REQUEST_TOKENS = 4096
const MESSAGE_TOKENS = 16
const TOOL_TOKENS = 256

const CHAT_FIELDS = words(
  `model messages tools strict_tools documents citation_options response_format safety_mode max_tokens
   stop_sequences temperature seed frequency_penalty presence_penalty k p logprobs tool_choice thinking
   stream raw_prompting`,
)

const EMBED_FIELDS = words(
  'model texts input_type embedding_types max_tokens output_dimension truncate',
)

/** @param provider - id of the provider, for errors. */
export function cohereChat(provider: string, path = '/v2/chat'): Operation {
  return {
    name: 'chat',
    method: 'POST',
    path,
    read: (body) => readChat(provider, body),
    hidesReasoning: () => false,
    readJson: (json) => readAnswer(cohereUsage, json),
    openStream: () => followStream(cohereStream),
  }
}

/** Citations quote what was written already. */
const cohereStream: StreamFormat = {
  usage: cohereUsage,
  usageKeys: ['usage"'],
  textKeys: ['delta"'],
  silent: /citation-|message-start/,
  isEnd: ({ event, data }) =>
    event === 'message-end' || data === '[DONE]' || data.includes('"type":"message-end"'),
  isFinal: () => true,
}

function readChat(provider: string, text: string): RequestDraft {
  const body = new RequestBody(provider, text)
  const model = body.model()
  const stream = body.flag('stream')
  const messages = body.listOf(body.json.messages, 'messages')
  if (messages.length === 0) throw body.invalid('messages', 'expected at least one message')
  const opaque = body.unlisted(CHAT_FIELDS) ?? opaqueContent(body, messages)
  const tools = body.list('tools').length
  const named = body.positive('max_tokens')
  return {
    model,
    bound: (limits) => {
      const output = boundOutput([named], limits)
      const written = output.write === null ? {} : { max_tokens: output.write }
      const sent = body.toJson({ ...body.json, ...written })
      const bytes = utf8Length(sent)
      const input =
        opaque === null
          ? bytes + REQUEST_TOKENS + messages.length * MESSAGE_TOKENS + tools * TOOL_TOKENS
          : windowOf(body, limits, { model, field: opaque })
      const field = 'max_tokens'
      return {
        model,
        stream,
        body: sent,
        hidesUsageChunk: false,
        bound: { input, output: checkedTotal(body, output.tokens, { model, field }) },
        inputEstimate: estimateInput(bytes, input),
      }
    },
  }
}

const TEXT_PARTS = words('text document thinking')

/** Path of the first part that is not text; `null`: all are. */
function opaqueContent(body: RequestBody, messages: readonly unknown[]): string | null {
  let opaque: string | null = null
  messages.forEach((value, i) => {
    const at = `messages[${i}]`
    const message = asObject(value)
    if (typeof message?.role !== 'string') throw body.invalid(`${at}.role`, 'expected text')
    const { content } = message
    if (!isGiven(content) || typeof content === 'string') return
    body.listOf(content, `${at}.content`).forEach((part, j) => {
      const type = asObject(part)?.type
      if (typeof type !== 'string' || !TEXT_PARTS.has(type)) opaque ??= `${at}.content[${j}]`
    })
  })
  return opaque
}

/** Texts; images are sent in fields that are refused. */
export function cohereEmbed(provider: string, path = '/v2/embed'): Operation {
  return {
    name: 'embeddings',
    method: 'POST',
    path,
    read: (text) => {
      const body = new RequestBody(provider, text)
      const model = body.model()
      const unknown = body.unlisted(EMBED_FIELDS)
      const texts = unknown === null ? body.listOf(body.json.texts, 'texts') : []
      const wrong = texts.findIndex((one) => typeof one !== 'string')
      if (wrong >= 0) throw body.invalid(`texts[${wrong}]`, 'expected text')
      return {
        model,
        bound: () => {
          if (unknown !== null)
            throw body.unpriced(model, unknown, 'only texts have a price by the token')
          const sent = body.toJson(body.json)
          const bytes = utf8Length(sent)
          const input = bytes + texts.length * MESSAGE_TOKENS
          return {
            model,
            stream: false,
            body: sent,
            hidesUsageChunk: false,
            bound: { input, output: 0 },
            inputEstimate: estimateInput(bytes, input),
          }
        },
      }
    },
    hidesReasoning: () => false,
    readJson: (json) => readAnswer(cohereUsage, json),
    openStream: noStream,
  }
}
