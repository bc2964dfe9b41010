/**
 * Sealed secrets and wrapped data keys: versions, seals, generations.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { uuidv7 } from '../../kernel/ids.ts'
import { atOnce, type ConformanceCase, rejects, there, winners } from './case.ts'
import { ALL, bytes, goodAlso, NONE, newDek, newSecret, tenants, tenantWithDek } from './samples.ts'
import { allPages } from './tenants.ts'

const ref = { tenantId: 'acme', provider: 'openai', name: 'default' }

export const secretCases: readonly ConformanceCase[] = [
  {
    title: 'ST-2 a secret comes back as it was written, and its seal is counted',
    run: async ({ storage, clock }) => {
      const dek = await tenantWithDek(storage, 'acme')
      const written = newSecret('acme', dek.id, {
        origin: 'https://llm.example',
        publicFields: { endpoint: 'https://llm.example/v1', region: 'ü' },
      })
      const made = await storage.secrets.put(written, NONE)
      const nowMs = clock.nowMs()
      assert.deepEqual(made, { ...written, createdAtMs: nowMs, updatedAtMs: nowMs })
      assert.deepEqual(await storage.secrets.get(ref), made)
      assert.equal((await storage.deks.current('acme'))?.seals, 1)

      clock.advance(10)
      const next = newSecret('acme', dek.id, { id: made.id, version: 2, envelope: bytes(90, 8) })
      const changed = await storage.secrets.put(next, NONE)
      assert.deepEqual(changed, { ...next, createdAtMs: nowMs, updatedAtMs: nowMs + 10 })
      assert.deepEqual(await storage.secrets.get(ref), changed)
      assert.equal((await storage.deks.current('acme'))?.seals, 2)
    },
  },
  {
    title: 'ST-2 what is not there is null, false or an empty page',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      assert.equal(await storage.secrets.get(ref), null)
      assert.equal(await storage.secrets.delete(ref, NONE), false)
      const page = await storage.secrets.list({ tenantId: 'acme', ...ALL })
      assert.deepEqual(page, { items: [], next: null })
      assert.equal(await storage.deks.current('acme'), null)
      assert.equal(await storage.deks.get({ tenantId: 'acme', dekId: uuidv7() }), null)
    },
  },
  {
    title: 'ST-2 a deleted secret is gone, and the next one starts at version 1 again',
    run: async ({ storage }) => {
      const dek = await tenantWithDek(storage, 'acme')
      await storage.secrets.put(newSecret('acme', dek.id), NONE)
      assert.equal(await storage.secrets.delete(ref, NONE), true)
      assert.equal(await storage.secrets.get(ref), null)
      assert.equal(await storage.secrets.delete(ref, NONE), false)
      await storage.secrets.put(newSecret('acme', dek.id), NONE)
      assert.equal((await storage.secrets.get(ref))?.version, 1)
    },
  },
  {
    title: 'ST-2 pages of secrets are in order of provider/name and end with null',
    run: async ({ storage }) => {
      const dek = await tenantWithDek(storage, 'acme')
      const names = ['openai/default', 'anthropic/b', 'openai/a', 'anthropic/a', 'open/z']
      for (const full of names) {
        const [provider = '', name = ''] = full.split('/')
        await storage.secrets.put(newSecret('acme', dek.id, { provider, name }), NONE)
      }
      const pages = await allPages(2, (q) => storage.secrets.list({ tenantId: 'acme', ...q }))
      const order = pages.map((page) => page.map((s) => `${s.provider}/${s.name}`))
      assert.deepEqual(order, [
        ['anthropic/a', 'anthropic/b'],
        ['open/z', 'openai/a'],
        ['openai/default'],
      ])
    },
  },
  {
    title: 'ST-7 of many callers that put the same version of a secret exactly one does',
    run: async ({ storage }) => {
      const dek = await tenantWithDek(storage, 'acme')
      for (const version of [1, 2]) {
        const racers = atOnce(16, (n) =>
          storage.secrets.put(
            newSecret('acme', dek.id, { version, envelope: bytes(80, n) }),
            goodAlso('acme', `v${version}r${n}`),
          ),
        )
        const won = await winners(racers, 'TK_STORE_CONFLICT')
        assert.equal(won.length, 1)
        assert.deepEqual(await storage.secrets.get(ref), won[0])
      }
      assert.equal((await storage.deks.current('acme'))?.seals, 2)
      assert.equal((await storage.audit.list({ rootId: 'acme', ...ALL })).items.length, 2)
    },
  },
  {
    title: 'ST-7 a secret takes only the version after the stored one',
    run: async ({ storage }) => {
      const dek = await tenantWithDek(storage, 'acme')
      const put = (version: number): Promise<unknown> =>
        storage.secrets.put(newSecret('acme', dek.id, { version }), NONE)
      await rejects(put(2), 'TK_STORE_CONFLICT')
      await rejects(put(0), 'TK_STORE_CONFLICT')
      await put(1)
      await rejects(put(1), 'TK_STORE_CONFLICT')
      await rejects(put(3), 'TK_STORE_CONFLICT')
      await put(2)
      assert.equal((await storage.deks.current('acme'))?.seals, 2)
    },
  },
  {
    title: 'ST-2 a secret of a tenant that is not there is refused',
    run: async ({ storage }) => {
      const dek = await tenantWithDek(storage, 'acme')
      await rejects(storage.secrets.put(newSecret('nobody', dek.id), NONE), 'TK_TENANT_NOT_FOUND')
      await rejects(storage.deks.create(newDek('nobody', 1), NONE), 'TK_TENANT_NOT_FOUND')
    },
  },
  {
    title: 'ST-7 of many callers that add a data key generation one does, and all get that one',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      for (const generation of [1, 2]) {
        const racers = atOnce(16, (n) =>
          storage.deks.create(
            newDek('acme', generation, { wrapped: bytes(60, n) }),
            goodAlso('acme', `g${generation}r${n}`),
          ),
        )
        const all = await Promise.all(racers)
        assert.equal(new Set(all.map((dek) => dek.id)).size, 1)
        assert.deepEqual(await storage.deks.current('acme'), all[0])
      }
      assert.equal((await storage.audit.list({ rootId: 'acme', ...ALL })).items.length, 2)
    },
  },
  {
    title: 'ST-2 the newest generation of data keys is current, older ones stay readable',
    run: async ({ storage, clock }) => {
      const first = await tenantWithDek(storage, 'acme')
      const written = newDek('acme', 2)
      const second = await storage.deks.create(written, NONE)
      assert.deepEqual(second, { ...written, seals: 0, createdAtMs: clock.nowMs() })
      assert.deepEqual(await storage.deks.current('acme'), second)
      const at = { tenantId: 'acme', dekId: first.id }
      assert.deepEqual(there(await storage.deks.get(at)), first)
    },
  },
]
