/**
 * A gateway's own figure of what a call cost. It comes as a float in JSON; the shortest decimal that
 * names the float is what the gateway wrote, and is read as text. No float is ever added or multiplied.
 *
 * @module
 */

const DECIMAL = /^(\d{1,15})(?:\.(\d{1,40}))?(?:e([+-]\d{1,3}))?$/

/** 9 decimals: nano. */
const NANO = 9

/** No call costs more: 1 million US dollars. */
const MAX_NANO_USD = 1_000_000_000_000_000n

/**
 * @param value - what stood in JSON: a number or a decimal text, in units of 10^-`scale` US dollars.
 * @returns nano-USD, rounded up; `null` for what is no amount: absent, negative, not finite, too large.
 */
export function nanoUsdOf(value: unknown, scale = 0): bigint | null {
  if (typeof value !== 'number' && typeof value !== 'string') return null
  const match = DECIMAL.exec(String(value))
  if (!match) return null
  const [, whole = '', fraction = '', exponent = '0'] = match
  const digits = BigInt(whole + fraction)
  const shift = NANO - scale - fraction.length + Number(exponent)
  if (shift > 40 || shift < -400) return digits === 0n ? 0n : null
  const unit = 10n ** BigInt(Math.abs(shift))
  const nano = shift >= 0 ? digits * unit : (digits + unit - 1n) / unit
  return nano <= MAX_NANO_USD ? nano : null
}
