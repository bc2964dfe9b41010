/**
 * Gemini's interactions (`@google/genai` 2.32, `interactions`): text in, text out. Agents, tools of the
 * provider, and interactions that go on in the background are refused.
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { Operation, RequestDraft } from '../provider.ts'
import { boundOutput, checkedTotal, estimateInput, windowOf } from '../reading/bounds.ts'
import { followStream } from '../reading/follow-stream.ts'
import { asList, asObject, isGiven } from '../reading/json-object.ts'
import { RequestBody, words } from '../reading/request-body.ts'
import {
  count,
  otherCounts,
  readAnswer,
  sum,
  tokenUsage,
  type UsageFormat,
} from '../reading/usage-format.ts'

const REQUEST_TOKENS = 256
const PART_TOKENS = 8
const TOOL_TOKENS = 64

const FIELDS = words(
  `model input system_instruction generation_config stream store previous_interaction_id
   response_format response_mime_type tools`,
)

/** `total_input_tokens` holds cached tokens; tool use and thoughts stand apart. */
const interactionsUsage: UsageFormat = {
  find: (json) => {
    const interaction = asObject(json.interaction) ?? json
    const usage = asObject(interaction.usage)
    return usage && { usage, model: interaction.model, tier: interaction.service_tier }
  },
  read: (usage) => {
    const thoughts = count(usage.total_thought_tokens)
    const input = count(usage.total_input_tokens)
    const output = count(usage.total_output_tokens)
    const total = count(usage.total_tokens)
    const tokens = tokenUsage({
      input: input === null ? null : sum(input, count(usage.total_tool_use_tokens)),
      cacheRead: count(usage.total_cached_tokens),
      output: output === null ? null : sum(output, thoughts),
      reasoning: thoughts,
    })
    if (tokens === null || total === undefined) return null
    const unattributed = Math.max(0, (total ?? 0) - tokens.input - tokens.output)
    const counts = otherCounts({ unattributed_tokens: unattributed })
    return counts && { tokens, counts, isIncomplete: unattributed > 0 }
  },
}

export function geminiInteractions(provider: string, path: string): Operation {
  return {
    name: 'interactions',
    method: 'POST',
    path,
    read: (body) => readInteraction(provider, body),
    hidesReasoning: () => true,
    readJson: (json) => readAnswer(interactionsUsage, json),
    openStream: () =>
      followStream({
        usage: interactionsUsage,
        usageKeys: ['usage"'],
        textKeys: ['delta"'],
        isEnd: ({ data }) =>
          data === '[DONE]' || /"event_type": ?"interaction.completed"/.test(data),
        isFinal: ({ event_type }) => event_type === 'interaction.completed',
      }),
  }
}

function readInteraction(provider: string, text: string): RequestDraft {
  const body = new RequestBody(provider, text)
  const unknown = body.unlisted(FIELDS)
  if (unknown !== null) throw body.invalid(unknown, 'this field cannot be metered')
  const model = body.model()
  const stream = body.flag('stream')
  const config = body.object('generation_config')
  const field = 'generation_config.max_output_tokens'
  const named = body.positive(field, config.max_output_tokens ?? null)
  const tools = body.list('tools')
  tools.forEach((tool, i) => {
    if (asObject(tool)?.type !== 'function')
      throw body.invalid(`tools[${i}].type`, 'expected function')
  })
  const opaque = isGiven(body.json.previous_interaction_id)
    ? 'previous_interaction_id'
    : opaqueInput(body)
  return {
    model,
    bound: (limits) => {
      const output = boundOutput([named], limits)
      const written = output.write === null ? {} : { max_output_tokens: output.write }
      const sent = body.toJson({ ...body.json, generation_config: { ...config, ...written } })
      const bytes = utf8Length(sent)
      const parts = asList(body.json.input).length
      const input =
        opaque === null
          ? bytes + REQUEST_TOKENS + parts * PART_TOKENS + tools.length * TOOL_TOKENS
          : windowOf(body, limits, { model, field: opaque })
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

/** Text, or a list of parts of text; anything else has tokens that its bytes do not tell. */
function opaqueInput(body: RequestBody): string | null {
  const { input } = body.json
  if (typeof input === 'string') return null
  const i = body.listOf(input, 'input').findIndex((part) => {
    const { type, text } = asObject(part) ?? {}
    return type !== 'text' || typeof text !== 'string'
  })
  return i < 0 ? null : `input[${i}]`
}
