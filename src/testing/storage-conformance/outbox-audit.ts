/**
 * ST-10 and ST-11: the audit chain and the outbox.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { CHAIN_START, verifyChain } from '../../audit/chain.ts'
import type { NewEvent } from '../../storage/also.ts'
import type { AuditRecord, OutboxRecord } from '../../storage/records.ts'
import type { Storage } from '../../storage/storage.ts'
import { atOnce, type ConformanceCase, failure, there } from './case.ts'
import { ALL, audit, badAlso, goodAlso, keyIdOf, newKey, tenants } from './samples.ts'
import { allPages } from './tenants.ts'

const chain = async (storage: Storage, rootId: string): Promise<readonly AuditRecord[]> =>
  (await storage.audit.list({ rootId, ...ALL })).items

const actions = (rows: readonly AuditRecord[]): readonly string[] => rows.map((row) => row.action)

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
]

const event = (id: string, over: Partial<NewEvent> = {}): NewEvent => ({
  id,
  kind: 'sample',
  tenantId: 'acme',
  payload: { text: `"${id}"`, amount: '12', list: [1, null, true] },
  ...over,
})

/** Puts events into the outbox, as part of some change. */
async function emit(storage: Storage, n: number, ...events: readonly NewEvent[]): Promise<void> {
  await storage.keys.create(newKey('acme', n), { events })
}

const idsOf = (events: readonly OutboxRecord[]): readonly string[] => events.map((e) => e.id)

const leaseMs = 1000

export const outboxCases: readonly ConformanceCase[] = [
  {
    title: 'ST-11 an event comes out as it went in, the oldest first, at most as many as asked',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'acme')
      await emit(storage, 1, event('z'), event('a', { tenantId: null }))
      clock.advance(5)
      await emit(storage, 2, event('m'))
      const { events } = await storage.outbox.lease({ limit: 2, leaseMs })
      assert.deepEqual(idsOf(events), ['z', 'a'])
      const { payload, ...rest } = there(events[0])
      const atMs = clock.nowMs() - 5
      assert.deepEqual(rest, { id: 'z', kind: 'sample', tenantId: 'acme', atMs, attempts: 1 })
      assert.deepEqual(JSON.parse(payload), event('z').payload)
      assert.equal(there(events[1]).tenantId, null)
    },
  },
  {
    title: 'ST-11 an event is in one lease at a time',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      const names = Array.from({ length: 20 }, (_, n) => `e${n}`)
      await emit(storage, 1, ...names.map((name) => event(name)))
      const leases = await Promise.all(atOnce(8, () => storage.outbox.lease({ limit: 3, leaseMs })))
      const taken = leases.flatMap((lease) => idsOf(lease.events))
      assert.equal(taken.length, 20)
      assert.deepEqual([...taken].sort(), [...names].sort())
      assert.deepEqual((await storage.outbox.lease({ limit: 3, leaseMs })).events, [])
      assert.equal(new Set(leases.map((lease) => lease.leaseId)).size, 8)
    },
  },
  {
    title: 'ST-11 an event stays until it is acknowledged: a lease that ran out is taken again',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'acme')
      await emit(storage, 1, event('one'), event('two'))
      const first = await storage.outbox.lease({ limit: 10, leaseMs })
      clock.advance(leaseMs - 1)
      assert.deepEqual((await storage.outbox.lease({ limit: 10, leaseMs })).events, [])
      clock.advance(1)
      const second = await storage.outbox.lease({ limit: 10, leaseMs })
      assert.deepEqual(idsOf(second.events), ['one', 'two'])
      assert.equal(there(second.events[0]).attempts, 2)
      const late = { leaseId: first.leaseId, ids: ['one', 'two'] }
      assert.equal(await storage.outbox.ack(late), 0)
      assert.equal(await storage.outbox.ack({ leaseId: second.leaseId, ids: ['two'] }), 1)
      clock.advance(leaseMs)
      const third = await storage.outbox.lease({ limit: 10, leaseMs })
      assert.deepEqual(idsOf(third.events), ['one'])
    },
  },
  {
    title:
      'ST-11 an acknowledged event never comes out again, and only its lease can acknowledge it',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'acme')
      await emit(storage, 1, event('one'), event('two'))
      const { leaseId } = await storage.outbox.lease({ limit: 1, leaseMs })
      assert.equal(await storage.outbox.ack({ leaseId: 'no-lease', ids: ['one'] }), 0)
      assert.equal(await storage.outbox.ack({ leaseId: '', ids: ['one', 'two'] }), 0)
      const ids = ['one', 'two', 'never was', 'one']
      assert.equal(await storage.outbox.ack({ leaseId, ids }), 1)
      assert.equal(await storage.outbox.ack({ leaseId, ids }), 0)
      clock.advance(10 * leaseMs)
      const rest = await storage.outbox.lease({ limit: 10, leaseMs })
      assert.deepEqual(idsOf(rest.events), ['two'])
    },
  },
  {
    title: 'ST-11 a second event of the same id is ignored, the command that brought it is not',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await emit(storage, 1, event('one', { kind: 'first' }))
      await emit(storage, 2, event('one', { kind: 'second' }), event('two'))
      assert.ok(await storage.keys.get({ tenantId: 'acme', keyId: keyIdOf(2) }))
      const { events } = await storage.outbox.lease({ limit: 10, leaseMs })
      assert.deepEqual(
        events.map((e) => [e.id, e.kind]),
        [
          ['one', 'first'],
          ['two', 'sample'],
        ],
      )
    },
  },
  {
    title: 'ST-11 events wait for a lease across a restart',
    needs: 'durable',
    run: async ({ storage, another }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), goodAlso('acme', 'kept'))
      await storage.close()
      const again = await another()
      const { events } = await again.outbox.lease({ limit: 10, leaseMs })
      assert.deepEqual(idsOf(events), ['event-kept'])
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
