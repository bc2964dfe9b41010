/**
 * What a call costs by its tokens and other counts: one row per provider and model, in integers.
 *
 * Unit: pico-USD (1e-12 USD) per token. A price of 1 USD per 1M tokens is 1,000,000 pUSD per token,
 * so `$0.15` per 1M is 150,000. Six decimals of a price per 1M are exact; a finer one is rounded up
 * once, when it is read, and its row says so.
 *
 * @module
 */
import type { Ratio } from './rate.ts'

/**
 * pUSD per token, by class. A class without a rate of its own (`null`) is priced as the class it is
 * part of:
 *
 * - `cacheRead`, `cacheWrite`, `inputAudio`, `inputImage`, `inputVideo`: as `input`
 * - `cacheWrite1h`: as `cacheWrite`
 * - `cacheReadAudio`, `cacheReadImage`: as the audio or image they are, so that no discount is assumed;
 *   images without rates at all: as `cacheRead`
 * - `outputAudio`, `outputImage`, `outputVideo`, `reasoning`, `citation`: as `output`
 *
 * `output: null` says that the model is not priced for output (embeddings): a call that may produce
 * output is refused, and output that comes all the same is charged as `input`, never as nothing.
 */
export interface TokenRates {
  readonly input: bigint
  readonly cacheRead: bigint | null
  /** Tokens written to a cache, by default for some minutes. */
  readonly cacheWrite: bigint | null
  /** The same for an hour. */
  readonly cacheWrite1h: bigint | null
  readonly inputAudio: bigint | null
  readonly cacheReadAudio: bigint | null
  readonly inputImage: bigint | null
  readonly cacheReadImage: bigint | null
  readonly inputVideo: bigint | null
  readonly output: bigint | null
  readonly outputAudio: bigint | null
  readonly outputImage: bigint | null
  readonly outputVideo: bigint | null
  readonly reasoning: bigint | null
  /** Tokens of cited sources, which Perplexity counts apart. */
  readonly citation: bigint | null
}

/** Other rates for long requests. */
export interface PriceTier {
  /** The tier holds for a request whose total input, cached tokens included, is above this. */
  readonly aboveInputTokens: number
  readonly rates: TokenRates
}

/** What tokens cost in one class of service. */
export interface TokenPrices {
  readonly rates: TokenRates
  /** Ascending. The whole request, output too, is priced at the highest tier it reaches. */
  readonly tiers: readonly PriceTier[]
  /** What the sum over the tokens is multiplied with, such as `[1, 2]` for a batch. */
  readonly ratio: Ratio
}

export interface PriceRow extends TokenPrices {
  /** Names source, model and version; kept on holds and usage rows. */
  readonly id: string
  readonly version: string
  readonly provider: string
  /** As the table names it; the request may have used an alias or a dated id. */
  readonly model: string
  readonly currency: 'USD'
  /**
   * pUSD for each of what is counted beside tokens, by its name in the `counts` of a usage row, for
   * example `web_search_requests` or `images`. `requests` is charged once for every call.
   */
  readonly units: Readonly<Record<string, bigint>>
  /** Classes of service that cost something else than the standard one, by the provider's name. */
  readonly serviceTiers: Readonly<Record<string, TokenPrices>>
  /** What this price changes to within a day from when it was asked for, ascending. */
  readonly next: readonly { readonly fromMs: number; readonly row: PriceRow }[]
  /** Tokens of input and output together; `null`: not known. */
  readonly contextWindow: number | null
  /** Tokens of output per choice; `null`: not known. */
  readonly maxOutput: number | null
  /** True when a rate was finer than 1 pUSD and was rounded up. */
  readonly roundedUp: boolean
  /** What else the source charges for and this row leaves out, as the source names it. */
  readonly unpriced: readonly string[]
  /** `provider`: what the provider reports that it charged, where it does, counts instead. */
  readonly use: 'table' | 'provider'
  /** False for a model that nobody priced and the host lets through; see `unpricedRow`. */
  readonly known: boolean
}

/** What is counted of a call and decides its price. */
export interface Counted {
  /** By name; an absent one is 0. Also token classes that {@link TokenUsage} has no field for. */
  readonly counts?: Readonly<Record<string, number>>
  /** A class of service, as the provider names it; `null`: the standard one. */
  readonly serviceTier?: string | null
}

/** Token classes that come in `counts`: parts of the input or of the output. */
export const COUNTED_TOKENS = {
  cacheReadAudio: 'cache_read_audio_tokens',
  inputImage: 'input_image_tokens',
  cacheReadImage: 'cache_read_image_tokens',
  inputVideo: 'input_video_tokens',
  outputImage: 'output_image_tokens',
  outputVideo: 'output_video_tokens',
  citation: 'citation_tokens',
} as const satisfies Partial<Record<keyof TokenRates, string>>

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

export const NO_RATES: TokenRates = {
  input: 0n,
  cacheRead: null,
  cacheWrite: null,
  cacheWrite1h: null,
  inputAudio: null,
  cacheReadAudio: null,
  inputImage: null,
  cacheReadImage: null,
  inputVideo: null,
  output: null,
  outputAudio: null,
  outputImage: null,
  outputVideo: null,
  reasoning: null,
  citation: null,
}

/** The row that holds at a moment: `row`, or what it has changed to. */
export function rowAt(row: PriceRow, atMs: number): PriceRow {
  let current = row
  for (const { fromMs, row: later } of row.next) if (fromMs <= atMs) current = later
  return current
}
