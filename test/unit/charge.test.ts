/**
 * What a call is charged: classes of service, units, times, markups, and the provider's own figure.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { type ChargeInput, chargeFor, unchargedParts } from '../../src/usage/charge.ts'
import { readMarkups } from '../../src/usage/markup.ts'
import type { PriceRow } from '../../src/usage/price.ts'
import { ONE } from '../../src/usage/rate.ts'
import { readUnpriced, unpricedRow } from '../../src/usage/unpriced.ts'
import { priceRow, rates, used } from '../support/prices.ts'

const plain = rates({ input: 1000n, output: 5000n })
const tokens = used({ input: 100, output: 10 })
const NO_MARKUP = { id: null, ratio: ONE } as const

const charge = (row: Partial<PriceRow>, own: Partial<ChargeInput> = {}) =>
  chargeFor({
    row: priceRow({ rates: plain, ...row }),
    tokens,
    quality: 'measured',
    markup: NO_MARKUP,
    billable: true,
    endMs: 0,
    ...own,
  })

describe('the class of service that the provider reports', () => {
  const serviceTiers = {
    flex: { rates: plain, tiers: [], ratio: [1, 2] },
    on_demand_priority: { rates: rates({ input: 9000n, output: 0n }), tiers: [], ratio: ONE },
  } as const

  test('decides the price, and is named', () => {
    expect(charge({ serviceTiers }, { serviceTier: 'flex' })).toMatchObject({
      costNanoUsd: 75n,
      priceId: 'host:openai/m@1 tier:flex',
      quality: 'measured',
    })
    // Vertex writes capitals.
    expect(charge({ serviceTiers }, { serviceTier: 'ON_DEMAND_PRIORITY' })).toMatchObject({
      costNanoUsd: 900n,
      priceId: 'host:openai/m@1 tier:on_demand_priority',
    })
  })

  test('half of an odd figure is rounded up once, of the whole call', () => {
    const cheap = rates({ input: 1n })
    const row = { rates: cheap, serviceTiers: { flex: { ...serviceTiers.flex, rates: cheap } } }
    const cost = (input: number) =>
      charge(row, { tokens: used({ input }), serviceTier: 'flex' }).costNanoUsd
    expect(cost(1)).toBe(1n)
    expect(cost(2000)).toBe(1n)
    expect(cost(2001)).toBe(2n)
  })

  test('one without a price is charged as the standard one, and marked as not priced', () => {
    expect(charge({ serviceTiers }, { serviceTier: 'scale' })).toMatchObject({
      costNanoUsd: 150n,
      priceId: 'host:openai/m@1 tier:scale? counted',
      quality: 'estimated',
    })
  })

  test('T-L4 a name that is none is not repeated', () => {
    const { priceId } = charge({}, { serviceTier: 'a secret\nsk-123' })
    expect(priceId).toBe('host:openai/m@1 tier:other? counted')
  })

  test('T-I7 a name of Object is no class of service', () => {
    expect(charge({ serviceTiers: {} }, { serviceTier: '__proto__' }).quality).toBe('estimated')
    expect(charge({ serviceTiers: {} }, { serviceTier: 'constructor' }).quality).toBe('estimated')
  })
})

describe('units', () => {
  const units = { requests: 7_000n, web_search_requests: 10_000n, seconds: 3n }

  test('each is charged beside the tokens, the request itself once', () => {
    expect(charge({ units }, { counts: { web_search_requests: 2 } }).costNanoUsd).toBe(177n)
    expect(charge({ units }, { counts: {} }).costNanoUsd).toBe(157n)
  })

  test('the ratio of a class of service is one of tokens alone', () => {
    const flex = { rates: plain, tiers: [], ratio: [1, 2] } as const
    expect(charge({ units, serviceTiers: { flex } }, { serviceTier: 'flex' }).costNanoUsd).toBe(82n)
  })

  test('fractions are exact: rounded up once with everything else', () => {
    // 150 nUSD and 3 pUSD for each of 1.5 seconds.
    const seconds = { units: { seconds: 3n } }
    expect(charge(seconds, { counts: { seconds: 1.5 } }).costNanoUsd).toBe(151n)
    expect(charge(seconds, { counts: { seconds: 1000.5 } }).costNanoUsd).toBe(154n)
  })

  test('one without a price leaves the figure an estimate that names it', () => {
    expect(charge({}, { counts: { web_search_requests: 2 } })).toMatchObject({
      costNanoUsd: 150n,
      priceId: 'host:openai/m@1 web_search_requests? counted',
      quality: 'estimated',
    })
  })

  test('T-B9 a unit that is no number is refused, not charged as nothing', () => {
    for (const n of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => charge({ units }, { counts: { seconds: n } })).toThrow(
        expect.objectContaining({ code: 'TK_INPUT_INVALID' }),
      )
    }
  })

  test('a cache of one hour without a rate is charged as a cache, and marked', () => {
    const written = used({ input: 100, cacheWrite: 100, cacheWrite1h: 40, output: 10 })
    expect(charge({}, { tokens: written })).toMatchObject({
      costNanoUsd: 150n,
      priceId: 'host:openai/m@1 cache_write_1h? counted',
    })
    const row = { rates: { ...plain, cacheWrite: 2000n, cacheWrite1h: 3000n } }
    expect(charge(row, { tokens: written }).costNanoUsd).toBe(120n + 120n + 50n)
  })

  test('tokens that are counted and not billed cost nothing', () => {
    expect(charge({}, { counts: { billed_input: 60, billed_output: 10 } }).costNanoUsd).toBe(110n)
  })
})

describe('time', () => {
  const later = priceRow({ id: 'peak', rates: rates({ input: 2000n, output: 5000n }) })
  const dropped = priceRow({ id: 'night', rates: rates({ input: 1n, output: 1n }) })

  test('a call that ends after a change is charged the dearer of both prices, by its id', () => {
    const next = [{ fromMs: 50, row: later }]
    expect(charge({ next }, { endMs: 49 }).costNanoUsd).toBe(150n)
    expect(charge({ next }, { endMs: 50 })).toMatchObject({ costNanoUsd: 250n, priceId: 'peak' })
    const cheaper = { next: [{ fromMs: 50, row: dropped }] }
    expect(charge(cheaper, { endMs: 50 })).toMatchObject({
      costNanoUsd: 150n,
      priceId: 'host:openai/m@1',
    })
  })
})

describe('S4.42 markups', () => {
  const book = readMarkups([
    { id: 'standard', version: '2026-11', ratio: [3, 2] },
    { id: 'pro', ratio: [6, 5], plan: 'pro' },
    { id: 'acme', ratio: [1, 1], tenantId: 'acme' },
  ])
  const of = (id: string, plan: string | null) => book.of({ id, plan })

  test('a rule of the tenant wins over one of its plan, and that over the one for all', () => {
    expect(of('acme', 'pro').id).toBe('acme@unversioned')
    expect(of('other', 'pro').id).toBe('pro@unversioned')
    expect(of('other', 'free').id).toBe('standard@2026-11')
    expect(readMarkups(undefined).of({ id: 'other', plan: null })).toEqual(NO_MARKUP)
    expect(
      readMarkups([{ id: 'pro', ratio: [6, 5], plan: 'pro' }]).of({ id: 'x', plan: null }),
    ).toEqual(NO_MARKUP)
  })

  test('what the tenant is billed is rounded once from the exact cost, and the rule is on the id', () => {
    // 1 pUSD of cost: 1 nUSD; one and a half of it is 1 nUSD too, not 2.
    const fine = { rates: rates({ input: 1n }) }
    const one = { tokens: used({ input: 1 }), markup: of('other', null) }
    expect(charge(fine, one)).toMatchObject({
      costNanoUsd: 1n,
      chargedNanoUsd: 1n,
      priceId: 'host:openai/m@1 markup:standard@2026-11',
    })
    expect(charge({}, { markup: of('other', null) })).toMatchObject({
      costNanoUsd: 150n,
      chargedNanoUsd: 225n,
    })
  })

  test('S4.43 $3,000 of cost with 20 % is $3,600, with 50 % more $5,400', () => {
    const dear = { rates: rates({ input: 1_000_000_000_000n }) }
    const month = { tokens: used({ input: 3000 }) }
    const billed = (ratio: readonly [number, number]) =>
      charge(dear, { ...month, markup: { id: 'm@1', ratio } }).chargedNanoUsd
    expect(billed([120, 100])).toBe(3_600_000_000_000n)
    expect(billed([180, 100])).toBe(5_400_000_000_000n)
  })

  test('S4.41 a call on the tenant’s own credential is tracked and not billed', () => {
    expect(charge({}, { billable: false, markup: of('other', null) })).toMatchObject({
      costNanoUsd: 150n,
      chargedNanoUsd: 0n,
    })
  })

  test.each<[string, object, string]>([
    ['a ratio of zero', { ratio: [0, 1] }, 'ratio[0]'],
    ['a ratio over zero', { ratio: [1, 0] }, 'ratio[1]'],
    ['a fraction', { ratio: [1.5, 1] }, 'ratio[0]'],
    ['a negative ratio', { ratio: [-1, 1] }, 'ratio[0]'],
    ['a huge ratio', { ratio: [1_000_001, 1] }, 'ratio[0]'],
    ['a percentage as text', { ratio: '50%' }, 'ratio'],
    ['an id with a blank', { id: 'a b' }, 'id'],
    ['a tenant and a plan', { tenantId: 'acme', plan: 'pro' }, 'plan'],
    ['an unknown field', { percent: 50 }, 'percent'],
  ])('T-B9 %s is refused by name', (_, wrong, field) => {
    expect(() => readMarkups([{ id: 'm', ratio: [1, 1], ...wrong }])).toThrow(
      expect.objectContaining({
        code: 'TK_CONFIG_INVALID',
        details: expect.objectContaining({ field: `options.markups[0].${field}` }),
      }),
    )
  })

  test('two rules for the same tenants are refused', () => {
    const twice = [
      { id: 'a', ratio: ONE, plan: 'pro' },
      { id: 'b', ratio: ONE, plan: 'pro' },
    ]
    expect(() => readMarkups(twice)).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ field: 'options.markups[1]' }),
      }),
    )
  })
})

describe('the figure of the provider', () => {
  const said = (providerCostNanoUsd: bigint | null) => ({ providerCostNanoUsd })

  test.each([149n, 150n, 151n])('%d for 150: rounding explains it', (figure) => {
    expect(charge({}, said(figure))).toMatchObject({
      costNanoUsd: 150n,
      providerCostNanoUsd: figure,
      differs: false,
    })
  })

  test.each([0n, 148n, 152n, 10n ** 12n])(
    '%d for 150 is flagged and replaces nothing',
    (figure) => {
      expect(charge({}, said(figure))).toMatchObject({
        costNanoUsd: 150n,
        chargedNanoUsd: 150n,
        providerCostNanoUsd: figure,
        differs: true,
      })
    },
  )

  test('rates that were rounded up explain 1 pUSD more for each token', () => {
    const many = { tokens: used({ input: 5000 }), providerCostNanoUsd: 4995n }
    expect(charge({ roundedUp: true }, many).differs).toBe(false)
    expect(charge({ roundedUp: true }, { ...many, providerCostNanoUsd: 4992n }).differs).toBe(true)
    expect(charge({}, many).differs).toBe(true)
  })

  test('none is none', () => {
    expect(charge({}, said(null))).toMatchObject({ differs: false, providerCostNanoUsd: null })
  })

  test('it counts where the row says so, with its markup, and the id says so', () => {
    const own = { ...said(75n), markup: { id: 'm@1', ratio: [3, 2] as const } }
    expect(charge({ use: 'provider' }, own)).toEqual({
      costNanoUsd: 75n,
      chargedNanoUsd: 113n,
      providerCostNanoUsd: 75n,
      priceId: 'host:openai/m@1 use:provider markup:m@1',
      quality: 'measured',
      differs: false,
    })
    expect(charge({ use: 'provider' }, said(null)).costNanoUsd).toBe(150n)
  })
})

describe('models that nobody priced', () => {
  const row = unpricedRow(readUnpriced({ maxUsdPerCall: '0.50' })!, {
    provider: 'openai',
    model: 'gpt-9',
  })

  test('are charged the maximum, marked as not priced', () => {
    expect(charge(row)).toMatchObject({
      costNanoUsd: 500_000_000n,
      priceId: 'unpriced:openai/gpt-9@0.50 counted',
      quality: 'estimated',
      differs: false,
    })
  })

  test('where the provider names its charge, that', () => {
    expect(charge(row, { providerCostNanoUsd: 7n })).toMatchObject({
      costNanoUsd: 7n,
      priceId: 'unpriced:openai/gpt-9@0.50 use:provider',
      quality: 'measured',
    })
  })

  test.each([{}, { maxUsdPerCall: 0.5 }, { maxUsdPerCall: '0' }, { maxUsdPerCall: '-1' }, true])(
    'T-B9 %j is no maximum',
    (wrong) => {
      expect(() => readUnpriced(wrong as never)).toThrow(
        expect.objectContaining({ code: 'TK_CONFIG_INVALID' }),
      )
    },
  )
})

describe('what is in no charge', () => {
  test('is named: what has no price, and what nobody explains', () => {
    const counts = { unattributed_tokens: 4, other_model_output_tokens: 2, billed_input: 9 }
    expect(unchargedParts({ priceId: 'host:p/m@1 tier:odd? images? counted' }, counts)).toEqual([
      'tier:odd',
      'images',
      'unattributed_tokens',
      'other_model_output_tokens',
    ])
  })

  test('is nothing of a call that was charged whole, or at the figure of its provider', () => {
    expect(unchargedParts({ priceId: 'host:p/m?@1 tier:flex markup:m@1' }, {})).toEqual([])
    expect(
      unchargedParts({ priceId: 'host:p/m@1 use:provider' }, { unattributed_tokens: 4 }),
    ).toEqual([])
  })
})
