import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { SecretRecord } from '../../src/storage/records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import {
  type Installation,
  install,
  PLATFORM_SECRET,
  TENANT_SECRET,
} from '../support/installation.ts'
import { chat, json, type ProviderServer, startProvider } from '../support/provider-server.ts'

const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'Hello' }] }
const platformCredentials = { openai: { apiKey: PLATFORM_SECRET } }

let server: ProviderServer
let opened: Installation[]

beforeEach(async () => {
  server = await startProvider(chat)
  opened = []
})
afterEach(async () => {
  for (const { tk } of opened) await tk.close()
  await server.close()
})

async function open(options: Parameters<typeof install>[1] = {}): Promise<Installation> {
  const installation = await install(server.baseUrl, { platformCredentials, ...options })
  opened.push(installation)
  return installation
}

const codeOf = async (work: Promise<unknown>): Promise<string | null> => {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  )
  return TenantKeysError.isInstance(error)
    ? error.code
    : error === null
      ? null
      : `not ours: ${String(error)}`
}

const sawPlatformKey = (): boolean =>
  server.requests.some(
    (r) => JSON.stringify(r.headers).includes(PLATFORM_SECRET) || r.text.includes(PLATFORM_SECRET),
  )

/** A store whose secret rows are changed on the way out, as by someone who writes to the database. */
function tampered(change: (row: SecretRecord) => SecretRecord): Storage {
  const inner = memory()
  const get: Storage['secrets']['get'] = async (ref) => {
    const row = await inner.secrets.get(ref)
    return row && change(row)
  }
  return { ...inner, secrets: { ...inner.secrets, get } }
}

describe('T-I4 a strict tenant never falls back to the platform credential', () => {
  test('S1.15 without a credential of its own it is refused', async () => {
    const { tk, client } = await open()
    await tk.secrets.delete({ tenantId: 'acme', provider: 'openai' })
    expect(await codeOf(client().chat.completions.create(ASK))).toBe('TK_SECRET_NOT_FOUND')
    expect(server.requests).toHaveLength(0)
  })

  test('S1.16 with a credential that cannot be opened it is refused, and nothing stays held', async () => {
    const flip = (row: SecretRecord): SecretRecord => ({
      ...row,
      envelope: row.envelope.map((byte, i) => (i === row.envelope.length - 1 ? byte ^ 1 : byte)),
    })
    const { tk, client } = await open({ storage: tampered(flip) })
    expect(await codeOf(client().chat.completions.create(ASK))).toBe('TK_ENVELOPE_OPEN_FAILED')
    const budget = await tk.budgets.get({ account: { tenantId: 'acme' }, window: 'month' })
    expect(budget).toMatchObject({ usedAmount: 0n, heldAmount: 0n })
    expect(server.requests).toHaveLength(0)
  })

  test('S1.16 a credential that the provider refuses is not replaced', async () => {
    const { client } = await open()
    server.answer = (_, response) => json(response, { error: { message: 'bad key' } }, 401)
    await expect(client().chat.completions.create(ASK)).rejects.toBeInstanceOf(
      OpenAI.AuthenticationError,
    )
    expect(server.requests).toHaveLength(1)
    expect(sawPlatformKey()).toBe(false)
  })

  test('S1.14 with a credential configured, that one is used exclusively', async () => {
    const { client } = await open()
    await client().chat.completions.create(ASK)
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${TENANT_SECRET}`)
    expect(sawPlatformKey()).toBe(false)
  })

  test('S1.12 a tenant set to the platform credential uses it, and its receipt says so', async () => {
    const { tk } = await open()
    await tk.tenants.create({ id: 'free', credentials: 'platform' })
    const { key } = await tk.keys.issue({ tenantId: 'free', name: 'k', scopes: ['support:chat'] })
    const answer = await tk
      .withTenantKey(new OpenAI({ apiKey: 'x' }), { key })
      .chat.completions.create(ASK)
    expect(await tk.receiptOf(answer)).toMatchObject({
      paidBy: 'platform',
      credential: { secretId: null },
    })
    expect(sawPlatformKey()).toBe(true)
  })

  test('a tenant set to the platform credential without one configured is refused', async () => {
    const { tk } = await open({ platformCredentials: undefined })
    await tk.tenants.create({ id: 'free', credentials: 'platform' })
    const { key } = await tk.keys.issue({ tenantId: 'free', name: 'k', scopes: ['support:chat'] })
    const call = tk.withTenantKey(new OpenAI({ apiKey: 'x' }), { key }).chat.completions.create(ASK)
    expect(await codeOf(call)).toBe('TK_SECRET_NOT_FOUND')
  })
})

describe("SS-4 T-S4 a tenant's credential goes only where it was stored for", () => {
  const value = { apiKey: TENANT_SECRET, endpoint: 'https://llm.acme.example/v1' }

  test('an endpoint the operator has not listed is refused before anything is written', async () => {
    const { tk } = await open()
    const before = await tk.secrets.get({ tenantId: 'acme', provider: 'openai' })
    expect(await codeOf(tk.secrets.put({ tenantId: 'acme', provider: 'openai', value }))).toBe(
      'TK_ORIGIN_DENIED',
    )
    expect(await tk.secrets.get({ tenantId: 'acme', provider: 'openai' })).toEqual(before)
  })

  test('an endpoint cannot be changed without giving the key again', async () => {
    const { tk } = await open({ allowedEndpoints: ['https://llm.acme.example'] })
    const { endpoint } = value
    const put = tk.secrets.put({ tenantId: 'acme', provider: 'openai', value: { endpoint } })
    await expect(put).rejects.toMatchObject({
      code: 'TK_INPUT_INVALID',
      details: { field: 'value.apiKey' },
    })
  })

  test('a listed endpoint gets the tenant credential, at its own path', async () => {
    const own = await startProvider(chat)
    try {
      const { tk, client } = await open({ allowedEndpoints: [new URL(own.baseUrl).origin] })
      const apiKey = TENANT_SECRET
      await tk.secrets.put({
        tenantId: 'acme',
        provider: 'openai',
        value: { apiKey, endpoint: own.baseUrl },
      })
      await client().chat.completions.create(ASK)
      expect(own.requests[0]).toMatchObject({ url: '/v1/chat/completions' })
      expect(server.requests).toHaveLength(0)
    } finally {
      await own.close()
    }
  })

  test('an endpoint changed in the database is not used: the secret does not open for it', async () => {
    const evil = await startProvider(chat)
    try {
      const { origin } = new URL(evil.baseUrl)
      const move = (row: SecretRecord): SecretRecord => ({
        ...row,
        origin,
        publicFields: { endpoint: evil.baseUrl },
      })
      const { client } = await open({ storage: tampered(move), allowedEndpoints: [origin] })
      expect(await codeOf(client().chat.completions.create(ASK))).toBe('TK_ENVELOPE_OPEN_FAILED')
      expect(evil.requests).toHaveLength(0)
    } finally {
      await evil.close()
    }
  })

  test('an endpoint field changed in the database without its origin is refused', async () => {
    const move = (row: SecretRecord): SecretRecord => ({
      ...row,
      origin: 'https://a.example',
      publicFields: { endpoint: 'https://evil.example/v1' },
    })
    const { client } = await open({
      storage: tampered(move),
      allowedEndpoints: ['https://a.example'],
    })
    expect(await codeOf(client().chat.completions.create(ASK))).toBe('TK_ORIGIN_DENIED')
  })

  test('a credential that is stored anew for another place during a call is not sent to the old one', async () => {
    const own = await startProvider(chat)
    try {
      const inner = memory()
      const meanwhile: (() => Promise<unknown>)[] = []
      const reserve: Storage['ledger']['reserve'] = async (items) => {
        for (const change of meanwhile.splice(0)) await change()
        return inner.ledger.reserve(items)
      }
      const storage = { ...inner, ledger: { ...inner.ledger, reserve } }
      const { tk, client } = await open({ storage, allowedEndpoints: [own.baseUrl] })
      const ref = { tenantId: 'acme', provider: 'openai' }
      await tk.secrets.delete(ref)
      const first = await tk.secrets.put({
        ...ref,
        value: { apiKey: TENANT_SECRET, endpoint: own.baseUrl },
      })
      meanwhile.push(
        () => tk.secrets.delete(ref),
        () => tk.secrets.put({ ...ref, value: { apiKey: 'sk-for-openai-only-0123456789' } }),
      )
      expect(await codeOf(client().chat.completions.create(ASK))).toBe('TK_STORE_CONFLICT')
      expect(own.requests).toEqual([])
      // Both are the first version, of two secrets.
      const second = await tk.secrets.get(ref)
      expect([second!.version, second!.id === first.id]).toEqual([first.version, false])
    } finally {
      await own.close()
    }
  })

  test('an endpoint that stands in the database only until it was chosen gets nothing', async () => {
    const own = await startProvider(chat)
    try {
      const { origin } = new URL(own.baseUrl)
      let reads = 0
      const storage = tampered((row) => {
        reads++
        return reads === 1 ? { ...row, origin, publicFields: { endpoint: own.baseUrl } } : row
      })
      const { client } = await open({ storage, allowedEndpoints: [origin] })
      reads = 0
      expect(await codeOf(client().chat.completions.create(ASK))).toBe('TK_STORE_CONFLICT')
      expect([own.requests, server.requests]).toEqual([[], []])
      expect(reads).toBe(2)
    } finally {
      await own.close()
    }
  })
})

test('T-S5 the platform credential never goes to an origin a tenant set', async () => {
  const own = await startProvider(chat)
  try {
    const { tk } = await open({ allowedEndpoints: [new URL(own.baseUrl).origin] })
    await tk.tenants.create({ id: 'pooled', credentials: 'platform' })
    const value = { apiKey: TENANT_SECRET, endpoint: own.baseUrl }
    await tk.secrets.put({ tenantId: 'pooled', provider: 'openai', value })
    const { key } = await tk.keys.issue({ tenantId: 'pooled', name: 'k', scopes: ['support:chat'] })
    await tk.withTenantKey(new OpenAI({ apiKey: 'x' }), { key }).chat.completions.create(ASK)
    expect(own.requests).toHaveLength(0)
    expect(server.requests).toHaveLength(1)
  } finally {
    await own.close()
  }
})

describe("nothing of the platform's identity leaks into a tenant's call", () => {
  test('organization, project, default headers and query of the platform client stay behind', async () => {
    const { tk, key } = await open()
    const platform = new OpenAI({
      apiKey: PLATFORM_SECRET,
      organization: 'org_platform',
      project: 'proj_platform',
      baseURL: server.baseUrl,
      defaultHeaders: { 'x-platform': PLATFORM_SECRET, authorization: `Bearer ${PLATFORM_SECRET}` },
      defaultQuery: { token: PLATFORM_SECRET },
    })
    await tk.withTenantKey(platform, { key }).chat.completions.create(ASK)
    const { headers, url } = server.requests[0]!
    expect(headers['openai-organization']).toBeUndefined()
    expect(headers['openai-project']).toBeUndefined()
    expect(headers['x-platform']).toBeUndefined()
    expect(url).toBe('/v1/chat/completions')
    expect(sawPlatformKey()).toBe(false)
  })

  test('credentials put on a single call are replaced by the tenant credential', async () => {
    const { client } = await open()
    const headers = {
      Authorization: `Bearer ${PLATFORM_SECRET}`,
      'api-key': PLATFORM_SECRET,
      Cookie: PLATFORM_SECRET,
    }
    await client().chat.completions.create(ASK, { headers })
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${TENANT_SECRET}`)
    expect(sawPlatformKey()).toBe(false)
  })

  test('OPENAI_BASE_URL and OPENAI_API_KEY of the environment do not redirect a tenant call, and it is said', async () => {
    const elsewhere = await startProvider(chat)
    const saved = { ...process.env }
    Object.assign(process.env, {
      OPENAI_BASE_URL: elsewhere.baseUrl,
      OPENAI_API_KEY: PLATFORM_SECRET,
      OPENAI_ORG_ID: 'org_platform',
      OPENAI_PROJECT_ID: 'proj_platform',
    })
    try {
      const { tk, key, events } = await open()
      await tk.withTenantKey(new OpenAI(), { key }).chat.completions.create(ASK)
      expect(elsewhere.requests).toHaveLength(0)
      expect(sawPlatformKey()).toBe(false)
      expect(server.requests[0]?.headers['openai-organization']).toBeUndefined()
      expect(events.map((e) => e.kind)).toContain('client.base_url_ignored')
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in saved)) delete process.env[name]
      Object.assign(process.env, saved)
      await elsewhere.close()
    }
  })
})

describe('T-I1 ids of another tenant answer exactly as ids that never existed', () => {
  test('in every method that takes a tenant and an id', async () => {
    const { tk, keyId } = await open()
    await tk.tenants.create({ id: 'mallory' })
    const random = 'zzzzzzzzzzzzzzzz'
    const pairs: [string, (id: string) => Promise<unknown>][] = [
      ['keys.get', (id) => tk.keys.get({ tenantId: 'mallory', keyId: id })],
      ['keys.disable', (id) => tk.keys.disable({ tenantId: 'mallory', keyId: id })],
      ['keys.enable', (id) => tk.keys.enable({ tenantId: 'mallory', keyId: id })],
      ['keys.revoke', (id) => tk.keys.revoke({ tenantId: 'mallory', keyId: id })],
      [
        'budgets.set',
        (id) =>
          tk.budgets.set({
            account: { tenantId: 'mallory', keyId: id },
            window: 'month',
            limit: { usd: '1' },
          }),
      ],
      [
        'budgets.get',
        (id) => tk.budgets.get({ account: { tenantId: 'mallory', keyId: id }, window: 'month' }),
      ],
      [
        'budgets.remove',
        (id) => tk.budgets.remove({ account: { tenantId: 'mallory', keyId: id }, window: 'month' }),
      ],
    ]
    const answer = (work: Promise<unknown>, id: string): Promise<string> =>
      work.then(
        (value) => JSON.stringify(value ?? null),
        (error: TenantKeysError) => JSON.stringify(error).replaceAll(id, '<id>'),
      )
    for (const [name, call] of pairs) {
      expect(await answer(call(keyId), keyId), name).toBe(await answer(call(random), random))
    }
    expect(await tk.secrets.get({ tenantId: 'mallory', provider: 'openai' })).toBeNull()
    expect((await tk.secrets.list({ tenantId: 'mallory' })).items).toEqual([])
    expect(await tk.secrets.delete({ tenantId: 'mallory', provider: 'openai' })).toBe(false)
    expect((await tk.keys.list({ tenantId: 'mallory' })).items).toEqual([])
    expect(await tk.usage.query({ tenantId: 'mallory' })).toEqual([])
    expect(await tk.keys.get({ tenantId: 'acme', keyId })).toMatchObject({ state: 'active' })
  })
})

describe('T-I6 ids of the wrong grammar are refused at the door', () => {
  const hostile = [
    '',
    '.',
    '..',
    '../acme',
    'a/b',
    'a%2e%2e',
    '%2e%2e',
    '//',
    'a b',
    ' acme',
    'acme ',
    'acme\n',
    'acme\u0000',
    '\u202Eacme',
    'аcme',
    'acmé',
    'acme\u0301',
    'x'.repeat(65),
    'x'.repeat(65_536),
    '{acme}',
    "a'b",
    'a"b',
    'a;b',
    'a:b',
    'a.b',
    '𝓪cme',
    'a\\b',
    '*',
    '?',
    '#',
    '\u200Bacme',
    'acme\uFEFF',
    '$ne',
    'a|b',
  ]
  test.each(hostile.map((id) => [JSON.stringify(id).slice(0, 24), id]))('%s', async (_, id) => {
    const { tk } = await open()
    const before = (await tk.tenants.list()).items.length
    expect(await codeOf(tk.tenants.create({ id }))).toBe('TK_INPUT_INVALID')
    expect(await codeOf(tk.tenants.get(id))).toBe('TK_INPUT_INVALID')
    expect(await codeOf(tk.keys.issue({ tenantId: id, name: 'n', scopes: ['support:chat'] }))).toBe(
      'TK_INPUT_INVALID',
    )
    expect((await tk.tenants.list()).items).toHaveLength(before)
  })

  test('accepted ids map one to one', async () => {
    const { tk } = await open()
    const ids = ['a', 'A', '0', '_', '-', 'a-b_C9', 'x'.repeat(64)]
    for (const id of ids) await tk.tenants.create({ id })
    for (const id of ids) expect((await tk.tenants.get(id))?.id).toBe(id)
  })
})
