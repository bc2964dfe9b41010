import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, test } from 'vitest'
import {
  type Asking,
  BROKEN,
  bodyOf,
  both,
  type Expected,
  expectSame,
  HTML,
  JSON_TYPE,
  MEASURED,
  openTransport,
  type Row,
  SSE_TYPE,
  send,
  type Transport,
  typeOf,
  UNREADABLE,
  whole,
  wholeStream,
} from '../support/bad-input/transport.ts'
import type { Answer } from '../support/provider-server.ts'

let transport: Transport
beforeEach(async () => {
  transport = await openTransport()
})
afterEach(() => transport[Symbol.asyncDispose]())

const same = (rows: readonly Row[]): void =>
  test.each(rows)('%s, asked for %s', (_, asking, answer, expected) =>
    expectSame(transport, asking, answer, expected),
  )

const encoded = (encoding: string, bytes: Uint8Array, asking: Asking, cut = bytes.length): Answer =>
  send(
    { 'content-type': typeOf(asking), 'content-encoding': encoding },
    bytes.subarray(0, 40),
    bytes.subarray(40, cut),
  )
const unread = (asking: Asking): Expected => (asking === 'JSON' ? UNREADABLE : BROKEN)

describe('an encoding that fetch takes off is measured exactly', () => {
  same([
    ...both((on) => ['gzip', encoded('gzip', gzipSync(bodyOf(on)), on), MEASURED]),
    ...both((on) => ['br', encoded('br', brotliCompressSync(bodyOf(on)), on), MEASURED]),
    ...both((on) => ['deflate', encoded('deflate', deflateSync(bodyOf(on)), on), MEASURED]),
    ...both((on) => ['GZIP', encoded('GZIP', gzipSync(bodyOf(on)), on), MEASURED]),
    ...both((on) => [
      'gzip twice',
      encoded('gzip, gzip', gzipSync(gzipSync(bodyOf(on))), on),
      MEASURED,
    ]),
  ])
})

describe('an encoding that nobody can take off is charged by estimate, and looks as without us', () => {
  same([
    ...both((on) => ['an unknown one', encoded('lzma', gzipSync(bodyOf(on)), on), unread(on)]),
    ...both((on) => ['gzip that is none', encoded('gzip', Buffer.from(bodyOf(on)), on), BROKEN]),
    ...both((on) => {
      const bytes = gzipSync(bodyOf(on))
      return ['gzip cut in the middle', encoded('gzip', bytes, on, bytes.length - 30), unread(on)]
    }),
    ...both((on) => {
      const bytes = Buffer.from(gzipSync(bodyOf(on)))
      bytes.fill(0xff, 60, 90)
      return ['gzip with damage inside', encoded('gzip', bytes, on), BROKEN]
    }),
  ])
})

describe('a content type does not decide what was used', () => {
  const typed = (type: string | null, body: string): Answer =>
    send(type === null ? {} : { 'content-type': type }, body)
  same([
    ...['text/plain', null, 'application/json; charset=utf-8', 'APPLICATION/JSON', 'x'].map(
      (type): Row => [`JSON as ${type}`, 'JSON', typed(type, whole()), MEASURED],
    ),
    ...[
      'text/plain',
      null,
      'text/event-stream; charset=utf-8',
      'TEXT/EVENT-STREAM',
      'application/octet-stream',
      'x',
    ].map((type): Row => [`events as ${type}`, 'a stream', typed(type, wholeStream()), MEASURED]),
    ['JSON', 'a stream', typed(JSON_TYPE, whole()), MEASURED],
    ['events', 'JSON', typed(SSE_TYPE, wholeStream()), MEASURED],
  ])
})

describe('what is no answer is charged by estimate', () => {
  const nothing =
    (status: number, type: string): Answer =>
    (_, response) => {
      response.writeHead(status, { 'content-type': type, 'content-length': '0' })
      response.end()
    }
  same([
    ['HTML', 'JSON', send({ 'content-type': 'text/html' }, HTML), UNREADABLE],
    ['HTML', 'a stream', send({ 'content-type': 'text/html' }, HTML), UNREADABLE],
    ['HTML as events', 'a stream', send({ 'content-type': SSE_TYPE }, HTML), BROKEN],
    ['HTML as JSON', 'JSON', send({ 'content-type': JSON_TYPE }, HTML), UNREADABLE],
    ...both((on) => ['an empty body', send({ 'content-type': typeOf(on) }), unread(on)]),
    ...both((on) => ['204', nothing(204, typeOf(on)), UNREADABLE]),
    ...both((on) => ['200 of length 0', nothing(200, typeOf(on)), UNREADABLE]),
  ])
})
