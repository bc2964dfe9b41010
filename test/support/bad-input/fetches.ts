/**
 * Requests that `fetch` must not send: bad URLs, headers, settings, and bodies that are no chat.
 *
 * @module
 */
import type { ErrorCode } from '../../../src/kernel/errors.ts'
import { CANARY, type Row } from './row.ts'

const CHAT = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: CANARY }] }
const path = '/chat/completions'

type Given = readonly [input: unknown, init?: unknown]
/** A request through `tk.fetch`; `below` is the provider's base URL. */
const request = (
  what: string,
  code: ErrorCode,
  field: string | null,
  given: (below: string) => Given,
): Row => ({
  method: 'fetch',
  what,
  run: ({ tk, key, server }) => tk.fetch({ key })(...(given(server.baseUrl) as [string])),
  code,
  field,
})
const invalid = (what: string, field: string, given: (below: string) => Given): Row =>
  request(what, 'TK_REQUEST_INVALID', field, given)
const post = (
  body: unknown,
  headers: unknown = { 'content-type': 'application/json' },
): object => ({
  method: 'POST',
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
})
const body = (what: string, text: unknown, field = 'body'): Row =>
  invalid(`a body with ${what}`, field, (below) => [`${below}${path}`, post(text)])
const chat = (what: string, over: object, field: string): Row =>
  body(what, { ...CHAT, ...over }, field)

export const fetchRows: readonly Row[] = [
  invalid('no URL', 'url', () => [undefined]),
  invalid('null as URL', 'url', () => [null]),
  invalid('an empty URL', 'url', () => ['']),
  invalid('a path as URL', 'url', () => [`/v1${path}?${CANARY}`]),
  invalid('a text that is no URL', 'url', () => [CANARY]),
  invalid('a URL with a port that is none', 'url', () => [`https://api.openai.com:${CANARY}/v1`]),
  invalid('a symbol as URL', 'url', () => [Symbol(CANARY)]),
  request('a URL elsewhere', 'TK_ORIGIN_DENIED', null, () => [
    `https://${CANARY}.example/v1${path}`,
    post(CHAT),
  ]),
  request('a URL of a file', 'TK_ORIGIN_DENIED', null, () => [`file:///v1${path}`, post(CHAT)]),
  request('a URL of data', 'TK_ORIGIN_DENIED', null, () => [`data:text/plain,${CANARY}`]),
  request('a URL with a host that only begins alike', 'TK_ORIGIN_DENIED', null, () => [
    `https://api.openai.com.${CANARY}.example/v1${path}`,
    post(CHAT),
  ]),
  request('a URL beside the base path', 'TK_ORIGIN_DENIED', null, (below) => [
    `${below}/../v2${path}`,
    post(CHAT),
  ]),
  request('an operation that is not metered', 'TK_OPERATION_NOT_SUPPORTED', null, (below) => [
    `${below}/${CANARY}`,
    post(CHAT),
  ]),
  request('a method that is not metered', 'TK_OPERATION_NOT_SUPPORTED', null, (below) => [
    `${below}${path}`,
  ]),
  request('an escaped path', 'TK_OPERATION_NOT_SUPPORTED', null, (below) => [
    `${below}/chat%2fcompletions`,
    post(CHAT),
  ]),
  request('a doubled slash', 'TK_OPERATION_NOT_SUPPORTED', null, (below) => [
    `${below}/${path}`,
    post(CHAT),
  ]),
  invalid('a method that is no text', 'method', (below) => [
    `${below}${path}`,
    { ...post(CHAT), method: 7 },
  ]),
  invalid('an init that is no object', 'init', (below) => [`${below}${path}`, CANARY]),
  invalid('a signal that is none', 'signal', (below) => [
    `${below}${path}`,
    { ...post(CHAT), signal: { aborted: false } },
  ]),
  invalid('a header that ends in a line break', 'headers', (below) => [
    `${below}${path}`,
    post(CHAT, { authorization: `Bearer ${CANARY}\nx` }),
  ]),
  invalid('a header with unicode', 'headers', (below) => [
    `${below}${path}`,
    post(CHAT, { authorization: `Bearer \u0430${CANARY}` }),
  ]),
  invalid('a header whose name is none', 'headers', (below) => [
    `${below}${path}`,
    post(CHAT, { [`x ${CANARY}`]: 'a' }),
  ]),
  invalid('headers that are no headers', 'headers', (below) => [
    `${below}${path}`,
    post(CHAT, [[CANARY]]),
  ]),
  invalid('a body that is a form', 'body', (below) => [
    `${below}${path}`,
    { method: 'POST', body: new URLSearchParams({ model: CANARY }) },
  ]),
  invalid('a body that is a stream', 'body', (below) => [
    `${below}${path}`,
    { method: 'POST', body: new ReadableStream(), duplex: 'half' },
  ]),
  invalid('a body that is a Blob', 'body', (below) => [
    `${below}${path}`,
    { method: 'POST', body: new Blob([CANARY]) },
  ]),
  invalid('a body that is no UTF-8', 'body', (below) => [
    `${below}${path}`,
    { method: 'POST', body: Uint8Array.of(0x7b, 0xff, 0x7d) },
  ]),
  invalid('a setting that no fetch takes', 'init', (below) => [
    `${below}${path}`,
    { ...post(CHAT), mode: CANARY },
  ]),
  invalid('a chat whose text is no UTF-8', 'body', (below) => [
    `${below}${path}`,
    { method: 'POST', body: Buffer.from(JSON.stringify(CHAT).replace(CANARY, '\xff'), 'latin1') },
  ]),
  invalid('a Request that was read already', 'input', (below) => {
    const used = new Request(`${below}${path}`, post(CHAT))
    void used.text()
    return [used]
  }),
  invalid('no body', 'body', (below) => [`${below}${path}`, { method: 'POST' }]),
  body('nothing in it', ''),
  body(
    'JSON that breaks off',
    `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"${CANARY}`,
  ),
  body('JSON and more', `${JSON.stringify(CHAT)}${CANARY}`),
  body('a trailing comma', `{"model":"${CANARY}",}`),
  body('single quotes', `{'model':'${CANARY}'}`),
  body('a byte order mark inside', `{\ufeff"model":"${CANARY}"}`),
  body('HTML', `<html>${CANARY}</html>`),
  body('null', 'null'),
  body('a list', [CHAT]),
  body('a text', JSON.stringify(CANARY)),
  body('a number', '7'),
  body('an event stream', `data: ${JSON.stringify(CHAT)}\n\n`),
  chat('no model', { model: undefined }, 'model'),
  chat('an empty model', { model: '' }, 'model'),
  chat('a model that is no text', { model: [CANARY] }, 'model'),
  chat('a model of 201 letters', { model: CANARY.padEnd(201, 'x') }, 'model'),
  chat('no messages', { messages: undefined }, 'messages'),
  chat('messages that are no list', { messages: CANARY }, 'messages'),
  chat('a message that is none', { messages: [CANARY] }, 'messages[0].role'),
  chat('stream as text', { stream: CANARY }, 'stream'),
  chat('stream options that are none', { stream: true, stream_options: CANARY }, 'stream_options'),
  chat('n of zero', { n: 0 }, 'n'),
  chat('n of a fraction', { n: 1.5 }, 'n'),
  chat('n of 129', { n: 129 }, 'n'),
  chat('a negative maximum', { max_tokens: -1 }, 'max_tokens'),
  chat('a maximum as text', { max_completion_tokens: CANARY }, 'max_completion_tokens'),
  chat('a maximum of 2^53', { max_completion_tokens: 2 ** 53 }, 'max_completion_tokens'),
  chat('a tier that is no text', { service_tier: 7 }, 'service_tier'),
]
