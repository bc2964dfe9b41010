/**
 * Reads a price as its source wrote it down, as an integer of pico-USD; and ratios of integers.
 *
 * @module
 */

export interface ParsedRate {
  /** pUSD: of a price per 1M tokens, per token; of a price each, per unit. */
  readonly rate: bigint
  /** True when the price was finer than 1 pUSD. */
  readonly roundedUp: boolean
}

/** `[3, 2]` makes one and a half of an amount: both are applied before the one rounding of a call. */
export type Ratio = readonly [times: number, over: number]

export const ONE: Ratio = [1, 1]

/** 1 USD per token: with at most 1e9 tokens either way no call can pass a 63-bit amount of nano-USD. */
const MAX_TOKEN_RATE = 1_000_000_000_000n

/** 10,000 USD each: a million units of it still fit into an amount. */
const MAX_UNIT_RATE = 10_000_000_000_000_000n

const DECIMAL = /^(\d{1,7})(?:\.(\d{1,30}))?$/

/**
 * @param usdPerMTok - decimal string in US dollars per 1M tokens, 0 to 1,000,000, at most 30 decimals.
 * @returns `null` for everything else: numbers, signs, exponents, blanks, too large.
 */
export function rateFromText(usdPerMTok: unknown): ParsedRate | null {
  return fromText(usdPerMTok, 6, MAX_TOKEN_RATE)
}

/** The same of a price each: US dollars, 0 to 10,000, as a decimal string. */
export function unitRateFromText(usd: unknown): ParsedRate | null {
  return fromText(usd, 12, MAX_UNIT_RATE)
}

/**
 * A price that its source keeps as a float: read by the shortest decimal that names it, which is the
 * decimal the source wrote down.
 *
 * @returns `null` for what is no price: negative, not finite, too large.
 */
export function rateFromNumber(usdPerMTok: unknown): ParsedRate | null {
  return fromNumber(usdPerMTok, { decimals: 6, per: 1n, max: MAX_TOKEN_RATE })
}

/** The same of a price for `per` units, such as 1000 searches or the 3600 seconds of an hour. */
export function unitRateFromNumber(usd: unknown, per: number): ParsedRate | null {
  return fromNumber(usd, { decimals: 12, per: BigInt(per), max: MAX_UNIT_RATE })
}

/**
 * An amount of US dollars that a provider reports as a JSON number, in nano-USD: the decimal it wrote,
 * rounded up once.
 *
 * @param over - how many of the provider's units make one dollar; default 1.
 * @returns `null` for what is no amount: negative, not finite, above 1e9 dollars.
 */
export function nanoUsdOf(amount: unknown, over = 1): bigint | null {
  const read = fromNumber(amount, { decimals: 9, per: BigInt(over), max: 10n ** 18n })
  return read === null ? null : read.rate
}

/** A count in millionths, rounded up; `null` for what is no count: negative, not finite, above 1e12. */
export function millionthsOf(amount: unknown): bigint | null {
  return fromNumber(amount, { decimals: 6, per: 1n, max: 10n ** 18n })?.rate ?? null
}

function fromText(text: unknown, decimals: number, max: bigint): ParsedRate | null {
  const match = typeof text === 'string' ? DECIMAL.exec(text) : null
  if (!match) return null
  const [, whole = '', fraction = ''] = match
  const parsed = scaled(whole + fraction, fraction.length - decimals, 1n)
  return parsed.rate <= max ? parsed : null
}

function fromNumber(
  value: unknown,
  { decimals, per, max }: { readonly decimals: number; readonly per: bigint; readonly max: bigint },
): ParsedRate | null {
  if (typeof value !== 'number' || !(value >= 0 && Number.isFinite(value))) return null
  const [mantissa = '', exponent = '0'] = String(value).split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const parsed = scaled(whole + fraction, fraction.length - Number(exponent) - decimals, per)
  return parsed.rate <= max ? parsed : null
}

/** `digits` with the point `shift` places from the right, divided by `per`, rounded up. */
function scaled(digits: string, shift: number, per: bigint): ParsedRate {
  const dividend = BigInt(digits) * (shift < 0 ? 10n ** BigInt(-shift) : 1n)
  const divisor = per * (shift > 0 ? 10n ** BigInt(shift) : 1n)
  const rate = (dividend + divisor - 1n) / divisor
  return { rate, roundedUp: rate * divisor !== dividend }
}
