/**
 * ST-10: the audit chain.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { CHAIN_START, verifyChain } from '../../audit/chain.ts'
import type { AuditRecord } from '../../storage/records.ts'
import type { Storage } from '../../storage/storage.ts'
import { atOnce, type ConformanceCase, failure, there } from './case.ts'
import { ALL, audit, badAlso, goodAlso, newKey, tenants } from './samples.ts'
import { allPages } from './tenants.ts'

export const chain = async (storage: Storage, rootId: string): Promise<readonly AuditRecord[]> =>
  (await storage.audit.list({ rootId, ...ALL })).items

export const actions = (rows: readonly AuditRecord[]): readonly string[] =>
  rows.map((row) => row.action)

export const auditCases: readonly ConformanceCase[] = [
  {
    title: 'ST-10 rows of one root form a gapless chain in commit order, whoever wrote them',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'root')
      const child = { id: 'child', parentId: 'root', credentials: 'tenant' } as const
      await storage.tenants.create(child, { audit: [audit('root', 'first')] })
      clock.advance(5)
      await storage.keys.create(newKey('child', 1), {
        audit: [audit('child', 'second'), audit('root', 'third')],
      })
      const rows = await chain(storage, 'root')
      assert.deepEqual(actions(rows), ['first', 'second', 'third'])
      assert.deepEqual(
        rows.map((row) => row.sequence),
        [1, 2, 3],
      )
      assert.deepEqual(verifyChain(rows), { ok: true })
      const { id, hash, ...second } = there(rows[1])
      assert.deepEqual(second, {
        ...audit('child', 'second'),
        rootId: 'root',
        sequence: 2,
        atMs: clock.nowMs(),
        previousHash: there(rows[0]).hash,
      })
      assert.equal(new Set(rows.map((row) => row.id)).size, 3)
      assert.equal(there(rows[0]).previousHash, CHAIN_START)
      assert.ok(id.length > 0 && hash.length === 64)
    },
  },
  {
    title: 'ST-10 each root has a chain of its own, and acts of no tenant have the chain *',
    run: async ({ storage }) => {
      await tenants(storage, 'a', 'b')
      await storage.keys.create(newKey('a', 1), { audit: [audit('a', 'of a')] })
      await storage.keys.create(newKey('b', 2), {
        audit: [audit(null, 'of none'), audit('b', 'of b')],
      })
      for (const [rootId, action] of [
        ['a', 'of a'],
        ['b', 'of b'],
        ['*', 'of none'],
      ] as const) {
        const rows = await chain(storage, rootId)
        assert.deepEqual(actions(rows), [action])
        assert.deepEqual(verifyChain(rows), { ok: true })
      }
    },
  },
  {
    title:
      'ST-10 rows written at once leave no gap and no fork, and a failed command leaves no trace',
    run: async ({ storage }) => {
      await tenants(storage, 'root')
      await Promise.all(
        atOnce(24, async (n) => {
          const work = storage.keys.create(
            newKey('root', n),
            n % 4 === 3 ? badAlso('root', `bad-${n}`) : { audit: [audit('root', `good-${n}`)] },
          )
          if (n % 4 === 3) await failure(work)
          else await work
        }),
      )
      const rows = await chain(storage, 'root')
      assert.equal(rows.length, 18)
      assert.deepEqual(verifyChain(rows), { ok: true })
      assert.equal(new Set(actions(rows)).size, 18)
    },
  },
  {
    title: 'ST-10 pages of a chain follow its sequence and end with null',
    run: async ({ storage }) => {
      await tenants(storage, 'root')
      const names = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11']
      const rows = names.map((name) => audit('root', name))
      await storage.keys.create(newKey('root', 1), { audit: rows })
      const pages = await allPages(4, (q) => storage.audit.list({ rootId: 'root', ...q }))
      assert.deepEqual(pages.map(actions), [
        ['1', '2', '3', '4'],
        ['5', '6', '7', '8'],
        ['9', '10', '11'],
      ])
      assert.deepEqual(verifyChain(pages.flat()), { ok: true })
    },
  },
  {
    title: 'ST-10 a chain goes on across a restart',
    needs: 'durable',
    run: async ({ storage, another }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), goodAlso('acme', 'before'))
      await storage.close()
      const again = await another()
      await again.keys.create(newKey('acme', 2), { audit: [audit('acme', 'after')] })
      const rows = await chain(again, 'acme')
      assert.deepEqual(actions(rows), ['before', 'after'])
      assert.deepEqual(verifyChain(rows), { ok: true })
      assert.deepEqual(await chain(again, 'nobody'), [])
    },
  },
]
