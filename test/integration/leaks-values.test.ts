import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import * as sqliteEntry from '../../src/adapters/sqlite/index.ts'
import * as rootEntry from '../../src/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { PepperRing } from '../../src/keys/key-hash.ts'
import { localKeyIssuer } from '../../src/keys/local-key-issuer.ts'
import { readOptions } from '../../src/options.ts'
import { checkContext } from '../../src/request/call-context.ts'
import { DataKeys } from '../../src/secrets/data-keys.ts'
import { envelopeSecretStore } from '../../src/secrets/envelope-secret-store.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Storage } from '../../src/storage/storage.ts'
import * as testingEntry from '../../src/testing/index.ts'
import { dump } from '../support/bad-input/dump.ts'
import { canariesIn, capture, leaks, walk } from '../support/canaries.ts'
import {
  base64,
  CHAT,
  KEK,
  openScene,
  PEPPER,
  PLATFORM_SECRET,
  type Scene,
  TENANT_SECRET,
} from '../support/leak-scene.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()
const clock = { elapsedMs: () => performance.now(), nowMs: () => Date.now() }

/** Everything a host can get hold of, after it was used. */
async function valuesOf(scene: Scene): Promise<Readonly<Record<string, unknown>>> {
  const { tk, storage, key, keyId } = scene
  const acme = { tenantId: 'acme' }
  const openai = { ...acme, provider: 'openai' }

  const client = scene.client()
  const answer = await client.chat.completions.create(CHAT)
  const { data, response } = await client.chat.completions.create(CHAT).withResponse()
  const stream = await client.chat.completions.create({ ...CHAT, stream: true })
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  const pooled = await tk.keys.issue({ tenantId: 'pooled', name: 'free', scopes: ['chat'] })
  await scene.client(tk, { key: pooled.key }).chat.completions.create(CHAT)
  const fetched = await scene.call()
  const fetchedJson = await fetched.json()

  const wrapper = localKeyWrapper([{ id: 'kek-1', key: new Secret(base64(KEK)) }])
  const ring = new PepperRing([{ id: 'pep-1', key: base64(PEPPER) }])
  const issuer = localKeyIssuer({ storage, peppers: [{ id: 'pep-1', key: base64(PEPPER) }] })
  const secrets = envelopeSecretStore({ storage, keyWrapper: wrapper, clock })
  const opened = await secrets.open({ ...openai, name: 'default' })
  const dataKeys = new DataKeys({ storage, keyWrapper: wrapper, clock })
  await dataKeys.withCurrent('acme', ({ dek }) => dek.length)
  const options = readOptions({
    storage,
    keyWrapper: wrapper,
    peppers: [{ id: 'pep-1', key: new Secret(base64(PEPPER)) }],
    policy: rootEntry.definePolicy({ scopes: { chat: { providers: ['openai'] } } }),
    platformCredentials: { openai: { apiKey: new Secret(PLATFORM_SECRET) } },
  })
  const context = checkContext({ providers: options.settings }, { key, scope: 'chat' })
  const denial = await client.chat.completions
    .create({ ...CHAT, model: 'gpt-4o' })
    .catch((error: unknown) => error)

  return {
    tk,
    ...Object.fromEntries(Object.entries(tk).map(([name, part]) => [`tk.${name}`, part])),
    'a bound client': client,
    'the chat of a bound client': client.chat.completions,
    'an answer': answer,
    'an answer with its response': [data, response, response.headers],
    'a stream': [stream, ...chunks],
    'a fetch': tk.fetch({ key }),
    'a response of fetch': [fetched, fetchedJson, fetched.headers],
    'a call context': context,
    'a call context with a Secret': { key: new Secret(key), scope: 'chat' },
    'options with Secrets': options,
    'a key wrapper': wrapper,
    'check values': [await wrapper.checkValues(), ring.checkValues()],
    'a wrapped key': await wrapper.wrap(new Uint8Array(32), {
      ...acme,
      dekId: keyId,
      generation: 1,
    }),
    'a pepper ring': ring,
    'a key issuer': [issuer, await issuer.verify(key), issuer.verifyCached(key)],
    'a secret store': secrets,
    'an opened secret': opened,
    'data keys': dataKeys,
    'a Secret': new Secret(TENANT_SECRET),
    storage,
    policy: rootEntry.definePolicy({ scopes: { chat: { providers: ['openai'] } } }),
    receipts: [...scene.receipts, await tk.receiptOf(answer)],
    'key infos': [await tk.keys.get({ ...acme, keyId }), await tk.keys.list(acme), pooled.info],
    'a verification': [await tk.keys.verify(key), await tk.keys.verify(key, { scope: 'other' })],
    'an authorization': [
      await tk.authorize({ key, model: 'gpt-4o-mini' }),
      await tk.authorize({ key, model: 'gpt-4o-mini', estimate: { usd: '9.00' } }),
      await tk.authorize({ key: new Secret(`${key}x`), model: 'gpt-4o-mini' }),
    ],
    'secret infos': [await tk.secrets.get(openai), await tk.secrets.list(acme)],
    budgets: await tk.budgets.list(acme),
    usage: await tk.usage.query({ by: ['tenant', 'key', 'scope', 'provider', 'model'] }),
    health: await tk.health(),
    'a denial': denial,
    'an error': new TenantKeysError('TK_INTERNAL', { ...acme, keyId }),
    'all rows of the store': await dump(storage),
    'the rows of keys': await storage.keys.find(keyId),
    'what the process was told': scene.told,
  }
}

describe.each<[string, () => Storage]>([
  ['memory', memory],
  ['sqlite', () => sqliteEntry.sqlite({ file: fileOf('values.db'), synchronous: 'NORMAL' })],
])('T-L1 T-L2 over %s', (_, makeStore) => {
  let scene: Scene
  let values: Readonly<Record<string, unknown>>
  let printed: string
  beforeAll(async () => {
    const output = capture()
    scene = await openScene(makeStore())
    values = await valuesOf(scene)
    printed = output.stop()
  })
  afterAll(() => scene.close())

  test('no secret shows in anything that is handed out, by any channel', () => {
    expect(Object.keys(values).length).toBeGreaterThan(40)
    const found = Object.entries(values).flatMap(([name, value]) =>
      leaks(value, scene.canaries).map((leak) => `${name}: ${leak}`),
    )
    expect(found).toEqual([])
  })

  test('the walk got somewhere: it found what may be shown', () => {
    const text = walk(values)
    for (const shown of ['acme', scene.keyId, 'sk-...***...6789', 'pep-1', 'kek-1', 'openai']) {
      expect(text).toContain(shown)
    }
    expect(text.length).toBeGreaterThan(50_000)
  })

  test('nothing is printed', () => {
    expect(canariesIn(printed, scene.canaries)).toEqual([])
    expect(printed).toBe('')
  })

  test('T-K9 the key is in the answer of issue, and nowhere else afterwards', async () => {
    const issued = await scene.tk.keys.issue({ tenantId: 'acme', name: 'b', scopes: ['chat'] })
    expect(leaks(issued, { key: issued.key })).toContain('key by walk')
    const { key: canary, ...rest } = issued
    expect(leaks([rest, await dump(scene.storage), scene.told], { canary })).toEqual([])
  })

  test('what was seen by the provider is what had to be seen: one secret, in one header', () => {
    const seen = scene.server.requests
    expect(seen.length).toBeGreaterThan(3)
    for (const { headers, text, url } of seen) {
      const { authorization, ...others } = headers
      expect([`Bearer ${TENANT_SECRET}`, `Bearer ${PLATFORM_SECRET}`]).toContain(authorization)
      expect(canariesIn(walk([others, text, url]), scene.canaries)).toEqual([])
    }
  })
})

describe('T-L1 every exported class', () => {
  const entries = { ...rootEntry, ...sqliteEntry, ...testingEntry }
  const isClass = (value: unknown): boolean =>
    typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))
  /** Classes by name, each made with the canary wherever it takes a text. */
  const made: Readonly<Record<string, (canary: string) => object>> = {
    Secret: (canary) => new Secret(canary),
    TenantKeysError: (canary) =>
      new TenantKeysError('TK_INTERNAL', {}, { cause: new Error(canary, { cause: { canary } }) }),
  }

  test('is one of those that are looked at here', () => {
    const classes = Object.entries(entries).flatMap(([name, value]) =>
      isClass(value) ? [name] : [],
    )
    expect(classes.sort()).toEqual(Object.keys(made).sort())
  })

  test.each(Object.entries(made))('%s shows nothing of what it holds', (_, make) => {
    expect(leaks(make(TENANT_SECRET), { canary: TENANT_SECRET })).toEqual([])
    expect(leaks({ inside: [make(TENANT_SECRET)] }, { canary: TENANT_SECRET })).toEqual([])
  })
})
