import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { definePlans, type PlanDefinitions, readPlans } from '../../src/budgets/plans.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import { install } from '../support/installation.ts'

const PRO = { version: 3, budgets: [{ window: 'month', limit: { usd: '20.00' } }] } as const

/** Which field is refused, and with which code. */
function refusalOf(plans: unknown): string {
  try {
    definePlans(plans as PlanDefinitions)
  } catch (error) {
    if (!TenantKeysError.isInstance(error)) throw error
    return `${error.code} ${error.details.field}`
  }
  return 'taken'
}

describe('definePlans', () => {
  test('gives back what it was given', () => {
    const plans = { pro: PRO, free: { version: 1, budgets: [] } } as const
    expect(definePlans(plans)).toBe(plans)
  })

  test('reads amounts, orders alerts and fills in the zone', () => {
    const budget = { window: 'day', limit: { requests: 5 }, alerts: [90, 50, 90] } as const
    const zoned = { window: 'week', limit: { usd: '0.5' }, zone: 'Asia/Tokyo', counts: 'platform' }
    const plans = { pro: { version: 2, budgets: [budget, zoned], credentials: 'platform' } }
    const read = readPlans(plans as PlanDefinitions, { field: 'plans', zone: 'Europe/Berlin' })
    expect(read.get('pro')).toEqual({
      plan: { name: 'pro', version: 2 },
      credentials: 'platform',
      budgets: [
        {
          unit: 'requests',
          window: 'day',
          zone: 'Europe/Berlin',
          limit: 5n,
          counts: 'all',
          alerts: [50, 90],
        },
        {
          unit: 'usd',
          window: 'week',
          zone: 'Asia/Tokyo',
          limit: 500_000_000n,
          counts: 'platform',
          alerts: [],
        },
      ],
    })
  })

  const budget = (over: object): object => ({
    pro: { version: 1, budgets: [{ window: 'month', limit: { usd: '1' }, ...over }] },
  })
  const row = PRO.budgets[0]
  test.each<[string, unknown, string]>([
    ['no object', 7, 'plans'],
    ['a list', [PRO], 'plans'],
    ['a name with a slash', { 'a/b': PRO }, 'plans.a?b'],
    ['a plan that is text', { pro: 'unlimited' }, 'plans.pro'],
    ['a plan without a version', { pro: { budgets: [] } }, 'plans.pro.version'],
    ['a version of zero', { pro: { ...PRO, version: 0 } }, 'plans.pro.version'],
    ['a version that is text', { pro: { ...PRO, version: '3' } }, 'plans.pro.version'],
    ['a plan without budgets', { pro: { version: 1 } }, 'plans.pro.budgets'],
    ['an unknown field of a plan', { pro: { ...PRO, price: 9 } }, 'plans.pro.price'],
    ['another source', { pro: { ...PRO, credentials: 'both' } }, 'plans.pro.credentials'],
    ['an unknown field of a budget', budget({ cap: 1 }), 'plans.pro.budgets[0].cap'],
    ['an unknown window', budget({ window: 'year' }), 'plans.pro.budgets[0].window'],
    ['an unknown zone', budget({ zone: 'Mars/Base' }), 'plans.pro.budgets[0].zone'],
    ['an unknown count', budget({ counts: 'none' }), 'plans.pro.budgets[0].counts'],
    ['an alert of zero', budget({ alerts: [0] }), 'plans.pro.budgets[0].alerts[0]'],
    [
      'a limit of money in a float',
      budget({ limit: { usd: 1.5 } }),
      'plans.pro.budgets[0].limit.usd',
    ],
    ['a negative limit', budget({ limit: { tokens: -1 } }), 'plans.pro.budgets[0].limit.tokens'],
    [
      'a limit of two units',
      budget({ limit: { usd: '1', tokens: 1 } }),
      'plans.pro.budgets[0].limit',
    ],
    ['no limit', budget({ limit: undefined }), 'plans.pro.budgets[0].limit'],
    [
      'a unit called constructor',
      budget({ limit: { constructor: 1 } }),
      'plans.pro.budgets[0].limit',
    ],
    ['the same limit twice', { pro: { version: 1, budgets: [row, row] } }, 'plans.pro.budgets[1]'],
  ])('refuses %s by its path', (_, plans, field) => {
    expect(refusalOf(plans)).toBe(`TK_CONFIG_INVALID ${field}`)
  })

  test('T-I7 names that every object has are names as any other', () => {
    const plans = JSON.parse('{ "constructor": { "version": 1, "budgets": [] } }')
    expect([...readPlans(plans, { field: 'plans', zone: 'UTC' }).keys()]).toEqual(['constructor'])
    const hidden = JSON.parse('{ "__proto__": { "version": 1, "budgets": "none" } }')
    expect(refusalOf(hidden)).toBe('TK_CONFIG_INVALID plans.__proto__.budgets')
    expect(({} as { version?: unknown }).version).toBeUndefined()
  })
})

describe('the options', () => {
  const refused = async (options: Partial<TenantKeysOptions>): Promise<string> => {
    const error: unknown = await install('http://127.0.0.1:1', {
      storage: memory(),
      ...options,
    }).then(
      () => null,
      (reason: unknown) => reason,
    )
    if (!TenantKeysError.isInstance(error)) return 'taken'
    return `${error.code} ${error.details.field}`
  }

  test('name the path of a plan that is wrong', async () => {
    const plans = { pro: { ...PRO, version: -1 } }
    expect(await refused({ plans })).toBe('TK_CONFIG_INVALID options.plans.pro.version')
  })

  test('S2.15 take only a default plan that there is', async () => {
    const plans = { pro: PRO }
    const refusal = 'TK_CONFIG_INVALID options.defaultPlan'
    expect(await refused({ plans, defaultPlan: 'free' })).toBe(refusal)
    expect(await refused({ defaultPlan: 'constructor' })).toBe(refusal)
    expect(await refused({ plans, defaultPlan: 'pro' })).toBe('taken')
  })
})
