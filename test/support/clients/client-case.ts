/**
 * A client that can be bound: how the platform makes it, and how a bound one is asked.
 *
 * @module
 */
import type { CallContext } from '../../../src/request/parts.ts'
import type { TenantKeys } from '../../../src/tenant-keys.ts'
import { PLATFORM_CANARY } from '../client-bench.ts'
import type { Wire } from '../wire.ts'

export interface Ask {
  readonly model?: string
  readonly signal?: AbortSignal
  /** In tokens, in the client's own words; default none. */
  readonly maxOutput?: number
}

/** A bound client, asked in the simplest way that its SDK has. */
export interface Bound {
  /** The client itself, or what a bound factory made. */
  readonly client: object
  json(ask?: Ask): Promise<string>
  /** The texts as they come, empty ones left out. */
  stream(ask?: Ask): AsyncIterable<string>
}

export interface ClientCase {
  readonly name: string
  readonly provider: string
  readonly wire: Wire
  /** Header in which the provider expects the credential. */
  readonly header: 'authorization' | 'x-api-key' | 'x-goog-api-key' | 'api-key'
  /** What the client repeats a call on by itself, once; `null`: it never does. */
  readonly retries: 'option' | null
  /** What its own timeout does: ends an attempt, which is repeated as an error is, or ends the call.
   * `null`: it has none. */
  readonly timeout: 'repeats' | 'ends' | null
  /** When it lets go of a stream whose loop was left: at once, when it has read another piece, or only
   * when it is aborted. */
  readonly leaves: 'at once' | 'with the next piece' | 'when aborted'
  /** A denial is the error itself, or its cause. */
  readonly denial: 'itself' | 'cause'
  bind(tk: TenantKeys, context: CallContext | undefined, options: Options): Bound
}

export interface Options {
  readonly retries: number
  /** Of the client's own; default none. */
  readonly timeoutMs?: number
}

export const messages = [{ role: 'user' as const, content: 'Hello' }]
export const canaryHeaders = { 'x-gateway-token': PLATFORM_CANARY }
export const NOWHERE = 'http://127.0.0.1:9/platform'

export async function* texts<T>(
  stream: Promise<AsyncIterable<T>>,
  textOf: (part: T) => string | null | undefined,
): AsyncIterable<string> {
  for await (const part of await stream) {
    const text = textOf(part)
    if (text) yield text
  }
}

/** A maximum by its name, where one is asked for. */
export const most = <N extends string>(name: N, { maxOutput }: Ask): Partial<Record<N, number>> =>
  maxOutput === undefined ? {} : ({ [name]: maxOutput } as Record<N, number>)

/** As most take what fetch takes. */
export const withSignal = (signal?: AbortSignal): { signal?: AbortSignal } =>
  signal ? { signal } : {}

export const withAbort = (signal?: AbortSignal): { abortSignal?: AbortSignal } =>
  signal ? { abortSignal: signal } : {}
