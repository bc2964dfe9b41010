/**
 * Legacy completions in OpenAI's format (https://platform.openai.com/docs/api-reference/completions).
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { ModelLimits, Operation, RequestDraft } from '../provider.ts'
import { boundOutput, checkedTotal, estimateInput, windowOf } from '../reading/bounds.ts'
import { followStream } from '../reading/follow-stream.ts'
import { RequestBody, words } from '../reading/request-body.ts'
import { readAnswer, type UsageFormat } from '../reading/usage-format.ts'
import { chatStream } from './openai-chat.ts'
import { openAiUsage } from './openai-usage.ts'

export interface CompletionsDialect {
  /** Id of the provider, for errors. */
  readonly provider: string
  /** Default `/completions`. */
  readonly path?: string
  /** Default: OpenAI's. */
  readonly usage?: UsageFormat
  /** As in chat. */
  readonly streamUsage?: 'asked' | 'always'
  /** Further fields of a request that are text or settings, separated by blanks. */
  readonly textFields?: string
  /** Key of what the model wrote in a stream, with its closing quote; default `text"`. */
  readonly textKey?: string
  /** Written into a request that names no maximum, in tokens; default 16, as OpenAI has it. */
  readonly defaultMaxOutput?: number
}

/** What OpenAI writes when nobody says how much; other servers go on to the end of the window. */
const DEFAULT_MAX_OUTPUT = 16

const PROMPT_TOKENS = 8
const MAX_CHOICES = 128

const TEXT_FIELDS = words(
  `model prompt suffix max_tokens temperature top_p n stream stream_options logprobs echo stop
   presence_penalty frequency_penalty best_of logit_bias seed user`,
)

export function openAiCompletions(dialect: CompletionsDialect): Operation {
  const usage = dialect.usage ?? openAiUsage
  return {
    name: 'completions',
    method: 'POST',
    path: dialect.path ?? '/completions',
    read: (body, path) => readCompletions(dialect, body, path?.model ?? null),
    hidesReasoning: () => false,
    readJson: (json) => readAnswer(usage, json),
    openStream: () =>
      followStream({ ...chatStream(usage), textKeys: [dialect.textKey ?? 'text"'] }),
  }
}

function readCompletions(
  dialect: CompletionsDialect,
  text: string,
  modelInPath: string | null,
): RequestDraft {
  const { provider, textFields = '', defaultMaxOutput = DEFAULT_MAX_OUTPUT } = dialect
  const body = new RequestBody(provider, text)
  const model = modelInPath ?? body.model()
  const field = body.unlisted(new Set([...TEXT_FIELDS, ...words(textFields)]))
  const prompts = promptsOf(body)
  const stream = body.flag('stream')
  const options = body.object('stream_options')
  // Of `best_of` completions all are charged, and some are given.
  const choices = Math.max(body.positive('n') ?? 1, body.positive('best_of') ?? 1)
  if (choices > MAX_CHOICES) throw body.invalid('best_of', `expected at most ${MAX_CHOICES}`)
  const named = body.positive('max_tokens')
  return {
    model,
    bound: (limits) => {
      const hidesUsageChunk =
        stream && dialect.streamUsage !== 'always' && options.include_usage !== true
      const sent = body.toJson({
        ...body.json,
        max_tokens: named ?? defaultMaxOutput,
        ...(hidesUsageChunk ? { stream_options: { ...options, include_usage: true } } : {}),
      })
      const bytes = utf8Length(sent)
      const input = inputOf(body, limits, { model, field, bytes, prompts })
      const each = boundOutput([named ?? defaultMaxOutput], limits).tokens
      const output = checkedTotal(body, prompts * choices * each, { model, field: 'max_tokens' })
      return {
        model,
        stream,
        body: sent,
        hidesUsageChunk,
        bound: { input, output },
        inputEstimate: estimateInput(bytes, input),
      }
    },
  }
}

function inputOf(
  body: RequestBody,
  limits: ModelLimits,
  call: {
    readonly model: string
    readonly field: string | null
    readonly bytes: number
    readonly prompts: number
  },
): number {
  const { model, field, bytes, prompts } = call
  if (field === null) return bytes + prompts * PROMPT_TOKENS
  return checkedTotal(body, prompts * windowOf(body, limits, { model, field }), { model, field })
}

/** Text, tokens as numbers, or a list of either: how many prompts that is. */
function promptsOf(body: RequestBody): number {
  const { prompt } = body.json
  if (typeof prompt === 'string') return 1
  const list = body.listOf(prompt, 'prompt')
  if (list.every((one) => typeof one === 'number')) return 1
  list.forEach((one, i) => {
    const isTokens = Array.isArray(one) && one.every((token) => typeof token === 'number')
    if (typeof one !== 'string' && !isTokens)
      throw body.invalid(`prompt[${i}]`, 'expected text or tokens')
  })
  return list.length
}
