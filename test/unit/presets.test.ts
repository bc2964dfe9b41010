import { describe, expect, test } from 'vitest'
import type { Limit } from '../../src/budgets/amounts.ts'
import { definePlans, type PlanDefinitions } from '../../src/budgets/plans.ts'
import { presets } from '../../src/budgets/presets.ts'
import type { Window } from '../../src/storage/ledger-records.ts'

/** What a plan limits, as `window limit unit`. */
function limitsOf(plans: PlanDefinitions, name: string): string[] {
  const budgets = plans[name]?.budgets ?? []
  return budgets.map(({ window, limit }) => textOf(window, limit))
}

function textOf(window: Window, limit: Limit): string {
  const [[unit, amount] = ['nothing', '']] = Object.entries(limit)
  return `${window} ${amount} ${unit}`
}

/** `$5, chat $7` as names and dollars. The words are those of the checklist. */
const dollars = (line: string): (readonly [name: string, usd: string])[] =>
  [...line.matchAll(/([a-z][a-z -]*?) \$([\d.]+)/gi)].map(([, name, amount]) => [
    name!.trim().toLowerCase(),
    Number(amount).toFixed(2),
  ])

/** The lines of the checklist, word by word. */
const SPENDING: readonly (readonly [string, string, PlanDefinitions])[] = [
  ['S0.14', 'free $1.00, basic $5.00, pro $20.00, enterprise $100.00', presets.spending],
  [
    'S0.17',
    'api-service $50, background-jobs $20, analytics $10, dev-environment $5',
    presets.services,
  ],
  ['S0.22', 'code $5, chat $5, investigator $2, hopper $1, emergency-pool $2', presets.agents],
  ['S0.31', 'dev $5, staging $10, prod $100', presets.environments],
  ['S0.36', 'Critical $100, Important $20, Background $5, Experimental $1', presets.tiers],
]

describe.each(SPENDING)('%s %s', (_, line, plans) => {
  test('is a set of monthly limits in dollars, and nothing else', () => {
    const read = dollars(line)
    expect(Object.keys(plans)).toEqual(read.map(([name]) => name))
    for (const [name, usd] of read) expect(limitsOf(plans, name)).toEqual([`month ${usd} usd`])
  })
})

const TRAFFIC = [
  ['S2.30', 'free: 10,000/month, 10/s, 5 concurrent, 10 MB'],
  ['S2.31', 'pro: 100,000/month, 50/s, 20 concurrent, 100 MB'],
  ['S2.32', 'enterprise: 10,000,000/month, 500/s, 100 concurrent, 1 GB'],
] as const

const BYTES: Readonly<Record<string, number>> = { MB: 2 ** 20, GB: 2 ** 30 }

test.each(TRAFFIC)('%s %s', (_, line) => {
  const words = /^(\w+): ([\d,]+)\/month, (\d+)\/s, (\d+) concurrent, (\d+) (\w+)$/.exec(line)
  const [, name = '', month = '', second, concurrent, size, unit = ''] = words ?? []
  expect(limitsOf(presets.traffic, name)).toEqual([
    `month ${month.replaceAll(',', '')} requests`,
    `rate_second ${second} requests`,
    `concurrent ${concurrent} calls`,
    `call ${Number(size) * BYTES[unit]!} bytes`,
  ])
})

test('S2.15 monthly requests: free 10,000, pro 100,000, enterprise 10,000,000', () => {
  const months = Object.keys(presets.traffic).map((name) => [
    name,
    limitsOf(presets.traffic, name)[0],
  ])
  expect(months).toEqual([
    ['free', 'month 10000 requests'],
    ['pro', 'month 100000 requests'],
    ['enterprise', 'month 10000000 requests'],
  ])
})

test.each(Object.entries(presets))('%s can be the option plans as it is', (_, plans) => {
  expect(definePlans(plans)).toBe(plans)
})
