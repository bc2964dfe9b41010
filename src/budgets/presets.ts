/**
 * Ready-made plans: plain data to start from, to copy and to change. Each can be an entry of the
 * option `plans`, and each row can be given to `tk.budgets.set` by itself.
 *
 * A megabyte is counted as 1,048,576 bytes, a gigabyte as 1,073,741,824: what file managers call so
 * fits. Numbers stand as in the checklist that this package was built from, whose ids are beside
 * them.
 *
 * @module
 */
import type { PlanDefinitions } from './plans.ts'

const MEGABYTE = 1_048_576
const GIGABYTE = 1_073_741_824

/** What a customer may spend (S0.14). The list names no period; a month is ours. */
const spending = {
  free: { version: 1, budgets: [{ window: 'month', limit: { usd: '1.00' } }] }, // S0.14
  basic: { version: 1, budgets: [{ window: 'month', limit: { usd: '5.00' } }] }, // S0.14
  pro: { version: 1, budgets: [{ window: 'month', limit: { usd: '20.00' } }] }, // S0.14
  enterprise: { version: 1, budgets: [{ window: 'month', limit: { usd: '100.00' } }] }, // S0.14
} as const satisfies PlanDefinitions

/** What a customer may send: requests per month and second, at once, and the size of one. */
const traffic = {
  free: {
    version: 1,
    budgets: [
      { window: 'month', limit: { requests: 10_000 } }, // S2.15, S2.30
      { window: 'rate_second', limit: { requests: 10 } }, // S2.30
      { window: 'concurrent', limit: { calls: 5 } }, // S2.30
      { window: 'call', limit: { bytes: 10 * MEGABYTE } }, // S2.30
    ],
  },
  pro: {
    version: 1,
    budgets: [
      { window: 'month', limit: { requests: 100_000 } }, // S2.15, S2.31
      { window: 'rate_second', limit: { requests: 50 } }, // S2.31
      { window: 'concurrent', limit: { calls: 20 } }, // S2.31
      { window: 'call', limit: { bytes: 100 * MEGABYTE } }, // S2.31
    ],
  },
  enterprise: {
    version: 1,
    budgets: [
      { window: 'month', limit: { requests: 10_000_000 } }, // S2.15, S2.32
      { window: 'rate_second', limit: { requests: 500 } }, // S2.32
      { window: 'concurrent', limit: { calls: 100 } }, // S2.32
      { window: 'call', limit: { bytes: 1 * GIGABYTE } }, // S2.32
    ],
  },
} as const satisfies PlanDefinitions

/** One company's services, each a tenant below it (S0.17). */
const services = {
  'api-service': { version: 1, budgets: [{ window: 'month', limit: { usd: '50.00' } }] }, // S0.17
  'background-jobs': { version: 1, budgets: [{ window: 'month', limit: { usd: '20.00' } }] }, // S0.17
  analytics: { version: 1, budgets: [{ window: 'month', limit: { usd: '10.00' } }] }, // S0.17
  'dev-environment': { version: 1, budgets: [{ window: 'month', limit: { usd: '5.00' } }] }, // S0.17
} as const satisfies PlanDefinitions

/** A crew of agents and the pool that takes what they refuse (S0.22). The pool's row belongs on an
 * account that the agents name as `overflowTo`. */
const agents = {
  code: { version: 1, budgets: [{ window: 'month', limit: { usd: '5.00' } }] }, // S0.22
  chat: { version: 1, budgets: [{ window: 'month', limit: { usd: '5.00' } }] }, // S0.22
  investigator: { version: 1, budgets: [{ window: 'month', limit: { usd: '2.00' } }] }, // S0.22
  hopper: { version: 1, budgets: [{ window: 'month', limit: { usd: '1.00' } }] }, // S0.22
  'emergency-pool': { version: 1, budgets: [{ window: 'month', limit: { usd: '2.00' } }] }, // S0.22
} as const satisfies PlanDefinitions

/** Stages of one product (S0.31). */
const environments = {
  dev: { version: 1, budgets: [{ window: 'month', limit: { usd: '5.00' } }] }, // S0.31
  staging: { version: 1, budgets: [{ window: 'month', limit: { usd: '10.00' } }] }, // S0.31
  prod: { version: 1, budgets: [{ window: 'month', limit: { usd: '100.00' } }] }, // S0.31
} as const satisfies PlanDefinitions

/** By how much the work matters (S0.36). */
const tiers = {
  critical: { version: 1, budgets: [{ window: 'month', limit: { usd: '100.00' } }] }, // S0.36
  important: { version: 1, budgets: [{ window: 'month', limit: { usd: '20.00' } }] }, // S0.36
  background: { version: 1, budgets: [{ window: 'month', limit: { usd: '5.00' } }] }, // S0.36
  experimental: { version: 1, budgets: [{ window: 'month', limit: { usd: '1.00' } }] }, // S0.36
} as const satisfies PlanDefinitions

/** Sets of plans; each can be the option `plans` as it is. */
export const presets = { spending, traffic, services, agents, environments, tiers } as const
