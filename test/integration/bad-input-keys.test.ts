import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { TenantKeysError } from '../../src/kernel/errors.ts'
import { PepperRing } from '../../src/keys/key-hash.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { TenantKeys } from '../../src/tenant-keys.ts'
import { createTenantKeys } from '../../src/tenant-keys.ts'
import { acmeBudget, install } from '../support/installation.ts'
import { chat, type ProviderServer, startProvider } from '../support/provider-server.ts'
import { queryAll, tamper, temporaryFiles } from '../support/sqlite.ts'
import { testKey } from '../support/test-key.ts'

const fileOf = temporaryFiles()
let server: ProviderServer
let file: string
let key: string
let good: TenantKeysOptions

beforeAll(async () => {
  server = await startProvider(chat)
  file = fileOf('keys.db')
  good = {
    storage: memory(),
    keyWrapper: ring({ 'kek-1': 1 }),
    peppers: peppers({ 'pep-1': 2 }),
    policy: definePolicy({
      scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
    }),
    providers: { openai: { baseUrl: server.baseUrl } },
  }
  const made = await install(server.baseUrl, { storage: sqlite({ file }) })
  key = made.key
  await made.tk.close()
})
afterAll(() => server.close())

type Seeds = Readonly<Record<string, number>>
const peppers = (seeds: Seeds): { id: string; key: Uint8Array }[] =>
  Object.entries(seeds).map(([id, seed]) => ({ id, key: testKey(seed) }))
const ring = (seeds: Seeds) => localKeyWrapper(peppers(seeds))

const start = (over: Partial<TenantKeysOptions>, at = file): Promise<TenantKeys> =>
  createTenantKeys({ ...good, storage: sqlite({ file: at, synchronous: 'NORMAL' }), ...over })

const failure = async (work: Promise<unknown>): Promise<TenantKeysError> => {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  )
  return error as TenantKeysError
}
const pins = (): unknown => queryAll(file, 'SELECT name, value FROM tk_pins ORDER BY name')

const call = (tk: TenantKeys): Promise<Response> =>
  tk.fetch({ key })(`${server.baseUrl}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] }),
  })

describe('T-C15 a key that is not the one an id stands for is found at start', () => {
  const wrong: readonly [string, () => Partial<TenantKeysOptions>, object][] = [
    ['the KEK', () => ({ keyWrapper: ring({ 'kek-1': 9 }) }), { kekId: 'kek-1' }],
    [
      'a KEK behind a new one',
      () => ({ keyWrapper: ring({ 'kek-2': 3, 'kek-1': 9 }) }),
      { kekId: 'kek-1' },
    ],
    ['the pepper', () => ({ peppers: peppers({ 'pep-1': 9 }) }), { pepperId: 'pep-1' }],
    [
      'a pepper behind a new one',
      () => ({ peppers: peppers({ 'pep-2': 3, 'pep-1': 9 }) }),
      { pepperId: 'pep-1' },
    ],
    [
      'both, exchanged',
      () => ({ keyWrapper: ring({ 'kek-1': 2 }), peppers: peppers({ 'pep-1': 1 }) }),
      { kekId: 'kek-1' },
    ],
  ]
  test.each(wrong)('%s', async (_, over, details) => {
    const before = pins()
    for (const migrate of [true, false]) {
      const error = await failure(start({ ...over(), migrate }))
      expect(error).toMatchObject({ code: 'TK_KEK_MISMATCH', details, outcome: 'none' })
    }
    // The new key in front of a wrong one is not noted: it may be wrong as well.
    expect(pins()).toEqual(before)
  })

  test('the values noted are no keys, and tell KEK and pepper of equal bytes apart', async () => {
    const at = fileOf('equal.db')
    const tk = await start({ keyWrapper: ring({ same: 4 }), peppers: peppers({ same: 4 }) }, at)
    await tk.close()
    const rows = queryAll(at, 'SELECT name, value FROM tk_pins ORDER BY name')
    expect(rows.map(({ name }) => name)).toEqual(['kek:same', 'pepper:same'])
    expect(rows[0]?.value).toMatch(/^[0-9a-f]{16}$/)
    expect(rows[1]?.value).toMatch(/^[0-9a-f]{16}$/)
    expect(rows[0]?.value).not.toBe(rows[1]?.value)
    const bytes = Buffer.from(testKey(4)).toString('hex')
    expect(bytes).not.toContain(rows[0]?.value)
    expect(bytes).not.toContain(rows[1]?.value)
  })

  test('KW-4 the values are the same in every process and release, and other for other keys', async () => {
    const by = (seed: number, label: string): string =>
      createHmac('sha256', testKey(seed)).update(label).digest('hex').slice(0, 16)
    const kekLabel = 'tenantkeys kek check v1'
    expect(await ring({ a: 1, b: 2 }).checkValues()).toEqual([
      { kekId: 'a', value: by(1, kekLabel) },
      { kekId: 'b', value: by(2, kekLabel) },
    ])
    const pepperLabel = '26:tenantkeys/pepper-check/v1,'
    expect(new PepperRing(peppers({ a: 1, b: 2 })).checkValues()).toEqual([
      { pepperId: 'a', value: by(1, pepperLabel) },
      { pepperId: 'b', value: by(2, pepperLabel) },
    ])
  })

  test('the right keys start, in any order and beside new ones', async () => {
    for (const over of [
      {},
      {
        keyWrapper: ring({ 'kek-1': 1, 'kek-2': 3 }),
        peppers: peppers({ 'pep-2': 4, 'pep-1': 2 }),
      },
      { keyWrapper: ring({ 'kek-2': 3, 'kek-1': 1 }) },
      { migrate: false },
    ]) {
      const tk = await start(over)
      expect(await tk.keys.verify(key)).toMatchObject({ ok: true })
      await tk.close()
    }
  })

  test('tk.migrate() finds what createTenantKeys could not look at without tables', async () => {
    const at = fileOf('later.db')
    const tk = await start({ migrate: false }, at)
    const first = await start({ keyWrapper: ring({ 'kek-1': 9 }) }, at)
    expect(await failure(tk.migrate())).toMatchObject({
      code: 'TK_KEK_MISMATCH',
      details: { kekId: 'kek-1' },
    })
    await Promise.all([tk.close(), first.close()])
  })

  test('a noted value that somebody edited is a mismatch, not a start', async () => {
    const at = fileOf('edited.db')
    await (await start({}, at)).close()
    tamper(at, "UPDATE tk_pins SET value = '' WHERE name = 'kek:kek-1'")
    expect(await failure(start({}, at))).toMatchObject({ code: 'TK_KEK_MISMATCH' })
  })

  test('a wrapper without check values starts, one that fails is a typed error', async () => {
    const inner = ring({ 'kek-1': 1 })
    const { wrap, unwrap } = { wrap: inner.wrap.bind(inner), unwrap: inner.unwrap.bind(inner) }
    const port = { contractVersion: 1, primaryKekId: 'kek-1', wrap, unwrap } as const
    const tk = await start({ keyWrapper: port })
    const answer = await call(tk)
    expect(answer.status).toBe(200)
    await answer.json()
    await tk.close()
    const checkValues = async (): Promise<never> => {
      throw new Error('https://user:canary-5f1c9e@kms.example')
    }
    const error = await failure(start({ keyWrapper: { ...port, checkValues } }))
    expect(error).toMatchObject({ code: 'TK_STORE_UNAVAILABLE' })
    expect(
      JSON.stringify(error) + String(error.stack) + String((error.cause as Error).stack),
    ).not.toContain('canary')
  })
})

describe('a key that is missing is named when it is needed', () => {
  test('S4 without the KEK no secret opens, the hold is voided, and nothing is sent', async () => {
    const tk = await start({ keyWrapper: ring({ 'kek-2': 3 }) })
    const sent = server.requests.length
    const unknown = { code: 'TK_KEK_UNKNOWN', details: { kekId: 'kek-1' } }
    expect(await failure(call(tk))).toMatchObject(unknown)
    expect(server.requests.length).toBe(sent)
    expect((await acmeBudget(tk)).held).toBe(0n)
    // Metadata needs no key.
    expect(await tk.secrets.list({ tenantId: 'acme' })).toMatchObject({ items: [{ version: 1 }] })
    // Entered again, the secret stands under a data key that the KEK at hand opens.
    await tk.secrets.put({ tenantId: 'acme', provider: 'openai', value: { apiKey: 'sk-again' } })
    await (await call(tk)).json()
    expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer sk-again')
    await tk.close()
  })

  test('without the pepper no key is verified, and none is taken for an unknown one', async () => {
    const tk = await start({ peppers: peppers({ 'pep-2': 4 }) })
    const unknown = { code: 'TK_PEPPER_UNKNOWN', details: { pepperId: 'pep-1' } }
    expect(await failure(tk.keys.verify(key))).toMatchObject(unknown)
    expect(await failure(tk.authorize({ key, model: 'gpt-4o-mini' }))).toMatchObject(unknown)
    expect(await failure(call(tk))).toMatchObject(unknown)
    await tk.close()
  })
})
