/**
 * Anthropic's messages (https://docs.claude.com/en/api/messages; fields as in `@anthropic-ai/sdk` 1.10).
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { ModelLimits, Operation, RequestDraft, RequestReading } from '../provider.ts'
import { boundOutput, checkedTotal, estimateInput, windowOf } from '../reading/bounds.ts'
import { followStream, type StreamFormat } from '../reading/follow-stream.ts'
import { asObject, isGiven } from '../reading/json-object.ts'
import { RequestBody, words } from '../reading/request-body.ts'
import { readAnswer } from '../reading/usage-format.ts'
import { type MessagesContent, readMessagesContent } from './anthropic-content.ts'
import { anthropicUsage } from './anthropic-usage.ts'

export interface MessagesDialect {
  /** Id of the provider, for errors. */
  readonly provider: string
  readonly path: string
  /** True or false where the path says whether the answer streams; default: the body does. */
  readonly stream?: boolean
}

/**
 * Tokens beyond the bytes of a request: its frame, that of each message and tool, and what the provider
 * writes about tools (at most 735 for the tools it defines, 530 for a list of the caller's, by
 * https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview#pricing).
 */
const REQUEST_TOKENS = 256
const MESSAGE_TOKENS = 8
const TOOL_TOKENS = 768
const TOOLS_TOKENS = 1024

const TEXT_FIELDS = words(
  `model max_tokens messages metadata output_config output_format service_tier stop_sequences stream
   system temperature thinking tool_choice tools top_k top_p cache_control inference_geo speed
   anthropic_version anthropic_beta betas diagnostics user_profile_id workspace_id`,
)

export function anthropicMessages(dialect: MessagesDialect): Operation {
  return {
    name: 'messages',
    method: 'POST',
    path: dialect.path,
    read: (body, path) => readMessages(dialect, body, path?.model ?? null),
    // Thinking is shown in part, as a summary, or not at all, and some models think unasked.
    hidesReasoning: () => true,
    readJson: (json) => readAnswer(anthropicUsage, json),
    openStream: () => followStream(anthropicStream),
  }
}

/** A model that cannot but think refuses the request
 * (https://platform.claude.com/docs/en/build-with-claude/thinking). */
export const turnsThinkingOff = (thinking: unknown): boolean =>
  asObject(thinking)?.type === 'disabled'

/** Named events; the name is in the data too, which is all that Bedrock passes on. */
const anthropicStream: StreamFormat = {
  usage: anthropicUsage,
  usageKeys: ['usage"'],
  // Deltas, and the names of tools when their blocks begin.
  textKeys: ['delta"', 'name"'],
  isEnd: ({ event, data }) =>
    event === 'message_stop' || (event !== 'message_delta' && /"type": ?"message_stop"/.test(data)),
  isFinal: ({ type }) => type === 'message_delta',
}

function readMessages(
  dialect: MessagesDialect,
  text: string,
  modelInPath: string | null,
): RequestDraft {
  const body = new RequestBody(dialect.provider, text)
  const model = modelInPath ?? body.model()
  const stream = dialect.stream ?? body.flag('stream')
  const content = readMessagesContent(body)
  // Fallback models, compaction, remote tools and kept containers: charges that nothing here bounds.
  const unknown = body.unlisted(TEXT_FIELDS)
  // 0 fills the cache and writes nothing.
  const named = body.json.max_tokens === 0 ? 0 : body.positive('max_tokens')

  return {
    model,
    bound: (limits): RequestReading => {
      refuseUnpriced(body, model, content.unpricedTool)
      if (unknown !== null) {
        throw body.unbounded(model, unknown, { hint: 'leave it out: nothing bounds what it takes' })
      }
      const output = boundOutput([named], limits)
      const written = output.write === null ? {} : { max_tokens: output.write }
      const sent = body.toJson({ ...body.json, ...written })
      const bytes = utf8Length(sent)
      const input = boundInput(body, model, { content, bytes, limits })
      const { cachesForAnHour, searches, opaque, opaqueLength } = content
      return {
        model,
        stream,
        body: sent,
        hidesUsageChunk: false,
        ...(turnsThinkingOff(body.json.thinking) ? { hidesOutput: false } : {}),
        bound: {
          input,
          output: checkedTotal(body, output.tokens, { model, field: 'max_tokens' }),
          cacheWrite1h: cachesForAnHour,
          ...(searches > 0 ? { counts: { web_search_requests: searches } } : {}),
        },
        inputEstimate: estimateInput(bytes, input, { bytes: opaqueLength, parts: opaque }),
      }
    },
  }
}

function boundInput(
  body: RequestBody,
  model: string,
  call: {
    readonly content: MessagesContent
    readonly bytes: number
    readonly limits: ModelLimits
  },
): number {
  const { content, bytes, limits } = call
  const { opaqueField: field, messages, tools, serverToolUses, serverToolField } = content
  if (field === null) {
    const about = tools > 0 ? TOOLS_TOKENS + tools * TOOL_TOKENS : 0
    return bytes + REQUEST_TOKENS + messages * MESSAGE_TOKENS + about
  }
  if (serverToolUses === null && serverToolField !== null) {
    const hint = 'name max_uses: every use is charged, and reads its results'
    throw body.unbounded(model, serverToolField, { hint })
  }
  // After every use the model is asked again, with all that it read so far.
  const window = windowOf(body, limits, { model, field })
  return checkedTotal(body, window * (1 + (serverToolUses ?? 0)), { model, field })
}

/** @throws TenantKeysError TK_PRICE_MISSING for what token prices of the standard tier leave out. */
function refuseUnpriced(body: RequestBody, model: string, tool: string | null): void {
  const { speed, inference_geo: geo } = body.json
  if (isGiven(speed) && speed !== 'standard')
    throw body.unpriced(model, 'speed', "leave speed out or use 'standard'")
  if (isGiven(geo) && geo !== 'global')
    throw body.unpriced(model, 'inference_geo', "leave inference_geo out or use 'global'")
  if (tool !== null) throw body.unpriced(model, tool, 'this tool is charged by more than tokens')
}
