/**
 * Bedrock's Converse and ConverseStream
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { Operation, RequestDraft } from '../provider.ts'
import { boundOutput, checkedTotal, estimateInput, windowOf } from '../reading/bounds.ts'
import { followStream, type StreamFormat } from '../reading/follow-stream.ts'
import { asList, asObject, isGiven, type JsonObject } from '../reading/json-object.ts'
import { RequestBody, words } from '../reading/request-body.ts'
import { readAnswer } from '../reading/usage-format.ts'
import { turnsThinkingOff } from './anthropic-messages.ts'
import { bedrockUsage } from './bedrock-usage.ts'

const REQUEST_TOKENS = 256
const MESSAGE_TOKENS = 8
/** As Anthropic's, whose models take the most; see anthropic-messages.ts. */
const TOOL_TOKENS = 256
const TOOLS_TOKENS = 1024

const FIELDS = words(
  `messages system inferenceConfig toolConfig additionalModelRequestFields promptVariables
   additionalModelResponseFieldPaths requestMetadata outputConfig modelId`,
)

/** Settings of models that add no tokens beyond the maximum; anything else might be another maximum. */
const MODEL_FIELDS = words('top_k topK thinking reasoning_config anthropic_beta reasoning_effort')

/** Of all others some reason, and show it in part or not at all. */
const NEVER_REASONS = /^([a-z-]+\.)?(amazon\.nova-(micro|lite|pro|premier)|meta\.llama[34])-/

/** The only ones that say in Anthropic's words that they should not think. */
const CLAUDE = /^([a-z-]+\.)?anthropic\.claude-/

const TEXT_BLOCKS = words('text toolUse cachePoint reasoningContent')

export function bedrockConverse(provider: string): readonly Operation[] {
  return [
    { verb: 'converse', stream: false },
    { verb: 'converse-stream', stream: true },
  ].map(({ verb, stream }) => ({
    name: 'converse',
    method: 'POST',
    path: `/model/{model}/${verb}`,
    read: (body, path) => readConverse(provider, body, { model: path?.model ?? '', stream }),
    hidesReasoning: (model) => !NEVER_REASONS.test(model),
    readJson: (json) => readAnswer(bedrockUsage, json),
    openStream: () => followStream(converseStream),
  }))
}

/** `metadata`, with the usage, is the last event. */
const converseStream: StreamFormat = {
  usage: bedrockUsage,
  usageKeys: ['usage"'],
  textKeys: ['delta"', 'name"'],
  isEnd: ({ event }) => event === 'metadata',
  isFinal: () => true,
}

function readConverse(
  provider: string,
  text: string,
  { model, stream }: { readonly model: string; readonly stream: boolean },
): RequestDraft {
  const body = new RequestBody(provider, text)
  const messages = body.listOf(body.json.messages, 'messages')
  if (messages.length === 0) throw body.invalid('messages', 'expected at least one message')
  const config = body.object('inferenceConfig')
  const field = 'inferenceConfig.maxTokens'
  const named = body.positive(field, config.maxTokens ?? null)
  const found = readContent(body, messages)
  const own = body.object('additionalModelRequestFields')
  const { thinking, reasoning_config: older, reasoning_effort: effort } = own
  const isShown = CLAUDE.test(model) && turnsThinkingOff(thinking) && !isGiven(older ?? effort)
  return {
    model,
    bound: (limits) => {
      refuseUnpriced(body, model)
      const output = boundOutput([named], limits)
      const written = output.write === null ? {} : { maxTokens: output.write }
      const sent = body.toJson({ ...body.json, inferenceConfig: { ...config, ...written } })
      const bytes = utf8Length(sent)
      const about = found.tools > 0 ? TOOLS_TOKENS + found.tools * TOOL_TOKENS : 0
      const input =
        found.opaqueField === null
          ? bytes + REQUEST_TOKENS + messages.length * MESSAGE_TOKENS + about
          : windowOf(body, limits, { model, field: found.opaqueField })
      return {
        model,
        stream,
        body: sent,
        hidesUsageChunk: false,
        ...(isShown ? { hidesOutput: false } : {}),
        bound: {
          input,
          output: checkedTotal(body, output.tokens, { model, field }),
          cacheWrite1h: found.cachesForAnHour,
        },
        inputEstimate: estimateInput(bytes, input, {
          bytes: found.opaqueLength,
          parts: found.opaque,
        }),
      }
    },
  }
}

interface Found {
  tools: number
  opaque: number
  opaqueLength: number
  /** Path of the first block whose tokens its bytes do not tell; `null`: all is text. */
  opaqueField: string | null
  cachesForAnHour: boolean
}

function readContent(body: RequestBody, messages: readonly unknown[]): Found {
  const found: Found = {
    tools: 0,
    opaque: 0,
    opaqueLength: 0,
    opaqueField: null,
    cachesForAnHour: false,
  }
  readBlocks(body, found, body.list('system'), 'system')
  messages.forEach((value, i) => {
    const message = asObject(value)
    const at = `messages[${i}]`
    if (typeof message?.role !== 'string') throw body.invalid(`${at}.role`, 'expected text')
    readBlocks(body, found, body.listOf(message.content, `${at}.content`), `${at}.content`)
  })
  const tools = body.list('toolConfig.tools', body.object('toolConfig').tools)
  found.tools = tools.length
  tools.forEach((value, i) => {
    const tool = asObject(value)
    noteCache(found, tool)
    if (isGiven(tool?.toolSpec) || isGiven(tool?.cachePoint)) return
    throw body.invalid(`toolConfig.tools[${i}]`, 'expected toolSpec or cachePoint')
  })
  return found
}

function readBlocks(
  body: RequestBody,
  found: Found,
  blocks: readonly unknown[],
  field: string,
): void {
  blocks.forEach((value, i) => {
    const block = asObject(value)
    const at = `${field}[${i}]`
    if (block === null) throw body.invalid(at, 'expected an object')
    noteCache(found, block)
    const result = asObject(block.toolResult)
    if (result) readBlocks(body, found, asList(result.content), `${at}.toolResult.content`)
    const names = Object.keys(block).filter((name) => isGiven(block[name]))
    if (names.every((name) => TEXT_BLOCKS.has(name) || name === 'toolResult' || name === 'json'))
      return
    found.opaqueField ??= at
    found.opaqueLength += body.toJson(block).length
    found.opaque++
  })
}

function noteCache(found: Found, block: JsonObject | null): void {
  if (asObject(block?.cachePoint)?.ttl === '1h') found.cachesForAnHour = true
}

/** @throws TenantKeysError TK_PRICE_MISSING, TK_BUDGET_UNBOUNDED */
function refuseUnpriced(body: RequestBody, model: string): void {
  const { serviceTier, performanceConfig, guardrailConfig, ...rest } = body.json
  const tier = asObject(serviceTier)?.type
  if (isGiven(serviceTier) && tier !== 'default')
    throw body.unpriced(model, 'serviceTier', "leave serviceTier out or use 'default'")
  const latency = asObject(performanceConfig)?.latency
  if (isGiven(performanceConfig) && latency !== 'standard')
    throw body.unpriced(model, 'performanceConfig', 'optimized latency has a price of its own')
  if (isGiven(guardrailConfig))
    throw body.unpriced(model, 'guardrailConfig', 'guardrails are charged by the text they read')
  const unknown = Object.keys(rest).find((name) => !FIELDS.has(name) && isGiven(rest[name]))
  const own = Object.keys(body.object('additionalModelRequestFields'))
  const hint = 'leave it out: nothing bounds what it takes'
  if (unknown !== undefined) throw body.unbounded(model, 'body', { hint })
  if (own.some((name) => !MODEL_FIELDS.has(name)))
    throw body.unbounded(model, 'additionalModelRequestFields', { hint })
}
