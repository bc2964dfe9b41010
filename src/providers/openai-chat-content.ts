/**
 * Walks the content of a chat completion request: is it well formed, and is all of it text?
 *
 * What is text is a list of what is known; everything that is not on it counts as something whose
 * tokens its bytes do not tell.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { asObject, type JsonObject } from './json-object.ts'

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
const TEXT_FIELDS = new Set(
  `model messages tools functions tool_choice function_call parallel_tool_calls response_format
   prediction stop n max_tokens max_completion_tokens stream stream_options service_tier temperature
   top_p frequency_penalty presence_penalty logit_bias logprobs top_logprobs seed user store metadata
   safety_identifier prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort
   verbosity modalities audio`.split(/\s+/),
)

/** Fields of a message that are text; an answer may come back in the next request as it was. */
const TEXT_MESSAGE_FIELDS = new Set(
  `role content name refusal tool_calls function_call tool_call_id annotations parsed reasoning
   reasoning_content audio`.split(/\s+/),
)

export function invalid(field: string, reason: string): TenantKeysError {
  return new TenantKeysError('TK_REQUEST_INVALID', { provider: 'openai', field, reason })
}

/** @throws TenantKeysError TK_REQUEST_INVALID for a value nested too deeply to be written. */
export function toJson(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch {
    throw invalid('body', 'nested too deeply')
  }
}

/** @throws TenantKeysError TK_REQUEST_INVALID naming the field, for example `messages[3].content`. */
export function readContent(request: JsonObject): Readonly<ChatContent> {
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
    if (!TEXT_FIELDS.has(name) && isGiven(request[name])) addOpaque(found, printable(name), null)
  }
  const messages = listOf(request.messages, 'messages')
  if (messages.length === 0) throw invalid('messages', 'expected at least one message')
  found.messages = messages.length
  messages.forEach((message, i) => {
    readMessage(found, message, `messages[${i}]`)
  })
  found.tools = countTools(request)

  const { modalities, audio, prediction } = request
  if (optionalList(modalities, 'modalities').includes('audio') || isGiven(audio)) {
    found.outputAudio = true
    addOpaque(found, 'modalities', null)
  }
  if (isGiven(prediction)) readText(found, asObject(prediction)?.content, 'prediction.content')
  return found
}

function readMessage(found: ChatContent, value: unknown, at: string): void {
  const message = asObject(value)
  if (typeof message?.role !== 'string') throw invalid(`${at}.role`, 'expected text')
  if (isGiven(message.content)) readText(found, message.content, `${at}.content`)
  if (isGiven(message.audio)) {
    // An earlier answer, named by its id.
    found.inputAudio = true
    addOpaque(found, `${at}.audio`, message.audio)
  }
  for (const name of Object.keys(message)) {
    if (!TEXT_MESSAGE_FIELDS.has(name) && isGiven(message[name]))
      addOpaque(found, at, message[name])
  }
}

function readText(found: ChatContent, content: unknown, field: string): void {
  if (typeof content === 'string') return
  if (!Array.isArray(content)) throw invalid(field, 'expected text or a list of parts')
  content.forEach((part: unknown, i) => {
    readPart(found, part, `${field}[${i}]`)
  })
}

function readPart(found: ChatContent, value: unknown, at: string): void {
  const part = asObject(value)
  const type = part?.type
  if (typeof type !== 'string') throw invalid(`${at}.type`, 'expected text')
  if (type === 'text' || type === 'refusal') {
    if (typeof part?.[type] !== 'string') throw invalid(`${at}.${type}`, 'expected text')
    return
  }
  if (type === 'input_audio') found.inputAudio = true
  addOpaque(found, at, value, type === 'image_url')
}

function addOpaque(found: ChatContent, field: string, part: unknown, isImage = false): void {
  found.opaqueField ??= field
  found.opaqueLength += toJson(part).length
  if (isImage) found.images++
  else found.others++
}

function countTools({ tools, functions }: JsonObject): number {
  const list = optionalList(tools, 'tools')
  list.forEach((tool, i) => {
    const type = asObject(tool)?.type
    if (type === 'function' || type === 'custom') return
    // The API has no others here; a tool that ran on the server would have costs of its own.
    throw invalid(`tools[${i}].type`, 'expected function or custom')
  })
  return list.length + optionalList(functions, 'functions').length
}

/** A field that is absent or `null` says nothing. */
export const isGiven = (value: unknown): boolean => value !== undefined && value !== null

function optionalList(value: unknown, field: string): readonly unknown[] {
  return isGiven(value) ? listOf(value, field) : []
}

function listOf(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(field, 'expected a list')
  return value
}

/** Names of fields come from the caller: only what looks like one is repeated. */
const printable = (name: string): string => (/^[a-z_]{1,40}$/.test(name) ? name : 'body')
