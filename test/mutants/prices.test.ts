/**
 * Prices with one guard taken out each: a case must notice. And stores that reprice wrongly: a case of
 * ST-19 must.
 *
 * @module
 */
import { afterEach, expect, test } from 'vitest'
import type { memory } from '../../src/adapters/memory/index.ts'
import * as bound from '../../src/usage/bound.ts'
import * as charge from '../../src/usage/charge.ts'
import * as markup from '../../src/usage/markup.ts'
import * as table from '../../src/usage/price-table.ts'
import * as unpriced from '../../src/usage/unpriced.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'
import { failedCases, type PriceModules } from '../support/price-cases.ts'
import { runSuite } from './recording-runner.ts'

const mutants: Mutant[] = []
afterEach(() => {
  for (const mutant of mutants.splice(0)) mutant.dispose()
})

async function sabotaged(sabotage: Sabotage): Promise<PriceModules> {
  const mutant = new Mutant(sabotage, ['usage', 'budgets', 'kernel', 'storage'])
  mutants.push(mutant)
  return {
    bound: await mutant.load('usage/bound.ts'),
    charge: await mutant.load('usage/charge.ts'),
    markup: await mutant.load('usage/markup.ts'),
    table: await mutant.load('usage/price-table.ts'),
    unpriced: await mutant.load('usage/unpriced.ts'),
  }
}

/** Words of the case that must fail, the file, what stands there, what stands there instead. */
const GUARDS: readonly (readonly [string, string, string, string])[] = [
  [
    'exactly the threshold',
    'usage/cost.ts',
    'inputTokens > tier.aboveInputTokens',
    'inputTokens >= tier.aboveInputTokens',
  ],
  [
    'fraction of a nano-USD',
    'usage/cost.ts',
    '(dividend + divisor - 1n) / divisor',
    'dividend / divisor',
  ],
  ['name of Object', 'usage/cost.ts', 'Object.hasOwn(serviceTiers, key)', 'key in serviceTiers'],
  [
    'before the rounding',
    'usage/charge.ts',
    'costNanoUsd(tokens, row, input, markup.ratio)',
    'times(cost, markup.ratio)',
  ],
  ['images are held', 'usage/bound.ts', 'bound.inputImage !== false', 'bound.inputImage === true'],
  ['class of service is held', 'usage/bound.ts', '[null, ...serviceTiers]', '[null]'],
  [
    'dearest time is held',
    'usage/bound.ts',
    '[row, ...row.next.map((later) => later.row)]',
    '[row]',
  ],
  ['priced by the second', 'usage/bound.ts', 'requireUnit(row, counts)\n', '\n'],
  [
    'unit without a price',
    'usage/bound.ts',
    'if (!Object.hasOwn(row.units, name)) throw missing(row, name)',
    'if (!Object.hasOwn(row.units, name)) continue',
  ],
  ['fee for the request', 'usage/bound.ts', '(row.units.requests ?? 0n) * 1_000_000n', '0n'],
  [
    'dearer of two times',
    'usage/charge.ts',
    'later.costNanoUsd > charge.costNanoUsd ? later : charge',
    'charge',
  ],
  [
    'replaces nothing',
    'usage/charge.ts',
    "row.use === 'provider' && providerCostNanoUsd",
    'providerCostNanoUsd',
  ],
  ['differs is flagged', 'usage/charge.ts', 'row.known && apart <= slack', 'apart <= slack * 10n'],
  ['no price is estimated', 'usage/charge.ts', '(!row.known || missing.length > 0)', '!row.known'],
  ['is not billed', 'usage/charge.ts', 'chargedNanoUsd: billable\n', 'chargedNanoUsd: true\n'],
  ['own markup wins', 'usage/markup.ts', 'rules.get(keyOf({ tenantId: id })) ??\n', ''],
  ['nobody priced is marked', 'usage/unpriced.ts', 'known: false', 'known: true'],
  [
    'finer than 1 pUSD',
    'usage/rate.ts',
    '(dividend + divisor - 1n) / divisor',
    'dividend / divisor',
  ],
  ['newer model', 'usage/genai-names.ts', 'if (DATED.test(rest)) return true', 'return true'],
  ['inside another id', 'usage/genai-names.ts', "before === '' ||", 'before !== base ||'],
  [
    'not ours',
    'usage/genai-providers.ts',
    '(TABLES.get(provider) ?? [])',
    '(TABLES.get(provider) ?? [provider])',
  ],
  ['by a minimum', 'usage/genai-prices.ts', "table === 'groq' &&", "table === 'none' &&"],
  ['off-peak', 'usage/genai-prices.ts', 'return { ...row, next }', 'return row'],
]

test('the real prices pass every case', async () => {
  expect(await failedCases({ bound, charge, markup, table, unpriced })).toEqual([])
})

test.each(GUARDS)('is caught: %s', async (words, file, from, to) => {
  const failed = await failedCases(await sabotaged({ file, from, to }))
  expect(failed.filter((title) => title.includes(words))).not.toEqual([])
})

/** Words of the case of ST-19 that must fail, what stands in the rules, what stands there instead. */
const RULES: readonly (readonly [string, string, string])[] = [
  [
    'of 64 callers',
    'usage.priceId !== was.priceId || usage.costNanoUsd !== was.costNanoUsd',
    'false',
  ],
  [
    'follow a new price',
    'if (post(rows, counter, line, change)) rows.addEntry(entry)',
    'post(rows, counter, line, change)',
  ],
  ['of an ended period', 'isLine(counter, line)', 'sameCounter(counter, line)'],
  ['made after the call', 'counter.createdAtMs > usage.startedAtMs ||', ''],
  [
    'one budget cannot follow',
    'if (posted >= 0n && posted <= MAX_SUM) return posted',
    'return posted',
  ],
]

test.each(RULES)('ST-19 is caught: %s', async (words, from, to) => {
  const mutant = new Mutant({ file: 'budgets/reprice.ts', from, to }, [
    'budgets',
    'kernel',
    'storage',
    'audit',
    'adapters/memory',
  ])
  mutants.push(mutant)
  const built = await mutant.load<{ memory: typeof memory }>('adapters/memory/index.ts')
  const { failed } = await runSuite({
    capabilities: { name: 'memory', durable: false, multiProcess: false, multiHost: false },
    make: async ({ clock }) => ({ storage: built.memory({ clock }), dispose: async () => {} }),
  })
  expect(failed.filter((title) => title.includes('ST-19') && title.includes(words))).not.toEqual([])
})
