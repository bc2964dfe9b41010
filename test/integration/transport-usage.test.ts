import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type Asking,
  DONE,
  ESTIMATED,
  type Expected,
  event,
  expectSame,
  fetched,
  lastOf,
  MEASURED,
  MODEL,
  openTransport,
  STOP,
  send,
  type Transport,
  typeOf,
  UNREADABLE,
  whole,
  word,
} from '../support/bad-input/transport.ts'
import { type Answer, chunkOf, USAGE } from '../support/provider-server.ts'

let transport: Transport
beforeEach(async () => {
  transport = await openTransport()
})
afterEach(() => transport[Symbol.asyncDispose]())

const WAYS: readonly Asking[] = ['JSON', 'a stream']
const PLACE = '"PLACE"'

/** An answer with this text, which need not come from any serializer, in the place of its usage. */
const saying = (asking: Asking, usage: string, more: object = {}): Answer => {
  const last = event({ ...chunkOf(MODEL, {}), choices: [], usage: 'PLACE', ...more })
  const body = asking === 'JSON' ? whole('PLACE', more) : word('one two three') + STOP + last + DONE
  return send(
    { 'content-type': typeOf(asking) },
    body.replace(PLACE, () => usage),
  )
}
/** USAGE with fields written over, as text. */
const usage = (fields: string): string => `${JSON.stringify(USAGE).slice(0, -1)},${fields}}`
const estimated = (asking: Asking): Expected => (asking === 'JSON' ? UNREADABLE : ESTIMATED)

describe.each(WAYS)('T-B9 usage that cannot be true is an estimate: asked for %s', (asking) => {
  test.each([
    ['a negative count', usage('"prompt_tokens":-100')],
    ['a negative part', usage('"prompt_tokens_details":{"cached_tokens":-1}')],
    ['a fraction', usage('"completion_tokens":20.5')],
    ['2^53', usage('"completion_tokens":9007199254740992')],
    ['2^64', usage('"prompt_tokens":18446744073709551616')],
    ['1e400', usage('"completion_tokens":1e400')],
    ['-1e400', usage('"completion_tokens":-1e400')],
    ['a billion and one', usage('"completion_tokens":1000000001')],
    ['a count as text', usage('"prompt_tokens":"100"')],
    ['a count as list', usage('"prompt_tokens":[100]')],
    ['a count as object', usage('"prompt_tokens":{"valueOf":100}')],
    ['true as count', usage('"prompt_tokens":true')],
    ['null as count', usage('"prompt_tokens":null')],
    ['more cached than read', usage('"prompt_tokens_details":{"cached_tokens":101}')],
    ['more reasoned than written', usage('"completion_tokens_details":{"reasoning_tokens":21}')],
    ['details as list', usage('"prompt_tokens_details":[40]')],
    ['a total as text', usage('"total_tokens":"120"')],
    ['a negative total', usage('"total_tokens":-120')],
    ['nothing', 'null'],
    ['a list', '[100,20]'],
    ['a text', '"100"'],
    ['an empty object', '{}'],
    ['counts behind __proto__', '{"__proto__":{"prompt_tokens":1,"completion_tokens":1}}'],
    ['counts behind constructor', '{"constructor":{"prompt_tokens":1,"completion_tokens":1}}'],
  ])('%s', async (_, text) => {
    await expectSame(transport, asking, saying(asking, text), estimated(asking))
    expect(Object.prototype).not.toHaveProperty('prompt_tokens')
  })

  test('a total that no field explains says so, and the parts are charged', async () => {
    const { made } = transport
    const text = usage('"completion_tokens_details":{},"total_tokens":500')
    await expectSame(transport, asking, saying(asking, text), {
      ...ESTIMATED,
      costNanoUsd: 24_000n,
    })
    expect(made.receipts.at(-1)).toMatchObject({ counts: { unattributed_tokens: 380 } })
    expect(made.events.at(-1)).toMatchObject({
      kind: 'usage.uncharged',
      tenantId: 'acme',
      holdId: made.receipts.at(-1)?.attemptId,
      parts: ['unattributed_tokens'],
    })
  })

  test('keys of prototypes beside true counts change nothing', () =>
    expectSame(
      transport,
      asking,
      saying(asking, usage('"__proto__":{"prompt_tokens":1},"constructor":{"x":1},"toString":1')),
      MEASURED,
    ))

  test.each([
    ['a NUL', 'gpt\0-4o'],
    ['half a surrogate pair', 'gpt-\ud800'],
    ['a line break', 'gpt\n4o'],
    ['64 kB', 'x'.repeat(2 ** 16)],
    ['nothing', ''],
    ['no text', 7],
  ])('a served model of %s is not written down', async (_, model) => {
    const text = JSON.stringify(USAGE)
    await expectSame(transport, asking, saying(asking, text, { model }), MEASURED)
    expect(await lastOf(3, transport)).toMatchObject({ model: MODEL, servedModel: null })
  })

  test.each(['__proto__', 'constructor', 'hasOwnProperty', '\0', 'x'.repeat(2 ** 16)])(
    'a class of service %# that has no price is an estimate, by name only where it is one',
    async (service_tier) => {
      const text = JSON.stringify(USAGE)
      await expectSame(transport, asking, saying(asking, text, { service_tier }), ESTIMATED)
      const { priceId } = await lastOf(3, transport)
      expect(priceId).toMatch(/^[\x20-\x7e]{1,200}$/)
      const said = transport.made.events.filter(({ kind }) => kind === 'usage.uncharged')
      expect(said).toHaveLength(3)
      expect(said[0]).toMatchObject({ parts: [expect.stringMatching(/^tier:/)] })
    },
  )
})

describe('usage above what the request could produce', () => {
  test.each(WAYS)('asked for %s: it is posted in full, and said aloud', async (asking) => {
    const { made, server } = transport
    server.answer = saying(asking, usage('"completion_tokens":1000000000,"total_tokens":null'))
    await fetched(made.tk.fetch({ key: made.key }), transport, asking, 'whole')
    const row = await lastOf(1, transport)
    // 60 x 0.15 + 40 x 0.075 + 1e9 x 0.6 USD per million.
    expect(row).toMatchObject({ quality: 'measured', costNanoUsd: 600_000_012_000n })
    const [overage, ...others] = made.events.filter((one) => one.kind === 'budget.overage')
    expect(others).toEqual([])
    expect(overage).toMatchObject({ tenantId: 'acme', holdId: row.id })
    // The budget is spent: the next call is refused before anything is sent.
    const next = await fetched(made.tk.fetch({ key: made.key }), transport, asking, 'whole')
    expect(next).toMatchObject({
      status: null,
      error: expect.stringContaining('The budget cannot cover this call'),
    })
    expect(server.requests).toHaveLength(1)
  })
})
