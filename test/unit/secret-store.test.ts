import { describe, expect, test } from 'vitest'
import { primitives } from '../../src/kernel/crypto/primitives.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { open } from '../../src/secrets/envelope.ts'
import { envelopeSecretStore } from '../../src/secrets/envelope-secret-store.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { ManualClock } from '../support/data-key-cases.ts'
import { bytes } from '../support/envelope-cases.ts'
import { leaksOf } from '../support/leaks.ts'
import { CANARY, input, OPEN_FAILED, ORIGIN, REF, setUp } from '../support/secret-store.ts'

describe('the envelope secret store', () => {
  test('gives back what was put, and shows a mask of it', async () => {
    const { store } = await setUp()
    const info = await store.put(input())
    expect(info).toMatchObject({ ...REF, version: 1, origin: ORIGIN, masked: 'sk-...***...-key' })
    expect(Object.keys(info).sort()).toEqual([
      'createdAtMs',
      'id',
      'masked',
      'name',
      'origin',
      'provider',
      'publicFields',
      'tenantId',
      'updatedAtMs',
      'version',
    ])
    expect(await store.get(REF)).toEqual(info)
    const opened = await store.open(REF)
    expect(opened!.info).toEqual(info)
    expect(opened!.fields.apiKey!.reveal()).toBe(CANARY)
  })

  test('every put is a new version of the same secret; after a delete it is another', async () => {
    const { store } = await setUp()
    const first = await store.put(input())
    const second = await store.put(input({ apiKey: 'sk-second' }))
    expect(second).toMatchObject({ id: first.id, version: 2 })
    expect((await store.open(REF))!.fields.apiKey!.reveal()).toBe('sk-second')
    expect(await store.delete({ ...REF, actor: 'admin' })).toBe(true)
    const third = await store.put(input())
    expect(third.version).toBe(1)
    expect(third.id).not.toBe(first.id)
  })

  test('SS-3 absence is null or false', async () => {
    const { store } = await setUp()
    expect(await store.get(REF)).toBeNull()
    expect(await store.open(REF)).toBeNull()
    expect(await store.delete({ ...REF, actor: 'admin' })).toBe(false)
    expect(await store.list({ tenantId: 'acme', after: null, limit: 10 })).toEqual({
      items: [],
      next: null,
    })
  })

  test('SS-5 T-I1 the secret of another tenant answers as one that never existed', async () => {
    const { store } = await setUp()
    await store.put(input())
    const theirs = { ...REF, tenantId: 'other' }
    expect(await store.get(theirs)).toBeNull()
    expect(await store.open(theirs)).toBeNull()
    expect(await store.delete({ ...theirs, actor: 'x' })).toBe(false)
    expect((await store.list({ tenantId: 'other', after: null, limit: 10 })).items).toEqual([])
    expect((await store.open(REF))!.fields.apiKey!.reveal()).toBe(CANARY)
  })

  test('SS-1 a list shows masks, opens nothing, and stands rows that cannot be opened', async () => {
    const { store, storage, keyWrapper } = await setUp()
    for (const name of ['a', 'b', 'c']) await store.put(input({ name }))
    const { list } = storage.secrets
    storage.secrets.list = async (query) => {
      const page = await list(query)
      return { ...page, items: page.items.map((row) => ({ ...row, envelope: new Uint8Array(3) })) }
    }
    keyWrapper.unwraps.length = 0
    store.forgetKeys()
    const page = await store.list({ tenantId: 'acme', after: null, limit: 2 })
    expect(page.items.map(({ name, masked }) => `${name} ${masked}`)).toEqual([
      'a sk-...***...-key',
      'b sk-...***...-key',
    ])
    const rest = await store.list({ tenantId: 'acme', after: page.next, limit: 2 })
    expect(rest.items.map(({ name }) => name)).toEqual(['c'])
    expect(keyWrapper.unwraps).toEqual([])
    expect(JSON.stringify(page)).not.toContain('envelope')
  })

  test('fields are sealed together as JSON with sorted names, whatever their order', async () => {
    const { store, storage, keyWrapper } = await setUp()
    const values = {
      zeta: 'z',
      '10': 'ten',
      apiKey: 'k"\\\u2028\u{1f511}',
      '9': '',
      __proto__x: 'p',
    }
    const secretFields = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, new Secret(value)] as const),
    )
    const { id } = await store.put(input({ secretFields }))
    const row = (await storage.secrets.get(REF))!
    const dekRow = (await storage.deks.get({ tenantId: 'acme', dekId: row.dekId }))!
    const dek = await keyWrapper.unwrap(dekRow, {
      tenantId: 'acme',
      dekId: row.dekId,
      generation: 1,
    })
    const plaintext = open({
      envelope: row.envelope,
      dek,
      context: {
        tenantId: 'acme',
        purpose: 'provider-secret',
        provider: 'openai',
        origin: ORIGIN,
        secretId: id,
        version: 1,
      },
    })
    expect(Buffer.from(plaintext).toString()).toBe(
      '{"10":"ten","9":"","__proto__x":"p","apiKey":"k\\"\\\\\u2028\u{1f511}","zeta":"z"}',
    )
    const opened = (await store.open(REF))!
    expect(
      Object.fromEntries(Object.entries(opened.fields).map(([n, s]) => [n, s.reveal()])),
    ).toEqual(values)
  })

  test('fields of more than 65,536 bytes are refused by name before anything is written', async () => {
    const { store, storage } = await setUp()
    const largest = 65_536 - '{"apiKey":""}'.length
    await store.put(input({ apiKey: 'k'.repeat(largest) }))
    await expect(store.put(input({ apiKey: 'k'.repeat(largest + 1) }))).rejects.toThrow(
      expect.objectContaining({
        code: 'TK_INPUT_INVALID',
        details: expect.objectContaining({ field: 'value' }),
      }),
    )
    expect((await storage.secrets.get(REF))!.version).toBe(1)
  })

  test('a tenant that is none gets neither a secret nor a data key', async () => {
    const { store, storage, keyWrapper } = await setUp()
    await expect(store.put(input({ tenantId: 'nobody' }))).rejects.toThrow(
      expect.objectContaining({ code: 'TK_TENANT_NOT_FOUND' }),
    )
    expect(keyWrapper.wraps).toBe(0)
    expect(await storage.deks.current('nobody')).toBeNull()
  })

  test('put and delete write who, which and what version, and nothing of the content', async () => {
    const { store, storage } = await setUp()
    const { id } = await store.put(input())
    await store.put(input({ actor: 'second' }))
    await store.delete({ ...REF, actor: 'third' })
    const { items } = await storage.audit.list({ rootId: 'acme', after: null, limit: 100 })
    const own = items.filter(({ action }) => action.startsWith('secret.'))
    expect(
      own.map(({ action, actor, target, detail }) => ({ action, actor, target, detail })),
    ).toEqual(
      [
        ['secret.put', 'admin@acme', '1'],
        ['secret.put', 'second', '2'],
        ['secret.delete', 'third', '2'],
      ].map(([action, actor, version]) => ({
        action,
        actor,
        target: `secret:${id}`,
        detail: { provider: 'openai', name: 'default', version },
      })),
    )
    expect(JSON.stringify(items)).not.toContain('CANARY')
  })

  test('of writers at once each gets a version of its own, and the last one stands', async () => {
    const { store, storage } = await setUp()
    const infos = await Promise.all(
      Array.from({ length: 5 }, (_, i) => store.put(input({ apiKey: `sk-${i}` }))),
    )
    expect(infos.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5])
    const last = infos.findIndex(({ version }) => version === 5)
    expect((await store.open(REF))!.fields.apiKey!.reveal()).toBe(`sk-${last}`)
    expect((await storage.secrets.get(REF))!.version).toBe(5)
  })

  test('a writer that loses every race gives up with TK_STORE_CONFLICT', async () => {
    const { store, storage } = await setUp()
    let tries = 0
    storage.secrets.put = async () => {
      tries++
      throw new TenantKeysError('TK_STORE_CONFLICT')
    }
    await expect(store.put(input())).rejects.toThrow(
      expect.objectContaining({ code: 'TK_STORE_CONFLICT' }),
    )
    expect(tries).toBe(8)
  })

  test.each(['TK_STORE_UNAVAILABLE', 'TK_DEK_EXHAUSTED', 'TK_TENANT_NOT_FOUND'] as const)(
    'a put that fails with %s is not tried again',
    async (code) => {
      const { store, storage } = await setUp()
      let tries = 0
      storage.secrets.put = async () => {
        tries++
        throw new TenantKeysError(code)
      }
      await expect(store.put(input())).rejects.toThrow(expect.objectContaining({ code }))
      expect(tries).toBe(1)
    },
  )

  test('plain bytes are erased after put and after open', async () => {
    const { store } = await setUp()
    const seen: Uint8Array[] = []
    const { gcmSeal, gcmOpen } = primitives
    try {
      primitives.gcmSeal = (given) => {
        seen.push(given.data)
        return gcmSeal(given)
      }
      primitives.gcmOpen = (given) => {
        const plaintext = gcmOpen(given)
        if (plaintext !== null) seen.push(plaintext)
        return plaintext
      }
      await store.put(input())
      await store.open(REF)
    } finally {
      Object.assign(primitives, { gcmSeal, gcmOpen })
    }
    const json = JSON.stringify({ apiKey: CANARY }).length
    // The others are data keys.
    const plaintexts = seen.filter(({ length }) => length === json)
    expect(plaintexts.length).toBe(2)
    for (const plaintext of plaintexts) expect(new Set(plaintext)).toEqual(new Set([0]))
  })

  test('T-C9 refuses to start on a random source that repeats itself', async () => {
    const { randomBytes } = primitives
    primitives.randomBytes = (length) => new Uint8Array(length).fill(7)
    try {
      await expect(setUp()).rejects.toThrow(expect.objectContaining({ code: 'TK_CRYPTO_REFUSED' }))
    } finally {
      primitives.randomBytes = randomBytes
    }
  })
})

describe('keys and failures', () => {
  const wrapperOf = (id: string, label: string) => localKeyWrapper([{ id, key: bytes(label, 32) }])

  async function reopened(storage: Storage, id: string, label: string): Promise<unknown> {
    const store = envelopeSecretStore({
      storage,
      keyWrapper: wrapperOf(id, label),
      clock: new ManualClock(),
    })
    return store.open(REF).catch((error: unknown) => error)
  }

  test('T-C15 another KEK of the same name, or none of the name, opens nothing', async () => {
    const { storage, store } = await setUp()
    await store.put(input())
    expect(await reopened(storage, 'kek-1', 'wrong')).toMatchObject(OPEN_FAILED)
    expect(await reopened(storage, 'kek-9', 'kek-1')).toMatchObject({
      code: 'TK_KEK_UNKNOWN',
      details: { kekId: 'kek-1' },
    })
    expect(await reopened(storage, 'kek-1', 'kek-1')).toMatchObject({ info: { version: 1 } })
  })

  test('S1.26 with the KEK lost, lists still work and a tenant can enter its secret again', async () => {
    const { storage, store } = await setUp()
    await store.put(input())
    await store.put(input({ name: 'second' }))
    const ringOf = (...ids: readonly string[]) =>
      envelopeSecretStore({
        storage,
        keyWrapper: localKeyWrapper(ids.map((id) => ({ id, key: bytes(id, 32) }))),
        clock: new ManualClock(),
      })
    const renewed = ringOf('kek-9')
    expect((await renewed.list({ tenantId: 'acme', after: null, limit: 10 })).items).toHaveLength(2)
    await expect(renewed.open(REF)).rejects.toMatchObject({ code: 'TK_KEK_UNKNOWN' })
    expect(await renewed.put(input({ apiKey: 'sk-again' }))).toMatchObject({ version: 2 })
    expect((await renewed.open(REF))!.fields.apiKey!.reveal()).toBe('sk-again')
    // What was not entered again waits for its KEK to be found.
    const second = { ...REF, name: 'second' }
    await expect(renewed.open(second)).rejects.toMatchObject({ code: 'TK_KEK_UNKNOWN' })
    const found = ringOf('kek-9', 'kek-1')
    expect((await found.open(second))!.fields.apiKey!.reveal()).toBe(CANARY)
    expect((await found.open(REF))!.fields.apiKey!.reveal()).toBe('sk-again')
  })

  test('SS-3 a key service that does not answer is told apart from a secret that does not open', async () => {
    const { store, keyWrapper } = await setUp()
    await store.put(input())
    store.forgetKeys()
    keyWrapper.before = async () => {
      throw new TenantKeysError('TK_STORE_UNAVAILABLE')
    }
    await expect(store.open(REF)).rejects.toThrow(
      expect.objectContaining({ code: 'TK_STORE_UNAVAILABLE' }),
    )
    keyWrapper.before = async () => {}
    expect((await store.open(REF))!.fields.apiKey!.reveal()).toBe(CANARY)
  })

  test('SS-2 each secret is opened anew: the data key is cached, the plaintext is not', async () => {
    const { store, storage, keyWrapper } = await setUp()
    await store.put(input())
    keyWrapper.unwraps.length = 0
    const [first, second] = [await store.open(REF), await store.open(REF)]
    expect(first!.fields.apiKey).not.toBe(second!.fields.apiKey)
    expect(keyWrapper.unwraps).toEqual([])
    const row = (await storage.secrets.get(REF))!
    storage.secrets.get = async () => ({ ...row, envelope: new Uint8Array(120) })
    await expect(store.open(REF)).rejects.toThrow(
      expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED' }),
    )
  })

  test('T-L1 T-L2 neither the store nor what it answers shows a secret', async () => {
    const { store, storage } = await setUp()
    const info = await store.put(input())
    const opened = (await store.open(REF))!
    const page = await store.list({ tenantId: 'acme', after: null, limit: 10 })
    const row = (await storage.secrets.get(REF))!
    for (const value of [store, info, opened, opened.fields, page, row]) {
      expect(leaksOf(value, [CANARY, 'CANARY'])).toEqual([])
    }
  })

  test('T-L3 no failure shows a secret', async () => {
    const { store, storage } = await setUp()
    await store.put(input())
    const long = CANARY.repeat(3000)
    storage.secrets.put = async () => {
      throw Object.assign(new TenantKeysError('TK_STORE_CONFLICT'), {})
    }
    const failures = await Promise.allSettled([
      store.put(input({ apiKey: long })),
      store.put(input({ tenantId: 'nobody' })),
      store.put(input()),
    ])
    for (const failure of failures) {
      expect(failure.status).toBe('rejected')
      expect(leaksOf((failure as PromiseRejectedResult).reason, ['CANARY'])).toEqual([])
    }
  })
})
