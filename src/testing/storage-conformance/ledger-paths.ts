/**
 * ST-8, paths of accounts: all or nothing, what a denial says, budgets that change.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { AccountRef, LineState } from '../../storage/ledger-records.ts'
import type { Storage } from '../../storage/storage.ts'
import { atOnce, type ConformanceCase, rejects, there } from './case.ts'
import { ask, codeOf, ledgerBench, one, settleOf, TTL_MS, tenantAccount } from './ledger-bench.ts'
import { keyIdOf, NONE, newKey, tenants } from './samples.ts'

/** org, sub-organisation, tenant and key, leaf first. */
const PATH: readonly AccountRef[] = [
  { id: `key:${keyIdOf(1)}`, depth: 3 },
  tenantAccount('tenant', 2),
  tenantAccount('sub', 1),
  tenantAccount('org', 0),
]
const OWNERS = ['tenant', 'tenant', 'sub', 'org']

/** A budget on each account of {@link PATH}, leaf first. */
async function pathOf(storage: Storage, limits: readonly bigint[]): Promise<void> {
  await tenants(storage, 'org', 'sub<org', 'tenant<sub')
  await storage.keys.create(newKey('tenant', 1), NONE)
  for (const [n, account] of PATH.entries()) {
    const limit = there(limits[n])
    const budget = { unit: 'usd', window: 'month', zone: 'UTC', source: 'explicit' } as const
    await storage.ledger.setBudget({ ...budget, tenantId: there(OWNERS[n]), account, limit }, NONE)
  }
}

/** Posted and held of the path, leaf first. */
async function sums(storage: Storage): Promise<readonly (readonly [bigint, bigint])[]> {
  const lines: LineState[] = []
  for (const owner of ['tenant', 'sub', 'org']) lines.push(...(await storage.ledger.budgets(owner)))
  return PATH.map(({ id }) => {
    const line = there(lines.find((l) => l.accountId === id))
    return [line.posted, line.held]
  })
}

const on = (amount: bigint): ReturnType<typeof ask> => ask('tenant', amount, { accounts: PATH })

const all = (posted: bigint, held: bigint): readonly (readonly [bigint, bigint])[] =>
  PATH.map(() => [posted, held])

export const pathCases: readonly ConformanceCase[] = [
  {
    title:
      'ST-7 BG-1 T-B1 of 64 callers that race on a path of four each holds on every account, as many as fit',
    run: async ({ storage }) => {
      await pathOf(storage, [5000n, 5000n, 5000n, 1000n])
      const results = await Promise.all(
        atOnce(64, async () => one(await storage.ledger.reserve([on(37n)]))),
      )
      const admitted = results.filter((result) => result.ok)
      assert.equal(admitted.length, 27)
      for (const { lines } of admitted) assert.equal(lines.length, 4)
      assert.deepEqual(await sums(storage), all(0n, 999n))
    },
  },
  {
    title: 'ST-8 BG-1 a hold is on every account of its path, and so is what it cost',
    run: async ({ storage }) => {
      await pathOf(storage, [100n, 200n, 300n, 400n])
      const item = on(60n)
      const result = one(await storage.ledger.reserve([item]))
      assert.ok(result.ok)
      assert.deepEqual(
        result.lines.map((l) => [l.accountId, l.limit, l.held]),
        PATH.map(({ id }, n) => [id, BigInt(100 * (n + 1)), 60n]),
      )
      assert.deepEqual(await sums(storage), all(0n, 60n))
      await storage.ledger.settle([settleOf('tenant', item.holdId, 55n)])
      assert.deepEqual(await sums(storage), all(55n, 0n))
    },
  },
  ...PATH.map(
    ({ id }, level): ConformanceCase => ({
      title: `ST-8 BG-1 when account ${level + 1} of 4 refuses, no account of the path holds anything`,
      run: async ({ storage }) => {
        await pathOf(
          storage,
          PATH.map((_, n) => (n === level ? 50n : 100n)),
        )
        const result = one(await storage.ledger.reserve([on(51n)]))
        assert.ok(!result.ok)
        assert.equal(result.denial?.accountId, id)
        assert.equal(result.denial?.wouldFit, 50n)
        assert.deepEqual(await sums(storage), all(0n, 0n))
      },
    }),
  ),
  {
    title: 'ST-8 an account without a budget limits nothing',
    run: async ({ storage }) => {
      await tenants(storage, 'org', 'sub<org', 'tenant<sub')
      const result = one(await storage.ledger.reserve([on(10n ** 18n)]))
      assert.ok(result.ok)
      assert.deepEqual(result.lines, [])
      const settled = one(await storage.ledger.settle([settleOf('tenant', result.holdId, 5n)]))
      assert.ok(settled.ok)
      const row = await storage.usage.get({ tenantId: 'tenant', id: result.holdId })
      assert.equal(row?.costNanoUsd, 5n)
    },
  },
  {
    title: 'ST-8 siblings share what is above them and nothing else',
    run: async ({ storage }) => {
      await pathOf(storage, [100n, 100n, 100n, 150n])
      await tenants(storage, 'sibling<sub')
      await storage.ledger.reserve([on(90n)])
      const accounts = [tenantAccount('sibling', 2), tenantAccount('org', 0)]
      const denied = one(await storage.ledger.reserve([ask('sibling', 61n, { accounts })]))
      assert.equal(codeOf(denied), 'TK_BUDGET_CONTENDED')
      assert.equal(!denied.ok && denied.denial?.accountId, 'tenant:org')
      assert.equal(
        codeOf(one(await storage.ledger.reserve([ask('sibling', 60n, { accounts })]))),
        'ok',
      )
    },
  },
  {
    title:
      'ST-8 a denial names the account, its limit, its sums, what would fit and when it resets',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.settle(await bench.hold(30n), 30n)
      await bench.hold(20n)
      await bench.hold(10n, { ttlMs: 2 * TTL_MS })
      const denied = await bench.reserve(41n)
      assert.deepEqual(denied, {
        ok: false,
        code: 'TK_BUDGET_CONTENDED',
        denial: {
          ...{ accountId: 'tenant:acme', unit: 'usd', window: 'month' },
          ...{ limit: 100n, posted: 30n, held: 30n, asked: 41n, wouldFit: 40n },
          resetsAtMs: Date.UTC(2026, 1, 1),
          heldUntilMs: clock.nowMs() + 2 * TTL_MS,
          fitsAtMs: null,
        },
      })
      assert.equal(codeOf(await bench.reserve(40n)), 'ok')
    },
  },
  {
    title: 'ST-8 money that is spent is told from money that is only held',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(100n)
      assert.equal(codeOf(await bench.reserve(1n)), 'TK_BUDGET_CONTENDED')
      assert.equal(codeOf(await bench.reserve(101n)), 'TK_BUDGET_EXHAUSTED')
      await bench.settle(holdId, 100n)
      const denied = await bench.reserve(1n)
      assert.equal(codeOf(denied), 'TK_BUDGET_EXHAUSTED')
      assert.equal(!denied.ok && denied.denial?.heldUntilMs, null)
    },
  },
  {
    title: 'ST-8 of several lines that refuse, one that is spent is named before one that is held',
    run: async ({ storage }) => {
      await pathOf(storage, [100n, 100n, 100n, 30n])
      const accounts = [there(PATH[0])]
      assert.equal(
        codeOf(one(await storage.ledger.reserve([ask('tenant', 80n, { accounts })]))),
        'ok',
      )
      const denied = one(await storage.ledger.reserve([on(31n)]))
      assert.equal(codeOf(denied), 'TK_BUDGET_EXHAUSTED')
      assert.equal(!denied.ok && denied.denial?.accountId, 'tenant:org')
      // The largest amount that the whole path admits, not only the line that is named.
      assert.equal(!denied.ok && denied.denial?.wouldFit, 20n)
      assert.equal(codeOf(one(await storage.ledger.reserve([on(20n)]))), 'ok')
    },
  },
  {
    title: 'ST-8 preview decides as reserve does and holds nothing',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.hold(30n)
      for (const amount of [70n, 71n, 101n]) {
        const item = ask('acme', amount)
        const seen = await storage.ledger.preview(item)
        await bench.expect(0n, 30n)
        const decided = one(await storage.ledger.reserve([item]))
        assert.equal(codeOf(seen), codeOf(decided))
        if (!seen.ok) assert.deepEqual(seen, decided)
        if (decided.ok) await bench.void(decided.holdId)
      }
    },
  },
  {
    title: 'ST-8 a lower limit denies at once, a higher one admits at once, and the sums stay',
    run: async ({ storage, clock }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      await bench.settle(await bench.hold(50n), 50n)
      await bench.hold(20n)
      clock.advance(5)
      await bench.setLimit(40n)
      await bench.expect(50n, 20n)
      const denied = await bench.reserve(1n)
      assert.equal(codeOf(denied), 'TK_BUDGET_EXHAUSTED')
      assert.equal(!denied.ok && denied.denial?.wouldFit, 0n)
      await bench.setLimit(71n)
      assert.equal(codeOf(await bench.reserve(1n)), 'ok')
      await bench.expect(50n, 21n)
    },
  },
  {
    title: 'ST-8 setBudget answers with the row as it now is, and its zone cannot change',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'acme')
      const account = tenantAccount('acme', 4)
      const key = { tenantId: 'acme', account, unit: 'usd', window: 'month' } as const
      const zone = 'Europe/Berlin'
      const made = await storage.ledger.setBudget({ ...key, zone, limit: 9n, source: 'a' }, NONE)
      const row = {
        ...{ accountId: account.id, depth: 4, tenantId: 'acme', unit: 'usd', window: 'month' },
        ...{ zone, limit: 9n, posted: 0n, held: 0n, heldUntilMs: 0, source: 'a' },
        periodStartMs: Date.UTC(2025, 11, 31, 23),
        createdAtMs: clock.nowMs(),
        buckets: { newest: 0, counts: [] },
        ...{ counts: 'all', overflow: null, alerts: [], alertedPercent: 0 },
      }
      assert.deepEqual(made, row)
      clock.advance(10)
      const set = { ...key, zone, limit: 8n, source: 'b' }
      const changed = await storage.ledger.setBudget(set, NONE)
      assert.deepEqual(changed, { ...row, limit: 8n, source: 'b' })
      await rejects(storage.ledger.setBudget({ ...set, zone: 'UTC' }, NONE), 'TK_INPUT_INVALID')
      assert.equal((await storage.ledger.budgets('acme'))[0]?.resetsAtMs, Date.UTC(2026, 0, 31, 23))
    },
  },
  {
    title: 'ST-8 a budget of a tenant that is not there is refused',
    run: async ({ storage }) => {
      const key = { tenantId: 'nobody', account: tenantAccount('nobody'), unit: 'usd' } as const
      const budget = {
        ...key,
        window: 'month',
        zone: 'UTC',
        limit: 1n,
        source: 'explicit',
      } as const
      await rejects(storage.ledger.setBudget(budget, NONE), 'TK_TENANT_NOT_FOUND')
      assert.equal(await storage.ledger.removeBudget(budget, NONE), false)
    },
  },
  {
    title: 'ST-8 the budgets of a tenant come in order of account and window, its keys included',
    run: async ({ storage }) => {
      await tenants(storage, 'acme', 'other')
      const budget = { unit: 'usd', zone: 'UTC', limit: 1n, source: 'explicit' } as const
      for (const n of [2, 1]) await storage.keys.create(newKey('acme', n), NONE)
      const acme = ['tenant:acme', `key:${keyIdOf(2)}`, `key:${keyIdOf(1)}`]
      for (const id of acme) {
        for (const window of ['month', 'lifetime'] as const) {
          const account = { id, depth: 0 }
          await storage.ledger.setBudget({ ...budget, tenantId: 'acme', account, window }, NONE)
        }
      }
      const account = tenantAccount('other')
      await storage.ledger.setBudget(
        { ...budget, tenantId: 'other', account, window: 'month' },
        NONE,
      )
      const lines = await storage.ledger.budgets('acme')
      const order = lines.map((l) => `${l.accountId} ${l.window}`)
      const expected = [...acme].sort().flatMap((id) => [`${id} lifetime`, `${id} month`])
      assert.deepEqual(order, expected)
    },
  },
  {
    title: 'ST-8 a path charges each window of an account, and the narrower one refuses',
    run: async ({ storage, clock }) => {
      await ledgerBench(storage, { limit: 150n, window: 'lifetime' })
      const month = await ledgerBench(storage, { limit: 100n, ready: true })
      await month.settle(await month.hold(100n), 100n)
      assert.equal(codeOf(await month.reserve(1n)), 'TK_BUDGET_EXHAUSTED')
      clock.set(Date.UTC(2026, 1, 1))
      const denied = await month.reserve(51n)
      assert.equal(!denied.ok && denied.denial?.window, 'lifetime')
      assert.equal(!denied.ok && denied.denial?.resetsAtMs, null)
      const result = await month.reserve(50n)
      assert.ok(result.ok)
      assert.deepEqual(
        result.lines.map((l) => [l.window, l.posted, l.held]),
        [
          ['lifetime', 100n, 50n],
          ['month', 0n, 50n],
        ],
      )
      assert.deepEqual(await storage.ledger.budgets('acme'), result.lines)
    },
  },
]
