/**
 * Walks the input and the tools of a Responses request: is it well formed, and is all of it text?
 *
 * As in chat, what is text is a list of what is known. What refers to something kept by the provider
 * (an earlier response, a conversation, a stored prompt or item) has tokens that no byte here tells.
 *
 * @module
 */
import { asObject, isGiven, type JsonObject } from '../reading/json-object.ts'
import { type RequestBody, words } from '../reading/request-body.ts'

export interface ResponseContent {
  items: number
  tools: number
  /** Parts whose tokens their bytes do not tell; images apart from the rest. */
  images: number
  others: number
  /** Characters that these parts take in the body (inline data). */
  opaqueLength: number
  /** Path of the first such part; `null`: all is text. */
  opaqueField: string | null
  inputAudio: boolean
  /** True when the provider may search the web. */
  searches: boolean
  /** Path of the first tool that is charged by more than tokens and searches. */
  unpricedTool: string | null
}

/** Fields that are text, or settings which add no tokens (openai 6.49, `ResponseCreateParamsBase`). */
const TEXT_FIELDS = words(
  `model input instructions max_output_tokens max_tool_calls metadata parallel_tool_calls
   prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier
   store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user
   include background`,
)

/** Items that are nothing but text; what they hold beside it is ids and settings. */
const TEXT_ITEMS = words('function_call custom_tool_call')

/** Tools that the caller runs; the provider only writes the call. */
const CALLERS_TOOLS = words('function custom')

const SEARCH_TOOL = /^web_search(_preview)?(_\d{4}_\d{2}_\d{2})?$/

/** @throws TenantKeysError TK_REQUEST_INVALID naming the field, for example `input[3].content`. */
export function readResponseContent(body: RequestBody): Readonly<ResponseContent> {
  const found: ResponseContent = {
    items: 1,
    tools: 0,
    images: 0,
    others: 0,
    opaqueLength: 0,
    opaqueField: null,
    inputAudio: false,
    searches: false,
    unpricedTool: null,
  }
  const unlisted = body.unlisted(TEXT_FIELDS)
  if (unlisted !== null) addOpaque(body, found, unlisted, null)
  const { input, instructions } = body.json
  if (isGiven(instructions) && typeof instructions !== 'string')
    throw body.invalid('instructions', 'expected text')
  if (isGiven(input) && typeof input !== 'string') {
    const items = body.listOf(input, 'input')
    found.items = items.length
    items.forEach((item, i) => {
      readItem(body, found, item, `input[${i}]`)
    })
  }
  const tools = body.list('tools')
  found.tools = tools.length
  tools.forEach((tool, i) => {
    readTool(body, found, asObject(tool), `tools[${i}]`)
  })
  return found
}

function readItem(body: RequestBody, found: ResponseContent, value: unknown, at: string): void {
  const item = asObject(value)
  if (item === null) throw body.invalid(at, 'expected an object')
  const { type } = item
  if (type === 'message' || (!isGiven(type) && typeof item.role === 'string')) {
    readParts(body, found, item.content, `${at}.content`)
  } else if (type === 'function_call_output' || type === 'custom_tool_call_output') {
    readParts(body, found, item.output, `${at}.output`)
  } else if (typeof type !== 'string') {
    throw body.invalid(`${at}.type`, 'expected text')
  } else if (!TEXT_ITEMS.has(type)) addOpaque(body, found, at, item)
}

const TEXT_PARTS = words('input_text output_text text refusal summary_text')

function readParts(
  body: RequestBody,
  found: ResponseContent,
  content: unknown,
  field: string,
): void {
  if (typeof content === 'string') return
  if (!Array.isArray(content)) throw body.invalid(field, 'expected text or a list of parts')
  content.forEach((value: unknown, i) => {
    const part = asObject(value)
    const type = part?.type
    if (typeof type !== 'string') throw body.invalid(`${field}[${i}].type`, 'expected text')
    if (TEXT_PARTS.has(type)) return
    if (type === 'input_audio') found.inputAudio = true
    addOpaque(body, found, `${field}[${i}]`, part, type === 'input_image')
  })
}

function readTool(
  body: RequestBody,
  found: ResponseContent,
  tool: JsonObject | null,
  at: string,
): void {
  const type = tool?.type
  if (typeof type !== 'string') throw body.invalid(`${at}.type`, 'expected text')
  if (CALLERS_TOOLS.has(type)) return
  addOpaque(body, found, at, null)
  if (SEARCH_TOOL.test(type)) found.searches = true
  else found.unpricedTool ??= at
}

function addOpaque(
  body: RequestBody,
  found: ResponseContent,
  field: string,
  part: unknown,
  isImage = false,
): void {
  found.opaqueField ??= field
  found.opaqueLength += part === null ? 0 : body.toJson(part).length
  if (isImage) found.images++
  else found.others++
}
