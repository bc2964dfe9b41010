/**
 * Calls, stores and key services that fail with secrets at hand.
 *
 * @module
 */
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { envelopeSecretStore } from '../../src/secrets/envelope-secret-store.ts'
import type { KeyWrapper } from '../../src/secrets/key-wrapper.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { SecretRecord } from '../../src/storage/records.ts'
import { withFaults } from '../../src/testing/index.ts'
import {
  base64,
  CHAT,
  KEK,
  PEPPER,
  PLATFORM_SECRET,
  type Scene,
  TENANT_SECRET,
} from './leak-scene.ts'
import { watchedDatabase } from './sqlite.ts'

/** One way to fail; must throw. */
export type Failure = (scene: Scene) => unknown

const acme = { tenantId: 'acme' }
const openai = { ...acme, provider: 'openai' }
const KEK_TEXT = base64(KEK)

/** What foreign code throws: with the secrets in every place that drivers and SDKs are known to use. */
export function foreignError(secret: string): Error {
  const inner = Object.assign(new Error(`bad header Bearer ${secret}`), {
    input: secret,
    command: { name: 'set', args: ['key', secret] },
    detail: `Key (value)=(${secret}) already exists.`,
  })
  const request = new Request('http://provider.example', {
    headers: { authorization: `Bearer ${secret}` },
  })
  return Object.assign(new AggregateError([inner], `failed with ${secret}`, { cause: inner }), {
    code: secret,
    name: secret,
    config: {
      headers: { authorization: `Bearer ${secret}` },
      url: `https://user:${secret}@x.example`,
    },
    request,
    [Symbol('secret')]: secret,
  })
}

const throwing = (secret: string) => async (): Promise<never> => {
  throw foreignError(secret)
}

/** Requests and networks that fail with a credential on the way. */
export const callFailures: Readonly<Record<string, Failure>> = {
  'a header that a secret breaks': ({ call }) =>
    call(undefined, { headers: { authorization: `Bearer ${TENANT_SECRET}\nx` } }),
  'a header named like a secret': ({ call }) =>
    call(undefined, { headers: { [`x ${TENANT_SECRET}`]: '1' } }),
  'a URL that is none, with a secret': ({ tk, key }) =>
    tk.fetch({ key })(`https://${TENANT_SECRET}:x`),
  'a URL elsewhere, with a secret': ({ tk, key }) =>
    tk.fetch({ key })(`https://x.example/?key=${TENANT_SECRET}`),
  'a body that breaks off after a secret': ({ call }) =>
    call(undefined, { body: `{"a":"${TENANT_SECRET}` }),
  'a key that is not known': ({ tk, key, server }) =>
    tk.fetch({ key: `${key.slice(0, -1)}!` })(`${server.baseUrl}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify(CHAT),
    }),
  'a model that is denied': ({ client }) =>
    client().chat.completions.create({ ...CHAT, model: 'gpt-4o' }),
  'a budget that is exhausted': async ({ client, tk }) => {
    await tk.budgets.set({ account: acme, window: 'lifetime', limit: { usd: '0' } })
    return client()
      .chat.completions.create(CHAT)
      .finally(() => tk.budgets.remove({ account: acme, window: 'lifetime' }))
  },
  ...Object.fromEntries(
    [TENANT_SECRET, PLATFORM_SECRET].map((secret, i) => [
      `a fetch that throws what it was given, ${i}`,
      async ({ start, call }: Scene) => call(await start({ fetch: throwing(secret) })),
    ]),
  ),
  'a fetch that throws a text': async ({ start, call }) =>
    call(await start({ fetch: () => Promise.reject(`Bearer ${TENANT_SECRET}`) })),
  'a fetch that throws its headers': async ({ start, call }) =>
    call(
      await start({
        fetch: async (_, init) => {
          throw Object.assign(new TypeError('x'), { init, cause: init?.headers })
        },
      }),
    ),
  'a fetch that throws, under the client': async ({ start, client }) =>
    client(await start({ fetch: throwing(TENANT_SECRET) })).chat.completions.create(CHAT),
  'a body that breaks with what was sent': async ({ start, call }) => {
    const tk = await start({ fetch: brokenBody('application/json', TENANT_SECRET) })
    return (await call(tk)).json()
  },
  'a body that breaks, read as bytes': async ({ start, call }) => {
    const tk = await start({ fetch: brokenBody('application/json', TENANT_SECRET) })
    for await (const _ of (await call(tk)).body ?? []) {
      // Until it breaks.
    }
  },
  'a stream that breaks with what was sent': async ({ start, client }) => {
    const tk = await start({ fetch: brokenBody('text/event-stream', TENANT_SECRET) })
    for await (const _ of await client(tk).chat.completions.create({ ...CHAT, stream: true })) {
      // Until it breaks.
    }
  },
  'a provider that is not there': async ({ start, client }) =>
    client(
      await start({ providers: { openai: { baseUrl: 'http://127.0.0.1:1/v1' } } }),
    ).chat.completions.create(CHAT),
  'a provider without TLS': async ({ start, client, server }) =>
    client(
      await start({
        providers: { openai: { baseUrl: server.baseUrl.replace('http:', 'https:') } },
      }),
    ).chat.completions.create(CHAT),
  ...Object.fromEntries(
    [400, 401, 403, 404, 409, 422, 429, 500, 503].map((status) => [
      `a provider that answers ${status}`,
      ({ client, server }: Scene) => {
        server.answer = (_, response) => {
          response.writeHead(status, { 'content-type': 'application/json' })
          response.end('{"error":{"message":"no","type":"x","code":"y"}}')
        }
        return client().chat.completions.create(CHAT)
      },
    ]),
  ),
  'a provider that hangs up': ({ client, server }) => {
    server.answer = (_, response) => void response.destroy()
    return client().chat.completions.create(CHAT)
  },
  'a provider that answers HTML': ({ client, server }) => {
    server.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('<html>')
    }
    return client().chat.completions.create(CHAT)
  },
  'a client that gives up': ({ client, server }) => {
    server.answer = () => new Promise(() => {})
    return client(undefined, {}, { timeout: 30 }).chat.completions.create(CHAT)
  },
  'a caller who gives up': ({ client }) =>
    client().chat.completions.create(CHAT, { signal: AbortSignal.abort() }),
}

function brokenBody(type: string, secret: string): typeof fetch {
  return async () =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.error(foreignError(secret)),
      }),
      { status: 200, headers: { 'content-type': type } },
    )
}

/** A store that loses requests of these commands. */
const without =
  (...commands: readonly string[]): Failure =>
  async ({ start, storage, call }) => {
    const lossy = withFaults(storage, ({ command }) =>
      commands.includes(command) ? 'lost-request' : null,
    )
    return (await call(await start({ storage: lossy }))).json()
  }

/** A wrapper around a good one, with one method replaced. */
const wrapping =
  (over: Partial<KeyWrapper>, make: Failure): Failure =>
  async (scene) => {
    const good = localKeyWrapper([{ id: 'kek-1', key: KEK_TEXT }])
    const port: KeyWrapper = {
      contractVersion: 1,
      primaryKekId: 'kek-1',
      wrap: (dek, context) => good.wrap(dek, context),
      unwrap: (key, context) => good.unwrap(key, context),
      ...over,
    }
    return make({ ...scene, tk: await scene.start({ keyWrapper: port }) })
  }
const callIt: Failure = ({ call, tk }) => call(tk)
const putNew: Failure = async ({ tk }) => {
  const tenantId = `t${Math.random().toString(36).slice(2)}`
  await tk.tenants.create({ id: tenantId })
  return tk.secrets.put({ tenantId, provider: 'openai', value: { apiKey: TENANT_SECRET } })
}

/** A store whose secret rows are changed on the way out. */
const tampered =
  (change: (row: SecretRecord) => Partial<SecretRecord>): Failure =>
  async ({ start, storage, call }) => {
    const get: typeof storage.secrets.get = async (ref) => {
      const row = await storage.secrets.get(ref)
      return row && { ...row, ...change(row) }
    }
    return call(await start({ storage: { ...storage, secrets: { ...storage.secrets, get } } }))
  }

/** A secret that was stored past the checks, and cannot stand in a header. */
const storedAs =
  (apiKey: string): Failure =>
  async ({ start, storage, call, tk }) => {
    const clock = { elapsedMs: () => performance.now() }
    const keyWrapper = localKeyWrapper([{ id: 'kek-1', key: KEK_TEXT }])
    const store = envelopeSecretStore({ storage, keyWrapper, clock })
    const secretFields = { apiKey: new Secret(apiKey) }
    const rest = { publicFields: {}, origin: null, masked: '...', actor: 'system' }
    await store.put({ ...openai, name: 'default', secretFields, ...rest })
    const again = (): Promise<unknown> =>
      tk.secrets.put({ ...openai, value: { apiKey: TENANT_SECRET } })
    return call(await start()).finally(again)
  }

/** Stores, key services and stored rows that fail. */
export const partFailures: Readonly<Record<string, Failure>> = {
  'a store without keys.find': without('keys.find'),
  'a store without secrets.get': without('secrets.get'),
  'a store without deks.get': without('deks.get'),
  'a store without ledger.reserve': without('ledger.reserve'),
  'a store without epoch': async ({ start, storage, tk: _ }) =>
    (
      await start({
        storage: withFaults(storage, ({ command }) =>
          command === 'epoch' ? 'lost-request' : null,
        ),
      })
    ).keys.issue({ ...acme, name: 'a', scopes: ['chat'], expiresAtMs: Date.now() + 60_000 }),
  'a store without secrets.put': async ({ start, storage }) =>
    (
      await start({
        storage: withFaults(storage, ({ command }) =>
          command === 'secrets.put' ? 'lost-reply' : null,
        ),
      })
    ).secrets.put({ ...openai, name: 'b', value: { apiKey: TENANT_SECRET } }),
  'a store without keys.create': async ({ start, storage }) =>
    (
      await start({
        storage: withFaults(storage, ({ command }) =>
          command === 'keys.create' ? 'lost-reply' : null,
        ),
      })
    ).keys.issue({ ...acme, name: 'a', scopes: ['chat'] }),
  'a store without migrate': ({ start, storage }) =>
    start({
      storage: withFaults(storage, ({ command }) =>
        command === 'migrate' ? 'lost-request' : null,
      ),
    }),
  'a driver that throws what it was given': async ({ start }) => {
    const database = watchedDatabase(':memory:', (sql) => {
      if (/^INSERT OR REPLACE INTO tenant_secrets/.test(sql)) throw foreignError(TENANT_SECRET)
    })
    const tk = await start({ storage: sqlite({ database }) })
    await tk.tenants.create({ id: 'acme' })
    return tk.secrets.put({ ...openai, value: { apiKey: TENANT_SECRET } })
  },
  'a driver that throws when it looks a key up': async ({ start, key }) => {
    const database = watchedDatabase(':memory:', (sql) => {
      if (/FROM tenant_api_keys/.test(sql)) throw foreignError(key)
    })
    return (await start({ storage: sqlite({ database }) })).keys.verify(key)
  },
  'a wrapper that throws its KEK': wrapping({ unwrap: throwing(KEK_TEXT) }, callIt),
  'a wrapper that throws the wrapped key': wrapping(
    {
      unwrap: async (key) => {
        throw Object.assign(foreignError(TENANT_SECRET), { key })
      },
    },
    callIt,
  ),
  'a wrapper that throws the key it should wrap': wrapping(
    {
      wrap: async (dek) => {
        throw Object.assign(new Error(base64(dek)), { dek, kek: KEK })
      },
    },
    putNew,
  ),
  'a wrapper that answers nothing': wrapping({ unwrap: async () => new Uint8Array(0) }, callIt),
  'a wrapper that gives back another key': wrapping(
    { wrap: async () => ({ kekId: 'kek-1', wrapped: KEK }) },
    putNew,
  ),
  'a wrapper whose check values throw': wrapping({ checkValues: throwing(KEK_TEXT) }, callIt),
  'a ring without the KEK': async ({ start, call }) =>
    call(await start({ keyWrapper: localKeyWrapper([{ id: 'kek-2', key: PEPPER }]) })),
  'a list without the pepper': async ({ start, key }) =>
    (await start({ peppers: [{ id: 'pep-2', key: KEK }] })).keys.verify(key),
  'an envelope with a changed byte': tampered(({ envelope }) => ({
    envelope: envelope.map((b, i) => (i === 140 ? b ^ 1 : b)),
  })),
  'an envelope that is text': tampered(() => ({
    envelope: new TextEncoder().encode(TENANT_SECRET),
  })),
  'an envelope of another version': tampered(({ version }) => ({ version: version + 1 })),
  'an envelope for another origin': tampered(() => ({
    origin: 'https://x.example',
    publicFields: { endpoint: 'https://x.example' },
  })),
  'a data key that is not there': tampered(() => ({
    dekId: '018f3c1e-7b1a-7cc3-9a55-00000000d0d0',
  })),
  'a stored secret with a line break inside': storedAs(`${TENANT_SECRET}\nx`),
  'a stored secret with a NUL': storedAs(`${TENANT_SECRET}\0`),
  'a stored secret with unicode': storedAs(`${TENANT_SECRET}\u2013`),
}
