/**
 * The life of a store: separate instances, capabilities, migrate, close, a second handle, a backend
 * that fails.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { Storage } from '../../storage/storage.ts'
import { type ConformanceCase, failure, rejects } from './case.ts'
import { everyCommand } from './every-command.ts'
import { ledgerBench } from './ledger-bench.ts'
import {
  ALL,
  goodAlso,
  keyIdOf,
  NONE,
  newKey,
  newSecret,
  tenants,
  tenantWithDek,
} from './samples.ts'

interface Filled {
  readonly settled: string
  readonly live: string
}

/** Writes one row of everything about tenant `acme`. */
async function fill(storage: Storage): Promise<Filled> {
  const dek = await tenantWithDek(storage, 'acme')
  await storage.keys.create(newKey('acme', 1), goodAlso('acme', 'filled'))
  await storage.secrets.put(newSecret('acme', dek.id), NONE)
  const bench = await ledgerBench(storage, { tenantId: 'acme', limit: 1000n, ready: true })
  const settled = await bench.hold(100n)
  await bench.settle(settled, 60n)
  const live = await bench.hold(200n)
  return { settled, live }
}

async function readAll(storage: Storage, { settled, live }: Filled): Promise<object> {
  const tenantId = 'acme'
  return {
    tenants: await storage.tenants.list({ parentId: null, ...ALL }),
    key: (await storage.keys.find(keyIdOf(1))).found,
    secrets: await storage.secrets.list({ tenantId, ...ALL }),
    dek: await storage.deks.current(tenantId),
    budgets: await storage.ledger.budgets(tenantId),
    settled: await storage.ledger.hold({ tenantId, holdId: settled }),
    live: await storage.ledger.hold({ tenantId, holdId: live }),
    usage: await storage.usage.get({ tenantId, id: settled }),
    audit: await storage.audit.list({ rootId: tenantId, ...ALL }),
  }
}

export const lifecycleCases: readonly ConformanceCase[] = [
  {
    title: 'ST-1 migrate may run again and keeps every row',
    run: async ({ storage }) => {
      const filled = await fill(storage)
      const before = await readAll(storage, filled)
      await storage.migrate()
      await Promise.all([storage.migrate(), storage.migrate()])
      assert.deepEqual(await readAll(storage, filled), before)
    },
  },
  {
    title: 'ST-1 what was acknowledged is there after the store was closed and opened again',
    needs: 'durable',
    run: async ({ storage, another }) => {
      const filled = await fill(storage)
      const before = await readAll(storage, filled)
      await storage.close()
      const again = await another()
      await again.migrate()
      assert.deepEqual(await readAll(again, filled), before)
    },
  },
  {
    title: 'ST-5 a second handle on the same data sees the change and the raised epoch',
    needs: 'multiProcess',
    run: async ({ storage, another }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), NONE)
      const second = await another()
      const before = await second.keys.find(keyIdOf(1))
      await storage.keys.setState({ tenantId: 'acme', keyId: keyIdOf(1), state: 'revoked' }, NONE)
      const after = await second.keys.find(keyIdOf(1))
      assert.equal(before.found?.key.state, 'active')
      assert.equal(after.found?.key.state, 'revoked')
      assert.ok(after.epoch > before.epoch)
      assert.ok((await second.epoch()).epoch >= after.epoch)
    },
  },
  {
    title: 'ST-2 a store that cannot answer throws in every command and never answers "absent"',
    needs: 'durable',
    run: async ({ storage, breakBackend }) => {
      await tenants(storage, 'acme')
      await breakBackend()
      for (const { name, run } of everyCommand(storage)) {
        const error = await failure(run()).catch((e: unknown) => assert.fail(`${name}: ${e}`))
        assert.ok(TenantKeysError.isInstance(error), `${name} threw something foreign`)
        const allowed = ['TK_STORE_UNAVAILABLE', 'TK_STORE_BUSY', 'TK_STORE_CORRUPT']
        assert.ok(allowed.includes(error.code), `${name} threw ${error.code}`)
      }
    },
  },
  {
    title: 'ST-13 close may be called again',
    run: async ({ storage }) => {
      await storage.close()
      await storage.close()
      await Promise.all([storage.close(), storage.close()])
    },
  },
  {
    title: 'ST-13 after close every command throws TK_CLOSED',
    run: async ({ storage }) => {
      await fill(storage)
      const commands = everyCommand(storage)
      assert.ok(commands.length > 30)
      await storage.close()
      for (const { name, run } of commands) {
        await rejects(run(), 'TK_CLOSED').catch((e: Error) => assert.fail(`${name}: ${e.message}`))
      }
      if (storage.epochNow) {
        assert.throws(
          storage.epochNow,
          (e) => TenantKeysError.isInstance(e) && e.code === 'TK_CLOSED',
        )
      }
    },
  },
  {
    title: 'ST-13 closing one store leaves another alone',
    run: async ({ storage, separate }) => {
      const other = await separate()
      await storage.close()
      await tenants(other, 'acme')
      assert.equal((await other.tenants.get('acme'))?.id, 'acme')
    },
  },
]

/** Runs before all others: without it no result of theirs means anything. */
export const factoryCases: readonly ConformanceCase[] = [
  {
    title: 'the factory makes stores that share nothing',
    run: async ({ storage, separate }) => {
      const other = await separate()
      await fill(storage)
      assert.equal(await other.tenants.get('acme'), null)
      assert.equal((await other.keys.find(keyIdOf(1))).found, null)
      assert.deepEqual(await other.ledger.budgets('acme'), [])
      assert.deepEqual((await other.outbox.lease({ limit: 10, leaseMs: 1000 })).events, [])
      await fill(other)
    },
  },
]
