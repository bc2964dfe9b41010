/**
 * Bad contexts, clients that cannot be bound, and values without a receipt.
 *
 * @module
 */
import { createOpenAI } from '@ai-sdk/openai'
import OpenAI from 'openai'
import { as, type Bench, CANARY, type Row } from './row.ts'
import { NO_CONTEXTS } from './values.ts'

/** What is wrong, the field that says so, and what is given over a good context. */
const BAD_CONTEXTS: readonly (readonly [string, string, object])[] = [
  ['no key', 'context.key', { key: undefined }],
  ['a key that is no text', 'context.key', { key: 7 }],
  ['a key as bytes', 'context.key', { key: new Uint8Array(74) }],
  ['a key that only looks like a Secret', 'context.key', { key: { reveal: () => CANARY } }],
  ['an empty scope', 'context.scope', { scope: '' }],
  ['a scope that is no text', 'context.scope', { scope: [CANARY] }],
  ['a scope of 65 letters', 'context.scope', { scope: CANARY.padEnd(65, 'x') }],
  ['a provider that is not known', 'context.provider', { provider: CANARY }],
  ['constructor as provider', 'context.provider', { provider: 'constructor' }],
  ['an empty provider', 'context.provider', { provider: '' }],
  ['a provider that is no text', 'context.provider', { provider: 7 }],
  ['a credential that is no id', 'context.credential', { credential: `../${CANARY}` }],
  ['a credential that is no text', 'context.credential', { credential: null }],
  ['a negative waitMs', 'context.waitMs', { waitMs: -1 }],
  ['a waitMs of more than ten minutes', 'context.waitMs', { waitMs: 600_001 }],
  ['a waitMs that is no number', 'context.waitMs', { waitMs: CANARY }],
  ['a waitMs of half a millisecond', 'context.waitMs', { waitMs: 0.5 }],
  ['a waitMs without end', 'context.waitMs', { waitMs: Number.POSITIVE_INFINITY }],
  ['null as waitMs', 'context.waitMs', { waitMs: null }],
  ['an empty hold', 'context.hold', { hold: '' }],
  ['null as hold', 'context.hold', { hold: null }],
  ['a hold of another kind', 'context.hold', { hold: CANARY }],
  ['a callback that is none', 'context.onReceipt', { onReceipt: CANARY }],
  ['a tenant beside the key', 'context.tenantId', { tenantId: CANARY }],
  ['a tenant without a scope', 'context.scope', { key: undefined, tenantId: 'acme' }],
  ['a tenant that is no id', 'context.tenantId', { key: undefined, tenantId: `../${CANARY}` }],
  ['tags that are no object', 'context.tags', { tags: CANARY }],
  ['a tag whose name has blanks', 'context.tags', { tags: { 'a b': CANARY } }],
  ['a tag that is no text', 'context.tags', { tags: { a: 7 } }],
  ['a tag of several lines', 'context.tags', { tags: { a: `${CANARY}\n` } }],
  ['a tag of 257 characters', 'context.tags', { tags: { a: CANARY.padEnd(257, 'x') } }],
  ['T-I7 a tag __proto__', 'context.tags', { tags: JSON.parse(`{"__proto__":"${CANARY}"}`) }],
  ['an unknown field', 'context.tenant', { tenant: CANARY }],
  ['T-I7 a field constructor', 'context.constructor', JSON.parse(`{"constructor":"${CANARY}"}`)],
]

const badContexts = (method: string, run: (bench: Bench, context: unknown) => unknown): Row[] => [
  ...Object.entries(NO_CONTEXTS)
    // Left out, the context is looked for when a call is made; only tk.run demands it.
    .filter(([, context]) => context !== undefined || method === 'run')
    .map(
      ([what, context]): Row => ({
        method,
        what: `context: ${what}`,
        run: (bench) => run(bench, context),
        code: 'TK_INPUT_INVALID',
        field: 'context',
      }),
    ),
  ...BAD_CONTEXTS.map(
    ([what, field, over]): Row => ({
      method,
      what: `a context with ${what}`,
      run: (bench) => run(bench, { key: bench.key, ...over }),
      code: 'TK_INPUT_INVALID',
      field,
    }),
  ),
  {
    method,
    what: 'T-I7 a context with a field __proto__',
    run: (bench) => run(bench, JSON.parse(`{"key":"${bench.key}","__proto__":{"polluted":1}}`)),
    code: 'TK_INPUT_INVALID',
    field: 'context.__proto__',
  },
]

const openai = (): OpenAI => new OpenAI({ apiKey: CANARY })
const clients: Readonly<Record<string, () => unknown>> = {
  nothing: () => undefined,
  null: () => null,
  'a text': () => CANARY,
  'a number': () => 7,
  'an empty object': () => ({}),
  'an object without a prototype': () => Object.create(null),
  'a list': () => [],
  'a function': () => () => CANARY,
  'a class that was not made': () => OpenAI,
  'a client for Vertex AI': () =>
    Object.assign(Object.create(null), { vertexai: true, models: {}, chats: {} }),
  'a finished provider of the AI SDK': () => createOpenAI({ apiKey: CANARY }),
  'a finished model of the AI SDK': () => createOpenAI({ apiKey: CANARY })('gpt-4o-mini'),
  'a client whose withOptions throws': () =>
    Object.assign(openai(), {
      withOptions: () => {
        throw new Error(CANARY)
      },
    }),
  'a client whose withOptions answers nothing': () =>
    Object.assign(openai(), { withOptions: () => null }),
  'a client whose fields throw': () =>
    new Proxy(openai(), {
      get: () => {
        throw new Error(CANARY)
      },
    }),
}

const NO_RECEIPTS: Readonly<Record<string, unknown>> = {
  nothing: undefined,
  null: null,
  'a text': CANARY,
  'an object of another': { usage: { total: CANARY } },
  'a Response of another': new Response(CANARY),
  'an object whose fields throw': new Proxy(
    {},
    {
      get: () => {
        throw new Error(CANARY)
      },
    },
  ),
}

export const contextRows: readonly Row[] = [
  ...badContexts('withTenantKey', ({ tk }, context) => tk.withTenantKey(openai(), as(context))),
  ...badContexts('fetch', ({ tk }, context) => tk.fetch(as(context))),
  ...badContexts('run', ({ tk }, context) => tk.run(as(context), () => CANARY)),
  ...Object.entries(clients).map(
    ([what, client]): Row => ({
      method: 'withTenantKey',
      what,
      run: ({ tk, key }) => tk.withTenantKey(as(client()), { key }),
      code: 'TK_CLIENT_NOT_BINDABLE',
      field: null,
    }),
  ),
  ...Object.entries(NO_RECEIPTS).map(
    ([what, value]): Row => ({
      method: 'receiptOf',
      what,
      run: ({ tk }) => tk.receiptOf(value),
      code: 'TK_RECEIPT_UNKNOWN',
      field: null,
    }),
  ),
]
