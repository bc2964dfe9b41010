/**
 * The guards of prices as short cases over given modules: the real ones pass all of them, a sabotaged
 * copy must fail one.
 *
 * @module
 */
import type * as Bound from '../../src/usage/bound.ts'
import type * as ChargeModule from '../../src/usage/charge.ts'
import type * as Markup from '../../src/usage/markup.ts'
import type { PriceRow } from '../../src/usage/price.ts'
import type * as Table from '../../src/usage/price-table.ts'
import type * as Unpriced from '../../src/usage/unpriced.ts'
import { priceRow, rates, used } from './prices.ts'

export interface PriceModules {
  readonly bound: typeof Bound
  readonly charge: typeof ChargeModule
  readonly markup: typeof Markup
  readonly table: typeof Table
  readonly unpriced: typeof Unpriced
}

export interface PriceCase {
  readonly title: string
  /** What must be, and what is. */
  run(modules: PriceModules): unknown | Promise<unknown>
  readonly expected: unknown
}

const NOW = Date.UTC(2026, 10, 30, 20)
const plain = rates({ input: 1000n, output: 5000n })
const dear = rates({ input: 9000n, output: 9000n })
const text = { input: 100, output: 10 }

const codeOf = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (error) {
    return (error as { code?: string }).code
  }
}

const held = (m: PriceModules, row: Partial<PriceRow>, bound: Bound.CostBound = text): unknown =>
  codeOf(() => m.bound.maxCostNanoUsd(bound, priceRow({ rates: plain, ...row })))

const charged = (
  m: PriceModules,
  row: Partial<PriceRow>,
  own: Partial<ChargeModule.ChargeInput> = {},
): ChargeModule.Charge =>
  m.charge.chargeFor({
    row: priceRow({ rates: plain, ...row }),
    tokens: used(text),
    quality: 'measured',
    markup: { id: null, ratio: [1, 1] },
    billable: true,
    endMs: 0,
    ...own,
  })

const found = async (m: PriceModules, provider: string, model: string): Promise<string | null> =>
  (await m.table.priceTable({ now: () => NOW }).find({ provider, model }))?.model ?? null

const PRICE_CASES: readonly PriceCase[] = [
  {
    title: 'a request of exactly the threshold is below the tier',
    run: (m) => charged(m, { tiers: [{ aboveInputTokens: 100, rates: dear }] }).costNanoUsd,
    expected: 150n,
  },
  {
    title: 'a call is rounded up',
    run: (m) => charged(m, {}, { tokens: used({ input: 0, output: 0 }) }).costNanoUsd,
    expected: 0n,
  },
  {
    title: 'a fraction of a nano-USD is one',
    run: (m) =>
      charged(m, { rates: rates({ input: 1n }) }, { tokens: used({ input: 1 }) }).costNanoUsd,
    expected: 1n,
  },
  {
    title: 'images are held unless ruled out',
    run: (m) => held(m, { rates: { ...plain, inputImage: 3000n } }),
    expected: 350n,
  },
  {
    title: 'the dearest class of service is held',
    run: (m) => held(m, { serviceTiers: { priority: { rates: dear, tiers: [], ratio: [1, 1] } } }),
    expected: 990n,
  },
  {
    title: 'the dearest time is held',
    run: (m) => held(m, { next: [{ fromMs: 5, row: priceRow({ rates: dear }) }] }),
    expected: 990n,
  },
  {
    title: 'a call priced by the second is not held at nothing',
    run: (m) => held(m, { rates: rates({}), units: { seconds: 5n } }),
    expected: 'TK_BUDGET_UNBOUNDED',
  },
  {
    title: 'a unit without a price refuses the call',
    run: (m) => held(m, {}, { ...text, counts: { images: 1 } }),
    expected: 'TK_PRICE_MISSING',
  },
  {
    title: 'a fee for the request is held',
    run: (m) => held(m, { units: { requests: 1000n } }),
    expected: 151n,
  },
  {
    title: 'the dearer of two times is charged',
    run: (m) =>
      charged(m, { next: [{ fromMs: 5, row: priceRow({ rates: dear }) }] }, { endMs: 5 })
        .costNanoUsd,
    expected: 990n,
  },
  {
    title: 'the figure of the provider replaces nothing',
    run: (m) => charged(m, {}, { providerCostNanoUsd: 0n }).costNanoUsd,
    expected: 150n,
  },
  {
    title: 'a figure that differs is flagged',
    run: (m) => charged(m, {}, { providerCostNanoUsd: 152n }).differs,
    expected: true,
  },
  {
    title: 'what has no price is estimated',
    run: (m) => charged(m, {}, { serviceTier: 'scale' }).quality,
    expected: 'estimated',
  },
  {
    title: 'a name of Object is no class of service',
    run: (m) => codeOf(() => charged(m, {}, { serviceTier: 'constructor' }).costNanoUsd),
    expected: 150n,
  },
  {
    title: 'a call on the tenant’s own credential is not billed',
    run: (m) => charged(m, {}, { billable: false }).chargedNanoUsd,
    expected: 0n,
  },
  {
    title: 'a markup is applied before the rounding',
    run: (m) =>
      charged(
        m,
        { rates: rates({ input: 400n }) },
        { tokens: used({ input: 1 }), markup: { id: 'm@1', ratio: [2, 1] } },
      ).chargedNanoUsd,
    expected: 1n,
  },
  {
    title: 'a tenant’s own markup wins',
    run: (m) =>
      m.markup
        .readMarkups([
          { id: 'own', ratio: [1, 1], tenantId: 'acme' },
          { id: 'all', ratio: [2, 1] },
        ])
        .of({ id: 'acme', plan: null }).id,
    expected: 'own@unversioned',
  },
  {
    title: 'a model that nobody priced is marked',
    run: (m) => {
      const option = m.unpriced.readUnpriced({ maxUsdPerCall: '1' })!
      const row = m.unpriced.unpricedRow(option, { provider: 'openai', model: 'x' })
      return m.charge.openPrice(charged(m, row).priceId) !== null && charged(m, row).quality
    },
    expected: 'estimated',
  },
  {
    title: 'a rate finer than 1 pUSD is rounded up',
    run: async (m) => {
      const price = {
        provider: 'openai',
        model: 'x',
        inputUsdPerMTok: '0.0000001',
        outputUsdPerMTok: '0',
      }
      const row = await m.table.priceTable({ hostPrices: [price] }).find(price)
      return row?.rates.input
    },
    expected: 1n,
  },
  {
    title: 'T-B11 a newer model is not the older one',
    run: (m) => found(m, 'anthropic', 'claude-sonnet-4-5-max'),
    expected: null,
  },
  {
    title: 'T-B11 a model inside another id is not that model',
    run: (m) => found(m, 'azure', 'my-o4-mini'),
    expected: null,
  },
  {
    title: 'T-B11 a provider that is not ours has no prices',
    run: (m) => found(m, 'x-ai', 'grok-4'),
    expected: null,
  },
  {
    title: 'what is billed by a minimum has no price by the second',
    run: (m) => found(m, 'groq', 'whisper-large-v3'),
    expected: null,
  },
  {
    title: 'off-peak, the peak of the day is held',
    run: async (m) => {
      const row = await m.table
        .priceTable({ now: () => NOW })
        .find({ provider: 'deepseek', model: 'deepseek-chat' })
      return m.bound.maxCostNanoUsd({ input: 1000, output: 0 }, row!)
    },
    expected: 270_000n,
  },
]

/** Titles of the cases that these modules fail. */
export async function failedCases(modules: PriceModules): Promise<readonly string[]> {
  const failed: string[] = []
  for (const { title, run, expected } of PRICE_CASES) {
    const result = await Promise.resolve()
      .then(() => run(modules))
      .catch((error: unknown) => error)
    if (!Object.is(result, expected)) failed.push(title)
  }
  return failed
}
