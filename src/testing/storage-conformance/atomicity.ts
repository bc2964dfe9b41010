/**
 * ST-1: a command writes its change and all of `also`, or nothing.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Also } from '../../storage/also.ts'
import type { Storage } from '../../storage/storage.ts'
import { type ConformanceCase, failure, rejects } from './case.ts'
import { drain, tenantAccount } from './ledger-bench.ts'
import {
  ALL,
  audit,
  badAlso,
  goodAlso,
  keyIdOf,
  NONE,
  newDek,
  newKey,
  newSecret,
  tenants,
  tenantWithDek,
} from './samples.ts'

const tenantId = 'acme'
const key = { tenantId, keyId: keyIdOf(1) }
const secret = { tenantId, provider: 'openai', name: 'default' }
const budget = {
  tenantId,
  account: tenantAccount(tenantId),
  unit: 'usd',
  window: 'month',
  zone: 'UTC',
  source: 'explicit',
} as const

/** A command that changes something, what it needs before, and how its change is seen. */
interface Change {
  readonly name: string
  prepare(storage: Storage): Promise<unknown>
  run(storage: Storage, also: Also): Promise<unknown>
  see(storage: Storage): Promise<unknown>
}

const changes: readonly Change[] = [
  {
    name: 'tenants.create',
    prepare: (storage) => tenants(storage, tenantId),
    run: (storage, also) =>
      storage.tenants.create({ id: 'second', parentId: tenantId, credentials: 'platform' }, also),
    see: (storage) => storage.tenants.get('second'),
  },
  {
    name: 'keys.create',
    prepare: (storage) => tenants(storage, tenantId),
    run: (storage, also) => storage.keys.create(newKey(tenantId, 1), also),
    see: (storage) => storage.keys.get(key),
  },
  {
    name: 'keys.setState',
    prepare: async (storage) => {
      await tenants(storage, tenantId)
      await storage.keys.create(newKey(tenantId, 1), NONE)
    },
    run: (storage, also) => storage.keys.setState({ ...key, state: 'revoked' }, also),
    see: (storage) => storage.keys.get(key),
  },
  {
    name: 'secrets.put',
    prepare: (storage) => tenantWithDek(storage, tenantId),
    run: async (storage, also) => {
      const dek = await storage.deks.current(tenantId)
      return storage.secrets.put(newSecret(tenantId, dek?.id ?? ''), also)
    },
    see: async (storage) => [
      await storage.secrets.get(secret),
      await storage.deks.current(tenantId),
    ],
  },
  {
    name: 'secrets.delete',
    prepare: async (storage) => {
      const dek = await tenantWithDek(storage, tenantId)
      await storage.secrets.put(newSecret(tenantId, dek.id), NONE)
    },
    run: (storage, also) => storage.secrets.delete(secret, also),
    see: (storage) => storage.secrets.get(secret),
  },
  {
    name: 'deks.create',
    prepare: (storage) => tenants(storage, tenantId),
    run: (storage, also) => storage.deks.create(newDek(tenantId, 1), also),
    see: (storage) => storage.deks.current(tenantId),
  },
  {
    name: 'ledger.setBudget (new)',
    prepare: (storage) => tenants(storage, tenantId),
    run: (storage, also) => storage.ledger.setBudget({ ...budget, limit: 10n }, also),
    see: (storage) => storage.ledger.budgets(tenantId),
  },
  {
    name: 'ledger.setBudget (changed)',
    prepare: async (storage) => {
      await tenants(storage, tenantId)
      await storage.ledger.setBudget({ ...budget, limit: 10n }, NONE)
    },
    run: (storage, also) => storage.ledger.setBudget({ ...budget, limit: 20n }, also),
    see: (storage) => storage.ledger.budgets(tenantId),
  },
  {
    name: 'ledger.setLimits',
    prepare: async (storage) => {
      await tenants(storage, tenantId)
      await storage.ledger.setBudget({ ...budget, limit: 10n }, NONE)
    },
    run: (storage, also) => storage.ledger.setLimits([{ ...budget, limit: 20n }], also),
    see: (storage) => storage.ledger.budgets(tenantId),
  },
  {
    name: 'ledger.removeBudget',
    prepare: async (storage) => {
      await tenants(storage, tenantId)
      await storage.ledger.setBudget({ ...budget, limit: 10n }, NONE)
    },
    run: (storage, also) => storage.ledger.removeBudget(budget, also),
    see: (storage) => storage.ledger.budgets(tenantId),
  },
]

/** A command that changes nothing: it has no `also` to write. */
const idle: readonly Omit<Change, 'see'>[] = [
  {
    name: 'keys.setState to the same state',
    prepare: async (storage) => {
      await tenants(storage, tenantId)
      await storage.keys.create(newKey(tenantId, 1), NONE)
    },
    run: (storage, also) => storage.keys.setState({ ...key, state: 'active' }, also),
  },
  {
    name: 'keys.setState of no key',
    prepare: (storage) => tenants(storage, tenantId),
    run: (storage, also) => storage.keys.setState({ ...key, state: 'disabled' }, also),
  },
  {
    name: 'secrets.delete of no secret',
    prepare: (storage) => tenants(storage, tenantId),
    run: (storage, also) => storage.secrets.delete(secret, also),
  },
  {
    name: 'deks.create of a generation that is there',
    prepare: (storage) => tenantWithDek(storage, tenantId),
    run: (storage, also) => storage.deks.create(newDek(tenantId, 1), also),
  },
  {
    name: 'ledger.removeBudget of no budget',
    prepare: (storage) => tenants(storage, tenantId),
    run: (storage, also) => storage.ledger.removeBudget(budget, also),
  },
]

/** Commands that are refused after they were let in. */
const refused: readonly Omit<Change, 'see'>[] = [
  {
    name: 'tenants.create of a tenant that is there',
    prepare: (storage) => tenants(storage, tenantId),
    run: (storage, also) =>
      storage.tenants.create({ id: tenantId, parentId: null, credentials: 'tenant' }, also),
  },
  {
    name: 'keys.create of a key that is there',
    prepare: async (storage) => {
      await tenants(storage, tenantId)
      await storage.keys.create(newKey(tenantId, 1), NONE)
    },
    run: (storage, also) => storage.keys.create(newKey(tenantId, 1), also),
  },
  {
    name: 'secrets.put of another version than the next',
    prepare: (storage) => tenantWithDek(storage, tenantId),
    run: async (storage, also) => {
      const dek = await storage.deks.current(tenantId)
      return storage.secrets.put(newSecret(tenantId, dek?.id ?? '', { version: 2 }), also)
    },
  },
]

const trail = async (storage: Storage): Promise<readonly string[]> =>
  (await storage.audit.list({ rootId: tenantId, ...ALL })).items.map((row) => row.action)

const queue = async (storage: Storage): Promise<readonly string[]> =>
  (await drain(storage)).map((event) => event.id)

export const atomicityCases: readonly ConformanceCase[] = [
  ...changes.map(
    (change): ConformanceCase => ({
      title: `ST-1 ${change.name} writes its audit rows and events with it`,
      run: async ({ storage }) => {
        await change.prepare(storage)
        const before = await change.see(storage)
        await change.run(storage, goodAlso(tenantId, 'done'))
        assert.notDeepEqual(await change.see(storage), before)
        assert.deepEqual(await trail(storage), ['done'])
        assert.deepEqual(await queue(storage), ['event-done'])
      },
    }),
  ),
  ...changes.map(
    (change): ConformanceCase => ({
      title: `ST-1 ${change.name} leaves nothing when an event of it cannot be written`,
      run: async ({ storage }) => {
        await change.prepare(storage)
        const before = await change.see(storage)
        await failure(change.run(storage, badAlso(tenantId, 'lost')))
        assert.deepEqual(await change.see(storage), before)
        assert.deepEqual(await trail(storage), [])
        assert.deepEqual(await queue(storage), [])
        await change.run(storage, goodAlso(tenantId, 'again'))
        assert.notDeepEqual(await change.see(storage), before)
      },
    }),
  ),
  ...idle.map(
    (change): ConformanceCase => ({
      title: `ST-1 ${change.name} changes nothing and writes no audit row or event`,
      run: async ({ storage }) => {
        await change.prepare(storage)
        await change.run(storage, goodAlso(tenantId, 'idle'))
        assert.deepEqual(await trail(storage), [])
        assert.deepEqual(await queue(storage), [])
      },
    }),
  ),
  ...refused.map(
    (change): ConformanceCase => ({
      title: `ST-1 ${change.name} is refused and writes no audit row or event`,
      run: async ({ storage }) => {
        await change.prepare(storage)
        await failure(change.run(storage, goodAlso(tenantId, 'refused')))
        assert.deepEqual(await trail(storage), [])
        assert.deepEqual(await queue(storage), [])
      },
    }),
  ),
  {
    title: 'ST-1 an audit row of a tenant that is not there undoes the change it came with',
    run: async ({ storage }) => {
      await tenants(storage, tenantId)
      const also = { audit: [audit(tenantId, 'first'), audit('nobody', 'second')] }
      await rejects(storage.keys.create(newKey(tenantId, 1), also), 'TK_TENANT_NOT_FOUND')
      assert.equal(await storage.keys.get(key), null)
      assert.deepEqual(await trail(storage), [])
    },
  },
]
