import { describe, expect, it } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { generateKey } from '../../src/keys/key-format.ts'
import { localKeyIssuer } from '../../src/keys/local-key-issuer.ts'
import type { EpochReading, Storage } from '../../src/storage/storage.ts'
import { draft, fakePepper, gate, idle, keyInstallation } from '../support/key-issuer.ts'

const never = new Promise<void>(() => {})
const STALE = { ok: false, code: 'TK_KEY_STALE' }

/** A remote store with one key that is good and known, and no calls counted yet. */
async function warmed(options: Parameters<typeof keyInstallation>[1] = {}) {
  const installation = await keyInstallation('remote', options)
  const { key, info } = await installation.issuer.issue(draft())
  expect((await installation.issuer.verify(key)).ok).toBe(true)
  installation.calls.length = 0
  const at = { tenantId: 'acme', keyId: info.keyId }
  /** As another process would do it. */
  const revokeElsewhere = () => installation.truth.keys.setState({ ...at, state: 'revoked' }, {})
  return { ...installation, key, keyId: info.keyId, at, revokeElsewhere }
}

/** A promise and whether it is settled yet. */
function watched<T>(promise: Promise<T>) {
  const state: { settled: boolean; promise: Promise<T> } = { settled: false, promise }
  promise.then(
    () => {
      state.settled = true
    },
    () => {
      state.settled = true
    },
  )
  return state
}

describe('a store that is not in this process', () => {
  it('is not asked while the epoch is at most 1 s old', async () => {
    const { issuer, key, calls, clock } = await warmed()
    clock.advance(1_000)
    expect(issuer.verifyCached(key)?.ok).toBe(true)
    await idle()
    expect(calls).toEqual([])
  })

  it('is asked once in the background when the epoch is older than 1 s, and nobody waits', async () => {
    const { issuer, key, calls, clock, faults } = await warmed()
    const held = gate()
    faults.set('epoch', held.opened)
    clock.advance(1_001)
    for (let i = 0; i < 3; i++) expect(issuer.verifyCached(key)?.ok).toBe(true)
    clock.advance(999)
    expect(issuer.verifyCached(key)?.ok).toBe(true)
    expect(calls).toEqual(['epoch'])
    held.open()
    await idle()
    clock.advance(1)
    expect(issuer.verifyCached(key)?.ok).toBe(true)
    expect(calls.length).toBeLessThanOrEqual(2)
  })

  it('is waited for when the epoch is older than 2 s, so a change elsewhere is seen', async () => {
    const { issuer, key, keyId, calls, clock, revokeElsewhere } = await warmed()
    await revokeElsewhere()
    clock.advance(2_000)
    expect(issuer.verifyCached(key)?.ok).toBe(true)
    clock.advance(1)
    const background = calls.length
    expect(background).toBe(1)
    await idle()
    expect(issuer.verifyCached(key)).toBeNull()
    expect(await issuer.verify(key)).toEqual({ ok: false, code: 'TK_KEY_REVOKED', keyId })
    expect(calls).toEqual(['epoch', 'keys.find'])
  })

  it('an unused key is confirmed by one read of the epoch, however long it rested', async () => {
    const { issuer, key, calls, clock } = await warmed()
    clock.advance(3_600_000)
    expect(issuer.verifyCached(key)).toBeNull()
    expect((await issuer.verify(key)).ok).toBe(true)
    expect(calls).toEqual(['epoch'])
  })

  it('the age of an answer counts from when its question was sent', async () => {
    const { issuer, key, calls, clock, faults } = await warmed()
    const held = gate()
    faults.set('epoch', held.opened)
    clock.advance(1_100)
    issuer.verifyCached(key)
    clock.advance(800)
    held.open()
    await idle()
    expect(calls).toEqual(['epoch'])
    // 201 ms after the answer came, but 1,001 ms after it was asked for.
    clock.advance(201)
    expect(issuer.verifyCached(key)?.ok).toBe(true)
    expect(calls).toEqual(['epoch', 'epoch'])
  })

  it('K4 a revocation elsewhere is honoured by nobody 2 s later, with calls in between or without', async () => {
    for (const pauses of [[2_001], [500, 500, 500, 501], [1_001, 1_000], [1_999, 2]]) {
      const { issuer, key, clock, revokeElsewhere } = await warmed()
      await revokeElsewhere()
      for (const ms of pauses) {
        clock.advance(ms)
        await issuer.verify(key)
        await idle()
      }
      expect(await issuer.verify(key), pauses.join()).toMatchObject({ code: 'TK_KEY_REVOKED' })
    }
  })

  it('a row read at an older epoch is read again, and once for all who ask together', async () => {
    const { issuer, key, calls, truth, clock } = await warmed()
    const other = await issuer.issue(draft({ name: 'another' }))
    await issuer.verify(other.key)
    await truth.tenants.create({ id: 'third', parentId: null, credentials: 'tenant' }, {})
    clock.advance(2_001)
    calls.length = 0
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => issuer.verify(key)))
    expect(verdicts.every((verdict) => verdict.ok)).toBe(true)
    expect(calls).toEqual(['epoch', 'keys.find'])
    expect((await issuer.verify(other.key)).ok).toBe(true)
    expect(calls).toEqual(['epoch', 'keys.find', 'keys.find'])
  })
})

describe('a store that is silent', () => {
  it('K5 a key stands until its epoch is maxStaleMs old, then it is refused as stale', async () => {
    const { issuer, key, keyId, clock, faults } = await warmed()
    faults.set('epoch', 'lost-request').set('keys.find', 'lost-request')
    for (const ms of [1_500, 1_000, 2_000, 499]) {
      clock.advance(ms)
      expect((await issuer.verify(key)).ok, `after ${clock.elapsedMs()} ms`).toBe(true)
    }
    clock.advance(1)
    expect(clock.elapsedMs()).toBe(5_000)
    expect(await issuer.verify(key)).toEqual({ ...STALE, keyId })
    expect(issuer.verifyCached(key)).toBeNull()
  })

  it('K5 the bound is an option', async () => {
    for (const maxStaleMs of [1_000, 1_800, 60_000]) {
      const { issuer, key, clock, faults } = await warmed({ maxStaleMs })
      faults.set('epoch', 'lost-request').set('keys.find', 'lost-request')
      clock.advance(maxStaleMs - 1)
      expect((await issuer.verify(key)).ok).toBe(true)
      clock.advance(1)
      expect(issuer.verifyCached(key)).toBeNull()
      expect(await issuer.verify(key)).toMatchObject(STALE)
    }
  })

  it('a revoked key dies within maxStaleMs although nothing can be read', async () => {
    const { issuer, key, clock, faults, revokeElsewhere } = await warmed()
    faults.set('epoch', 'lost-request').set('keys.find', 'lost-request')
    await revokeElsewhere()
    clock.advance(5_000)
    expect((await issuer.verify(key)).ok).toBe(false)
  })

  it('does not vouch for a text that it does not know', async () => {
    const { issuer, key, clock, faults } = await warmed()
    faults.set('epoch', 'lost-request').set('keys.find', 'lost-request')
    clock.advance(3_000)
    await expect(issuer.verify(generateKey(draft()).key)).rejects.toMatchObject({
      code: 'TK_STORE_UNAVAILABLE',
    })
    expect((await issuer.verify(key)).ok).toBe(true)
  })

  it('keeps nobody waiting longer than waitMs, counted from when the question was sent', async () => {
    const { issuer, key, clock, faults, waits } = await warmed()
    faults.set('epoch', never)
    clock.advance(2_001)
    const first = watched(issuer.verify(key))
    await idle()
    expect(waits.map(({ ms }) => ms)).toEqual([250])
    clock.advance(100)
    const second = watched(issuer.verify(key))
    await idle()
    expect(waits.map(({ ms }) => ms)).toEqual([250, 150])
    expect([first.settled, second.settled]).toEqual([false, false])
    clock.advance(150)
    for (const { end } of [...waits]) end()
    expect((await first.promise).ok && (await second.promise).ok).toBe(true)
    // The question is still open, and its time is up: nobody waits for it again.
    expect((await issuer.verify(key)).ok).toBe(true)
    expect(waits).toEqual([])
  })

  it('is asked again 1 s after a question that was never answered', async () => {
    const { issuer, key, clock, calls, faults } = await warmed()
    faults.set('epoch', never)
    clock.advance(1_001)
    for (let i = 0; i < 3; i++) {
      issuer.verifyCached(key)
      clock.advance(333)
    }
    expect(calls).toEqual(['epoch'])
    clock.advance(1)
    issuer.verifyCached(key)
    expect(calls).toEqual(['epoch', 'epoch'])
  })

  it('is left alone for 100 ms after it failed', async () => {
    const { issuer, key, clock, calls, faults } = await warmed()
    faults.set('epoch', 'lost-request')
    clock.advance(2_001)
    for (let i = 0; i < 10; i++) expect((await issuer.verify(key)).ok).toBe(true)
    expect(calls).toEqual(['epoch'])
    clock.advance(100)
    await issuer.verify(key)
    expect(calls).toEqual(['epoch', 'epoch'])
  })

  it('honours keys again as soon as it answers', async () => {
    const { issuer, key, clock, faults } = await warmed()
    faults.set('epoch', 'lost-request').set('keys.find', 'lost-request')
    clock.advance(10_000)
    expect(await issuer.verify(key)).toMatchObject(STALE)
    faults.clear()
    clock.advance(100)
    expect((await issuer.verify(key)).ok).toBe(true)
  })

  it('a late answer counts from its question', async () => {
    const { issuer, key, clock, faults, waits } = await warmed()
    const held = gate()
    faults.set('epoch', held.opened)
    clock.advance(2_001)
    const asked = issuer.verify(key)
    await idle()
    clock.advance(250)
    waits[0]!.end()
    expect((await asked).ok).toBe(true)
    clock.advance(4_500)
    held.open()
    await idle()
    faults.set('epoch', never)
    // 2,001 ms: asked; 7,000 ms: 4,999 ms later.
    clock.advance(249)
    for (const expected of [{ ok: true }, STALE]) {
      const asking = issuer.verify(key)
      await idle()
      for (const { end } of [...waits]) end()
      expect(await asking).toMatchObject(expected)
      clock.advance(1)
    }
  })

  it('a key whose row is outdated stands only as long as its own epoch was certain', async () => {
    const { issuer, key, truth, clock, faults, keyId } = await warmed()
    clock.advance(900)
    await truth.tenants.create({ id: 'third', parentId: null, credentials: 'tenant' }, {})
    // The change comes to light through another key, read at 900 ms.
    const other = await issuer.issue(draft({ name: 'another' }))
    expect((await issuer.verify(other.key)).ok).toBe(true)
    faults.set('epoch', 'lost-request').set('keys.find', 'lost-request')
    expect(issuer.verifyCached(key)).toBeNull()
    expect((await issuer.verify(key)).ok).toBe(true)
    clock.advance(4_099)
    expect((await issuer.verify(key)).ok).toBe(true)
    clock.advance(1)
    expect(await issuer.verify(key)).toEqual({ ...STALE, keyId })
    expect((await issuer.verify(other.key)).ok).toBe(true)
  })

  it('an error that asking again would not cure is thrown, not waited out', async () => {
    let corrupt = false
    const broken = (storage: Storage): Storage => ({
      ...storage,
      epoch: () =>
        corrupt ? Promise.reject(new TenantKeysError('TK_STORE_CORRUPT')) : storage.epoch(),
    })
    const { issuer, key, clock } = await warmed({ wrap: broken })
    corrupt = true
    clock.advance(2_001)
    await expect(issuer.verify(key)).rejects.toMatchObject({ code: 'TK_STORE_CORRUPT' })
  })
})

describe('a replica that lags behind', () => {
  it('T-K17 its older row is not used, and a key known before stands no longer than maxStaleMs', async () => {
    let lag: ((storage: Storage) => Storage['keys']['find']) | null = null
    const wrap = (storage: Storage): Storage => ({
      ...storage,
      keys: { ...storage.keys, find: (id) => (lag?.(storage) ?? storage.keys.find)(id) },
    })
    const { issuer, key, keyId, clock, truth, at, revokeElsewhere } = await warmed({ wrap })
    const old = await truth.keys.find(keyId)
    lag = () => async () => old
    await revokeElsewhere()
    clock.advance(2_001)
    expect((await issuer.verify(key)).ok, 'the epoch is known to be newer, the row is not').toBe(
      true,
    )
    for (let second = 0; second < 3; second++) {
      clock.advance(1_000)
      await issuer.verify(key)
    }
    expect(await issuer.verify(key)).toEqual({ ...STALE, keyId })
    lag = null
    expect(await issuer.verify(key)).toMatchObject({ code: 'TK_KEY_REVOKED' })
    expect((await truth.keys.get(at))?.state).toBe('revoked')
  })

  it('T-K17 a key that only the replica shows is refused as stale', async () => {
    let lag = 0
    const wrap = (storage: Storage): Storage => ({
      ...storage,
      keys: {
        ...storage.keys,
        find: async (id) => {
          const found = await storage.keys.find(id)
          return { ...found, epoch: found.epoch - lag }
        },
      },
    })
    const { issuer } = await warmed({ wrap })
    const fresh = await issuer.issue(draft())
    await issuer.verify(fresh.key)
    const another = await issuer.issue(draft())
    lag = 2
    expect(await issuer.verify(another.key)).toEqual({ ...STALE, keyId: null })
  })
})

describe('unknown ids', () => {
  it('are remembered, and asked for again when the epoch moves', async () => {
    const { issuer, truth, calls, clock } = await warmed()
    const guess = generateKey(draft()).key
    const unknown = { ok: false, code: 'TK_KEY_UNKNOWN', keyId: null }
    for (let i = 0; i < 5; i++) expect(await issuer.verify(guess)).toEqual(unknown)
    expect(calls).toEqual(['keys.find'])
    await truth.tenants.create({ id: 'third', parentId: null, credentials: 'tenant' }, {})
    clock.advance(2_001)
    expect(await issuer.verify(guess)).toEqual(unknown)
    expect(calls).toEqual(['keys.find', 'epoch', 'keys.find'])
  })

  it('push out no key that is known', async () => {
    const { issuer, key } = await warmed({ maxCachedKeys: 10 })
    for (let i = 0; i < 2_000; i++) await issuer.verify(generateKey(draft()).key)
    expect(issuer.verifyCached(key)?.ok).toBe(true)
  })
})

describe('a store in this process', () => {
  const twoIssuers = async () => {
    const { issuer, truth, clock, calls } = await keyInstallation('local')
    const { key, info } = await issuer.issue(draft())
    expect((await issuer.verify(key)).ok).toBe(true)
    const peppers = [{ id: 'pep-1', key: fakePepper(1) }]
    const second = localKeyIssuer({ storage: truth, peppers, clock })
    calls.length = 0
    return { issuer, second, truth, clock, calls, key, info }
  }

  it('shows a change by another issuer to the very next verification, without a wait', async () => {
    const { issuer, second, key, info, calls } = await twoIssuers()
    await second.revoke({ ...info, actor: 'ops' })
    expect(issuer.verifyCached(key)).toBeNull()
    expect(await issuer.verify(key)).toMatchObject({ code: 'TK_KEY_REVOKED' })
    expect(calls).toEqual(['keys.find'])
  })

  it('T-K6 nobody joins a read that was sent before the change', async () => {
    const held = gate()
    let reads = 0
    const wrap = (storage: Storage): Storage => ({
      ...storage,
      keys: {
        ...storage.keys,
        find: async (id) => {
          const found = await storage.keys.find(id)
          if (++reads === 1) await held.opened
          return found
        },
      },
    })
    const { issuer, truth, clock } = await keyInstallation('local', { wrap })
    const { key, info } = await issuer.issue(draft())
    const early = issuer.verify(key)
    await idle()
    const second = localKeyIssuer({
      storage: truth,
      peppers: [{ id: 'pep-1', key: fakePepper(1) }],
      clock,
    })
    await second.revoke({ ...info, actor: 'ops' })
    const late = issuer.verify(key)
    held.open()
    expect(await late).toMatchObject({ code: 'TK_KEY_REVOKED' })
    await early
    expect(await issuer.verify(key)).toMatchObject({ code: 'TK_KEY_REVOKED' })
    expect(reads).toBe(2)
  })

  it('is never asked to wait, however long a key rested', async () => {
    const { issuer, key, clock, calls } = await twoIssuers()
    clock.advance(86_400_000)
    expect(issuer.verifyCached(key)?.ok).toBe(true)
    expect(calls).toEqual([])
  })

  it('is asked properly when it cannot answer at once, and its keys stand for maxStaleMs', async () => {
    let failing: TenantKeysError | null = null
    const wrap = (storage: Storage): Storage => ({
      ...storage,
      epochNow: (): EpochReading => {
        if (failing) throw failing
        return storage.epochNow!()
      },
    })
    const { issuer, clock, calls, faults } = await keyInstallation('local', { wrap })
    const { key } = await issuer.issue(draft({ expiresAtMs: clock.nowMs() + 100_000 }))
    await issuer.verify(key)
    clock.advance(50_000)
    expect(issuer.verifyCached(key)?.ok).toBe(true)
    failing = new TenantKeysError('TK_STORE_BUSY')
    calls.length = 0
    faults.set('epoch', 'lost-request')
    clock.advance(4_800)
    expect((await issuer.verify(key)).ok, 'it was certain 4.9 s ago').toBe(true)
    faults.clear()
    clock.advance(100)
    expect((await issuer.verify(key)).ok).toBe(true)
    expect(calls).toEqual(['epoch', 'epoch'])
    faults.set('epoch', 'lost-request')
    clock.advance(4_999)
    expect((await issuer.verify(key)).ok).toBe(true)
    clock.advance(1)
    expect(await issuer.verify(key)).toMatchObject(STALE)
    faults.clear()
    clock.advance(42_000)
    expect(await issuer.verify(key)).toMatchObject({ code: 'TK_KEY_EXPIRED' })
    failing = new TenantKeysError('TK_CLOSED')
    expect(() => issuer.verifyCached(key)).toThrow(expect.objectContaining({ code: 'TK_CLOSED' }))
  })
})

describe('own changes and reads under way', () => {
  it.each([
    ['and nobody asked in between', false],
    ['and somebody asked in between', true],
  ])(
    'T-K6 a read that began before a revocation does not bring the key back, %s',
    async (_, asks) => {
      const { key, keyId, clock, truth } = await warmed()
      const held = gate()
      let reads = 0
      const { epochNow: _now, ...remote } = truth
      const storage: Storage = {
        ...remote,
        keys: {
          ...truth.keys,
          find: async (id) => {
            const found = await truth.keys.find(id)
            if (++reads === 1) await held.opened
            return found
          },
        },
      }
      const own = localKeyIssuer({ storage, peppers: [{ id: 'pep-1', key: fakePepper(1) }], clock })
      const early = watched(own.verify(key))
      await idle()
      await own.revoke({ tenantId: 'acme', keyId, actor: 'ops' })
      expect(early.settled).toBe(false)
      const revoked = { ok: false, code: 'TK_KEY_REVOKED', keyId }
      if (asks) expect(await own.verify(key)).toEqual(revoked)
      held.open()
      await early.promise
      expect(own.verifyCached(key)?.ok ?? false).toBe(false)
      expect(await own.verify(key)).toEqual(revoked)
    },
  )

  it('a change whose outcome is unknown is looked up, not assumed', async () => {
    const { issuer, key, keyId, faults } = await warmed()
    faults.set('keys.setState', 'lost-reply')
    const change = issuer.revoke({ tenantId: 'acme', keyId, actor: 'ops' })
    await expect(change).rejects.toMatchObject({ outcome: 'unknown' })
    expect(await issuer.verify(key)).toMatchObject({ code: 'TK_KEY_REVOKED' })
  })
})
