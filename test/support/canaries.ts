/**
 * Secrets that can be recognised anywhere, and ways to look everywhere: a walk through everything
 * that can be reached from a value, the usual channels of printing, and what a process writes.
 *
 * @module
 */
import { channelsOf, spell } from './leaks.ts'

/** Secrets by the name that a test may print. */
export type Canaries = Readonly<Record<string, string | Uint8Array>>

/** Enough for everything we hand out; a client of an SDK is deeper than anything of ours. */
const MAX_DEPTH = 12
const MAX_VALUES = 200_000

/** What belongs to the runtime: without secrets of ours, and without end. */
const RUNTIME: ReadonlySet<unknown> = new Set([
  globalThis,
  process,
  Object.prototype,
  Function.prototype,
  Array.prototype,
])

const LISTS = [Map, Set, Headers, URLSearchParams, FormData]

/**
 * Everything that can be reached from `value`, as text: own and inherited properties whether or not
 * they are enumerable, symbols, what getters answer, members of Map and Set, bytes, names and texts
 * of functions, and with them the message, stack, cause and errors of an error.
 */
export function walk(value: unknown): string {
  const seen = new Set<unknown>()
  const found: string[] = []
  const visit = (item: unknown, depth: number): void => {
    if (typeof item === 'symbol') found.push(String(item.description))
    if (['string', 'number', 'bigint'].includes(typeof item)) found.push(String(item))
    const isObject = (typeof item === 'object' && item !== null) || typeof item === 'function'
    if (!isObject || seen.has(item) || RUNTIME.has(item)) return
    if (depth > MAX_DEPTH || seen.size > MAX_VALUES) return
    seen.add(item)
    if (bytesOf(item) !== null) {
      found.push(...spellings(bytesOf(item)!))
      return
    }
    if (typeof item === 'function') found.push(Function.prototype.toString.call(item))
    if (LISTS.some((List) => item instanceof List)) {
      for (const member of item as Iterable<unknown>) visit(member, depth + 1)
    }
    for (
      let at: object | null = item;
      at !== null && !RUNTIME.has(at);
      at = Object.getPrototypeOf(at)
    ) {
      for (const key of Reflect.ownKeys(at)) {
        visit(key, depth + 1)
        visit(read(item, at, key), depth + 1)
      }
    }
  }
  visit(value, 0)
  return found.join('\n')
}

/** What a property gives: by its getter, asked of the object itself, or as it stands. */
function read(item: object, at: object, key: PropertyKey): unknown {
  try {
    const { get, value } = Object.getOwnPropertyDescriptor(at, key) ?? {}
    const given: unknown = get ? get.call(item) : value
    // A getter of a prototype, asked of the prototype itself, may answer with a rejection.
    if (given instanceof Promise) given.catch(() => {})
    return given
  } catch (error) {
    return error
  }
}

function bytesOf(item: unknown): Uint8Array | null {
  if (item instanceof ArrayBuffer) return new Uint8Array(item)
  if (!ArrayBuffer.isView(item)) return null
  return new Uint8Array(item.buffer, item.byteOffset, item.byteLength)
}

/** Bytes as they are, and as each of the usual encodings of them. */
const spellings = (bytes: Uint8Array): readonly string[] => {
  const buffer = Buffer.from(bytes)
  return (['latin1', 'utf8', 'utf16le', 'hex', 'base64', 'base64url'] as const).map((encoding) =>
    buffer.toString(encoding),
  )
}

/** The canaries that `text` holds, in any spelling. */
export function canariesIn(text: string, canaries: Canaries): readonly string[] {
  return Object.entries(canaries)
    .filter(([, secret]) => spell(secret).some((spelling) => text.includes(spelling)))
    .map(([name]) => name)
}

/** The places of `value` where a canary shows: `<canary> by <channel>`. */
export function leaks(value: unknown, canaries: Canaries): readonly string[] {
  const isObject = typeof value === 'object' && value !== null
  const channels: Record<string, string> = {
    ...(isObject || typeof value === 'function' ? channelsOf(value as object) : {}),
    ...(value instanceof Error ? errorTexts(value) : {}),
    walk: walk(value),
  }
  return Object.entries(channels).flatMap(([channel, text]) =>
    canariesIn(text, canaries).map((name) => `${name} by ${channel}`),
  )
}

/** What error trackers keep: the texts of an error and of all that caused it. */
function errorTexts(error: Error): Record<string, string> {
  const texts = { message: '', stack: '', cause: '', string: String(error) }
  for (
    let at: unknown = error, depth = 0;
    at instanceof Error && depth < 20;
    at = at.cause, depth++
  ) {
    texts.message += `${at.message}\n`
    texts.stack += `${at.stack}\n`
    if (depth > 0) texts.cause += `${String(at)} ${JSON.stringify(at)}\n`
  }
  return texts
}

const METHODS = ['debug', 'dir', 'error', 'info', 'log', 'table', 'trace', 'warn'] as const

/** Collects all that the process prints until `stop` is called, which returns it. */
export function capture(): { stop(): string } {
  const lines: string[] = []
  const { console: output } = globalThis
  const methods = METHODS.map((name) => [name, output[name]] as const)
  for (const name of METHODS) output[name] = (...args: unknown[]) => void lines.push(walk(args))
  const streams = [process.stdout, process.stderr].map((stream) => {
    const { write } = stream
    stream.write = ((chunk: unknown) => lines.push(walk(chunk)) > 0) as typeof stream.write
    return () => {
      stream.write = write
    }
  })
  return {
    stop: () => {
      for (const [name, method] of methods) output[name] = method
      for (const restore of streams) restore()
      return lines.join('\n')
    },
  }
}
