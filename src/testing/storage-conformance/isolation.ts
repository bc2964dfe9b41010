/**
 * ST-3: a command that names a tenant touches rows of that tenant only; an id of another tenant
 * answers exactly as an id that never existed.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { uuidv7 } from '../../kernel/ids.ts'
import type { Storage } from '../../storage/storage.ts'
import { type ConformanceCase, failure, rejects, there } from './case.ts'
import { ask, codeOf, ledgerBench, one, settleOf, tenantAccount, usd } from './ledger-bench.ts'
import {
  ALL,
  goodAlso,
  keyIdOf,
  NONE,
  newDek,
  newKey,
  newSecret,
  tenantWithDek,
} from './samples.ts'

/** Rows of `victim` that `thief` will ask for. */
interface Victim {
  readonly keyId: string
  readonly dekId: string
  readonly live: string
  readonly settled: string
}

async function victim(storage: Storage): Promise<Victim> {
  await tenantWithDek(storage, 'thief')
  const dek = await tenantWithDek(storage, 'victim')
  await storage.keys.create(newKey('victim', 1), goodAlso('victim', 'made'))
  await storage.secrets.put(newSecret('victim', dek.id), NONE)
  const bench = await ledgerBench(storage, { tenantId: 'victim', limit: 1000n, ready: true })
  const settled = await bench.hold(100n)
  await bench.settle(settled, 60n)
  return { keyId: keyIdOf(1), dekId: dek.id, live: await bench.hold(200n), settled }
}

async function everythingOf(
  storage: Storage,
  { keyId, dekId, live, settled }: Victim,
): Promise<object> {
  const tenantId = 'victim'
  return {
    key: await storage.keys.get({ tenantId, keyId }),
    secrets: await storage.secrets.list({ tenantId, ...ALL }),
    dek: await storage.deks.get({ tenantId, dekId }),
    budgets: await storage.ledger.budgets(tenantId),
    live: await storage.ledger.hold({ tenantId, holdId: live }),
    settled: await storage.ledger.hold({ tenantId, holdId: settled }),
    usage: await storage.usage.get({ tenantId, id: settled }),
    audit: await storage.audit.list({ rootId: tenantId, ...ALL }),
  }
}

const tenantId = 'thief'
const ttlMs = 60_000

/** Each asks as `thief` for an id, the victim's or one that never was. */
const questions: readonly {
  readonly name: string
  readonly never: string
  readonly taken: (victim: Victim) => string
  ask(storage: Storage, id: string): Promise<unknown>
}[] = [
  {
    name: 'keys.get',
    never: keyIdOf(99),
    taken: (v) => v.keyId,
    ask: (storage, keyId) => storage.keys.get({ tenantId, keyId }),
  },
  {
    name: 'keys.setState',
    never: keyIdOf(99),
    taken: (v) => v.keyId,
    ask: (storage, keyId) =>
      storage.keys.setState({ tenantId, keyId, state: 'revoked' }, goodAlso(tenantId, 'theft')),
  },
  {
    name: 'deks.get',
    never: uuidv7(),
    taken: (v) => v.dekId,
    ask: (storage, dekId) => storage.deks.get({ tenantId, dekId }),
  },
  {
    name: 'secrets.put under a data key',
    never: uuidv7(),
    taken: (v) => v.dekId,
    ask: async (storage, dekId) => {
      const error = await failure(storage.secrets.put(newSecret(tenantId, dekId), NONE))
      return { code: (error as { code?: unknown }).code }
    },
  },
  {
    name: 'ledger.extend',
    never: uuidv7(),
    taken: (v) => v.live,
    ask: (storage, holdId) =>
      storage.ledger.extend([{ holdId, tenantId, sequence: 1, amounts: usd(300n), ttlMs }]),
  },
  {
    name: 'ledger.settle of a live hold',
    never: uuidv7(),
    taken: (v) => v.live,
    ask: (storage, holdId) => storage.ledger.settle([settleOf(tenantId, holdId, 1n)]),
  },
  {
    name: 'ledger.settle of a settled hold',
    never: uuidv7(),
    taken: (v) => v.settled,
    ask: (storage, holdId) => storage.ledger.settle([settleOf(tenantId, holdId, 60n)]),
  },
  {
    name: 'ledger.void',
    never: uuidv7(),
    taken: (v) => v.live,
    ask: (storage, holdId) => storage.ledger.void([{ holdId, tenantId }]),
  },
  {
    name: 'ledger.hold',
    never: uuidv7(),
    taken: (v) => v.live,
    ask: (storage, holdId) => storage.ledger.hold({ tenantId, holdId }),
  },
  {
    name: 'usage.get',
    never: uuidv7(),
    taken: (v) => v.settled,
    ask: (storage, id) => storage.usage.get({ tenantId, id }),
  },
]

export const isolationCases: readonly ConformanceCase[] = [
  ...questions.map(
    ({ name, never, taken, ask: question }): ConformanceCase => ({
      title: `ST-3 ${name} answers to an id of another tenant as to one that never was`,
      run: async ({ storage }) => {
        const theirs = await victim(storage)
        const before = await everythingOf(storage, theirs)
        const answer = await question(storage, taken(theirs))
        assert.deepEqual(answer, await question(storage, never))
        assert.deepEqual(await everythingOf(storage, theirs), before)
        const trail = await storage.audit.list({ rootId: 'thief', ...ALL })
        assert.deepEqual(trail.items, [])
      },
    }),
  ),
  {
    title: 'ST-3 lists, sums and the current data key of a tenant hold no row of another',
    run: async ({ storage }) => {
      const theirs = await victim(storage)
      const none = { items: [], next: null }
      assert.deepEqual(await storage.keys.list({ tenantId, ...ALL }), none)
      assert.deepEqual(await storage.secrets.list({ tenantId, ...ALL }), none)
      assert.equal(
        await storage.secrets.get({ tenantId, provider: 'openai', name: 'default' }),
        null,
      )
      assert.notEqual((await storage.deks.current(tenantId))?.id, theirs.dekId)
      assert.deepEqual(await storage.ledger.budgets(tenantId), [])
      const query = { fromMs: null, untilMs: null, by: [] }
      assert.deepEqual(await storage.usage.totals({ tenantId, ...query }), [])
      assert.equal((await storage.usage.totals({ tenantId: 'victim', ...query })).length, 1)
      assert.deepEqual(await storage.audit.list({ rootId: tenantId, ...ALL }), none)
    },
  },
  {
    title: 'ST-3 deleting a secret by the name another tenant uses deletes only the own one',
    run: async ({ storage }) => {
      const theirs = await victim(storage)
      const before = await everythingOf(storage, theirs)
      const ref = { tenantId, provider: 'openai', name: 'default' }
      assert.equal(await storage.secrets.delete(ref, NONE), false)
      const dek = there(await storage.deks.current(tenantId))
      await storage.secrets.put(newSecret(tenantId, dek.id), NONE)
      assert.equal(await storage.secrets.delete(ref, NONE), true)
      assert.deepEqual(await everythingOf(storage, theirs), before)
    },
  },
  {
    title:
      'ST-3 creating a key, a data key or a hold under an id of another tenant changes nothing',
    run: async ({ storage }) => {
      const theirs = await victim(storage)
      const before = await everythingOf(storage, theirs)
      await rejects(storage.keys.create(newKey(tenantId, 1), NONE), 'TK_STORE_CONFLICT')
      const dek = newDek(tenantId, 2, { id: theirs.dekId })
      await rejects(storage.deks.create(dek, NONE), 'TK_STORE_CONFLICT')
      const item = ask(tenantId, 200n, { holdId: theirs.live })
      assert.equal(codeOf(one(await storage.ledger.reserve([item]))), 'TK_BUDGET_HOLD_MISMATCH')
      assert.deepEqual(await everythingOf(storage, theirs), before)
    },
  },
  {
    title: 'ST-3 a path that names an account of a tenant not above its own is refused',
    run: async ({ storage }) => {
      const theirs = await victim(storage)
      const before = await everythingOf(storage, theirs)
      const accounts = [tenantAccount('thief'), tenantAccount('victim')]
      const item = ask(tenantId, 1n, { accounts })
      assert.equal(codeOf(one(await storage.ledger.reserve([item]))), 'TK_INPUT_INVALID')
      const preview = { tenantId, accounts, amounts: usd(1n) }
      assert.equal(codeOf(await storage.ledger.preview(preview)), 'TK_INPUT_INVALID')
      assert.equal(await storage.ledger.hold({ tenantId, holdId: item.holdId }), null)
      assert.deepEqual(await everythingOf(storage, theirs), before)
    },
  },
  {
    title: 'ST-3 a budget on an account of another tenant is refused or found missing',
    run: async ({ storage }) => {
      const theirs = await victim(storage)
      const before = await everythingOf(storage, theirs)
      for (const id of ['tenant:victim', `key:${theirs.keyId}`]) {
        const key = { tenantId, account: { id, depth: 0 }, unit: 'usd', window: 'month' } as const
        const budget = { ...key, zone: 'UTC', limit: 0n, source: 'explicit' }
        await rejects(storage.ledger.setBudget(budget, NONE), 'TK_INPUT_INVALID')
        assert.equal(await storage.ledger.removeBudget(key, NONE), false)
      }
      assert.deepEqual(await everythingOf(storage, theirs), before)
    },
  },
]
