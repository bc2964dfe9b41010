/**
 * Speech in OpenAI's format (https://platform.openai.com/docs/api-reference/audio/createSpeech), as an
 * event stream: only there is usage reported. Plain audio reports none, so nothing would settle it.
 *
 * Transcriptions come as multipart bodies, which are not read; both have the callback form instead.
 *
 * @module
 */
import { utf8Length } from '../../kernel/encoding.ts'
import type { Operation, RequestDraft } from '../provider.ts'
import { ceilingOf, checkedTotal, estimateInput, MAX_BOUND } from '../reading/bounds.ts'
import { followStream } from '../reading/follow-stream.ts'
import { asObject } from '../reading/json-object.ts'
import { RequestBody, words } from '../reading/request-body.ts'
import { count, readAnswer, tokenUsage, type UsageFormat } from '../reading/usage-format.ts'

const REQUEST_TOKENS = 256

const FIELDS = words('model input voice instructions response_format speed stream_format')

/** All of the output is audio. */
const openAiSpeechUsage: UsageFormat = {
  find: (json) => {
    const usage = asObject(json.usage)
    return usage && { usage }
  },
  read: (usage) => {
    const output = count(usage.output_tokens)
    const tokens = tokenUsage({ input: count(usage.input_tokens), output, outputAudio: output })
    return tokens && { tokens }
  },
}

/** @param provider - id of the provider, for errors. */
export function openAiSpeech(provider: string, path = '/audio/speech'): Operation {
  return {
    name: 'audio',
    method: 'POST',
    path,
    read: (body) => readSpeech(provider, body),
    hidesReasoning: () => true,
    readJson: (json) => readAnswer(openAiSpeechUsage, json),
    openStream: () =>
      followStream({
        usage: openAiSpeechUsage,
        usageKeys: ['usage"'],
        textKeys: [],
        isEnd: ({ data }) => data.includes('"speech.audio.done"') || data === '[DONE]',
        isFinal: () => true,
      }),
  }
}

function readSpeech(provider: string, text: string): RequestDraft {
  const body = new RequestBody(provider, text)
  const model = body.model()
  const unknown = body.unlisted(FIELDS)
  if (unknown !== null) throw body.invalid(unknown, 'this field is not known')
  if (typeof body.json.input !== 'string') throw body.invalid('input', 'expected text')
  return {
    model,
    bound: (limits) => {
      if (body.json.stream_format !== 'sse') {
        const hint = "use stream_format: 'sse', where usage is reported, or the callback form"
        throw body.unbounded(model, 'stream_format', { hint })
      }
      const output = ceilingOf(limits)
      if (output === MAX_BOUND) throw body.unbounded(model, 'input', 'maxOutputTokens')
      const sent = body.toJson(body.json)
      const bytes = utf8Length(sent)
      const input = checkedTotal(body, bytes + REQUEST_TOKENS, { model, field: 'input' })
      return {
        model,
        stream: true,
        body: sent,
        hidesUsageChunk: false,
        bound: { input, output, outputAudio: true },
        inputEstimate: estimateInput(bytes, input),
      }
    },
  }
}
