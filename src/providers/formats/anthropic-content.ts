/**
 * Walks the content of a messages request: is it well formed, and is all of it text? What is text is a
 * list of what is known; everything else has tokens that its bytes do not tell.
 *
 * @module
 */
import { asObject, isGiven, type JsonObject } from '../reading/json-object.ts'
import { type RequestBody, words } from '../reading/request-body.ts'

export interface MessagesContent {
  messages: number
  tools: number
  /** Parts whose tokens their bytes do not tell. */
  opaque: number
  /** Characters that these parts take in the body (inline data). */
  opaqueLength: number
  /** Path of the first such part; `null`: all is text. */
  opaqueField: string | null
  /** True when a part asks to be cached for an hour. */
  cachesForAnHour: boolean
  /** How often the provider may run tools of its own; `null`: nobody says. */
  serverToolUses: number | null
  /** The field that would say it. */
  serverToolField: string | null
  /** How many of these may be web searches. */
  searches: number
  /** Path of the first tool that is charged by more than tokens and searches. */
  unpricedTool: string | null
}

/** Blocks that are text, and what of them is: everything but ids and settings. */
const TEXT_BLOCKS = words('text tool_use thinking redacted_thinking')

/** Tools that the caller runs; the provider adds a description of its own (some hundred tokens). */
const CALLERS_TOOLS = /^(custom|(bash|text_editor|memory|computer)_\d{8})$/
const SEARCH_TOOL = /^web_search_\d{8}$/
const FETCH_TOOL = /^web_fetch_\d{8}$/

/** @throws TenantKeysError TK_REQUEST_INVALID naming the field, for example `messages[3].content`. */
export function readMessagesContent(body: RequestBody): Readonly<MessagesContent> {
  const found: MessagesContent = {
    messages: 0,
    tools: 0,
    opaque: 0,
    opaqueLength: 0,
    opaqueField: null,
    cachesForAnHour: false,
    serverToolUses: 0,
    serverToolField: null,
    searches: 0,
    unpricedTool: null,
  }
  const walk = { body, found }
  const { system, cache_control: cache } = body.json
  noteCache(walk, cache)
  if (isGiven(system)) readBlocks(walk, system, 'system')
  const messages = body.listOf(body.json.messages, 'messages')
  if (messages.length === 0) throw body.invalid('messages', 'expected at least one message')
  found.messages = messages.length
  messages.forEach((value, i) => {
    const message = asObject(value)
    if (typeof message?.role !== 'string')
      throw body.invalid(`messages[${i}].role`, 'expected text')
    readBlocks(walk, message.content, `messages[${i}].content`)
  })
  const tools = body.list('tools')
  found.tools = tools.length
  tools.forEach((tool, i) => {
    readTool(walk, asObject(tool), `tools[${i}]`)
  })
  return found
}

interface Walk {
  readonly body: RequestBody
  readonly found: MessagesContent
}

function readBlocks(walk: Walk, content: unknown, field: string): void {
  if (typeof content === 'string') return
  if (!Array.isArray(content)) throw walk.body.invalid(field, 'expected text or a list of blocks')
  content.forEach((value: unknown, i) => {
    const block = asObject(value)
    if (typeof block?.type !== 'string')
      throw walk.body.invalid(`${field}[${i}].type`, 'expected text')
    readBlock(walk, block, `${field}[${i}]`)
  })
}

function readBlock(walk: Walk, block: JsonObject, at: string): void {
  const { type, content } = block
  noteCache(walk, block.cache_control)
  if (TEXT_BLOCKS.has(String(type))) return
  if (type === 'tool_result') {
    if (isGiven(content)) readBlocks(walk, content, `${at}.content`)
    return
  }
  if (type === 'document') {
    // Plain text is text; a PDF is read as text and as an image of every page.
    if (asObject(block.source)?.type === 'text') return
  }
  addOpaque(walk, at, block)
}

function readTool(walk: Walk, tool: JsonObject | null, at: string): void {
  const { body, found } = walk
  if (tool === null) throw body.invalid(at, 'expected an object')
  const type = tool.type ?? 'custom'
  if (typeof type !== 'string') throw body.invalid(`${at}.type`, 'expected text')
  noteCache(walk, tool.cache_control)
  if (CALLERS_TOOLS.test(type)) return
  const searches = SEARCH_TOOL.test(type)
  if (!searches && !FETCH_TOOL.test(type)) {
    found.unpricedTool ??= at
    return
  }
  addOpaque(walk, at, null)
  const uses = body.positive(`${at}.max_uses`, tool.max_uses)
  if (uses === null) {
    found.serverToolUses = null
    found.serverToolField ??= `${at}.max_uses`
    return
  }
  if (found.serverToolUses !== null) found.serverToolUses += uses
  if (searches) found.searches += uses
}

function addOpaque({ body, found }: Walk, field: string, part: unknown): void {
  found.opaqueField ??= field
  found.opaqueLength += part === null ? 0 : body.toJson(part).length
  found.opaque++
}

function noteCache({ found }: Walk, cache: unknown): void {
  if (asObject(cache)?.ttl === '1h') found.cachesForAnHour = true
}
