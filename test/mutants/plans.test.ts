import { expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { NewBudget, Storage, TenantCommands } from '../../src/storage/storage.ts'
import type { ConformanceOptions } from '../../src/testing/index.ts'
import { runSuite } from './recording-runner.ts'

type SetPlan = TenantCommands['setPlan']

const over = (sabotage: (storage: Storage) => Storage): ConformanceOptions => ({
  capabilities: { name: 'memory', durable: false, multiProcess: false, multiHost: false },
  make: async ({ clock }) => ({ storage: sabotage(memory({ clock })), dispose: async () => {} }),
})

const withSetPlan = (sabotage: (storage: Storage) => SetPlan): ConformanceOptions =>
  over((s) => ({ ...s, tenants: { ...s.tenants, setPlan: sabotage(s) } }))

/** A row of a plan as a budget of the tenant's own. */
const budgetOf = (tenantId: string, row: Omit<NewBudget, keyof typeof OWN>): NewBudget => ({
  ...row,
  ...OWN,
  tenantId,
  account: { id: `tenant:${tenantId}`, depth: 0 },
})
const OWN = {
  tenantId: '',
  account: { id: '', depth: 0 },
  source: 'plan:sabotage@1',
  overflow: null,
} as const

/** What is broken, words of the title that must fail, the store. */
const MUTANTS: readonly (readonly [string, string, ConformanceOptions])[] = [
  [
    'budgets are written one by one before the plan',
    'setPlan writes the plan',
    withSetPlan((s) => async (change, also) => {
      for (const row of change.budgets) {
        await s.ledger.setBudget(budgetOf(change.tenantId, row), {})
      }
      return s.tenants.setPlan(change, also)
    }),
  ],
  [
    'a plan starts its budgets at zero',
    'keeps the sums',
    withSetPlan((s) => async (change, also) => {
      for (const row of change.budgets) {
        await s.ledger.removeBudget(budgetOf(change.tenantId, row), {})
      }
      return s.tenants.setPlan(change, also)
    }),
  ],
  [
    'a plan takes over what was set by itself',
    'set by itself stays',
    withSetPlan((s) => async (change, also) => {
      const tenant = await s.tenants.setPlan(change, also)
      for (const row of change.budgets) {
        await s.ledger.setBudget(budgetOf(change.tenantId, row), {})
      }
      return tenant
    }),
  ],
  [
    'budgets of the plan before stay',
    'removes the others',
    withSetPlan((s) => async (change, also) => {
      const before = await s.ledger.budgets(change.tenantId)
      const tenant = await s.tenants.setPlan(change, also)
      for (const { unit, window, limit } of before) {
        const row = { unit, window, limit, zone: 'UTC' }
        await s.ledger.setBudget(budgetOf(change.tenantId, row), {})
      }
      return tenant
    }),
  ],
  [
    'a tenant is moved whatever version it has',
    'none moves back',
    withSetPlan(
      (s) => (change, also) => s.tenants.setPlan({ ...change, onlyIfOlder: false }, also),
    ),
  ],
  [
    'limits change one by one',
    'limits change together',
    over((s) => {
      const setLimits: Storage['ledger']['setLimits'] = async (limits, also) => {
        const counters = []
        for (const limit of limits) counters.push(...(await s.ledger.setLimits([limit], also)))
        return counters
      }
      return { ...s, ledger: { ...s.ledger, setLimits } }
    }),
  ],
  [
    'a limit falls below what is held',
    'limits change together',
    over((s) => {
      const setLimits: Storage['ledger']['setLimits'] = async (limits, also) => {
        try {
          return await s.ledger.setLimits(limits, also)
        } catch (error) {
          if (!TenantKeysError.isInstance(error) || error.code !== 'TK_STORE_CONFLICT') throw error
          return Promise.all(
            limits.map((limit) =>
              s.ledger.setBudget({ ...limit, zone: 'UTC', source: 'explicit' }, also),
            ),
          )
        }
      }
      return { ...s, ledger: { ...s.ledger, setLimits } }
    }),
  ],
]

test.each(MUTANTS)('is caught: %s', async (_, words, options) => {
  const { failed, passed } = await runSuite(options)
  expect(failed.filter((title) => title.includes(words))).not.toEqual([])
  expect(passed.length).toBeGreaterThan(failed.length)
})
