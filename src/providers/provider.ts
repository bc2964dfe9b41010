/**
 * What we know of one provider: where its API is, how a credential goes into a request, and how each
 * operation that can be metered is read. A provider is data with a few small functions; it does no I/O.
 *
 * @module
 */
import type { Secret } from '../kernel/secret.ts'
import type { TokenUsage } from '../storage/ledger-records.ts'

export interface Provider {
  /** For example `openai`; the name used in policies, secrets and prices. */
  readonly id: string
  /** Built-in base URL without a trailing slash, for example `https://api.openai.com/v1`. */
  readonly baseUrl: string
  /** Fields of its credential. */
  readonly credential: Readonly<Record<string, CredentialField>>
  /** Headers that carry the credential. */
  authorize(fields: Readonly<Record<string, Secret>>): Readonly<Record<string, string>>
  /** Operations that can be metered; everything else is refused. */
  readonly operations: readonly Operation[]
}

export interface CredentialField {
  readonly kind: 'secret' | 'public'
  readonly required: boolean
}

export interface Operation {
  /** As usage rows call it: `chat`, `responses`, `embeddings` ... */
  readonly name: string
  readonly method: 'POST'
  /** Path below the base URL, for example `/chat/completions`. */
  readonly path: string
  /**
   * Reads a request body, once; the policy and the price are asked with its `model` before `bound`.
   * @throws TenantKeysError TK_REQUEST_INVALID
   */
  read(body: string): RequestDraft
  /** True when this model spends tokens that its stream does not show, such as hidden reasoning. */
  hidesReasoning(model: string): boolean
  /** Usage of a whole JSON response; `null` when it reports none that can be trusted. */
  readJson(json: unknown): ResponseUsage | null
  /** A reader for one event stream. */
  openStream(): StreamReader
}

/** What is known of a model's sizes, in tokens; `null`: not known. */
export interface ModelLimits {
  readonly contextWindow: number | null
  readonly maxOutput: number | null
}

/** A request that was parsed, and not yet bounded. */
export interface RequestDraft {
  readonly model: string
  /** @throws TenantKeysError TK_BUDGET_UNBOUNDED, TK_REQUEST_INVALID, TK_PRICE_MISSING */
  bound(limits: ModelLimits): RequestReading
}

export interface RequestReading {
  readonly model: string
  readonly stream: boolean
  /** The body to send: the caller's, with a maximum of output or a usage chunk asked for if needed. */
  readonly body: string
  /** True when we asked for a usage chunk that the caller did not, so it must stay hidden. */
  readonly hidesUsageChunk: boolean
  /** No call with this body can use more tokens than these; audio only where it says so. */
  readonly bound: {
    readonly input: number
    readonly output: number
    /** True when part of the input may be audio, which costs a multiple of text; default false. */
    readonly inputAudio?: boolean
    /** The same of the output. */
    readonly outputAudio?: boolean
  }
  /** What the input comes to at least, when nobody reports it (aborts): an estimate in tokens. */
  readonly inputEstimate: number
}

export interface ResponseUsage {
  readonly tokens: TokenUsage
  readonly servedModel: string | null
  /** A class of service that changes the price, as the provider names it; `null`: the standard one. */
  readonly serviceTier: string | null
}

/** Follows one event stream, event by event. */
export interface StreamReader {
  /** @returns what the event is: the end of the stream, the hidden usage chunk, or anything else. */
  push(event: {
    readonly event?: string | undefined
    readonly data: string
  }): 'data' | 'usage-only' | 'end'
  /** Last usage reported; `null` when none was yet. */
  usage(): ResponseUsage | null
  /** Output tokens delivered so far, estimated from the text; never below the number of deltas. */
  deliveredEstimate(): number
}
