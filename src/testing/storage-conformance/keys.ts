/**
 * Platform keys and the epoch: lookup, states, revocation, the clock of the store.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { atOnce, type ConformanceCase, rejects, there, winners } from './case.ts'
import { ALL, bytes, goodAlso, keyIdOf, NONE, newKey, tenants } from './samples.ts'
import { allPages } from './tenants.ts'

const at = { tenantId: 'acme', keyId: keyIdOf(1) }

export const keyCases: readonly ConformanceCase[] = [
  {
    title: 'ST-2 a key comes back as it was written, active, by its id and by its tenant',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'root', 'acme<root')
      clock.advance(5)
      const written = newKey('acme', 1, {
        scopes: ['support:chat', 'a b', '*'],
        environment: 'test',
        expiresAtMs: clock.nowMs() + 1,
        name: 'Schlüssel "1"\n',
      })
      const made = await storage.keys.create(written, NONE)
      const nowMs = clock.nowMs()
      const times = { createdAtMs: nowMs, updatedAtMs: nowMs }
      assert.deepEqual(made, { ...written, ...times, state: 'active', secretVersion: 1 })
      assert.deepEqual(await storage.keys.get(at), made)
      const { found } = await storage.keys.find(at.keyId)
      assert.deepEqual(found, { key: made, tenant: await storage.tenants.get('acme') })
    },
  },
  {
    title: 'ST-2 rows are never shared: what a caller changes in its copy stays in its copy',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      const written = { ...newKey('acme', 1), scopes: ['support:chat'], hash: bytes(32, 1) }
      const made = await storage.keys.create(written, NONE)
      written.hash.fill(9)
      written.scopes.push('everything')
      made.hash.fill(9)
      there((await storage.keys.find(at.keyId)).found).key.hash.fill(9)
      const kept = there(await storage.keys.get(at))
      assert.deepEqual(kept.hash, bytes(32, 1))
      assert.deepEqual(kept.scopes, ['support:chat'])
    },
  },
  {
    title: 'ST-2 a key that is not there is null, with the epoch and the time all the same',
    run: async ({ storage, clock }) => {
      const { found, epoch, nowMs } = await storage.keys.find(at.keyId)
      assert.equal(found, null)
      assert.equal(epoch, (await storage.epoch()).epoch)
      assert.equal(nowMs, clock.nowMs())
      assert.equal(await storage.keys.get(at), null)
      const page = await storage.keys.list({ tenantId: 'acme', ...ALL })
      assert.deepEqual(page, { items: [], next: null })
      assert.equal(await storage.keys.setState({ ...at, state: 'revoked' }, NONE), null)
    },
  },
  {
    title: 'ST-2 pages of keys are in id order, full but for the last, and end with null',
    run: async ({ storage }) => {
      await tenants(storage, 'acme', 'other')
      for (const n of [5, 3, 1, 4, 2]) await storage.keys.create(newKey('acme', n), NONE)
      await storage.keys.create(newKey('other', 6), NONE)
      const pages = await allPages(2, (q) => storage.keys.list({ tenantId: 'acme', ...q }))
      const ids = pages.map((page) => page.map((k) => k.keyId))
      const [one, two, three, four, five] = [1, 2, 3, 4, 5].map(keyIdOf)
      assert.deepEqual(ids, [[one, two], [three, four], [five]])
    },
  },
  {
    title: 'ST-2 a key of a tenant that is not there is refused',
    run: async ({ storage }) => {
      await rejects(storage.keys.create(newKey('nobody', 1), NONE), 'TK_TENANT_NOT_FOUND')
      assert.equal((await storage.keys.find(keyIdOf(1))).found, null)
    },
  },
  {
    title: 'ST-7 of many callers that create the same key exactly one does',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      const racers = atOnce(16, (n) =>
        storage.keys.create(newKey('acme', 1, { name: `racer ${n}` }), NONE),
      )
      const [won, ...others] = await winners(racers, 'TK_STORE_CONFLICT')
      assert.equal(others.length, 0)
      assert.deepEqual(await storage.keys.get(at), won)
    },
  },
  {
    title: 'ST-7 of many callers that disable a key one changes it, the others find it disabled',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), NONE)
      const disable = { ...at, state: 'disabled' } as const
      const racers = atOnce(16, (n) => storage.keys.setState(disable, goodAlso('acme', `r${n}`)))
      for (const key of await Promise.all(racers)) assert.equal(key?.state, 'disabled')
      assert.equal((await storage.audit.list({ rootId: 'acme', ...ALL })).items.length, 1)
    },
  },
  {
    title: 'ST-6 a revoked key stays revoked, whatever is asked later',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), NONE)
      await storage.keys.setState({ ...at, state: 'disabled' }, NONE)
      const revoked = await storage.keys.setState({ ...at, state: 'revoked' }, NONE)
      for (const state of ['active', 'disabled'] as const) {
        await rejects(storage.keys.setState({ ...at, state }, NONE), 'TK_KEY_REVOKED')
      }
      assert.deepEqual(await storage.keys.setState({ ...at, state: 'revoked' }, NONE), revoked)
      await rejects(storage.keys.create(newKey('acme', 1), NONE), 'TK_STORE_CONFLICT')
      assert.deepEqual(there((await storage.keys.find(at.keyId)).found).key, revoked)
    },
  },
  {
    title: 'ST-6 callers that enable a key while it is revoked cannot bring it back',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), NONE)
      const states = ['disabled', 'active', 'revoked', 'active', 'disabled', 'active'] as const
      const racers = states.map((state) => storage.keys.setState({ ...at, state }, NONE))
      await winners(racers, 'TK_KEY_REVOKED')
      assert.equal((await storage.keys.get(at))?.state, 'revoked')
    },
  },
  {
    title: 'ST-6 states other than revoked go both ways, and the time of the change is kept',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'acme')
      const made = await storage.keys.create(newKey('acme', 1), NONE)
      for (const state of ['disabled', 'active', 'disabled'] as const) {
        clock.advance(10)
        const changed = await storage.keys.setState({ ...at, state }, NONE)
        assert.deepEqual(changed, { ...made, state, updatedAtMs: clock.nowMs() })
        assert.deepEqual(await storage.keys.get(at), changed)
      }
    },
  },
]

export const epochCases: readonly ConformanceCase[] = [
  {
    title: 'ST-5 creating a tenant, creating a key and each change of its state raise the epoch',
    run: async ({ storage }) => {
      const epochs = [(await storage.epoch()).epoch]
      const note = async (): Promise<unknown> => epochs.push((await storage.epoch()).epoch)
      await tenants(storage, 'acme')
      await note()
      await storage.keys.create(newKey('acme', 1), NONE)
      await note()
      for (const state of ['disabled', 'active', 'revoked'] as const) {
        await storage.keys.setState({ ...at, state }, NONE)
        await note()
      }
      const raised = epochs.filter((epoch, n) => n > 0 && epoch > epochs[n - 1]!)
      assert.equal(raised.length, 5, `epochs: ${epochs}`)
    },
  },
  {
    title:
      'ST-5 a lookup never carries a later epoch than its row: the change and the epoch are one',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), NONE)
      const before = await storage.keys.find(at.keyId)
      const change = storage.keys.setState({ ...at, state: 'revoked' }, NONE)
      const lookups = await Promise.all(atOnce(32, () => storage.keys.find(at.keyId)))
      await change
      const after = await storage.keys.find(at.keyId)
      assert.equal(after.found?.key.state, 'revoked')
      for (const { epoch, found } of [before, ...lookups, after]) {
        if (epoch > before.epoch) assert.equal(found?.key.state, 'revoked')
      }
    },
  },
  {
    title: 'ST-5 epoch, epochNow and a lookup agree',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), NONE)
      const { epoch } = await storage.epoch()
      assert.equal((await storage.keys.find(at.keyId)).epoch, epoch)
      if (storage.epochNow) assert.equal(storage.epochNow().epoch, epoch)
    },
  },
  {
    title: 'ST-4 the time of the store follows its clock forward and never goes back',
    run: async ({ storage, clock }) => {
      const startMs = clock.nowMs()
      assert.equal((await storage.epoch()).nowMs, startMs)
      clock.advance(60_000)
      assert.equal((await storage.epoch()).nowMs, startMs + 60_000)
      clock.set(startMs - 86_400_000)
      assert.equal((await storage.epoch()).nowMs, startMs + 60_000)
      assert.equal((await storage.keys.find(at.keyId)).nowMs, startMs + 60_000)
      if (storage.epochNow) assert.equal(storage.epochNow().nowMs, startMs + 60_000)
      clock.set(startMs + 60_001)
      assert.equal((await storage.epoch()).nowMs, startMs + 60_001)
    },
  },
  {
    title: 'ST-4 of a clock that tells parts of a millisecond a store takes the whole ones',
    run: async ({ storage, clock }) => {
      const startMs = clock.nowMs()
      clock.set(startMs + 0.75)
      assert.equal((await storage.epoch()).nowMs, startMs)
      if (storage.epochNow) assert.equal(storage.epochNow().nowMs, startMs)
      await tenants(storage, 'first')
      assert.equal(there(await storage.tenants.get('first')).createdAtMs, startMs)
      assert.equal(await storage.ledger.sweep(1), 0)
    },
  },
  {
    title: 'ST-4 rows written after the clock stepped back are not older than those before',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'first')
      const before = there(await storage.tenants.get('first')).createdAtMs
      clock.set(clock.nowMs() - 3_600_000)
      await tenants(storage, 'second')
      assert.ok(there(await storage.tenants.get('second')).createdAtMs >= before)
      const made = await storage.keys.create(newKey('first', 1), goodAlso('first', 'made'))
      assert.ok(made.createdAtMs >= before)
      const trail = await storage.audit.list({ rootId: 'first', ...ALL })
      assert.ok(there(trail.items[0]).atMs >= before)
    },
  },
]
