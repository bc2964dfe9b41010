import { describe, expect, test } from 'vitest'
import { type Canaries, capture, leaks, walk } from '../support/canaries.ts'
import { channelsOf } from '../support/leaks.ts'

const TEXT = 'sk-CANARY-0123456789abcdef'
const BYTES = new TextEncoder().encode(TEXT)
const canaries: Canaries = { text: TEXT }

const hidden = (name: PropertyKey, value: unknown, on: object = {}): object =>
  Object.defineProperty(on, name, { value, enumerable: false })

/** Where a secret can hide, and a value that holds one there and nowhere else. */
const places: Readonly<Record<string, unknown>> = {
  'a text': TEXT,
  'a property': { a: TEXT },
  'the name of a property': { [TEXT]: 1 },
  'a property that is not enumerable': hidden('a', TEXT),
  'a property under a symbol': { [Symbol('a')]: TEXT },
  'the description of a symbol': { a: Symbol(TEXT) },
  'the name of a symbol property': { [Symbol(TEXT)]: 1 },
  'an inherited property': Object.create({ a: TEXT }),
  'a static property of the class': Reflect.construct(Object.assign(class A {}, { a: TEXT }), []),
  'what a getter answers': {
    get a() {
      return TEXT
    },
  },
  'what an inherited getter answers': new (class {
    get a() {
      return TEXT
    }
  })(),
  'what a getter throws': {
    get a(): string {
      throw new Error(TEXT)
    },
  },
  'a key of a Map': new Map([[TEXT, 1]]),
  'a value of a Map': new Map([[1, { a: TEXT }]]),
  'a member of a Set': new Set([[TEXT]]),
  'an object without a prototype': Object.assign(Object.create(null), { a: TEXT }),
  'a property of a function': Object.assign(() => 0, { a: TEXT }),
  'the text of a function': () => 'sk-CANARY-0123456789abcdef',
  bytes: BYTES,
  'bytes in a buffer': Buffer.from(TEXT),
  'an ArrayBuffer': BYTES.buffer,
  'a view in the middle of a buffer': new Uint8Array([0, 0, ...BYTES, 0]).subarray(2),
  'hex digits': { a: Buffer.from(TEXT).toString('hex') },
  base64: { a: Buffer.from(TEXT).toString('base64') },
  'a list of bytes as text': { a: [...BYTES].join(', ') },
  'a message': new Error(TEXT),
  'a stack': Object.assign(new Error('x'), { stack: `Error: x\n at ${TEXT}` }),
  'a cause': new Error('x', { cause: new Error(TEXT) }),
  'a cause that is no error': new Error('x', { cause: { config: { headers: [TEXT] } } }),
  'the fifth cause': [1, 2, 3, 4, 5].reduce<unknown>(
    (cause, n) => new Error(`${n}`, { cause }),
    TEXT,
  ),
  'an inner error': new AggregateError([new Error('y'), new Error(TEXT)], 'x'),
  'an input': Object.assign(new TypeError('Invalid URL'), { input: TEXT }),
  'arguments of a command': Object.assign(new Error('x'), {
    command: { args: ['SET', 'k', TEXT] },
  }),
  'the detail of a driver': Object.assign(new Error('x'), {
    detail: `Key (hash)=(${TEXT}) exists`,
  }),
  'headers of a request': Object.assign(new Error('x'), {
    config: { headers: { authorization: TEXT } },
  }),
  'a Headers object': { a: new Headers({ authorization: TEXT }) },
  'the headers of a Request': new Request('http://a.example', { headers: { authorization: TEXT } }),
  'a query': new URL(`http://a.example?key=${TEXT}`).searchParams,
}

describe('the walk', () => {
  test.each(Object.entries(places))('finds a secret in %s', (_, value) => {
    expect(leaks(value, canaries)).toContain('text by walk')
  })

  test('finds nothing where there is nothing, and comes to an end', () => {
    const circle: Record<string, unknown> = { a: 'sk-CANARY' }
    circle.circle = [circle, new Map([[circle, circle]])]
    expect(leaks(circle, canaries)).toEqual([])
    expect(walk(globalThis)).toBe('')
  })

  test('does not see into closures and private fields, as nobody can', () => {
    class Holder {
      readonly #text: string
      constructor(text: string) {
        this.#text = text
      }
      length(): number {
        return this.#text.length
      }
    }
    expect(leaks(new Holder(TEXT), canaries)).toEqual([])
    const text = TEXT
    expect(leaks({ length: () => text.length }, canaries)).toEqual([])
  })
})

/** For each channel a value whose secret comes out there. */
const LEAKING: Readonly<Record<string, object>> = {
  inspect: { [Symbol.for('nodejs.util.inspect.custom')]: () => TEXT },
  'inspect inside': { [Symbol.for('nodejs.util.inspect.custom')]: () => TEXT },
  'inspect without custom': hidden('a', TEXT, {
    [Symbol.for('nodejs.util.inspect.custom')]: () => '[x]',
  }),
  'console.log': { [Symbol.for('nodejs.util.inspect.custom')]: () => TEXT },
  'format %s': { toString: () => TEXT },
  'format %o': { a: TEXT },
  JSON: { toJSON: () => TEXT },
  template: { [Symbol.toPrimitive]: () => TEXT },
  toString: { toString: () => TEXT },
  valueOf: { valueOf: () => ({ a: TEXT }) },
  spread: { a: TEXT },
  entries: { a: TEXT },
  keys: hidden('a', TEXT),
  join: { toString: () => TEXT },
  structuredClone: new Map([['a', TEXT]]),
  v8: new Map([['a', TEXT]]),
  'v8 bytes': new Map([['a', TEXT]]),
  postMessage: new Map([['a', TEXT]]),
  'thrown as is': { a: TEXT },
  message: new Error(TEXT),
  stack: Object.assign(new Error('x'), { stack: TEXT }),
  cause: new Error('x', { cause: Object.assign(new Error('y'), { toJSON: () => TEXT }) }),
  string: Object.assign(new Error('x'), { toString: () => TEXT }),
}

describe('the channels', () => {
  test.each(Object.entries(LEAKING))('%s: a value that leaks there is found', (channel, value) => {
    expect(leaks(value, canaries)).toContain(`text by ${channel}`)
  })

  test('none is without a value that shows that it works', () => {
    const known = [...Object.keys(channelsOf({})), 'message', 'stack', 'cause', 'string']
    expect(Object.keys(LEAKING).sort()).toEqual(known.sort())
    expect(known.length).toBeGreaterThanOrEqual(12)
  })
})

describe('the capture', () => {
  test('sees what is printed by any way, and gives everything back', () => {
    const { log } = console
    const { write } = process.stdout
    const printed = capture()
    console.log('one', { a: TEXT })
    console.error(new Error('two'))
    process.stdout.write('three')
    process.stderr.write(Buffer.from('four'))
    const text = printed.stop()
    for (const part of ['one', TEXT, 'two', 'three', 'four']) expect(text).toContain(part)
    expect(console.log).toBe(log)
    expect(process.stdout.write).toBe(write)
  })
})
