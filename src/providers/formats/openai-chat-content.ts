/**
 * Walks the content of a chat completion request: is it well formed, and is all of it text?
 *
 * What is text is a list of what is known; everything that is not on it counts as something whose
 * tokens its bytes do not tell.
 *
 * @module
 */
import { asObject, isGiven } from '../reading/json-object.ts'
import { printable, type RequestBody, words } from '../reading/request-body.ts'

export interface ChatContent {
  messages: number
  tools: number
  /** Parts whose tokens their bytes do not tell; images apart from the rest. */
  images: number
  others: number
  /** Characters that these parts take in the body (inline data). */
  opaqueLength: number
  /** Path of the first such part; `null`: all is text. */
  opaqueField: string | null
  inputAudio: boolean
  outputAudio: boolean
}

/** Fields that are text, or settings which add no tokens. */
const TEXT_FIELDS = words(
  `model messages tools functions tool_choice function_call parallel_tool_calls response_format
   prediction stop n max_tokens max_completion_tokens stream stream_options service_tier temperature
   top_p frequency_penalty presence_penalty logit_bias logprobs top_logprobs seed user store metadata
   safety_identifier prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort
   verbosity modalities audio`,
)

/** Fields of a message that are text; an answer may come back in the next request as it was. */
const TEXT_MESSAGE_FIELDS = words(
  `role content name refusal tool_calls function_call tool_call_id annotations parsed reasoning
   reasoning_content audio`,
)

/**
 * @param moreFields - further fields of the request that are text or settings, separated by blanks.
 * @throws TenantKeysError TK_REQUEST_INVALID naming the field, for example `messages[3].content`.
 */
export function readContent(body: RequestBody, moreFields = ''): Readonly<ChatContent> {
  const request = body.json
  const more = words(moreFields)
  const found: ChatContent = {
    messages: 0,
    tools: 0,
    images: 0,
    others: 0,
    opaqueLength: 0,
    opaqueField: null,
    inputAudio: false,
    outputAudio: false,
  }
  for (const name of Object.keys(request)) {
    if (TEXT_FIELDS.has(name) || more.has(name) || !isGiven(request[name])) continue
    addOpaque(body, found, printable(name), null)
  }
  const messages = body.listOf(request.messages, 'messages')
  if (messages.length === 0) throw body.invalid('messages', 'expected at least one message')
  found.messages = messages.length
  messages.forEach((message, i) => {
    readMessage(body, found, message, `messages[${i}]`)
  })
  found.tools = countTools(body)

  const { modalities, audio, prediction } = request
  if (body.list('modalities', modalities).includes('audio') || isGiven(audio)) {
    found.outputAudio = true
    addOpaque(body, found, 'modalities', null)
  }
  if (isGiven(prediction))
    readText(body, found, asObject(prediction)?.content, 'prediction.content')
  return found
}

function readMessage(body: RequestBody, found: ChatContent, value: unknown, at: string): void {
  const message = asObject(value)
  if (typeof message?.role !== 'string') throw body.invalid(`${at}.role`, 'expected text')
  if (isGiven(message.content)) readText(body, found, message.content, `${at}.content`)
  if (isGiven(message.audio)) {
    // An earlier answer, named by its id.
    found.inputAudio = true
    addOpaque(body, found, `${at}.audio`, message.audio)
  }
  for (const name of Object.keys(message)) {
    if (!TEXT_MESSAGE_FIELDS.has(name) && isGiven(message[name]))
      addOpaque(body, found, at, message[name])
  }
}

function readText(body: RequestBody, found: ChatContent, content: unknown, field: string): void {
  if (typeof content === 'string') return
  if (!Array.isArray(content)) throw body.invalid(field, 'expected text or a list of parts')
  content.forEach((part: unknown, i) => {
    readPart(body, found, part, `${field}[${i}]`)
  })
}

function readPart(body: RequestBody, found: ChatContent, value: unknown, at: string): void {
  const part = asObject(value)
  const type = part?.type
  if (typeof type !== 'string') throw body.invalid(`${at}.type`, 'expected text')
  if (type === 'text' || type === 'refusal') {
    if (typeof part?.[type] !== 'string') throw body.invalid(`${at}.${type}`, 'expected text')
    return
  }
  if (type === 'input_audio') found.inputAudio = true
  addOpaque(body, found, at, value, type === 'image_url')
}

function addOpaque(
  body: RequestBody,
  found: ChatContent,
  field: string,
  part: unknown,
  isImage = false,
): void {
  found.opaqueField ??= field
  found.opaqueLength += body.toJson(part).length
  if (isImage) found.images++
  else found.others++
}

function countTools(body: RequestBody): number {
  const list = body.list('tools')
  list.forEach((tool, i) => {
    const type = asObject(tool)?.type
    if (type === 'function' || type === 'custom') return
    // The API has no others here; a tool that ran on the server would have costs of its own.
    throw body.invalid(`tools[${i}].type`, 'expected function or custom')
  })
  return list.length + body.list('functions').length
}
