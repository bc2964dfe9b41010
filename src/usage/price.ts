/**
 * What a token costs: one row per provider and model, in integers.
 *
 * Unit: pico-USD (1e-12 USD) per token. A price of 1 USD per 1M tokens is 1,000,000 pUSD per token,
 * so `$0.15` per 1M is 150,000. Six decimals of a price per 1M are exact; a finer one is rounded up
 * once, when it is read, and its row says so.
 *
 * @module
 */

/**
 * pUSD per token, by class. A class without a rate of its own is priced as the class it is part of:
 *
 * - `cacheRead`, `cacheWrite`, `inputAudio`: as `input`
 * - `cacheReadAudio`: as `inputAudio`, so that no discount is assumed
 * - `outputAudio`: as `output`
 *
 * `output: null` says that the model is not priced for output (embeddings): a call that may produce
 * output is refused, and output that comes all the same is charged as `input`, never as nothing.
 */
export interface TokenRates {
  readonly input: bigint
  readonly cacheRead: bigint | null
  readonly cacheWrite: bigint | null
  readonly inputAudio: bigint | null
  readonly cacheReadAudio: bigint | null
  readonly output: bigint | null
  readonly outputAudio: bigint | null
}

/** Other rates for long requests. */
export interface PriceTier {
  /** The tier holds for a request whose total input, cached tokens included, is above this. */
  readonly aboveInputTokens: number
  readonly rates: TokenRates
}

export interface PriceRow {
  /** Names source, model and version; kept on holds and usage rows. */
  readonly id: string
  readonly version: string
  readonly provider: string
  /** As the table names it; the request may have used an alias or a dated id. */
  readonly model: string
  readonly currency: 'USD'
  readonly rates: TokenRates
  /** Ascending. The whole request, output too, is priced at the highest tier it reaches. */
  readonly tiers: readonly PriceTier[]
  /** Tokens of input and output together; `null`: not known. */
  readonly contextWindow: number | null
  /** Tokens of output per choice; `null`: not known. */
  readonly maxOutput: number | null
  /** True when a rate was finer than 1 pUSD and was rounded up. */
  readonly roundedUp: boolean
  /** What else the source charges for and these rates leave out, as the source names it. */
  readonly unpriced: readonly string[]
}

/**
 * A price of the host's own, in US dollars per 1M tokens as decimal strings such as `'0.15'`, from 0
 * to 1,000,000. It wins over the bundled table for exactly this provider and model.
 */
export interface HostPrice {
  readonly provider: string
  /** As requests name it, compared as it is written. */
  readonly model: string
  readonly inputUsdPerMTok: string
  readonly outputUsdPerMTok: string
  /** A class left out is priced as the class it is part of. */
  readonly cacheReadUsdPerMTok?: string | undefined
  readonly cacheWriteUsdPerMTok?: string | undefined
  /** Left out, calls with audio are refused: audio costs a multiple of text. */
  readonly inputAudioUsdPerMTok?: string | undefined
  readonly cacheReadAudioUsdPerMTok?: string | undefined
  readonly outputAudioUsdPerMTok?: string | undefined
  /** Other rates for requests whose total input is above a threshold, ascending; a rate left out stays
   * as in the row. */
  readonly tiers?:
    | readonly ({
        readonly aboveInputTokens: number
        readonly inputUsdPerMTok?: string | undefined
        readonly outputUsdPerMTok?: string | undefined
      } & Pick<
        HostPrice,
        | 'cacheReadUsdPerMTok'
        | 'cacheWriteUsdPerMTok'
        | 'inputAudioUsdPerMTok'
        | 'cacheReadAudioUsdPerMTok'
        | 'outputAudioUsdPerMTok'
      >)[]
    | undefined
  /** Input and output together, in tokens. Without it, requests with images or files are refused. */
  readonly contextWindow?: number | undefined
  /** Per choice, in tokens. */
  readonly maxOutputTokens?: number | undefined
  /** Shown in the ids of price rows; change it with the price. Default `unversioned`. */
  readonly version?: string | undefined
}

export interface PriceTable {
  /**
   * @param ask - `model` as the request names it; `atMs`: for when, in ms since the epoch, default now.
   * @returns `null` when nothing is known: such a call is refused (TK_PRICE_MISSING).
   */
  find(ask: {
    readonly provider: string
    readonly model: string
    readonly atMs?: number
  }): Promise<PriceRow | null>
}

export interface ParsedRate {
  readonly rate: bigint
  readonly roundedUp: boolean
}

/** 1 USD per token: with at most 1e9 tokens either way no call can pass a 63-bit amount of nano-USD. */
const MAX_RATE = 1_000_000_000_000n

const DECIMAL = /^(\d{1,7})(?:\.(\d{1,30}))?$/

/**
 * @param usdPerMTok - decimal string in US dollars per 1M tokens, 0 to 1,000,000, at most 30 decimals.
 * @returns `null` for everything else: numbers, signs, exponents, blanks, too large.
 */
export function rateFromText(usdPerMTok: unknown): ParsedRate | null {
  const match = typeof usdPerMTok === 'string' ? DECIMAL.exec(usdPerMTok) : null
  if (!match) return null
  const [, whole = '', fraction = ''] = match
  return inRange(scaled(whole + fraction, fraction.length))
}

/**
 * A price that its source keeps as a float: read by the shortest decimal that names it, which is the
 * decimal the source wrote down.
 *
 * @returns `null` for what is no price: negative, not finite, too large.
 */
export function rateFromNumber(usdPerMTok: unknown): ParsedRate | null {
  if (typeof usdPerMTok !== 'number' || !(usdPerMTok >= 0 && Number.isFinite(usdPerMTok)))
    return null
  const [mantissa = '', exponent = '0'] = String(usdPerMTok).split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  return inRange(scaled(whole + fraction, fraction.length - Number(exponent)))
}

const inRange = (parsed: ParsedRate): ParsedRate | null => (parsed.rate <= MAX_RATE ? parsed : null)

/** `digits` with the point `decimals` places from the right, times 1e6 (USD per 1M to pUSD per token). */
function scaled(digits: string, decimals: number): ParsedRate {
  const shift = decimals - 6
  if (shift <= 0) return { rate: BigInt(digits) * 10n ** BigInt(-shift), roundedUp: false }
  const unit = 10n ** BigInt(shift)
  const rate = (BigInt(digits) + unit - 1n) / unit
  return { rate, roundedUp: rate * unit !== BigInt(digits) }
}
