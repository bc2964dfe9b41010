import { expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { OutboxRecord } from '../../src/storage/records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { ConformanceOptions } from '../../src/testing/index.ts'
import { runSuite } from './recording-runner.ts'
import { SHARED, sharedMemory } from './shared-memory.ts'

/** Breaks one promise of a store and keeps the others. */
type Sabotage = (storage: Storage, clock: WallClock) => Storage

const PLAIN = { name: 'memory', durable: false, multiProcess: false, multiHost: false }

const over = (sabotage: Sabotage): ConformanceOptions => ({
  capabilities: PLAIN,
  make: async ({ clock }) => ({
    storage: sabotage(memory({ clock }), clock),
    dispose: async () => {},
  }),
})

const overShared = (
  sabotage: (handle: Storage, inner: Storage) => Storage,
): ConformanceOptions => ({
  capabilities: SHARED,
  make: async ({ clock }) => sharedMemory(clock, sabotage),
})

const codeOf = (error: unknown): string => (TenantKeysError.isInstance(error) ? error.code : '')

/** Clause, what is broken, the store. */
const MUTANTS: readonly (readonly [string, string, ConformanceOptions])[] = [
  [
    'ST-1',
    'the audit rows and events of a new key are dropped',
    over((s) => ({ ...s, keys: { ...s.keys, create: (key) => s.keys.create(key, {}) } })),
  ],
  [
    'ST-1',
    'a secret stays when its events cannot be written',
    over((s) => ({
      ...s,
      secrets: {
        ...s.secrets,
        put: (secret, also) =>
          s.secrets.put(secret, also).catch(async (error: unknown) => {
            if (codeOf(error) === 'TK_INTERNAL') await s.secrets.put(secret, {})
            throw error
          }),
      },
    })),
  ],
  [
    'ST-1',
    'closing forgets what was acknowledged',
    overShared((handle, inner) => ({
      ...handle,
      close: async () => {
        const at = { tenantId: 'acme', provider: 'openai', name: 'default' }
        await inner.secrets.delete(at, {}).catch(() => false)
        await handle.close()
      },
    })),
  ],
  [
    'ST-2',
    'a missing secret is an error instead of null',
    over((s) => ({
      ...s,
      secrets: {
        ...s.secrets,
        get: async (ref) => {
          const found = await s.secrets.get(ref)
          if (!found) throw new TenantKeysError('TK_SECRET_NOT_FOUND')
          return found
        },
      },
    })),
  ],
  [
    'ST-2',
    'a store that cannot answer says that there is no such key',
    overShared((handle) => ({
      ...handle,
      keys: {
        ...handle.keys,
        get: (at) =>
          handle.keys.get(at).catch((error: unknown) => {
            if (codeOf(error) === 'TK_STORE_UNAVAILABLE') return null
            throw error
          }),
      },
    })),
  ],
  [
    'ST-2',
    'the first page of keys says that it is the last',
    over((s) => {
      const list: Storage['keys']['list'] = async (query) => ({
        ...(await s.keys.list(query)),
        next: null,
      })
      return { ...s, keys: { ...s.keys, list } }
    }),
  ],
  [
    'ST-2',
    'a row is shared with its readers',
    over((s) => {
      const shared = new Map<string, unknown>()
      const get: Storage['keys']['get'] = async (at) => {
        const found = await s.keys.get(at)
        const hash = (shared.get(at.keyId) as Uint8Array | undefined) ?? found?.hash
        if (found && hash) shared.set(at.keyId, hash)
        return found && hash ? { ...found, hash } : found
      }
      const create: Storage['keys']['create'] = async (key, also) => {
        const made = await s.keys.create(key, also)
        shared.set(made.keyId, made.hash)
        return made
      }
      return { ...s, keys: { ...s.keys, get, create } }
    }),
  ],
  [
    'ST-3',
    'a key is found by its id whoever asks',
    over((s) => {
      const get: Storage['keys']['get'] = async ({ keyId }) =>
        (await s.keys.find(keyId)).found?.key ?? null
      return { ...s, keys: { ...s.keys, get } }
    }),
  ],
  [
    'ST-3',
    'a hold is settled whoever asks',
    over((s) => {
      const owners = new Map<string, string>()
      const reserve: Storage['ledger']['reserve'] = async (items) => {
        for (const { holdId, tenantId } of items) owners.set(holdId, tenantId)
        return s.ledger.reserve(items)
      }
      const settle: Storage['ledger']['settle'] = (items) =>
        s.ledger.settle(
          items.map((item) => ({ ...item, tenantId: owners.get(item.holdId) ?? item.tenantId })),
        )
      return { ...s, ledger: { ...s.ledger, reserve, settle } }
    }),
  ],
  [
    'ST-3',
    'sums of usage are those of all tenants',
    over((s) => ({
      ...s,
      usage: { ...s.usage, totals: (query) => s.usage.totals({ ...query, tenantId: null }) },
    })),
  ],
  [
    'ST-4',
    'the time of the store is that of the host, backwards too',
    over((s, clock) => ({
      ...s,
      epoch: async () => ({ ...(await s.epoch()), nowMs: clock.nowMs() }),
    })),
  ],
  [
    'ST-4',
    'the time of the store has parts of a millisecond',
    over((s, clock) => ({
      ...s,
      epoch: async () => {
        const { epoch, nowMs } = await s.epoch()
        return { epoch, nowMs: Math.max(nowMs, clock.nowMs()) }
      },
    })),
  ],
  [
    'ST-5',
    'a change of state leaves the epoch as it was',
    over((s) => {
      let changes = 0
      const less = <T extends { epoch: number }>(reading: T): T => ({
        ...reading,
        epoch: reading.epoch - changes,
      })
      const setState: Storage['keys']['setState'] = async (at, also) => {
        const { epoch } = await s.epoch()
        const key = await s.keys.setState(at, also)
        changes += (await s.epoch()).epoch - epoch
        return key
      }
      const find: Storage['keys']['find'] = async (keyId) => less(await s.keys.find(keyId))
      return {
        ...s,
        epoch: async () => less(await s.epoch()),
        epochNow: () => less(s.epochNow!()),
        keys: { ...s.keys, setState, find },
      }
    }),
  ],
  [
    'ST-5',
    'a second handle reads its own epoch once and keeps it',
    overShared((handle) => {
      let kept: number | null = null
      const find: Storage['keys']['find'] = async (keyId) => {
        const lookup = await handle.keys.find(keyId)
        kept ??= lookup.epoch
        return { ...lookup, epoch: kept }
      }
      return { ...handle, keys: { ...handle.keys, find } }
    }),
  ],
  [
    'ST-6',
    'a revoked key can be enabled again',
    over((s) => {
      // Below it is only disabled.
      const revoked = new Set<string>()
      const shown = <T extends { keyId: string } | null>(key: T): T =>
        key && revoked.has(key.keyId) ? { ...key, state: 'revoked' } : key
      const setState: Storage['keys']['setState'] = async (at, also) => {
        if (at.state !== 'revoked') {
          revoked.delete(at.keyId)
          return s.keys.setState(at, also)
        }
        revoked.add(at.keyId)
        return shown(await s.keys.setState({ ...at, state: 'disabled' }, also))
      }
      const find: Storage['keys']['find'] = async (keyId) => {
        const lookup = await s.keys.find(keyId)
        return {
          ...lookup,
          found: lookup.found && { ...lookup.found, key: shown(lookup.found.key) },
        }
      }
      const get: Storage['keys']['get'] = async (at) => shown(await s.keys.get(at))
      return { ...s, keys: { ...s.keys, setState, find, get } }
    }),
  ],
  [
    'ST-7',
    'everybody who puts the same version of a secret is told that it is stored',
    over((s) => {
      const put: Storage['secrets']['put'] = async (secret, also) => {
        const nowMs = 0
        return s.secrets.put(secret, also).catch((error: unknown) => {
          if (codeOf(error) !== 'TK_STORE_CONFLICT') throw error
          return { ...secret, createdAtMs: nowMs, updatedAtMs: nowMs }
        })
      }
      return { ...s, secrets: { ...s.secrets, put } }
    }),
  ],
  [
    'ST-7',
    'everybody who adds a generation of data keys is given his own',
    over((s) => {
      const create: Storage['deks']['create'] = async (dek, also) => ({
        ...(await s.deks.create(dek, also)),
        ...dek,
      })
      return { ...s, deks: { ...s.deks, create } }
    }),
  ],
  [
    'ST-8',
    'one bad item fails its batch',
    over((s) => {
      const settle: Storage['ledger']['settle'] = async (items) => {
        const results = await s.ledger.settle(items)
        if (items.length > 1 && results.some((r) => !r.ok)) {
          throw new TenantKeysError('TK_BUDGET_HOLD_MISMATCH')
        }
        return results
      }
      return { ...s, ledger: { ...s.ledger, settle } }
    }),
  ],
  [
    'ST-8',
    'the smallest of a batch comes first',
    over((s) => {
      const reserve: Storage['ledger']['reserve'] = async (items) => {
        const size = (n: number): bigint => items[n]!.amounts.usd ?? 0n
        const order = items.map((_, n) => n)
        if (items.every((item) => typeof item.amounts.usd === 'bigint')) {
          order.sort((a, b) => (size(a) < size(b) ? -1 : 1))
        }
        const results = await s.ledger.reserve(order.map((n) => items[n]!))
        return items.map((_, n) => results[order.indexOf(n)]!)
      }
      return { ...s, ledger: { ...s.ledger, reserve } }
    }),
  ],
  [
    'ST-8',
    'answers come in another order than the items',
    over((s) => {
      const reserve: Storage['ledger']['reserve'] = async (items) =>
        [...(await s.ledger.reserve(items))].reverse()
      return { ...s, ledger: { ...s.ledger, reserve } }
    }),
  ],
  [
    'ST-8',
    'who comes after a refused caller is refused too',
    over((s) => {
      const reserve: Storage['ledger']['reserve'] = async (items) => {
        const results = [...(await s.ledger.reserve(items))]
        const refused = results.findIndex((r) => !r.ok)
        return results.map((r, n) => (refused >= 0 && n > refused ? results[refused]! : r))
      }
      return { ...s, ledger: { ...s.ledger, reserve } }
    }),
  ],
  [
    'ST-9',
    'a settle writes no usage row',
    over((s) => ({ ...s, usage: { ...s.usage, get: async () => null } })),
  ],
  [
    'ST-9',
    'a settle puts no event into the outbox',
    over((s) => {
      const lease: Storage['outbox']['lease'] = async (query) => {
        const { leaseId, events } = await s.outbox.lease(query)
        return { leaseId, events: events.filter((event) => event.kind !== 'usage') }
      }
      return { ...s, outbox: { ...s.outbox, lease } }
    }),
  ],
  [
    'ST-9',
    'a usage row counts as often as its settle was sent',
    over((s) => {
      let again = 0
      const settle: Storage['ledger']['settle'] = async (items) => {
        const results = await s.ledger.settle(items)
        again += results.filter((r) => r.ok && r.replayed).length
        return results
      }
      const totals: Storage['usage']['totals'] = async (query) =>
        (await s.usage.totals(query)).map((t) => ({ ...t, calls: t.calls + again }))
      return { ...s, ledger: { ...s.ledger, settle }, usage: { ...s.usage, totals } }
    }),
  ],
  [
    'ST-10',
    'a chain has a gap',
    over((s) => {
      const list: Storage['audit']['list'] = async (query) => {
        const page = await s.audit.list(query)
        return { ...page, items: page.items.filter((row) => row.sequence !== 2) }
      }
      return { ...s, audit: { ...s.audit, list } }
    }),
  ],
  [
    'ST-10',
    'a row of a chain was edited',
    over((s) => {
      const list: Storage['audit']['list'] = async (query) => {
        const page = await s.audit.list(query)
        const items = page.items.map((row) => ({ ...row, actor: 'somebody' }))
        return { ...page, items }
      }
      return { ...s, audit: { ...s.audit, list } }
    }),
  ],
  [
    'ST-11',
    'an event is handed to every lease',
    over((s) => {
      const seen = new Map<string, OutboxRecord>()
      const lease: Storage['outbox']['lease'] = async (query) => {
        const { leaseId, events } = await s.outbox.lease(query)
        for (const event of events) seen.set(event.id, event)
        return { leaseId, events: [...seen.values()].slice(0, query.limit) }
      }
      const ack: Storage['outbox']['ack'] = async (at) => {
        for (const id of at.ids) seen.delete(id)
        return s.outbox.ack(at)
      }
      return { ...s, outbox: { ...s.outbox, lease, ack } }
    }),
  ],
  [
    'ST-11',
    'an event is gone as soon as it was leased',
    over((s) => {
      const lease: Storage['outbox']['lease'] = async (query) => {
        const taken = await s.outbox.lease(query)
        await s.outbox.ack({ leaseId: taken.leaseId, ids: taken.events.map((e) => e.id) })
        return taken
      }
      return { ...s, outbox: { ...s.outbox, lease } }
    }),
  ],
  [
    'ST-11',
    'whoever knows its id can acknowledge an event',
    over((s) => {
      const holders = new Map<string, string>()
      const lease: Storage['outbox']['lease'] = async (query) => {
        const taken = await s.outbox.lease(query)
        for (const event of taken.events) holders.set(event.id, taken.leaseId)
        return taken
      }
      const ack: Storage['outbox']['ack'] = async ({ ids }) => {
        let count = 0
        for (const id of ids) {
          count += await s.outbox.ack({ leaseId: holders.get(id) ?? 'none', ids: [id] })
        }
        return count
      }
      return { ...s, outbox: { ...s.outbox, lease, ack } }
    }),
  ],
  [
    'ST-11',
    'an event that is given back stays leased',
    over((s) => ({ ...s, outbox: { ...s.outbox, release: async ({ ids }) => ids.length } })),
  ],
  [
    'ST-17',
    'an event that was set aside is gone',
    over((s) => {
      const quarantine: Storage['outbox']['quarantine'] = ({ leaseId, events }) =>
        s.outbox.ack({ leaseId, ids: events.map(({ id }) => id) })
      return { ...s, outbox: { ...s.outbox, quarantine } }
    }),
  ],
  [
    'ST-17',
    'an event that was set aside comes again when its lease runs out',
    over((s) => {
      const quarantine: Storage['outbox']['quarantine'] = async ({ events }) => events.length
      return { ...s, outbox: { ...s.outbox, quarantine } }
    }),
  ],
  [
    'ST-17',
    'putting back is never written down',
    over((s) => {
      const requeue: Storage['outbox']['requeue'] = (ids) => s.outbox.requeue(ids, {})
      return { ...s, outbox: { ...s.outbox, requeue } }
    }),
  ],
  [
    'ST-12',
    'a conflict quotes the name of the key',
    over((s) => {
      const create: Storage['keys']['create'] = (key, also) =>
        s.keys.create(key, also).catch((error: unknown) => {
          throw codeOf(error) === 'TK_STORE_CONFLICT'
            ? new TenantKeysError('TK_STORE_CONFLICT', { reason: `taken by ${key.name}` })
            : error
        })
      return { ...s, keys: { ...s.keys, create } }
    }),
  ],
  [
    'ST-12',
    'an error carries the row as its cause',
    over((s) => {
      const put: Storage['secrets']['put'] = (secret, also) =>
        s.secrets.put(secret, also).catch((error: unknown) => {
          if (error instanceof Error) error.cause = { row: secret }
          throw error
        })
      return { ...s, secrets: { ...s.secrets, put } }
    }),
  ],
  [
    'ST-12',
    'a refused write is logged with its values',
    over((s) => {
      const setBudget: Storage['ledger']['setBudget'] = (budget, also) =>
        s.ledger.setBudget(budget, also).catch((error: unknown) => {
          if (budget.source !== 'explicit') console.warn('refused', budget)
          throw error
        })
      return { ...s, ledger: { ...s.ledger, setBudget } }
    }),
  ],
  ['ST-13', 'a closed store still answers', over((s) => ({ ...s, close: async () => {} }))],
  [
    'ST-13',
    'closing twice is an error',
    over((s) => {
      let closed = false
      const close = async (): Promise<void> => {
        if (closed) throw new TenantKeysError('TK_CLOSED')
        closed = true
        await s.close()
      }
      return { ...s, close }
    }),
  ],
  [
    'ST-14',
    'a value that is pinned again replaces the first',
    over((s) => {
      const latest = new Map<string, string>()
      const pin: Storage['pin'] = async (name, value) => {
        await s.pin(name, value)
        latest.set(name, value)
        return value
      }
      return { ...s, pin }
    }),
  ],
]

test('the suite passes the store that is not broken', async () => {
  const report = await runSuite(over((storage) => storage))
  expect(report.reasons).toEqual([])
  expect(report.passed.length).toBeGreaterThan(150)
  const shared = await runSuite(overShared((handle) => handle))
  expect(shared.reasons).toEqual([])
  expect(shared.skipped).toEqual([])
})

test('what is left out is named with its reason', async () => {
  const { skipped } = await runSuite(over((storage) => storage))
  expect(skipped.length).toBeGreaterThan(3)
  for (const title of skipped) expect(title).toMatch(/\(skipped: the store says \w+: false\)$/)
})

test('every clause of the port has a mutant', () => {
  const clauses = new Set(MUTANTS.map(([clause]) => clause))
  // ST-15 and ST-16 are rules of the ledger: their mutants are in ledger.test.ts.
  const numbers = [...Array.from({ length: 14 }, (_, n) => n + 1), 17]
  expect([...clauses].sort()).toEqual(numbers.map((n) => `ST-${n}`).sort())
})

test.each(MUTANTS)('%s is caught: %s', async (clause, _, options) => {
  const { failed, passed } = await runSuite(options)
  expect(failed.filter((title) => title.startsWith(`${clause} `))).not.toEqual([])
  // One promise was broken, not the store.
  expect(passed.length).toBeGreaterThan(failed.length)
})
