/**
 * Image generation in OpenAI's format (https://platform.openai.com/docs/api-reference/images/create):
 * the GPT image models, which count tokens. Edits come as multipart bodies, which are not read.
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { Operation, RequestDraft } from '../provider.ts'
import { checkedTotal, estimateInput } from '../reading/bounds.ts'
import { followStream } from '../reading/follow-stream.ts'
import { asObject } from '../reading/json-object.ts'
import { RequestBody, words } from '../reading/request-body.ts'
import {
  count,
  details,
  otherCounts,
  readAnswer,
  tokenUsage,
  type UsageFormat,
} from '../reading/usage-format.ts'

/** Charged by the image, and reporting no usage. */
const BY_THE_IMAGE = /^dall-e/

/** The API admits no more (openai 6.49, `ImageGenerateParamsBase`). */
const MAX_IMAGES = 10
const MAX_PARTIAL_IMAGES = 3

/** OpenAI's guide says 100 for each partial image of a stream. */
const PARTIAL_IMAGE_TOKENS = 100

const REQUEST_TOKENS = 256

const FIELDS = words(
  `model prompt n size quality background moderation output_compression output_format partial_images
   stream user style response_format`,
)

const openAiImagesUsage: UsageFormat = {
  find: (json) => {
    const usage = asObject(json.usage)
    return usage && { usage, model: json.model }
  },
  read: (usage) => {
    const [input, output] = [
      details(usage.input_tokens_details),
      details(usage.output_tokens_details),
    ]
    if (!input || !output) return null
    const tokens = tokenUsage({
      input: count(usage.input_tokens),
      cacheRead: count(input.cached_tokens),
      output: count(usage.output_tokens),
    })
    const counts = otherCounts({
      input_image_tokens: input.image_tokens,
      // Without a breakdown all of the output is the image.
      output_image_tokens: output.image_tokens ?? usage.output_tokens,
    })
    if (tokens === null || counts === null) return null
    const { input_image_tokens: seen = 0, output_image_tokens: drawn = 0 } = counts
    return seen <= tokens.input && drawn <= tokens.output ? { tokens, counts } : null
  },
}

/** @param provider - id of the provider, for errors. */
export function openAiImages(provider: string, path = '/images/generations'): Operation {
  return {
    name: 'images',
    method: 'POST',
    path,
    read: (body) => readImages(provider, body),
    hidesReasoning: () => true,
    readJson: (json) => readAnswer(openAiImagesUsage, json),
    // Events hold images in base64, whose bytes tell nothing of their tokens.
    openStream: () =>
      followStream({
        usage: openAiImagesUsage,
        usageKeys: ['usage"'],
        textKeys: [],
        isEnd: ({ event, data }) =>
          /^image_(generation|edit)\.completed$/.test(event ?? '') || data === '[DONE]',
        isFinal: () => true,
      }),
  }
}

function readImages(provider: string, text: string): RequestDraft {
  const body = new RequestBody(provider, text)
  const model = body.model()
  const unknown = body.unlisted(FIELDS)
  if (unknown !== null) throw body.invalid(unknown, 'this field is not known')
  if (typeof body.json.prompt !== 'string') throw body.invalid('prompt', 'expected text')
  const images = body.positive('n') ?? 1
  if (images > MAX_IMAGES) throw body.invalid('n', `expected at most ${MAX_IMAGES}`)
  const { partial_images: partial = 0 } = body.json
  const stream = body.flag('stream')
  const partials = partial === 0 ? 0 : (body.positive('partial_images') ?? 0)
  if (partials > MAX_PARTIAL_IMAGES)
    throw body.invalid('partial_images', `expected at most ${MAX_PARTIAL_IMAGES}`)
  return {
    model,
    bound: ({ maxOutput }) => {
      if (BY_THE_IMAGE.test(model))
        throw body.unpriced(model, 'model', 'this model is charged by the image')
      // An image takes as many tokens as its size and quality ask for, and no field limits them.
      if (maxOutput === null) throw body.unbounded(model, 'size', 'maxOutputTokens of one image')
      const sent = body.toJson(body.json)
      const bytes = utf8Length(sent)
      const each = maxOutput + partials * PARTIAL_IMAGE_TOKENS
      const input = bytes + REQUEST_TOKENS
      return {
        model,
        stream,
        body: sent,
        hidesUsageChunk: false,
        bound: { input, output: checkedTotal(body, images * each, { model, field: 'n' }) },
        inputEstimate: estimateInput(bytes, input),
      }
    },
  }
}
