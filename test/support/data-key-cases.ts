/**
 * What the cache of data keys must do, as functions of the class under test: run on the sources, and
 * on sabotaged copies of them, where the case named must fail.
 *
 * @module
 */
import { expect } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { DataKeys, DataKeysOptions } from '../../src/secrets/data-keys.ts'
import type { KeyWrapper, WrapContext, WrappedKey } from '../../src/secrets/key-wrapper.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import type { DekRecord } from '../../src/storage/records.ts'
import { bytes } from './envelope-cases.ts'

type DataKeysClass = new (options: DataKeysOptions) => DataKeys

export class ManualClock {
  ms = 0
  elapsedMs(): number {
    return this.ms
  }
}

/** Keys `kek-1` and `kek-2`; counts, and waits or fails when told to. */
export class WatchedWrapper implements KeyWrapper {
  readonly contractVersion = 1
  primaryKekId = 'kek-1'
  readonly unwraps: string[] = []
  wraps = 0
  /** Runs before each unwrap. */
  before: () => Promise<void> = async () => {}
  readonly #rings = new Map(
    ['kek-1', 'kek-2'].map((id) => [id, localKeyWrapper([{ id, key: bytes(id, 32) }])]),
  )

  async wrap(dek: Uint8Array, context: WrapContext): Promise<WrappedKey> {
    this.wraps++
    return this.#rings.get(this.primaryKekId)!.wrap(dek, context)
  }

  async unwrap(key: WrappedKey, context: WrapContext): Promise<Uint8Array> {
    this.unwraps.push(`${context.tenantId} ${key.kekId}`)
    await this.before()
    return this.#rings.get(key.kekId)!.unwrap(key, context)
  }
}

export function setUp(DataKeysUnderTest: DataKeysClass, options: Partial<DataKeysOptions> = {}) {
  const clock = new ManualClock()
  const keyWrapper = new WatchedWrapper()
  const storage = memory()
  const keys = new DataKeysUnderTest({ storage, keyWrapper, clock, ...options })
  return { clock, keyWrapper, storage, keys }
}

type Fixture = ReturnType<typeof setUp>

export async function makeTenants({ storage }: Fixture, ...ids: readonly string[]): Promise<void> {
  await storage.migrate()
  for (const id of ids)
    await storage.tenants.create({ id, parentId: null, credentials: 'tenant' }, {})
}

/** Lends out the very bytes, which `work` must not do, to see when they are erased. */
const lend = ({ keys }: Fixture, tenantId: string): Promise<Uint8Array> =>
  keys.withCurrent(tenantId, ({ dek }) => dek)

const idOf = ({ keys }: Fixture, tenantId: string): Promise<string> =>
  keys.withCurrent(tenantId, ({ dekId }) => dekId)

const isErased = (dek: Uint8Array): boolean => dek.every((byte) => byte === 0)

/** Lets every promise that can run run. */
const settle = (): Promise<void> => new Promise((done) => setImmediate(done))

function gate(): { readonly wait: () => Promise<void>; open(): void } {
  let open = (): void => {}
  const opened = new Promise<void>((done) => {
    open = done
  })
  return { wait: () => opened, open: () => open() }
}

export const dataKeyCases: Readonly<Record<string, (m: DataKeysClass) => Promise<void>>> = {
  'a tenant gets one data key, and keeps it': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme', 'other')
    const first = await set.keys.withCurrent('acme', ({ dekId, dek }) => ({ dekId, dek: [...dek] }))
    const again = await set.keys.withCurrent('acme', ({ dekId, dek }) => ({ dekId, dek: [...dek] }))
    expect(again).toEqual(first)
    const at = { tenantId: 'acme', dekId: first.dekId }
    expect(await set.keys.withKey(at, (dek) => [...dek])).toEqual(first.dek)
    const restarted = new m({ ...set, storage: set.storage })
    expect(await restarted.withKey(at, (dek) => [...dek])).toEqual(first.dek)
    expect(await set.keys.withCurrent('other', ({ dek }) => [...dek])).not.toEqual(first.dek)
    expect(await set.storage.deks.get(at)).toMatchObject({ generation: 1, kekId: 'kek-1' })
  },

  'callers that come first at once share one creation and one unwrapping': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const ids = await Promise.all(Array.from({ length: 50 }, () => idOf(set, 'acme')))
    expect(new Set(ids).size).toBe(1)
    expect(set.keyWrapper.wraps).toBe(1)
    // One that proves the wrapping, one that fills the cache.
    expect(set.keyWrapper.unwraps.length).toBe(2)
  },

  'callers that need a key at once share one unwrapping': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const at = { tenantId: 'acme', dekId: await idOf(set, 'acme') }
    set.keys.clear()
    set.keyWrapper.unwraps.length = 0
    await Promise.all(Array.from({ length: 50 }, () => set.keys.withKey(at, () => {})))
    expect(set.keyWrapper.unwraps).toEqual(['acme kek-1'])
  },

  'of two processes that make the first key, both use the one that was stored': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const second = { ...set, keys: new m({ ...set, storage: set.storage }) }
    const meeting = gate()
    set.keyWrapper.before = meeting.wait
    const both = [set, second].map((one) =>
      one.keys.withCurrent('acme', ({ dekId, dek }) => ({ dekId, dek: [...dek] })),
    )
    await settle()
    meeting.open()
    const [mine, theirs] = await Promise.all(both)
    expect(set.keyWrapper.wraps).toBe(2)
    expect(mine).toEqual(theirs)
    expect((await set.storage.deks.current('acme'))!.id).toBe(mine!.dekId)
  },

  'S1.26 a key whose KEK is not known is followed by a new generation, once': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const lost = await idOf(set, 'acme')
    const ring = localKeyWrapper([{ id: 'kek-9', key: bytes('kek-9', 32) }])
    const renewed = { ...set, keys: new m({ ...set, keyWrapper: ring }) }
    const ids = await Promise.all(Array.from({ length: 20 }, () => idOf(renewed, 'acme')))
    expect(new Set(ids).size).toBe(1)
    expect(await idOf(renewed, 'acme')).toBe(ids[0])
    expect(await set.storage.deks.current('acme')).toMatchObject({
      id: ids[0],
      generation: 2,
      kekId: 'kek-9',
    })
    await expect(
      renewed.keys.withKey({ tenantId: 'acme', dekId: lost }, () => {}),
    ).rejects.toMatchObject({ code: 'TK_KEK_UNKNOWN' })
    expect(await set.keys.withKey({ tenantId: 'acme', dekId: lost }, isErased)).toBe(false)
  },

  'a key that cannot be unwrapped for any other reason is followed by none': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const dekId = await idOf(set, 'acme')
    for (const code of ['TK_STORE_UNAVAILABLE', 'TK_ENVELOPE_OPEN_FAILED'] as const) {
      set.keys.clear()
      set.keyWrapper.before = async () => {
        set.keyWrapper.before = async () => {}
        throw new TenantKeysError(code)
      }
      await expect(idOf(set, 'acme')).rejects.toMatchObject({ code })
    }
    expect(await set.storage.deks.current('acme')).toMatchObject({ id: dekId, generation: 1 })
  },

  'an unwrapped key is used for its maximum age and not a millisecond longer': async (m) => {
    const set = setUp(m, { maxAgeMs: 1000 })
    await makeTenants(set, 'acme')
    const at = { tenantId: 'acme', dekId: await idOf(set, 'acme') }
    set.keyWrapper.unwraps.length = 0
    for (const [ms, unwraps] of [
      [999, 0],
      [1000, 0],
      [1001, 1],
      [2001, 1],
      [2002, 2],
    ] as const) {
      set.clock.ms = ms
      await set.keys.withKey(at, () => {})
      expect(set.keyWrapper.unwraps.length, `at ${ms} ms`).toBe(unwraps)
    }
  },

  'use does not make a key last longer': async (m) => {
    const set = setUp(m, { maxAgeMs: 1000 })
    await makeTenants(set, 'acme')
    const at = { tenantId: 'acme', dekId: await idOf(set, 'acme') }
    set.keyWrapper.unwraps.length = 0
    for (let ms = 100; ms <= 1100; ms += 100) {
      set.clock.ms = ms
      await set.keys.withKey(at, () => {})
    }
    expect(set.keyWrapper.unwraps.length).toBe(1)
  },

  'a failed unwrapping is shared by those who wait and forgotten at once': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const at = { tenantId: 'acme', dekId: await idOf(set, 'acme') }
    set.keys.clear()
    set.keyWrapper.unwraps.length = 0
    set.keyWrapper.before = async () => {
      throw new TenantKeysError('TK_STORE_UNAVAILABLE')
    }
    const failures = await Promise.allSettled(
      Array.from({ length: 5 }, () => set.keys.withKey(at, () => {})),
    )
    expect(failures.map((f) => f.status === 'rejected' && f.reason.code)).toEqual(
      Array(5).fill('TK_STORE_UNAVAILABLE'),
    )
    expect(set.keyWrapper.unwraps.length).toBe(1)
    set.keyWrapper.before = async () => {}
    expect(await set.keys.withKey(at, (dek) => isErased(dek))).toBe(false)
    expect(set.keyWrapper.unwraps.length).toBe(2)
  },

  'a failure of the work keeps the key': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const at = { tenantId: 'acme', dekId: await idOf(set, 'acme') }
    set.keyWrapper.unwraps.length = 0
    const work = (): never => {
      throw new TenantKeysError('TK_ENVELOPE_OPEN_FAILED')
    }
    await expect(set.keys.withKey(at, work)).rejects.toThrow('cannot be opened')
    await set.keys.withKey(at, () => {})
    expect(set.keyWrapper.unwraps).toEqual([])
  },

  'a key that leaves for another is erased': async (m) => {
    const set = setUp(m, { maxEntries: 1 })
    await makeTenants(set, 'acme', 'other')
    const dek = await lend(set, 'acme')
    expect(isErased(dek)).toBe(false)
    await lend(set, 'other')
    expect(isErased(dek)).toBe(true)
  },

  'a key that is too old is erased by the next call that looks or misses': async (m) => {
    const set = setUp(m, { maxAgeMs: 1000 })
    await makeTenants(set, 'acme', 'other', 'third')
    const [acme, other] = [await lend(set, 'acme'), await lend(set, 'other')]
    set.clock.ms = 1001
    await lend(set, 'acme')
    expect([isErased(acme), isErased(other)]).toEqual([true, true])
  },

  'a key is not erased under those who wait for it, but right after the last': async (m) => {
    const set = setUp(m, { maxEntries: 1 })
    await makeTenants(set, 'acme', 'other')
    const at = { tenantId: 'acme', dekId: await idOf(set, 'acme') }
    await idOf(set, 'other')
    const slow = gate()
    set.keyWrapper.before = slow.wait
    const use = () => set.keys.withKey(at, (dek) => ({ dek, erased: isErased(dek) }))
    const using = Promise.all([use(), use()])
    await settle()
    set.keyWrapper.before = async () => {}
    await idOf(set, 'other')
    slow.open()
    const [first, second] = await using
    expect([first.erased, second.erased]).toEqual([false, false])
    expect(first.dek).toBe(second.dek)
    expect(isErased(first.dek)).toBe(true)
  },

  'clear erases every key': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme', 'other')
    const deks = [await lend(set, 'acme'), await lend(set, 'other')]
    set.keys.clear()
    expect(deks.map(isErased)).toEqual([true, true])
    expect(isErased(await lend(set, 'acme'))).toBe(false)
  },

  'the plain bytes of a new key are erased after it is stored': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const seen: Uint8Array[] = []
    const { keyWrapper } = set
    const wrap = keyWrapper.wrap.bind(keyWrapper)
    keyWrapper.wrap = (dek, context) => {
      seen.push(dek)
      return wrap(dek, context)
    }
    const unwrap = keyWrapper.unwrap.bind(keyWrapper)
    keyWrapper.unwrap = async (key, context) => {
      const dek = await unwrap(key, context)
      seen.push(dek)
      return dek
    }
    await idOf(set, 'acme')
    // Made, given back for proof, and unwrapped for the cache.
    expect(seen.map(isErased)).toEqual([true, true, false])
  },

  'T-C19 a key unwrapped under one KEK does not answer for another': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const dekId = await idOf(set, 'acme')
    const { wrapped, kekId, ...row } = (await set.storage.deks.get({ tenantId: 'acme', dekId }))!
    const context = { tenantId: 'acme', dekId, generation: row.generation }
    const dek = await set.keyWrapper.unwrap({ kekId, wrapped }, context)
    set.keyWrapper.primaryKekId = 'kek-2'
    const rewrapped: DekRecord = { ...row, ...(await set.keyWrapper.wrap(dek, context)) }
    set.storage.deks.current = async () => rewrapped
    set.keyWrapper.unwraps.length = 0
    expect(await set.keys.withCurrent('acme', (key) => [...key.dek])).toEqual([...dek])
    expect(set.keyWrapper.unwraps).toEqual(['acme kek-2'])
  },

  'T-C19 a key unwrapped for one tenant does not answer for another': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme', 'other')
    const dekId = await idOf(set, 'acme')
    const row = (await set.storage.deks.get({ tenantId: 'acme', dekId }))!
    set.storage.deks.get = async () => row
    await expect(set.keys.withKey({ tenantId: 'other', dekId }, () => {})).rejects.toThrow(
      expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED' }),
    )
    expect(set.keyWrapper.unwraps.at(-1)).toBe('other kek-1')
  },

  'T-C8 the wrapped key of another tenant in the row of this one does not unwrap': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme', 'other')
    const dekId = await idOf(set, 'acme')
    await idOf(set, 'other')
    const { wrapped, kekId } = (await set.storage.deks.current('other'))!
    const mine = (await set.storage.deks.get({ tenantId: 'acme', dekId }))!
    set.storage.deks.get = async () => ({ ...mine, wrapped, kekId })
    set.keys.clear()
    await expect(set.keys.withKey({ tenantId: 'acme', dekId }, () => {})).rejects.toThrow(
      expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED' }),
    )
  },

  'a data key the tenant does not have fails like one that does not open': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme', 'other')
    const dekId = await idOf(set, 'other')
    await expect(set.keys.withKey({ tenantId: 'acme', dekId }, () => {})).rejects.toThrow(
      expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED', details: {} }),
    )
  },

  'no key is stored that its wrapper does not give back': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    set.keyWrapper.unwrap = async () => bytes('another key', 32)
    await expect(idOf(set, 'acme')).rejects.toThrow(
      expect.objectContaining({ code: 'TK_CRYPTO_REFUSED' }),
    )
    expect(await set.storage.deks.current('acme')).toBeNull()
  },

  'a wrapper that gives back a key of another length is refused': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const at = { tenantId: 'acme', dekId: await idOf(set, 'acme') }
    set.keys.clear()
    set.keyWrapper.unwrap = async () => new Uint8Array(16)
    await expect(set.keys.withKey(at, () => {})).rejects.toThrow(
      expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED' }),
    )
  },

  'T-L3 what a foreign wrapper throws is rebuilt without its text': async (m) => {
    const set = setUp(m)
    await makeTenants(set, 'acme')
    const foreign = Object.assign(new Error('token s.CANARY'), { config: { token: 's.CANARY' } })
    set.keyWrapper.unwrap = async () => {
      throw foreign
    }
    const error = await idOf(set, 'acme').catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'TK_STORE_UNAVAILABLE', retryable: true })
    expect(JSON.stringify(error) + String((error as Error).cause)).not.toContain('CANARY')
  },
}
