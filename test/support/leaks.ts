/**
 * The ways a value leaves a program without anybody asking for its secret.
 *
 * @module
 */
import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { format, inspect } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'

const DEEP = {
  depth: 9,
  showHidden: true,
  getters: true,
  maxArrayLength: null,
  maxStringLength: null,
}

/** What can be read of `value` through each channel; a channel that refuses the value shows its error. */
export function channelsOf(value: object): Readonly<Record<string, string>> {
  const channels: Record<string, () => string> = {
    inspect: () => inspect(value, DEEP),
    'inspect inside': () => inspect({ inside: [value] }, DEEP),
    'inspect without custom': () => inspect(value, { ...DEEP, customInspect: false }),
    'console.log': () => printed(value),
    'format %s': () => format('%s', value),
    'format %o': () => format('%o %O %j', value, value, value),
    JSON: () => JSON.stringify({ value }),
    template: () => `${value as unknown as string}`,
    toString: () => String(Object.prototype.toString.call(value)) + value.toString(),
    valueOf: () => inspect(value.valueOf(), DEEP),
    spread: () => inspect({ ...value }, DEEP),
    entries: () => inspect(Object.entries(value), DEEP),
    keys: () =>
      inspect(
        Reflect.ownKeys(value).map((key) => Reflect.get(value, key)),
        DEEP,
      ),
    join: () => [value, value].join(),
    structuredClone: () => inspect(structuredClone(value), DEEP),
    v8: () => inspect(deserialize(serialize(value)), DEEP),
    'v8 bytes': () => serialize(value).toString('latin1'),
    postMessage: () => inspect(posted(value), DEEP),
    'thrown as is': () => inspect(new Error('x', { cause: value }), DEEP),
  }
  return Object.fromEntries(
    Object.entries(channels).map(([name, read]) => {
      try {
        return [name, read()] as const
      } catch (error) {
        return [name, inspect(error, DEEP)] as const
      }
    }),
  )
}

/** The channels through which one of the texts can be seen, in any of its usual spellings. */
export function leaksOf(
  value: object,
  secrets: readonly (string | Uint8Array)[],
): readonly string[] {
  const spellings = secrets.flatMap(spell)
  return Object.entries(channelsOf(value))
    .filter(([, text]) => spellings.some((spelling) => text.includes(spelling)))
    .map(([name]) => name)
}

export function spell(secret: string | Uint8Array): readonly string[] {
  const bytes = Buffer.from(secret as Uint8Array)
  const encoded = [bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url')]
  const listed = [[...bytes].join(','), [...bytes].join(', '), [...bytes.subarray(0, 6)].join(', ')]
  const dumped = [...bytes.subarray(0, 6)]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(' ')
  const own = typeof secret === 'string' ? [secret] : [bytes.toString('latin1')]
  return [...own, ...encoded, ...listed, dumped]
}

function printed(value: unknown): string {
  let text = ''
  const sink = new Writable({
    write(chunk, _, done) {
      text += String(chunk)
      done()
    },
  })
  const out = new Console(sink)
  out.log(value)
  out.dir(value, DEEP)
  out.table([value])
  return text
}

function posted(value: unknown): unknown {
  const { port1, port2 } = new MessageChannel()
  try {
    port1.postMessage(value)
    return receiveMessageOnPort(port2)
  } finally {
    port1.close()
    port2.close()
  }
}
