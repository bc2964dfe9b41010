/**
 * ST-11 and ST-17: the outbox.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { NewEvent } from '../../storage/also.ts'
import type { OutboxRecord } from '../../storage/records.ts'
import type { Storage } from '../../storage/storage.ts'
import { actions, chain } from './audit.ts'
import { atOnce, type ConformanceCase, failure, there } from './case.ts'
import { ALL, audit, badAlso, goodAlso, keyIdOf, newKey, tenants } from './samples.ts'
import { allPages } from './tenants.ts'

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
    title: 'ST-11 an event that is given back is free at once, or after the delay asked for',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'acme')
      await emit(storage, 1, event('one'), event('two'), event('three'))
      const first = await storage.outbox.lease({ limit: 3, leaseMs })
      const back = (ids: readonly string[], delayMs: number): Promise<number> =>
        storage.outbox.release({ leaseId: first.leaseId, ids, delayMs })
      assert.equal(await back(['two', 'two', 'never was'], 0), 1)
      assert.equal(await back(['one'], 500), 1)
      assert.equal(await back(['one', 'two'], 0), 0)
      const other = { leaseId: 'no-lease', ids: ['three'], delayMs: 0 }
      assert.equal(await storage.outbox.release(other), 0)
      assert.equal(await storage.outbox.ack({ leaseId: first.leaseId, ids: ['one', 'two'] }), 0)
      const second = await storage.outbox.lease({ limit: 3, leaseMs })
      assert.deepEqual(idsOf(second.events), ['two'])
      clock.advance(499)
      assert.deepEqual((await storage.outbox.lease({ limit: 3, leaseMs })).events, [])
      clock.advance(1)
      const third = await storage.outbox.lease({ limit: 3, leaseMs })
      assert.deepEqual(idsOf(third.events), ['one'])
      assert.equal(there(third.events[0]).attempts, 2)
    },
  },
  {
    title: 'ST-17 an event that was set aside is kept with its reason and handed to no lease',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'acme')
      await emit(storage, 1, event('b'), event('a'), event('c'))
      const { leaseId } = await storage.outbox.lease({ limit: 3, leaseMs })
      clock.advance(7)
      const aside = (lease: string, ...ids: readonly string[]): Promise<number> => {
        const events = ids.map((id) => ({ id, reason: `no sink takes '${id}'` }))
        return storage.outbox.quarantine({ leaseId: lease, events })
      }
      assert.equal(await aside('no-lease', 'a', 'b'), 0)
      assert.equal(await aside(leaseId, 'b', 'a', 'never was'), 2)
      assert.equal(await aside(leaseId, 'a'), 0)
      assert.equal(await storage.outbox.ack({ leaseId, ids: ['a', 'b'] }), 0)
      assert.equal(await storage.outbox.release({ leaseId, ids: ['a', 'b'], delayMs: 0 }), 0)
      clock.advance(10 * leaseMs)
      const { events } = await storage.outbox.lease({ limit: 3, leaseMs })
      assert.deepEqual(idsOf(events), ['c'])

      const pages = await allPages(1, (q) => storage.outbox.quarantined(q))
      assert.deepEqual(pages.map(idsOf), [['a'], ['b']])
      const { payload, ...rest } = there(pages[0]?.[0])
      assert.deepEqual(JSON.parse(payload), event('a').payload)
      const atMs = clock.nowMs() - 10 * leaseMs - 7
      assert.deepEqual(rest, {
        ...{ id: 'a', kind: 'sample', tenantId: 'acme', atMs, attempts: 1 },
        quarantinedAtMs: atMs + 7,
        reason: "no sink takes 'a'",
      })
    },
  },
  {
    title: 'ST-17 an event that was set aside is handed out again once it was put back',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await emit(storage, 1, event('one'), event('two'))
      const { leaseId } = await storage.outbox.lease({ limit: 2, leaseMs })
      const events = ['one', 'two'].map((id) => ({ id, reason: 'for the sake of it' }))
      await storage.outbox.quarantine({ leaseId, events })
      const noted = { audit: [audit('acme', 'put back')] }
      assert.equal(await storage.outbox.requeue(['two', 'never was', 'two'], noted), 1)
      assert.equal(await storage.outbox.requeue(['two', 'never was'], noted), 0)
      assert.deepEqual(actions(await chain(storage, 'acme')), ['put back'])
      const again = await storage.outbox.lease({ limit: 2, leaseMs })
      assert.deepEqual(idsOf(again.events), ['two'])
      assert.equal(there(again.events[0]).attempts, 1)
      const failed = storage.outbox.requeue(['one'], badAlso('acme', 'put-back'))
      await failure(failed)
      assert.deepEqual(idsOf((await storage.outbox.quarantined(ALL)).items), ['one'])
    },
  },
  {
    title: 'ST-17 what waits and what was set aside is counted, up to the limit asked for',
    run: async ({ storage, clock }) => {
      const nothing = { waiting: 0, quarantined: 0, oldestAtMs: null }
      assert.deepEqual(await storage.outbox.backlog({ limit: 10 }), nothing)
      await tenants(storage, 'acme')
      const startMs = clock.nowMs()
      await emit(storage, 1, event('one'))
      clock.advance(5)
      await emit(storage, 2, event('two'), event('three'), event('four'))
      const { leaseId } = await storage.outbox.lease({ limit: 2, leaseMs })
      const backlog = (limit: number): Promise<unknown> => storage.outbox.backlog({ limit })
      assert.deepEqual(await backlog(10), { waiting: 4, quarantined: 0, oldestAtMs: startMs })
      assert.deepEqual(await backlog(3), { waiting: 3, quarantined: 0, oldestAtMs: startMs })
      await storage.outbox.ack({ leaseId, ids: ['two'] })
      await storage.outbox.quarantine({ leaseId, events: [{ id: 'one', reason: 'no' }] })
      const left = { waiting: 2, quarantined: 1, oldestAtMs: startMs + 5 }
      assert.deepEqual(await backlog(10), left)
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
]
