/**
 * Price rows and usage for tests: everything that a test does not name is absent.
 *
 * @module
 */
import type { TokenUsage } from '../../src/storage/ledger-records.ts'
import { NO_RATES, type PriceRow, type TokenRates } from '../../src/usage/price.ts'
import { ONE } from '../../src/usage/rate.ts'

export const rates = (own: Partial<TokenRates>): TokenRates => ({ ...NO_RATES, output: 0n, ...own })

export const priceRow = (own: Partial<PriceRow> = {}): PriceRow => ({
  id: 'host:openai/m@1',
  version: '1',
  provider: 'openai',
  model: 'm',
  currency: 'USD',
  rates: rates({}),
  tiers: [],
  ratio: ONE,
  units: {},
  serviceTiers: {},
  next: [],
  contextWindow: null,
  maxOutput: null,
  roundedUp: false,
  unpriced: [],
  use: 'table',
  known: true,
  ...own,
})

export const used = (own: Partial<TokenUsage>): TokenUsage => ({
  input: 0,
  cacheRead: null,
  cacheWrite: null,
  cacheWrite1h: null,
  inputAudio: null,
  output: 0,
  reasoning: null,
  outputAudio: null,
  ...own,
})
