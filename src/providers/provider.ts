/**
 * What we know of one provider: where its API is, how a credential goes into a request, and how each
 * operation that can be metered is read. A provider is data with a few small functions; it does no I/O.
 * docs/adding-a-provider.md shows how to write one.
 *
 * @module
 */
import type { Secret } from '../kernel/secret.ts'
import type { TokenUsage } from '../storage/ledger-records.ts'

export interface Provider {
  /** For example `openai`; the name used in policies, secrets and prices. */
  readonly id: string
  /**
   * Built-in base URL without a trailing slash, for example `https://api.openai.com/v1`. One below
   * `.invalid` (RFC 6761) says that there is none: the operator or the tenant names the server, and
   * requests are only recognised by it.
   */
  readonly baseUrl: string
  /** Fields of its credential. `endpoint` is a base URL of the tenant's own. */
  readonly credential: Readonly<Record<string, CredentialField>>
  /** Headers that carry the credential. @throws TenantKeysError TK_SECRET_NOT_FOUND */
  authorize(fields: Readonly<Record<string, Secret>>): Readonly<Record<string, string>>
  /**
   * The server, when a public field of the credential such as a region chooses among the provider's own;
   * default: `baseUrl`. Not asked where the operator or the tenant named a server.
   * @returns `null` for a field that has no such form.
   */
  server?(fields: Readonly<Record<string, string>>): string | null
  /** Rewrites what public fields of the credential decide, such as a deployment; default: nothing. */
  route?(request: Routed, fields: Readonly<Record<string, string>>): Routed
  /** Headers, in lower case, that ask for a class of service with a price of its own: calls that carry
   * one are refused. Default none. */
  readonly unpricedHeaders?: readonly string[]
  /** True for servers that people run themselves, so that nobody is billed by what they report: usage
   * above what a call could use is capped (docs/decisions/0034). Default false: it is the bill. */
  readonly selfHosted?: boolean
  /** Operations that can be metered; everything else is refused. */
  readonly operations: readonly Operation[]
}

/** A request on its way out. */
export interface Routed {
  readonly path: string
  readonly query: URLSearchParams
  readonly body: string
}

export interface CredentialField {
  readonly kind: 'secret' | 'public'
  readonly required: boolean
}

export interface Operation {
  /** As usage rows call it: `chat`, `responses`, `embeddings` ... */
  readonly name: string
  readonly method: 'POST'
  /**
   * Path below the base URL, for example `/chat/completions`. A name in braces stands for one segment
   * or a part of one, as in `/models/{model}:generateContent`; it is decoded, checked and written anew.
   */
  readonly path: string
  /**
   * Reads a request body, once; the policy and the price are asked with its `model` before `bound`.
   * @param path - what stood in the places of the braces.
   * @throws TenantKeysError TK_REQUEST_INVALID
   */
  read(body: string, path?: PathValues): RequestDraft
  /** True when this model spends tokens that its stream does not show, such as hidden reasoning; a
   * request may know better, see `hidesOutput`. */
  hidesReasoning(model: string): boolean
  /** Usage of a whole JSON response; `null` when it reports none that can be trusted. */
  readJson(json: unknown): ResponseUsage | null
  /** True when a stream may come as a JSON list, each element of it an event; default false. */
  readonly streamsJson?: boolean
  /** A reader for one event stream. */
  openStream(): StreamReader
}

export type PathValues = Readonly<Record<string, string>>

/** What is known of a model's sizes, in tokens; `null`: not known. */
export interface ModelLimits {
  readonly contextWindow: number | null
  readonly maxOutput: number | null
  /** Classes of service, by name, that have a price besides the standard one; default none. */
  readonly serviceTiers?: Readonly<Record<string, unknown>>
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
    /** At most so much of what is charged by other counts than tokens, such as
     * `web_search_requests`; default none. */
    readonly counts?: Readonly<Record<string, number>>
    /** Classes of service, besides the standard one, that it may be served in; default: all that have
     * a price. A request that names one says so here, as it is held at the dearest of them. */
    readonly serviceTiers?: readonly string[]
    /** False where an input or output of this kind is ruled out; default: where it has a rate of its
     * own, any token may be one. */
    readonly inputImage?: boolean
    readonly inputVideo?: boolean
    readonly outputImage?: boolean
    readonly outputVideo?: boolean
    /** True when the request asks for a cache of one hour, false when it does not; default: it may. */
    readonly cacheWrite1h?: boolean
  }
  /** Whether its stream brings output that cannot be counted as it passes: false where the request turns
   * reasoning off, true where it asks for images. Default: what `hidesReasoning` says of the model. */
  readonly hidesOutput?: boolean
  /** What the input comes to at least, when nobody reports it (aborts): an estimate in tokens. */
  readonly inputEstimate: number
}

export interface ResponseUsage {
  readonly tokens: TokenUsage
  /** What else was counted, such as `web_search_requests` or `billed_input`; empty: nothing. */
  readonly counts: Readonly<Record<string, number>>
  /** A gateway's own figure for the call; `null`: it gave none that can be read. */
  readonly providerCostNanoUsd: bigint | null
  /** `estimated`: a stream was cut after its first figures, or it counts what no field explains. */
  readonly quality: 'measured' | 'estimated'
  readonly servedModel: string | null
  /** A class of service that changes the price, as the provider names it; `null`: the standard one.
   * Absent: it does not say; the call is then priced by the class that it asked for by name. */
  readonly serviceTier?: string | null | undefined
}

/** Follows one event stream, event by event. */
export interface StreamReader {
  /** @returns what the event is: the end of the stream, the hidden usage chunk, or anything else. */
  push(event: {
    readonly event?: string | undefined
    readonly data: string
  }): 'data' | 'usage-only' | 'end'
  /** Usage as reported so far; of a stream that goes on it is `estimated`. `null`: none that can be
   * trusted. */
  usage(): ResponseUsage | null
  /** Output tokens delivered so far, estimated from the text; never below the number of deltas. */
  deliveredEstimate(): number
}
