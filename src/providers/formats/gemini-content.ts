/**
 * Walks the contents and the tools of a generateContent request: is it well formed, and is all of it
 * text?
 *
 * The API takes every field in two spellings (`maxOutputTokens` and `max_output_tokens`), so fields are
 * a closed list: another spelling would be a second value that nothing here has seen.
 *
 * @module
 */
import { asObject, isGiven, type JsonObject } from '../reading/json-object.ts'
import { type RequestBody, words } from '../reading/request-body.ts'

export interface GeminiContent {
  contents: number
  tools: number
  /** Parts whose tokens their bytes do not tell. */
  opaque: number
  /** Characters that these parts take in the body (inline data). */
  opaqueLength: number
  /** Path of the first such part; `null`: all is text. */
  opaqueField: string | null
  /** True when a part may be audio; the sound of a video is. */
  inputAudio: boolean
  inputImage: boolean
  inputVideo: boolean
  /** Path of the first tool that runs at the provider. */
  serverTool: string | null
}

const FIELDS = words(
  `contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent labels
   model serviceTier`,
)

const TEXT_PARTS = words(
  'text thought thoughtSignature functionCall functionResponse partMetadata executableCode codeExecutionResult',
)

/** @throws TenantKeysError TK_REQUEST_INVALID naming the field, for example `contents[3].parts`. */
export function readGeminiContent(body: RequestBody): Readonly<GeminiContent> {
  const found: GeminiContent = {
    contents: 0,
    tools: 0,
    opaque: 0,
    opaqueLength: 0,
    opaqueField: null,
    inputAudio: false,
    inputImage: false,
    inputVideo: false,
    serverTool: null,
  }
  const unknown = body.unlisted(FIELDS)
  if (unknown !== null) throw body.invalid(unknown, 'this field is not known in this spelling')
  const { contents, systemInstruction, cachedContent } = body.json
  if (isGiven(systemInstruction)) readContent(body, found, systemInstruction, 'systemInstruction')
  const list = typeof contents === 'string' ? null : body.listOf(contents, 'contents')
  if (list === null || list.length === 0)
    throw body.invalid('contents', 'expected at least one content')
  found.contents = list.length
  list.forEach((content, i) => {
    readContent(body, found, content, `contents[${i}]`)
  })
  if (isGiven(cachedContent)) {
    // Kept by the provider: neither its length nor its modality stands here.
    Object.assign(found, { inputAudio: true, inputImage: true, inputVideo: true })
    addOpaque(body, found, 'cachedContent', null)
  }
  body.list('tools').forEach((tool, i) => {
    readTool(body, found, asObject(tool), `tools[${i}]`)
  })
  return found
}

function readContent(body: RequestBody, found: GeminiContent, value: unknown, at: string): void {
  const parts = asObject(value)?.parts
  body.listOf(parts, `${at}.parts`).forEach((part, i) => {
    readPart(body, found, asObject(part), `${at}.parts[${i}]`)
  })
}

function readPart(
  body: RequestBody,
  found: GeminiContent,
  part: JsonObject | null,
  at: string,
): void {
  if (part === null) throw body.invalid(at, 'expected an object')
  if (isGiven(part.text) && typeof part.text !== 'string')
    throw body.invalid(`${at}.text`, 'expected text')
  const names = Object.keys(part).filter((name) => isGiven(part[name]))
  if (names.every((name) => TEXT_PARTS.has(name)) && !hasMediaInside(part.functionResponse)) return
  const type = asObject(part.inlineData ?? part.fileData)?.mimeType
  // Without a type it may be anything.
  const kind = typeof type === 'string' ? type.replace(/\/.*$/s, '') : ''
  const known = ['audio', 'image', 'video', 'text', 'application'].includes(kind)
  if (!known || kind === 'audio' || kind === 'video') found.inputAudio = true
  if (!known || kind === 'image' || kind === 'application') found.inputImage = true
  if (!known || kind === 'video') found.inputVideo = true
  addOpaque(body, found, at, part)
}

/** Newer models take images and files in the answer of a function. */
const hasMediaInside = (response: unknown): boolean => isGiven(asObject(response)?.parts)

function readTool(
  body: RequestBody,
  found: GeminiContent,
  tool: JsonObject | null,
  at: string,
): void {
  if (tool === null) throw body.invalid(at, 'expected an object')
  for (const name of Object.keys(tool)) {
    if (!isGiven(tool[name])) continue
    if (name !== 'functionDeclarations') found.serverTool ??= at
    else found.tools += body.listOf(tool[name], `${at}.functionDeclarations`).length
  }
}

function addOpaque(body: RequestBody, found: GeminiContent, field: string, part: unknown): void {
  found.opaqueField ??= field
  found.opaqueLength += part === null ? 0 : body.toJson(part).length
  found.opaque++
}
