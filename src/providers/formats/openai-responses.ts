/**
 * The Responses API in OpenAI's format (https://platform.openai.com/docs/api-reference/responses), also
 * spoken by Azure, OpenRouter, DeepSeek and xAI.
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { Operation, RequestDraft, RequestReading } from '../provider.ts'
import { boundOutput, checkedTotal, estimateInput, windowOf } from '../reading/bounds.ts'
import { followStream, type StreamFormat } from '../reading/follow-stream.ts'
import { asList, asObject } from '../reading/json-object.ts'
import { RequestBody } from '../reading/request-body.ts'
import { serviceTiers } from '../reading/service-tier.ts'
import {
  count,
  details,
  otherCounts,
  readAnswer,
  tokenUsage,
  type UsageFormat,
} from '../reading/usage-format.ts'
import { readResponseContent } from './openai-responses-content.ts'
import { splitTotal } from './openai-usage.ts'

export interface ResponsesDialect {
  /** Id of the provider, for errors. */
  readonly provider: string
  /** Default `/responses`. */
  readonly path?: string
  /** Default: OpenAI's. */
  readonly usage?: UsageFormat
  /** Models whose reasoning a stream does not show; default: none. */
  readonly hidesReasoning?: RegExp
  /** Of these, models that do not reason at `reasoning: { effort: 'none' }`; default: none. */
  readonly stopsReasoning?: RegExp
  /** Models that count an image several times, and how often; default: none. */
  readonly imageFactors?: readonly (readonly [models: RegExp, factor: number])[]
}

/** Tokens beyond the bytes of a request: its frame, and that of each item and each tool (as in chat). */
const REQUEST_TOKENS = 256
const ITEM_TOKENS = 8
const TOOL_TOKENS = 32

export function openAiResponses(dialect: ResponsesDialect): Operation {
  const { usage = openAiResponsesUsage, hidesReasoning } = dialect
  return {
    name: 'responses',
    method: 'POST',
    path: dialect.path ?? '/responses',
    read: (body) => readResponses(dialect, body),
    hidesReasoning: (model) => hidesReasoning?.test(model) ?? false,
    readJson: (json) => readAnswer(usage, json),
    openStream: () => followStream(responsesStream(usage)),
  }
}

/** In a stream the response stands in an event, alone it is the answer itself. */
export const openAiResponsesUsage: UsageFormat = {
  find: (json) => {
    const response = asObject(json.response) ?? json
    const usage = asObject(response.usage)
    if (usage === null) return null
    // Searches are charged by the call and stand only in the output, one item each.
    const searches = asList(response.output).filter(isSearch).length
    const { model, service_tier: tier } = response
    return { usage, model, tier, counts: { web_search_requests: searches } }
  },
  read: (usage) => {
    const input = details(usage.input_tokens_details)
    const output = details(usage.output_tokens_details)
    if (!input || !output) return null
    const split = splitTotal({
      input: usage.input_tokens,
      output: usage.output_tokens,
      reasoning: output.reasoning_tokens,
      total: usage.total_tokens,
    })
    if (split === null) return null
    const tokens = tokenUsage({
      input: split.input,
      cacheRead: count(input.cached_tokens),
      cacheWrite: count(input.cache_write_tokens),
      inputAudio: count(input.audio_tokens),
      output: split.output,
      reasoning: count(output.reasoning_tokens),
      outputAudio: count(output.audio_tokens),
    })
    const counts = otherCounts({ unattributed_tokens: split.unattributed })
    return tokens && counts && { tokens, counts, isIncomplete: split.unattributed > 0 }
  },
}

/** `action.type` tells searches from pages that were only opened, which are free. */
function isSearch(item: unknown): boolean {
  const { type, action } = asObject(item) ?? {}
  const kind = asObject(action)?.type
  return type === 'web_search_call' && (kind === undefined || kind === 'search')
}

/** The three events that end a response, each with the whole of it. An `error` event has no usage. */
const ENDS = ['response.completed', 'response.incomplete', 'response.failed']

/** What repeats what deltas said, or says nothing. */
const SILENT = /response\.(created|queued|in_progress|[a-z_.]+\.(done|completed|in_progress))\b/

function responsesStream(usage: UsageFormat): StreamFormat {
  return {
    usage,
    usageKeys: ['usage"'],
    textKeys: ['delta"', 'name"'],
    silent: SILENT,
    isEnd: ({ data }) => data === '[DONE]' || ENDS.some((type) => isOfType(data, type)),
    isFinal: (json) => ENDS.includes(String(json.type)),
  }
}

/** Some servers name events only in their data. Looks before it parses: most events are deltas. */
function isOfType(data: string, type: string): boolean {
  if (!data.includes(`"${type}"`)) return false
  try {
    return asObject(JSON.parse(data))?.type === type
  } catch {
    return false
  }
}

function readResponses(dialect: ResponsesDialect, text: string): RequestDraft {
  const body = new RequestBody(dialect.provider, text)
  const request = body.json
  const model = body.model()
  const stream = body.flag('stream')
  if (body.flag('background')) {
    throw body.invalid(
      'background',
      'a response that goes on without its connection cannot be metered',
    )
  }
  const content = readResponseContent(body)
  const named = [body.positive('max_output_tokens')]
  const searches = content.searches ? body.positive('max_tool_calls') : 0

  return {
    model,
    bound: (limits): RequestReading => {
      const service = serviceTiers(body, model, limits)
      refuseUnpriced(body, model, content.unpricedTool)
      if (searches === null) {
        const hint = 'name max_tool_calls: every search is charged, and reads its results'
        throw body.unbounded(model, 'max_tool_calls', { hint })
      }
      const output = boundOutput(named, limits)
      const written = output.write === null ? {} : { max_output_tokens: output.write }
      const sent = body.toJson({ ...request, ...written })
      const bytes = utf8Length(sent)
      const { opaqueField: field, items, tools, images, others, opaqueLength } = content
      const factor = dialect.imageFactors?.find(([models]) => models.test(model))?.[1] ?? 1
      const input =
        field === null
          ? bytes + REQUEST_TOKENS + items * ITEM_TOKENS + tools * TOOL_TOKENS
          : // The model is asked once more after every search, with all that it read so far.
            windowOf(body, limits, { model, field }) * factor * (1 + searches)
      return {
        model,
        stream,
        body: sent,
        hidesUsageChunk: false,
        ...(turnsReasoningOff(request.reasoning) && dialect.stopsReasoning?.test(model)
          ? { hidesOutput: false }
          : {}),
        bound: {
          input: checkedTotal(body, input, { model, field: field ?? 'input' }),
          output: checkedTotal(body, output.tokens, { model, field: 'max_output_tokens' }),
          inputAudio: content.inputAudio,
          inputImage: field !== null,
          ...service,
          ...(searches > 0 ? { counts: { web_search_requests: searches } } : {}),
        },
        inputEstimate: estimateInput(bytes, input, {
          bytes: opaqueLength,
          parts: images * factor + others,
        }),
      }
    },
  }
}

/** Nothing else in it: another setting may ask for reasoning in another way. */
function turnsReasoningOff(reasoning: unknown): boolean {
  const given = asObject(reasoning)
  return given !== null && given.effort === 'none' && Object.keys(given).length === 1
}

/** @throws TenantKeysError TK_PRICE_MISSING for what token prices leave out. */
function refuseUnpriced(body: RequestBody, model: string, tool: string | null): void {
  if (tool !== null) throw body.unpriced(model, tool, 'this tool is charged by more than tokens')
}
