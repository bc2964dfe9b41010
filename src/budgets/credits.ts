/**
 * The unit `credits`: what a call costs in the host's own currency, priced per call and per token.
 * Counted in millionths, written as decimal strings of at most six decimals (S2.35).
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Amounts } from '../storage/ledger-records.ts'
import { MAX_AMOUNT } from './money.ts'

const DECIMALS = 6
const MILLIONTHS = 1_000_000n
/** With this rate a million tokens still fit into what a ledger takes as an amount. */
const MAX_RATE = 1_000_000n * MILLIONTHS

/** Decimal strings, for example `{ perCall: '1', perOutputToken: '0.002' }`; absent is zero. Each at
 * most 1,000,000 credits. */
export interface CreditPrices {
  readonly perCall?: string | undefined
  readonly perInputToken?: string | undefined
  readonly perOutputToken?: string | undefined
}

/** In millionths of a credit. */
export interface CreditRates {
  readonly perCall: bigint
  readonly perInputToken: bigint
  readonly perOutputToken: bigint
}

/** `null` without prices: then no call asks for credits.
 * @throws TenantKeysError TK_CONFIG_INVALID naming the rate */
export function readCreditPrices(prices: CreditPrices | undefined): CreditRates | null {
  if (prices === undefined) return null
  const rate = (name: keyof CreditPrices): bigint => {
    const amount = prices[name] === undefined ? 0n : toMillionths(prices[name])
    if (amount !== null && amount <= MAX_RATE) return amount
    throw new TenantKeysError('TK_CONFIG_INVALID', {
      field: `options.credits.${name}`,
      reason: "expected a decimal string such as '0.002', at most six decimals and 1,000,000",
    })
  }
  return {
    perCall: rate('perCall'),
    perInputToken: rate('perInputToken'),
    perOutputToken: rate('perOutputToken'),
  }
}

/** What so many tokens cost; of an upper bound of the tokens, an upper bound. Nothing without rates. */
export function creditsOf(
  rates: CreditRates | null,
  tokens: { readonly input: number; readonly output: number },
): Amounts {
  if (rates === null) return {}
  const { perCall, perInputToken, perOutputToken } = rates
  const input = BigInt(tokens.input) * perInputToken
  return { credits: perCall + input + BigInt(tokens.output) * perOutputToken }
}

/** @throws TenantKeysError TK_INPUT_INVALID naming the field */
export function parseCredits(value: unknown, field: string): bigint {
  const amount = toMillionths(typeof value === 'bigint' ? String(value) : value)
  if (amount !== null && amount <= MAX_AMOUNT) return amount
  throw new TenantKeysError('TK_INPUT_INVALID', {
    field,
    reason: "expected credits as a decimal string such as '12.5', at most six decimals",
  })
}

/** `12.5`, `40`: exact, without trailing zeros. */
export function formatCredits(millionths: bigint): string {
  const sign = millionths < 0n ? '-' : ''
  const size = millionths < 0n ? -millionths : millionths
  const fraction = String(size % MILLIONTHS)
    .padStart(DECIMALS, '0')
    .replace(/0+$/, '')
  return `${sign}${size / MILLIONTHS}${fraction === '' ? '' : `.${fraction}`}`
}

/** Whole numbers come as numbers too; fractions only as text, which is exact. */
function toMillionths(value: unknown): bigint | null {
  const text = Number.isSafeInteger(value) ? String(value) : value
  const match = typeof text === 'string' ? /^(\d{1,13})(?:\.(\d{1,6}))?$/.exec(text) : null
  if (!match) return null
  return BigInt(match[1]!) * MILLIONTHS + BigInt((match[2] ?? '').padEnd(DECIMALS, '0'))
}
