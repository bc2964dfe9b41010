/**
 * Bad input to `tk.authorize`.
 *
 * @module
 */
import type { ErrorCode } from '../../../src/kernel/errors.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { as, type Bench, CANARY, type Row } from './row.ts'
import { NO_CONTEXTS } from './values.ts'

const denied = (what: string, code: ErrorCode, ask: (bench: Bench) => object): Row => ({
  method: 'authorize',
  what,
  run: (bench) => bench.tk.authorize(as({ key: bench.key, model: 'gpt-4o-mini', ...ask(bench) })),
  code,
  field: null,
  asValue: true,
})
const badAsk = (what: string, field: string, over: object): Row => ({
  method: 'authorize',
  what,
  run: ({ tk, key }) => tk.authorize(as({ key, model: 'gpt-4o-mini', ...over })),
  code: 'TK_INPUT_INVALID',
  field,
})
export const authorizeRows: readonly Row[] = [
  ...Object.entries(NO_CONTEXTS).map(
    ([what, ask]): Row => ({
      method: 'authorize',
      what: `ask: ${what}`,
      run: ({ tk }) => tk.authorize(as(ask)),
      code: 'TK_INPUT_INVALID',
      field: 'ask',
    }),
  ),
  badAsk('no key', 'ask.key', { key: undefined }),
  badAsk('a key that is no text', 'ask.key', { key: [CANARY] }),
  badAsk('no model', 'ask.model', { model: undefined }),
  badAsk('a model of 257 letters', 'ask.model', { model: CANARY.padEnd(257, 'x') }),
  badAsk('an empty scope', 'ask.scope', { scope: '' }),
  badAsk('a provider that is no text', 'ask.provider', { provider: 7 }),
  badAsk('a credential that is no id', 'ask.credential', { credential: `${CANARY}/..` }),
  badAsk('an estimate that is no object', 'ask.estimate', { estimate: CANARY }),
  badAsk('an estimate in another unit', 'ask.estimate.eur', {
    estimate: { usd: '1', eur: CANARY },
  }),
  badAsk('an unknown field', 'ask.tenantId', { tenantId: CANARY }),
  badAsk('T-I7 a field constructor', 'ask.constructor', JSON.parse(`{"constructor":"${CANARY}"}`)),
  denied('a key that is none', 'TK_KEY_MALFORMED', () => ({ key: CANARY })),
  denied('a Secret that holds no key', 'TK_KEY_MALFORMED', () => ({ key: new Secret(CANARY) })),
  denied('a provider that is not known', 'TK_PROVIDER_DENIED', () => ({ provider: CANARY })),
  denied('__proto__ as provider', 'TK_PROVIDER_DENIED', () => ({ provider: '__proto__' })),
  denied('a model that the scope does not allow', 'TK_MODEL_DENIED', () => ({ model: 'gpt-4o' })),
  denied('a scope that the key does not have', 'TK_SCOPE_DENIED', () => ({
    scope: 'support:other',
  })),
  denied('a credential that is not there', 'TK_SECRET_NOT_FOUND', () => ({ credential: 'second' })),
  denied('an estimate above the budget', 'TK_BUDGET_EXHAUSTED', () => ({
    estimate: { usd: '9000000000' },
  })),
]
