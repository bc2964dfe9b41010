/**
 * generateContent and embedContent of Gemini (https://ai.google.dev/api/generate-content) and Vertex.
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { Operation, RequestDraft, RequestReading, ResponseUsage } from '../provider.ts'
import { boundOutput, checkedTotal, estimateInput, windowOf } from '../reading/bounds.ts'
import { followStream, type StreamFormat } from '../reading/follow-stream.ts'
import { asList, asObject, isGiven } from '../reading/json-object.ts'
import { noStream } from '../reading/no-stream.ts'
import { RequestBody, words } from '../reading/request-body.ts'
import { serviceTiers } from '../reading/service-tier.ts'
import { count, readAnswer, tokenUsage, type UsageFormat } from '../reading/usage-format.ts'
import { type GeminiContent, readGeminiContent } from './gemini-content.ts'
import { geminiUsage } from './gemini-usage.ts'

const REQUEST_TOKENS = 256
const CONTENT_TOKENS = 8
const TOOL_TOKENS = 64

/** The API admits no more. */
const MAX_CANDIDATES = 8

const CONFIG_FIELDS = words(
  `stopSequences responseMimeType responseSchema responseJsonSchema responseFormat candidateCount
   maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty responseLogprobs logprobs
   thinkingConfig mediaResolution responseModalities speechConfig imageConfig audioTimestamp`,
)

/** Models that a thinking budget of 0 keeps from thinking; others refuse it, or think all the same
 * (https://ai.google.dev/gemini-api/docs/thinking). */
const CAN_STOP_THINKING = /^gemini-2\.5-flash(-lite)?(-preview)?(-\d[\d-]*)?$/

/** @param path - with `{model}`, up to the colon: `/v1beta/models/{model}`. */
export function geminiGenerate(provider: string, path: string): readonly Operation[] {
  return [
    { verb: 'generateContent', stream: false },
    { verb: 'streamGenerateContent', stream: true },
  ].map(({ verb, stream }) => ({
    name: 'generate_content',
    method: 'POST',
    path: `${path}:${verb}`,
    read: (body, values) => readGenerate(provider, body, { model: values?.model ?? '', stream }),
    // Models from 2.5 on think, and show it as a summary or not at all.
    hidesReasoning: (model) => !/^gemini-(1|2\.0)/.test(model),
    readJson: readGenerated,
    streamsJson: stream,
    openStream: () => followStream(geminiStream),
  }))
}

/** Every chunk has usage, with cumulative figures; there is no end marker. */
const geminiStream: StreamFormat = {
  usage: geminiUsage,
  usageKeys: ['usageMetadata"'],
  textKeys: ['parts"'],
  isEnd: () => false,
  isFinal: ({ candidates, promptFeedback }) =>
    isGiven(asObject(promptFeedback)?.blockReason) ||
    (asList(candidates).length > 0 &&
      asList(candidates).every((candidate) => isGiven(asObject(candidate)?.finishReason))),
}

/** An object; or, of a stream without `alt=sse`, the list of all chunks. */
function readGenerated(json: unknown): ResponseUsage | null {
  if (!Array.isArray(json)) return readAnswer(geminiUsage, json)
  const reader = followStream(geminiStream)
  for (const chunk of json) reader.push({ data: JSON.stringify(chunk) ?? '' })
  return reader.usage()
}

function readGenerate(
  provider: string,
  text: string,
  { model, stream }: { readonly model: string; readonly stream: boolean },
): RequestDraft {
  const body = new RequestBody(provider, text)
  const content = readGeminiContent(body)
  const { model: own } = body.json
  if (isGiven(own) && own !== model && own !== `models/${model}`)
    throw body.invalid('model', 'expected the model of the path')
  const config = body.object('generationConfig')
  for (const name of Object.keys(config)) {
    if (!CONFIG_FIELDS.has(name) && isGiven(config[name]))
      throw body.invalid('generationConfig', 'a field in it is not known in this spelling')
  }
  const candidates =
    body.positive('generationConfig.candidateCount', config.candidateCount ?? null) ?? 1
  if (candidates > MAX_CANDIDATES)
    throw body.invalid('generationConfig.candidateCount', `expected at most ${MAX_CANDIDATES}`)
  const field = 'generationConfig.maxOutputTokens'
  const named = body.positive(field, config.maxOutputTokens ?? null)
  const modalities = body.list('generationConfig.responseModalities', config.responseModalities)
  const asks = (modality: string): boolean =>
    modalities.some((one) => String(one).toUpperCase() === modality)

  const { thinkingBudget, ...more } = asObject(config.thinkingConfig) ?? {}
  // Beside it a second budget, in another spelling, might count.
  const isOff =
    thinkingBudget === 0 && Object.keys(more).every((name) => name === 'includeThoughts')
  const isShown = isOff && CAN_STOP_THINKING.test(model)

  return {
    model,
    bound: (limits): RequestReading => {
      const service = serviceTiers(body, model, limits, 'serviceTier')
      refuseUnpriced(body, model, content)
      const output = boundOutput([named], limits)
      const written = output.write === null ? {} : { maxOutputTokens: output.write }
      const sent = body.toJson({ ...body.json, generationConfig: { ...config, ...written } })
      const bytes = utf8Length(sent)
      const { opaqueField, contents, tools, opaque, opaqueLength } = content
      const input =
        opaqueField === null
          ? bytes + REQUEST_TOKENS + contents * CONTENT_TOKENS + tools * TOOL_TOKENS
          : windowOf(body, limits, { model, field: opaqueField })
      return {
        model,
        stream,
        body: sent,
        hidesUsageChunk: false,
        ...(asks('IMAGE') ? { hidesOutput: true } : isShown ? { hidesOutput: false } : {}),
        bound: {
          input,
          output: checkedTotal(body, candidates * output.tokens, { model, field }),
          inputAudio: content.inputAudio,
          inputImage: opaqueField !== null,
          inputVideo: opaqueField !== null,
          ...service,
          outputAudio: asks('AUDIO') || isGiven(config.speechConfig),
        },
        inputEstimate: estimateInput(bytes, input, { bytes: opaqueLength, parts: opaque }),
      }
    },
  }
}

/** @throws TenantKeysError TK_PRICE_MISSING, TK_BUDGET_UNBOUNDED */
function refuseUnpriced(body: RequestBody, model: string, { serverTool }: GeminiContent): void {
  if (serverTool === null) return
  const hint = 'tools that run at the provider read and charge what nothing here bounds'
  throw body.unbounded(model, serverTool, { hint })
}

/** Newer embedding models report usage; older ones nothing, and are charged by estimate. */
const embedUsage: UsageFormat = {
  find: (json) => {
    const usage = asObject(json.usageMetadata)
    return usage && { usage }
  },
  read: (usage) => {
    const tokens = tokenUsage({ input: count(usage.promptTokenCount), output: 0 })
    return tokens && { tokens }
  },
}

/** @param path - with `{model}`, up to the colon: `/v1beta/models/{model}`. */
export function geminiEmbed(provider: string, path: string): readonly Operation[] {
  return ['embedContent', 'batchEmbedContents'].map((verb) => ({
    name: 'embeddings',
    method: 'POST',
    path: `${path}:${verb}`,
    read: (body, values) => readEmbed(provider, body, values?.model ?? ''),
    hidesReasoning: () => false,
    readJson: (json) => readAnswer(embedUsage, json),
    openStream: noStream,
  }))
}

const EMBED_FIELDS = words(
  'model content taskType title outputDimensionality embedContentConfig requests',
)

function readEmbed(provider: string, text: string, model: string): RequestDraft {
  const body = new RequestBody(provider, text)
  const unknown = body.unlisted(EMBED_FIELDS)
  if (unknown !== null) throw body.invalid(unknown, 'this field is not known in this spelling')
  const requests = isGiven(body.json.requests) ? body.list('requests') : [body.json]
  let field: string | null = null
  requests.forEach((request, i) => {
    const at = isGiven(body.json.requests) ? `requests[${i}].content` : 'content'
    const { content, model: own } = asObject(request) ?? {}
    if (isGiven(own) && own !== model && own !== `models/${model}`)
      throw body.invalid(at.replace(/content$/, 'model'), 'expected the model of the path')
    const parts = body.listOf(asObject(content)?.parts, `${at}.parts`)
    if (parts.some((part) => typeof asObject(part)?.text !== 'string')) field ??= at
  })
  return {
    model,
    bound: (limits) => {
      const sent = body.toJson(body.json)
      const bytes = utf8Length(sent)
      const input =
        field === null
          ? bytes + requests.length * CONTENT_TOKENS
          : checkedTotal(body, requests.length * windowOf(body, limits, { model, field }), {
              model,
              field,
            })
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
