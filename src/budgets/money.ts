/**
 * Money: integers only. Amounts are nano-USD (1e-9 USD) as bigint, prices pico-USD (1e-12 USD) per
 * token. Decimal strings come in and go out; no float ever enters a sum (T-B9, T-B10).
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'

export const NANO_PER_USD = 1_000_000_000n
/** SQL bigint is 63 bits; a limit of 9e18 nano-USD is nine billion dollars. */
export const MAX_AMOUNT = 9_000_000_000_000_000_000n

/** The largest sum that 64 bits hold, which is what SQL gives a counter. */
export const MAX_SUM = 9_223_372_036_854_775_807n

/** What a ledger takes as an amount: a bigint from 0 to {@link MAX_AMOUNT}. */
export const isAmount = (value: unknown): value is bigint =>
  typeof value === 'bigint' && value >= 0n && value <= MAX_AMOUNT

/** `'20'`, `'20.00'`, `'0.000000001'`: digits, at most nine of them after the point. */
const DECIMAL = /^(\d{1,10})(?:\.(\d{1,9}))?$/

/**
 * @param usd - decimal string in US dollars, not negative, at most nine decimals.
 * @param field - name used in the error.
 * @throws TenantKeysError TK_INPUT_INVALID naming the field: floats, signs, exponents, too many digits.
 */
export function parseUsd(usd: unknown, field: string): bigint {
  const match = typeof usd === 'string' ? DECIMAL.exec(usd) : null
  const amount = match
    ? BigInt(match[1]!) * NANO_PER_USD + BigInt((match[2] ?? '').padEnd(9, '0'))
    : null
  if (amount === null || amount > MAX_AMOUNT) {
    throw new TenantKeysError('TK_INPUT_INVALID', {
      field,
      reason: "expected US dollars as a decimal string such as '20.00', at most nine decimals",
    })
  }
  return amount
}

/** Exact decimal string without trailing zeros beyond the cents: `20.00`, `0.000012345`. */
export function formatUsd(nanoUsd: bigint): string {
  if (typeof nanoUsd !== 'bigint') {
    throw new TenantKeysError('TK_INPUT_INVALID', { field: 'nanoUsd', reason: 'expected bigint' })
  }
  const sign = nanoUsd < 0n ? '-' : ''
  const size = nanoUsd < 0n ? -nanoUsd : nanoUsd
  const fraction = String(size % NANO_PER_USD).padStart(9, '0')
  return `${sign}${size / NANO_PER_USD}.${fraction.replace(/0{1,7}$/, '')}`
}
