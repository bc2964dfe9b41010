/**
 * Bad input to `tk.plans`, `tk.budgets.rebalance` and `tk.budgets.recommend`.
 *
 * @module
 */
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
const NO_NUMBERS = { negative: -1, fraction: 0.5, NaN: Number.NaN, text: CANARY, none: undefined }

const member = (over: object): object => ({ ...REBALANCE, members: [{ ...MEMBER, ...over }] })

const unknownPlan = (method: string, what: string, run: Row['run']): Row => ({
  method,
  what: `T-I7 a plan called ${what}`,
  run,
  code: 'TK_PLAN_UNKNOWN',
  field: 'plan',
})

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
  ...unknownFields('budgets.recommend', RECOMMEND, recommend),
]
