/**
 * Embeddings in OpenAI's format (https://platform.openai.com/docs/api-reference/embeddings). There is
 * no output to bound, and no stream.
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { Operation, RequestDraft } from '../provider.ts'
import { checkedTotal, estimateInput, windowOf } from '../reading/bounds.ts'
import { asObject, isGiven } from '../reading/json-object.ts'
import { noStream } from '../reading/no-stream.ts'
import { RequestBody, words } from '../reading/request-body.ts'
import {
  count,
  details,
  readAnswer,
  tokenUsage,
  type UsageFormat,
} from '../reading/usage-format.ts'

/** The special tokens around an input, in every tokenizer we know. */
const INPUT_TOKENS = 8

export interface EmbeddingsDialect {
  /** Id of the provider, for errors. */
  readonly provider: string
  /** Default `/embeddings`. */
  readonly path?: string
  /** Default: OpenAI's. */
  readonly usage?: UsageFormat
  /** Further fields of a request that are text or settings, separated by blanks. */
  readonly textFields?: string
}

/** Servers of others report `completion_tokens` too, always 0. */
const openAiEmbeddingsUsage: UsageFormat = {
  find: (json) => {
    const usage = asObject(json.usage)
    return usage && { usage, model: json.model }
  },
  read: (usage) => {
    const input = details(usage.prompt_tokens_details)
    if (!input) return null
    const tokens = tokenUsage({
      input: count(usage.prompt_tokens),
      cacheRead: count(input.cached_tokens),
      inputAudio: count(input.audio_tokens),
      output: count(usage.completion_tokens ?? 0),
    })
    return tokens && { tokens }
  },
}

export function openAiEmbeddings(dialect: EmbeddingsDialect): Operation {
  const usage = dialect.usage ?? openAiEmbeddingsUsage
  return {
    name: 'embeddings',
    method: 'POST',
    path: dialect.path ?? '/embeddings',
    read: (body, path) => readEmbeddings(dialect, body, path?.model ?? null),
    hidesReasoning: () => false,
    readJson: (json) => readAnswer(usage, json),
    openStream: noStream,
  }
}

const TEXT_FIELDS = 'model input encoding_format dimensions user input_type truncate'

function readEmbeddings(
  { provider, textFields = '' }: EmbeddingsDialect,
  text: string,
  modelInPath: string | null,
): RequestDraft {
  const body = new RequestBody(provider, text)
  const model = modelInPath ?? body.model()
  const field = body.unlisted(words(`${TEXT_FIELDS} ${textFields}`)) ?? opaqueInput(body)
  return {
    model,
    bound: (limits) => {
      const sent = body.toJson(body.json)
      const bytes = utf8Length(sent)
      const inputs = Array.isArray(body.json.input) ? body.json.input.length : 1
      const input =
        field === null
          ? bytes + inputs * INPUT_TOKENS
          : checkedTotal(body, inputs * windowOf(body, limits, { model, field }), { model, field })
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
}

/** Text, tokens as numbers, or a list of either; every number takes two bytes or more in the body. */
function opaqueInput(body: RequestBody): string | null {
  const { input } = body.json
  if (!isGiven(input)) throw body.invalid('input', 'expected text or a list')
  if (typeof input === 'string') return null
  const i = body.listOf(input, 'input').findIndex((one) => !isTextOrTokens(one))
  return i < 0 ? null : `input[${i}]`
}

const isTextOrTokens = (one: unknown): boolean =>
  typeof one === 'string' ||
  typeof one === 'number' ||
  (Array.isArray(one) && one.every((token) => typeof token === 'number'))
