/**
 * ST-8: what is wrong with one item of a batch stays with it. The callers of one process share their
 * batches, and do not know each other.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { ExtendItem, ReserveItem, SettleItem, VoidItem } from '../../storage/ledger-records.ts'
import { type ConformanceCase, there } from './case.ts'
import { ask, codeOf, ledgerBench, one, settleOf, TTL_MS, usd } from './ledger-bench.ts'
import { call, usage } from './samples.ts'

const INVALID = 'TK_INPUT_INVALID'
const LONE = '\ud800'

type Poison = readonly (readonly [what: string, fields: object])[]

const each = (fields: readonly string[], values: readonly unknown[]): Poison =>
  fields.flatMap((field) =>
    values.map((value) => [`${field} ${String(value)}`, { [field]: value }] as const),
  )

const NO_IDS = [undefined, null, 7, {}, '', 'a\0b', LONE, 'x'.repeat(3000)]
const NO_COUNTS = [undefined, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1e300, '1']
const NO_AMOUNTS = [undefined, null, 7, { usd: -1n }, { usd: null }, { 'a b': 1n }, { '\0': 1n }]

const RESERVES: Poison = [
  ...each(['holdId', 'tenantId'], NO_IDS),
  ...each(['amounts'], NO_AMOUNTS),
  ...each(['accounts'], [undefined, null, 7, [null], ['tenant:acme'], [{ id: 'tenant:acme' }]]),
  ...each(['accounts'], [[{ id: 'tenant:acme', depth: 2 ** 31 }], [{ id: 'a\0b', depth: 0 }]]),
  ...each(['paidBy'], [null, 'nobody']),
  ...each(['call'], [undefined, null, 'x', {}, { ...call(), model: null }]),
]

const EXTENDS: Poison = [
  ...each(['holdId', 'tenantId'], NO_IDS),
  ...each(['amounts'], NO_AMOUNTS),
  ...each(['sequence', 'ttlMs'], NO_COUNTS),
]

const TOKENS = ['input', 'cacheRead', 'cacheWrite', 'cacheWrite1h', 'inputAudio', 'output']
const tokens = (over: object): object => ({ tokens: { ...usage(1n).tokens, ...over } })
const OF_TOKENS = [...TOKENS, 'reasoning', 'outputAudio']

const DRAFTS: Poison = [
  ...each(OF_TOKENS, NO_COUNTS).map(([what, over]) => [what, tokens(over)] as const),
  ...each(['httpStatus', 'secretVersion', 'durationMs', 'responseBytes'], NO_COUNTS),
  ...each(['costNanoUsd', 'chargedNanoUsd', 'providerCostNanoUsd'], [undefined, -1n, 1, 2n ** 64n]),
  ...each(['tokens', 'counts', 'tags'], [undefined, null, 'x']),
  ...each(['counts'], [{ images: -1 }, { images: Number.NaN }, { images: '1' }, { '\0': 1 }]),
  ...each(['tags'], [{ team: 1 }, { team: '\0' }, { [LONE]: 'x' }]),
  ...each(['outcome', 'quality', 'paidBy', 'billable', 'operation', 'callId', 'model'], [null, 7]),
  ...each(['keyId', 'scope', 'priceId', 'secretId', 'servedModel'], [undefined, 7, {}]),
  // What the store itself says of a row.
  ...each(['id', 'tenantId', 'state', 'startedAtMs'], ['victim']),
]

export const poisonCases: readonly ConformanceCase[] = [
  {
    title: 'ST-8 T-B9 one poisoned item among 63 honest ones is refused alone, in every command',
    run: async ({ storage }) => {
      const { ledger } = storage
      const tenantId = 'acme'
      const bench = await ledgerBench(storage, { limit: 10n ** 9n })
      const held = await bench.hold(10n)
      const raise = { tenantId, sequence: 1, amounts: usd(20n), ttlMs: TTL_MS }
      const asks = Array.from({ length: 63 }, () => ask(tenantId, 10n))
      const raises = asks.map(({ holdId }): ExtendItem => ({ ...raise, holdId }))
      const settles = asks.map(({ holdId }) => settleOf(tenantId, holdId, 5n))
      const voids = Array.from({ length: 63 }, () => ask(tenantId, 1n))
      await ledger.reserve(voids)

      await amongHonest(asks, (items) => ledger.reserve(items), {
        ...ask(tenantId, 1n),
        amounts: usd(-1n),
      })
      await amongHonest(raises, (items) => ledger.extend(items), {
        ...raise,
        holdId: held,
        sequence: Number.NaN,
      })
      await amongHonest(settles, (items) => ledger.settle(items), {
        ...settleOf(tenantId, held, 1n),
        usage: usage(1n, tokens({ input: -7 })),
      })
      const bad: VoidItem = { tenantId, holdId: 'a\0b' }
      await amongHonest<VoidItem>(voids, (items) => ledger.void(items), bad)
      await bench.expect(63n * 5n, 10n)
    },
  },
  {
    title: 'ST-8 T-B9 whatever is wrong with an item, it is refused alone and leaves nothing',
    run: async ({ storage }) => {
      const { ledger } = storage
      const tenantId = 'acme'
      const bench = await ledgerBench(storage, { limit: 1000n })
      const held = await bench.hold(10n)
      const good = ask(tenantId, 1n)
      const raise: ExtendItem = {
        ...{ holdId: held, tenantId, sequence: 1 },
        ...{ amounts: usd(20n), ttlMs: TTL_MS },
      }
      const nothing = [null, undefined, 7, 'x', {}]
      for (const [what, over] of RESERVES) {
        const bad = { ...ask(tenantId, 1n), ...over } as ReserveItem
        const answers = await ledger.reserve([bad, good])
        assert.deepEqual(answers.map(codeOf), [INVALID, 'ok'], `reserve: ${what}`)
      }
      for (const [what, over] of EXTENDS) {
        const answer = one(await ledger.extend([{ ...raise, ...over } as ExtendItem]))
        assert.equal(codeOf(answer), INVALID, `extend: ${what}`)
      }
      for (const [what, over] of DRAFTS) {
        const draft = { ...usage(1n), ...over }
        const bad = { ...settleOf(tenantId, held, 1n), usage: draft } as SettleItem
        assert.equal(codeOf(one(await ledger.settle([bad]))), INVALID, `settle: ${what}`)
      }
      for (const item of nothing) {
        for (const name of ['reserve', 'extend', 'settle', 'void'] as const) {
          const command = ledger[name] as (items: readonly unknown[]) => Promise<readonly Answer[]>
          assert.equal(codeOf(one(await command([item]))), INVALID, `${name}: ${String(item)}`)
        }
      }
      await bench.expect(0n, 11n)
      assert.equal(there(await ledger.hold({ tenantId, holdId: held })).state, 'held')
      const at = { tenantId, fromMs: null, untilMs: null, by: [] } as const
      assert.deepEqual(await storage.usage.totals(at), [])
    },
  },
]

interface Answer {
  readonly ok: boolean
  readonly code?: string
}

/** Puts `poison` in the middle of the honest items: all of those have their way. */
async function amongHonest<I>(
  honest: readonly I[],
  command: (items: readonly I[]) => Promise<readonly Answer[]>,
  poison: I,
): Promise<void> {
  const middle = honest.length >> 1
  const batch = [...honest.slice(0, middle), poison, ...honest.slice(middle)]
  const expected = batch.map((item) => (item === poison ? INVALID : 'ok'))
  assert.deepEqual((await command(batch)).map(codeOf), expected)
}
