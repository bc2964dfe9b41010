import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  BROKEN,
  bodyOf,
  both,
  DONE,
  ESTIMATED,
  event,
  expectSame,
  fetched,
  JSON_TYPE,
  lastOf,
  MEASURED,
  openTransport,
  type Row,
  SSE_TYPE,
  STOP,
  send,
  sendRaw,
  type Transport,
  typeOf,
  UNREADABLE,
  usageEvent,
  whole,
  wholeStream,
  word,
} from '../support/bad-input/transport.ts'
import { type Answer, USAGE } from '../support/provider-server.ts'

let transport: Transport
beforeEach(async () => {
  transport = await openTransport()
})
afterEach(() => transport[Symbol.asyncDispose]())

const same = (rows: readonly Row[]): void =>
  test.each(rows)('%s, asked for %s', (_, asking, answer, expected) =>
    expectSame(transport, asking, answer, expected),
  )

const sse = (...pieces: (string | Uint8Array)[]): Answer =>
  send({ 'content-type': SSE_TYPE }, ...pieces)
const json = (...pieces: (string | Uint8Array)[]): Answer =>
  send({ 'content-type': JSON_TYPE }, ...pieces)
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
/** Every byte in a write of its own, so that letters are split too. */
const single = (text: string): Uint8Array[] => Array.from(bytes(text), (one) => Uint8Array.of(one))
const withBad = (text: string): Uint8Array => bytes(text).map((one) => (one === 0xc3 ? 0xff : one))

describe('lines of a stream, however they are written, are measured', () => {
  const written: readonly (readonly [string, Answer])[] = [
    ['CR LF', sse(wholeStream().replaceAll('\n', '\r\n'))],
    ['CR', sse(wholeStream().replaceAll('\n', '\r'))],
    ['no blank behind the colon', sse(wholeStream().replaceAll('data: ', 'data:'))],
    ['comments', sse(': hello\n\n', wholeStream().replaceAll('data: ', ': wait\ndata: '))],
    ['fields that nobody knows', sse(wholeStream().replaceAll('data: ', 'x: 1\nid: 7\ndata: '))],
    ['events of several lines', sse(wholeStream().replaceAll(',"', ',\ndata: "'))],
    ['a byte order mark', sse(`\ufeff${wholeStream()}`)],
    ['bytes that are no UTF-8', sse(withBad(wholeStream()))],
    ['one byte at a time', sse(...single(wholeStream()))],
    ['the usage twice', sse(wholeStream().replace(DONE, usageEvent() + DONE))],
    ['an empty line too many', sse(wholeStream().replaceAll('\n\n', '\n\n\n\n'))],
    ['no empty line at the end', sse(wholeStream().trimEnd())],
    ['no end marker', sse(wholeStream().replace(DONE, ''))],
  ]
  same(written.map(([what, answer]) => [what, 'a stream', answer, MEASURED]))

  const end = word('one') + STOP + usageEvent() + DONE
  const measured = { ...MEASURED, responseBytes: 'settled first' } as const
  same([
    ['words behind the end', 'a stream', sse(end, word('more'), DONE), measured],
    ['another usage behind the end', 'a stream', sse(end, usageEvent({ ...USAGE })), measured],
  ])
})

describe('what a caller did not ask for stays hidden, and nothing else changes', () => {
  test.each(['\n', '\r\n', '\r'])('with %j between lines', async (line) => {
    const pieces = wholeStream().replaceAll('\n', line)
    transport.server.answer = sse(...single(pieces))
    const { made, server } = transport
    const url = `${server.baseUrl}/chat/completions`
    const ask = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }], stream: true }
    const init = { method: 'POST', body: JSON.stringify(ask) }
    const response = await made.tk.fetch({ key: made.key })(url, init)
    const hidden = usageEvent().replaceAll('\n', line)
    expect(await response.text()).toBe(pieces.replace(hidden, ''))
    const row = await lastOf(1, transport)
    expect(row.responseBytes).toBe(bytes(pieces.replace(hidden, '')).length)
  })
})

describe('a stream without a usage that is whole is an estimate, and says so', () => {
  const late = { ...ESTIMATED, responseBytes: 'settled first' } as const
  same([
    ['cut before it', 'a stream', sse(word('one two') + word('three')), BROKEN],
    ['cut inside it', 'a stream', sse(word('one') + usageEvent().slice(0, -40)), BROKEN],
    ['none', 'a stream', sse(word('one') + STOP + DONE), ESTIMATED],
    ['only behind the end', 'a stream', sse(word('one') + DONE + usageEvent()), late],
    ['no JSON', 'a stream', sse(word('one') + event('{"usage":{') + DONE), ESTIMATED],
  ])
})

describe('JSON, however it is written', () => {
  same([
    ['a byte order mark', 'JSON', json(`\ufeff${whole()}`), MEASURED],
    ['bytes that are no UTF-8', 'JSON', json(withBad(whole())), MEASURED],
    ['one byte at a time', 'JSON', json(...single(whole())), MEASURED],
    ['blanks before it, as a sign of life', 'JSON', json('\n', '  \n', whole()), MEASURED],
    ['broken off', 'JSON', json(whole().slice(0, -30)), UNREADABLE],
    ['two of them', 'JSON', json(whole(), whole()), UNREADABLE],
  ])
})

describe('100,000 lists in each other', () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000)
  test.each([
    ['instead of an answer', deep, UNREADABLE],
    ['beside the usage', whole().replace('{', `{"x":${deep},`), MEASURED],
  ])('%s', async (_, text, expected) => {
    const { made, server } = transport
    server.answer = json(text)
    for (const read of ['json', 'text', 'body'] as const) {
      const url = `${server.baseUrl}/chat/completions`
      const ask = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }] }
      const init = { method: 'POST', body: JSON.stringify(ask) }
      const response = await made.tk.fetch({ key: made.key })(url, init)
      if (read === 'body') for await (const _piece of response.body ?? []);
      else await response[read]()
    }
    expect(await lastOf(3, transport)).toMatchObject({
      ...expected,
      responseBytes: bytes(text).length,
    })
  })
})

describe('lengths that lie', () => {
  const length = (by: number, on: 'JSON' | 'a stream'): string => {
    const told = bytes(bodyOf(on)).length + by
    return `200 OK\r\ncontent-type: ${typeOf(on)}\r\ncontent-length: ${told}`
  }
  same([
    ['too short', 'JSON', sendRaw(length(-30, 'JSON'), whole()), UNREADABLE],
    ['too short', 'a stream', sendRaw(length(-200, 'a stream'), wholeStream()), BROKEN],
    ...both((on) => [
      'too long',
      sendRaw(length(30, on), bodyOf(on)),
      // All of it came before the connection broke.
      on === 'JSON' ? BROKEN : { ...MEASURED, outcome: null },
    ]),
    ...both((on) => {
      const head = `200 OK\r\ncontent-type: ${typeOf(on)}\r\ntransfer-encoding: chunked`
      return [
        'a chunk of no size',
        sendRaw(head, `5\r\n${bodyOf(on).slice(0, 5)}\r\nZZ\r\n`),
        BROKEN,
      ]
    }),
  ])
})

describe('a connection that is reset in the middle', () => {
  test.each(['JSON', 'a stream'] as const)(
    '%s: what came before stays seen, and is charged',
    async (asking) => {
      const { server, made } = transport
      const first = asking === 'JSON' ? whole().slice(0, 60) : word('one two three')
      let arrived = (): void => {}
      server.answer = async (_, response) => {
        const seen = new Promise<void>((resolve) => {
          arrived = resolve
        })
        response.writeHead(200, { 'content-type': typeOf(asking) })
        response.write(first)
        await seen
        response.socket?.resetAndDestroy()
      }
      // As soon as the first piece is read, the line breaks.
      const watching =
        (inner: typeof fetch): typeof fetch =>
        async (input, init) => {
          const response = await inner(input, init)
          const iterate = response.body?.[Symbol.asyncIterator].bind(response.body)
          const body = {
            async *[Symbol.asyncIterator]() {
              for await (const piece of iterate?.() ?? []) {
                yield piece
                arrived()
              }
            },
          }
          return { status: response.status, body } as unknown as Response
        }
      const bare = await fetched(watching(fetch), transport, asking, 'in pieces')
      const fetcher = made.tk.fetch({ key: made.key })
      const ours = await fetched(watching(fetcher), transport, asking, 'in pieces')
      expect(ours).toEqual(bare)
      expect(ours).toEqual({
        status: 200,
        bytes: Buffer.from(first).toString('latin1'),
        error: 'TypeError: terminated',
      })
      const row = await lastOf(1, transport)
      expect(row).toMatchObject({
        outcome: 'broken',
        quality: 'estimated',
        responseBytes: bytes(first).length,
      })
    },
  )
})
