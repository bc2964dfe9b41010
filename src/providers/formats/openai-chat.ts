/**
 * Chat completions in OpenAI's format: what a request can cost at most, and what a response did use.
 * Servers that speak this format differ in the few things that a {@link ChatDialect} tells.
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { ModelLimits, Operation, RequestDraft, RequestReading } from '../provider.ts'
import { boundOutput, ceilingOf, checkedTotal, estimateInput, windowOf } from '../reading/bounds.ts'
import { followStream, type StreamFormat } from '../reading/follow-stream.ts'
import { asList, asObject, isGiven, type JsonObject } from '../reading/json-object.ts'
import { RequestBody } from '../reading/request-body.ts'
import { serviceTiers } from '../reading/service-tier.ts'
import { readAnswer, type UsageFormat } from '../reading/usage-format.ts'
import { type ChatContent, readContent } from './openai-chat-content.ts'
import { openAiUsage } from './openai-usage.ts'

/** What a server that speaks this format does in its own way. */
export interface ChatDialect {
  /** Id of the provider, for errors. */
  readonly provider: string
  /** Default `/chat/completions`. */
  readonly path?: string
  /** The field that our own maximum of output is written into; default `max_tokens`. */
  readonly maxField?: MaxField | ((model: string) => MaxField)
  /** `asked` (default): a stream reports usage when `stream_options.include_usage` asks for it.
   * `always`: it does so unasked, and the field may not be sent. */
  readonly streamUsage?: 'asked' | 'always'
  /** Default: OpenAI's. */
  readonly usage?: UsageFormat
  /** Models whose reasoning a stream does not show; default: none. */
  readonly hidesReasoning?: RegExp
  /** Of these, models that do not reason at `reasoning_effort: 'none'`; default: none. */
  readonly stopsReasoning?: RegExp
  /** Models that count an image several times, and how often; default: none. */
  readonly imageFactors?: readonly (readonly [models: RegExp, factor: number])[]
  /** Further fields of a request that are text or settings, separated by blanks. */
  readonly textFields?: string
  /** Fields, and models, that are charged by more than tokens: such calls are refused. */
  readonly unpriced?: readonly UnpricedPart[]
}

/** Where a request says how much may be written. */
export type MaxField = 'max_completion_tokens' | 'max_tokens'

export interface UnpricedPart {
  readonly field: string
  /** Default: whenever the field is given. */
  readonly when?: (request: JsonObject, model: string) => boolean
  readonly hint: string
}

/** Tokens that a request has beyond its bytes: the frame of the conversation, of each message and of
 * each tool. OpenAI documents 3, 3 to 4, and about 12. */
const REQUEST_TOKENS = 256
const MESSAGE_TOKENS = 8
const TOOL_TOKENS = 32

/** The API admits no more choices. */
const MAX_CHOICES = 128

/** Tokens of one image before the factor, at most. */
const MAX_IMAGE_TOKENS = 1536

export function openAiChat(dialect: ChatDialect): Operation {
  const usage = dialect.usage ?? openAiUsage
  const { hidesReasoning } = dialect
  return {
    name: 'chat',
    method: 'POST',
    path: dialect.path ?? '/chat/completions',
    read: (body, path) => readChat(dialect, body, path?.model ?? null),
    hidesReasoning: (model) => hidesReasoning?.test(model) ?? false,
    readJson: (json) => readAnswer(usage, json),
    openStream: () => followStream(chatStream(usage)),
  }
}

/**
 * Chunks, then `[DONE]`. Usage comes in a chunk of its own without choices (OpenAI), in the chunk with
 * the finish reason (Mistral, Groq), or with every chunk (vLLM when asked); without any of these, the
 * end marker says that it was the last.
 */
export function chatStream(usage: UsageFormat): StreamFormat {
  return {
    usage,
    usageKeys: ['usage"'],
    textKeys: ['delta"'],
    isEnd: ({ data }) => data === '[DONE]',
    isFinal: ({ choices }) =>
      asList(choices).every((choice) => isGiven(asObject(choice)?.finish_reason)),
    isUsageOnly: (json) => asList(json.choices).length === 0 && usage.find(json) !== null,
  }
}

/**
 * What is sent is what was read: the body is written anew from what was parsed. The provider might
 * read the caller's own text otherwise (of two equal keys the first), and then no bound would hold.
 *
 * @param modelInPath - where the path names the model, and the body need not.
 */
function readChat(dialect: ChatDialect, text: string, modelInPath: string | null): RequestDraft {
  const body = new RequestBody(dialect.provider, text)
  const request = body.json
  const model = modelInPath ?? body.model()
  const content = readContent(body, dialect.textFields)
  const stream = body.flag('stream')
  const choices = body.positive('n') ?? 1
  if (choices > MAX_CHOICES) throw body.invalid('n', `expected at most ${MAX_CHOICES}`)
  const named = [body.positive('max_completion_tokens'), body.positive('max_tokens')]
  const options = body.object('stream_options')
  const asksForUsage = stream && dialect.streamUsage !== 'always'

  return {
    model,
    bound: (limits): RequestReading => {
      const service = serviceTiers(body, model, limits)
      refuseUnpriced(dialect, body, model)
      const field = fieldOf(dialect, model)
      const output = outputOf(body, named, limits)
      const hidesUsageChunk = asksForUsage && options.include_usage !== true
      const sent = body.toJson({
        ...request,
        ...(output.write === null ? {} : { [field]: output.write }),
        ...(hidesUsageChunk ? { stream_options: { ...options, include_usage: true } } : {}),
      })
      const bytes = utf8Length(sent)
      const factor = imageFactor(dialect, model)
      const input = boundInput({ body, model, content, bytes, factor, limits })
      return {
        model,
        stream,
        body: sent,
        hidesUsageChunk,
        ...(request.reasoning_effort === 'none' && dialect.stopsReasoning?.test(model)
          ? { hidesOutput: false }
          : {}),
        bound: {
          input,
          output: checkedTotal(body, choices * output.perChoice, { model, field }),
          inputAudio: content.inputAudio,
          outputAudio: content.outputAudio,
          inputImage: content.opaqueField !== null,
          ...service,
        },
        inputEstimate: estimateInput(bytes, input, {
          bytes: content.opaqueLength,
          parts: content.images * factor + content.others,
        }),
      }
    },
  }
}

const fieldOf = ({ maxField = 'max_tokens' }: ChatDialect, model: string): MaxField =>
  typeof maxField === 'function' ? maxField(model) : maxField

/** What one choice can produce, and the maximum to write into the request; `null`: leave it. */
function outputOf(
  body: RequestBody,
  named: readonly (number | null)[],
  limits: ModelLimits,
): { readonly perChoice: number; readonly write: number | null } {
  const { prediction } = body.json
  const { tokens, write } = boundOutput(named, limits)
  if (!isGiven(prediction)) return { perChoice: tokens, write }
  // Predicted tokens that are not used are charged as output beside the ones that are. The API takes
  // no maximum of ours beside a prediction, so none is written.
  const predicted = utf8Length(body.toJson(prediction))
  return { perChoice: (write === null ? tokens : ceilingOf(limits)) + predicted, write: null }
}

function boundInput(call: {
  readonly body: RequestBody
  readonly model: string
  readonly content: ChatContent
  readonly bytes: number
  readonly factor: number
  readonly limits: ModelLimits
}): number {
  const { body, model, content, bytes, factor, limits } = call
  const { opaqueField: field, images, others, messages, tools } = content
  if (field === null) {
    return bytes + REQUEST_TOKENS + messages * MESSAGE_TOKENS + tools * TOOL_TOKENS
  }
  const window = windowOf(body, limits, { model, field })
  if (factor === 1 || others > 0) return window * factor
  return Math.min(window * factor, window + images * MAX_IMAGE_TOKENS * factor)
}

const imageFactor = ({ imageFactors = [] }: ChatDialect, model: string): number =>
  imageFactors.find(([models]) => models.test(model))?.[1] ?? 1

/** @throws TenantKeysError TK_PRICE_MISSING for what token prices leave out. */
function refuseUnpriced(dialect: ChatDialect, body: RequestBody, model: string): void {
  for (const { field, when, hint } of dialect.unpriced ?? []) {
    const isAsked = when?.(body.json, model) ?? isGiven(body.json[field])
    if (isAsked) throw body.unpriced(model, field, hint)
  }
}
