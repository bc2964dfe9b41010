/**
 * `POST /chat/completions` of OpenAI: what a request can cost at most, and what a response did use.
 *
 * @module
 */
import { utf8Length } from '../kernel/encoding.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { asObject, type JsonObject } from './json-object.ts'
import { type ChatContent, invalid, isGiven, readContent, toJson } from './openai-chat-content.ts'
import { openChatStream } from './openai-chat-stream.ts'
import { readUsage } from './openai-usage.ts'
import type { ModelLimits, Operation, RequestDraft, RequestReading } from './provider.ts'

/** Output written into a request that names no maximum, in tokens. */
const DEFAULT_MAX_OUTPUT = 4096

/** Tokens that a request has beyond its bytes: the frame of the conversation, of each message and of
 * each tool. OpenAI documents 3, 3 to 4, and about 12. */
const REQUEST_TOKENS = 256
const MESSAGE_TOKENS = 8
const TOOL_TOKENS = 32

/** The API admits no more choices. */
const MAX_CHOICES = 128

/** No request can be held for more tokens than this; see the largest price in usage/price. */
const MAX_BOUND = 1_000_000_000

/** Estimates for calls that nobody counted: English and code lie near four bytes a token. */
const BYTES_PER_TOKEN = 4
const TOKENS_PER_OPAQUE_PART = 1024

/** `auto` is what an absent tier means. The others have prices of their own. */
const STANDARD_TIERS: readonly unknown[] = [undefined, null, 'auto', 'default']

/** Models that search the web on every call, for a fee per call. */
const SEARCHING = /-search-(preview|api)(-|$)/

/** The o series and gpt-5 think in tokens that are charged as output and never shown. */
const REASONING = /^(ft:)?(o\d|gpt-[5-9])/

export const openaiChat: Operation = {
  method: 'POST',
  name: 'chat',
  path: '/chat/completions',
  read: readChat,
  hidesReasoning: (model) => REASONING.test(model),
  readJson: readUsage,
  openStream: openChatStream,
}

/**
 * What is sent is what was read: the body is written anew from what was parsed. The provider might
 * read the caller's own text otherwise (of two equal keys the first), and then no bound would hold.
 */
function readChat(body: string): RequestDraft {
  const request = parseBody(body)
  const { model } = request
  if (typeof model !== 'string' || model === '' || model.length > 200) {
    throw invalid('model', 'expected a model id')
  }
  const content = readContent(request)
  const stream = flag(request.stream, 'stream')
  const choices = isGiven(request.n) ? positive(request.n, 'n') : 1
  if (choices > MAX_CHOICES) throw invalid('n', `expected at most ${MAX_CHOICES}`)
  const named = [
    ...maximum(request.max_completion_tokens, 'max_completion_tokens'),
    ...maximum(request.max_tokens, 'max_tokens'),
  ]
  const options = streamOptions(request)

  return {
    model,
    bound: (limits): RequestReading => {
      refuseUnpriced(request, model)
      const output = boundOutput(request, named, limits)
      const hidesUsageChunk = stream && options.include_usage !== true
      const sent = toJson({
        ...request,
        ...(output.write === null ? {} : { max_completion_tokens: output.write }),
        ...(hidesUsageChunk ? { stream_options: { ...options, include_usage: true } } : {}),
      })
      const bytes = utf8Length(sent)
      const input = boundInput(model, content, bytes, limits)
      const total = choices * output.perChoice
      if (total > MAX_BOUND) throw unbounded(model, 'max_completion_tokens', 'maxOutputTokens')
      return {
        model,
        stream,
        body: sent,
        hidesUsageChunk,
        bound: {
          input,
          output: total,
          inputAudio: content.inputAudio,
          outputAudio: content.outputAudio,
        },
        inputEstimate: Math.min(input, estimateInput(model, content, bytes)),
      }
    },
  }
}

function parseBody(body: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw invalid('body', 'expected JSON')
  }
  const request = asObject(value)
  if (request === null) throw invalid('body', 'expected a JSON object')
  return request
}

/** What one choice can produce, and the maximum to write into the request; `null`: leave it. */
function boundOutput(
  request: JsonObject,
  named: readonly number[],
  { contextWindow, maxOutput }: ModelLimits,
): { readonly perChoice: number; readonly write: number | null } {
  const ceiling = Math.min(maxOutput ?? MAX_BOUND, contextWindow ?? MAX_BOUND)
  const { prediction } = request
  const isPredicted = isGiven(prediction)
  // Predicted tokens that are not used are charged as output beside the ones that are.
  const predicted = isPredicted ? utf8Length(toJson(prediction)) : 0
  if (named.length > 0) {
    return { perChoice: Math.min(Math.max(...named), ceiling) + predicted, write: null }
  }
  // The API takes no max_completion_tokens beside a prediction, so none is written.
  if (isPredicted) return { perChoice: ceiling + predicted, write: null }
  const chosen = Math.min(DEFAULT_MAX_OUTPUT, ceiling)
  return { perChoice: chosen, write: chosen }
}

function boundInput(
  model: string,
  content: ChatContent,
  bytes: number,
  limits: ModelLimits,
): number {
  const { opaqueField, images, others, messages, tools } = content
  if (opaqueField === null) {
    return bytes + REQUEST_TOKENS + messages * MESSAGE_TOKENS + tools * TOOL_TOKENS
  }
  const window = limits.contextWindow
  if (window === null) throw unbounded(model, opaqueField, 'contextWindow')
  const factor = imageFactor(model)
  if (factor === 1 || others > 0) return window * factor
  return Math.min(window * factor, window + images * MAX_IMAGE_TOKENS * factor)
}

/** Tokens of one image before the factor below, at most. */
const MAX_IMAGE_TOKENS = 1536

/** Small models count an image several times (33.4, 2.46 and up to 1.72), and OpenAI does not say
 * that their window limits the figure that is charged. A fine-tuned model counts as its base does. */
const IMAGE_FACTORS: readonly (readonly [RegExp, number])[] = [
  [/gpt-4o-mini/, 34],
  [/-nano/, 3],
  [/-mini/, 2],
]

const imageFactor = (model: string): number =>
  IMAGE_FACTORS.find(([models]) => models.test(model))?.[1] ?? 1

function estimateInput(
  model: string,
  { images, others, opaqueLength }: ChatContent,
  bytes: number,
): number {
  const text = Math.max(bytes - opaqueLength, 1)
  const parts = images * imageFactor(model) + others
  return Math.ceil(text / BYTES_PER_TOKEN) + parts * TOKENS_PER_OPAQUE_PART
}

/** @throws TenantKeysError TK_PRICE_MISSING for what token prices of the standard tier leave out. */
function refuseUnpriced(request: JsonObject, model: string): void {
  const { service_tier: tier, web_search_options: search } = request
  if (!STANDARD_TIERS.includes(tier)) {
    if (typeof tier !== 'string') throw invalid('service_tier', 'expected text')
    throw unpriced(model, 'service_tier', "leave service_tier out or use 'default'")
  }
  const searches = isGiven(search) || SEARCHING.test(model)
  if (searches) throw unpriced(model, 'web_search_options', 'web searches are charged by the call')
}

function unpriced(model: string, field: string, hint: string): TenantKeysError {
  return new TenantKeysError('TK_PRICE_MISSING', { provider: 'openai', model, field, hint })
}

function unbounded(model: string, field: string, missing: string): TenantKeysError {
  const hint = `give ${missing} in a price row for this model`
  return new TenantKeysError('TK_BUDGET_UNBOUNDED', { provider: 'openai', model, field, hint })
}

function flag(value: unknown, field: string): boolean {
  if (!isGiven(value)) return false
  if (typeof value !== 'boolean') throw invalid(field, 'expected true or false')
  return value
}

function maximum(value: unknown, field: string): readonly number[] {
  return isGiven(value) ? [positive(value, field)] : []
}

function positive(value: unknown, field: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value
  throw invalid(field, 'expected a whole number of at least 1')
}

function streamOptions({ stream_options: options }: JsonObject): JsonObject {
  if (!isGiven(options)) return {}
  const read = asObject(options)
  if (read === null) throw invalid('stream_options', 'expected an object')
  return read
}
