/**
 * Bad input to `tk.plans`, `definePlans`, `tk.budgets.rebalance` and `tk.budgets.recommend`.
 *
 * @module
 */
import { definePlans } from '../../../src/budgets/plans.ts'
import { as, CANARY, type Row } from './row.ts'
import {
  BAD_ACTORS,
  type Call,
  NO_OBJECTS,
  pages,
  rows,
  SOME_BAD_IDS,
  unknownFields,
} from './values.ts'

const assign: Call = (tk, input) => tk.plans.assign(as(input))
const apply: Call = (tk, input) => tk.plans.apply(as(input))
const rebalance: Call = (tk, input) => tk.budgets.rebalance(as(input))
const recommend: Call = (tk, input) => tk.budgets.recommend(as(input))

const acme = { tenantId: 'acme' }
const MEMBER = { account: acme, guaranteed: { usd: '1.00' }, observedValue: 1 }
const REBALANCE = { parent: { tenantId: 'reseller' }, window: 'month', members: [MEMBER] }
const RECOMMEND = { account: acme, window: 'month' }
const BAD_PLANS = { empty: '', 'a number': 7, '65 letters': CANARY.padEnd(65, 'x') }
const BAD_MARGINS = { negative: -1, fraction: 0.5, '1001': 1001, text: CANARY }
const BAD_UNITS = {
  null: null,
  empty: '',
  'in capitals': 'USD',
  'a name of prototypes': '__proto__',
  NUL: 'usd\0',
}
const NO_NUMBERS = { negative: -1, fraction: 0.5, NaN: Number.NaN, text: CANARY, none: undefined }

const member = (over: object): object => ({ ...REBALANCE, members: [{ ...MEMBER, ...over }] })

const unknownPlan = (method: string, what: string, run: Row['run']): Row => ({
  method,
  what: `T-I7 a plan called ${what}`,
  run,
  code: 'TK_PLAN_UNKNOWN',
  field: 'plan',
})

const plan = (over: object): object => ({ pro: { version: 1, budgets: [], ...over } })
const planBudget = (over: object): object =>
  plan({ budgets: [{ window: 'month', limit: { usd: '5.00' }, ...over }] })

/** What is wrong, what follows `plans` (or `options.plans`) in the field that says so, the plans. */
export const BAD_PLAN_SETS: readonly (readonly [string, string, unknown])[] = [
  ['null for plans', '', null],
  ['a text for plans', '', CANARY],
  ['a list of plans', '', [plan({})]],
  ['a Map of plans', '', new Map([['pro', CANARY]])],
  ['a plan with a path for a name', '.a?b', { 'a/b': CANARY }],
  ['a plan without a name', '.', { '': CANARY }],
  ['a plan that is a text', '.pro', { pro: CANARY }],
  [
    'T-I7 a plan __proto__ that is none',
    '.__proto__.version',
    JSON.parse('{"__proto__":{"polluted":1}}'),
  ],
  ['a plan without a version', '.pro.version', plan({ version: undefined })],
  ['a plan of version zero', '.pro.version', plan({ version: 0 })],
  ['a plan of version 1.5', '.pro.version', plan({ version: 1.5 })],
  ['a plan of a version as text', '.pro.version', plan({ version: CANARY })],
  ['a plan without budgets', '.pro.budgets', plan({ budgets: undefined })],
  ['a plan with budgets that are no list', '.pro.budgets', plan({ budgets: { usd: '5.00' } })],
  ['a plan with credentials of its own', '.pro.credentials', plan({ credentials: CANARY })],
  ['a plan with an unknown field', '.pro.price', plan({ price: CANARY })],
  ['a plan with a budget of a year', '.pro.budgets[0].window', planBudget({ window: 'year' })],
  ['a plan with no limit', '.pro.budgets[0].limit', planBudget({ limit: undefined })],
  ['a plan with two units', '.pro.budgets[0].limit', planBudget({ limit: { usd: '1', eur: 1 } })],
  [
    'a plan with dollars as a number',
    '.pro.budgets[0].limit.usd',
    planBudget({ limit: { usd: 5 } }),
  ],
  [
    'a plan with half a token',
    '.pro.budgets[0].limit.tokens',
    planBudget({ limit: { tokens: 0.5 } }),
  ],
  ['a plan in no zone', '.pro.budgets[0].zone', planBudget({ zone: `Mars/${CANARY}` })],
  ['a plan with an alert at zero', '.pro.budgets[0].alerts[0]', planBudget({ alerts: [0] })],
  ['a plan that counts otherwise', '.pro.budgets[0].counts', planBudget({ counts: CANARY })],
  ['a plan with a pool', '.pro.budgets[0].overflowTo', planBudget({ overflowTo: acme })],
  [
    'a plan with one limit twice',
    '.pro.budgets[1]',
    plan({ budgets: [1, 2].map((usd) => ({ window: 'month', limit: { usd: `${usd}` } })) }),
  ],
]

export const planRows: readonly Row[] = [
  ...rows('plans.assign', '(argument)', { missing: undefined, ...NO_OBJECTS }, assign),
  ...rows('plans.assign', 'tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    tk.plans.assign({ tenantId: as(tenantId), plan: 'pro' }),
  ),
  ...rows('plans.assign', 'plan', { missing: undefined, ...BAD_PLANS }, (tk, plan) =>
    tk.plans.assign({ ...acme, plan: as(plan) }),
  ),
  ...rows('plans.assign', 'actor', BAD_ACTORS, (tk, actor) =>
    tk.plans.assign({ ...acme, plan: 'pro', actor: as(actor) }),
  ),
  ...unknownFields('plans.assign', { ...acme, plan: 'pro' }, assign),
  ...['constructor', '__proto__', 'toString', `no ${CANARY}`].flatMap((plan) => [
    unknownPlan('plans.assign', plan, ({ tk }) => tk.plans.assign({ ...acme, plan })),
    unknownPlan('plans.apply', plan, ({ tk }) => tk.plans.apply({ plan })),
    unknownPlan('tenants.create', plan, ({ tk }) => tk.tenants.create({ id: 'new', plan })),
  ]),
  ...rows('tenants.create', 'plan', BAD_PLANS, (tk, plan) =>
    tk.tenants.create({ id: 'new', plan: as(plan) }),
  ),
  ...rows('plans.apply', '(argument)', { missing: undefined, ...NO_OBJECTS }, apply),
  ...rows('plans.apply', 'plan', { missing: undefined, null: null, ...BAD_PLANS }, (tk, plan) =>
    tk.plans.apply({ plan: as(plan) }),
  ),
  ...pages('plans.apply', { plan: 'pro' }, apply),
  ...unknownFields('plans.apply', { plan: 'pro' }, apply),
  ...rows('plans.of', 'tenantId', SOME_BAD_IDS, (tk, tenantId) => tk.plans.of(as(tenantId))),
  ...['plans.of', 'plans.assign'].map(
    (method): Row => ({
      method,
      what: 'a tenant that is not there',
      run: ({ tk }) =>
        method === 'plans.of'
          ? tk.plans.of('nobody')
          : tk.plans.assign({ tenantId: 'nobody', plan: null }),
      code: 'TK_TENANT_NOT_FOUND',
      field: null,
    }),
  ),
  ...BAD_PLAN_SETS.map(
    ([what, field, plans]): Row => ({
      method: 'definePlans',
      what,
      run: () => definePlans(as(plans)),
      code: 'TK_CONFIG_INVALID',
      field: `plans${field}`,
    }),
  ),

  ...rows('budgets.rebalance', '(argument)', { missing: undefined, ...NO_OBJECTS }, rebalance),
  ...rows('budgets.rebalance', 'parent.tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    tk.budgets.rebalance(as({ ...REBALANCE, parent: { tenantId } })),
  ),
  ...rows('budgets.rebalance', 'members', { none: [], 'a text': CANARY }, (tk, members) =>
    tk.budgets.rebalance(as({ ...REBALANCE, members })),
  ),
  ...rows('budgets.rebalance', 'window', { year: 'year', missing: undefined }, (tk, window) =>
    tk.budgets.rebalance(as({ ...REBALANCE, window })),
  ),
  ...rows('budgets.rebalance', 'members[0].observedValue', NO_NUMBERS, (tk, observedValue) =>
    tk.budgets.rebalance(as(member({ observedValue }))),
  ),
  ...rows(
    'budgets.rebalance',
    'members[0].guaranteed',
    { missing: undefined, 'an amount': '1.00', 'another unit': { tokens: 1 } },
    (tk, guaranteed) => tk.budgets.rebalance(as(member({ guaranteed }))),
  ),
  ...rows(
    'budgets.rebalance',
    'members[0].guaranteed.usd',
    { 'a float': { usd: 1.5 }, negative: { usd: '-1' }, text: { usd: CANARY } },
    (tk, guaranteed) => tk.budgets.rebalance(as(member({ guaranteed }))),
  ),
  ...rows('budgets.rebalance', 'max', { 'an amount': '1.00', null: null }, (tk, max) =>
    tk.budgets.rebalance(as({ ...REBALANCE, max })),
  ),
  ...unknownFields('budgets.rebalance', REBALANCE, rebalance),
  {
    method: 'budgets.rebalance',
    what: 'a parent without such a budget',
    run: ({ tk }) => rebalance(tk, REBALANCE, as(null)),
    code: 'TK_BUDGET_NOT_FOUND',
    field: null,
  },

  ...rows('budgets.recommend', '(argument)', { missing: undefined, ...NO_OBJECTS }, recommend),
  ...rows('budgets.recommend', 'window', { lifetime: 'lifetime', call: 'call' }, (tk, window) =>
    tk.budgets.recommend(as({ ...RECOMMEND, window })),
  ),
  ...rows('budgets.recommend', 'periods', { zero: 0, '367': 367, text: CANARY }, (tk, periods) =>
    tk.budgets.recommend(as({ ...RECOMMEND, periods })),
  ),
  ...rows('budgets.recommend', 'marginPercent', BAD_MARGINS, (tk, marginPercent) =>
    tk.budgets.recommend(as({ ...RECOMMEND, marginPercent })),
  ),
  ...rows('budgets.recommend', 'account.tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    tk.budgets.recommend(as({ ...RECOMMEND, account: { tenantId } })),
  ),
  ...rows('budgets.rebalance', 'unit', BAD_UNITS, (tk, unit) =>
    tk.budgets.rebalance(as({ ...REBALANCE, unit })),
  ),
  ...rows('budgets.recommend', 'unit', BAD_UNITS, (tk, unit) =>
    tk.budgets.recommend(as({ ...RECOMMEND, unit })),
  ),
  {
    method: 'budgets.recommend',
    what: 'an account without such a budget',
    run: ({ tk }) => recommend(tk, { ...RECOMMEND, unit: 'tokens' }, as(null)),
    code: 'TK_BUDGET_NOT_FOUND',
    field: null,
  },
  ...unknownFields('budgets.recommend', RECOMMEND, recommend),
]
