/**
 * Attacks on a bound client, each true when it succeeds. The clients are real; in the place of the
 * corridor stands a fetch that keeps what it was given.
 *
 * @module
 */
import type { Binding } from '../../src/clients/binding.ts'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import { MODEL, PLATFORM_CANARY } from '../support/client-bench.ts'
import { openaiChat, type Wire } from '../support/wire.ts'

export type Load = <M>(file: string) => Promise<M>
/** Resolves to true when the attack succeeds. */
export type Attack = (load: Load) => Promise<boolean>

interface Sent {
  readonly url: string
  readonly headers: Headers
  readonly callId: unknown
  readonly signal: AbortSignal | undefined
}

interface Rig {
  bind<C extends object>(client: C): C
  readonly sent: Sent[]
  readonly isOurs: (error: unknown) => boolean
}

interface Setting {
  readonly provider?: string
  /** How it answers, the first time and later; default: with 200. */
  answer?(count: number): Response
  /** It refuses every call, as the corridor does. */
  readonly denies?: boolean
}

export async function rig(load: Load, wire: Wire, setting: Setting = {}): Promise<Rig> {
  const { bindClient } = await load<typeof import('../../src/clients/bind.ts')>('clients/bind.ts')
  const { CALL_ID } =
    await load<typeof import('../../src/request/read-request.ts')>('request/read-request.ts')
  const { TenantKeysError } =
    await load<typeof import('../../src/kernel/errors.ts')>('kernel/errors.ts')
  const { answer = () => Response.json(wire.json(MODEL, 'hello')) } = setting
  const sent: Sent[] = []
  const corridor: typeof fetch = async (input, init) => {
    const whole = input instanceof Request ? input : null
    sent.push({
      url: whole?.url ?? String(input),
      headers: new Headers(whole?.headers ?? init?.headers),
      callId: (init as Record<symbol, unknown> | undefined)?.[CALL_ID],
      signal: init?.signal ?? undefined,
    })
    if (setting.denies) throw new TenantKeysError('TK_MODEL_DENIED', { model: MODEL })
    return answer(sent.length)
  }
  const binding: Binding = {
    fetchFor: () => corridor,
    baseUrlOf: (id) => PROVIDERS.get(id)!.baseUrl,
    isProvider: (id) => PROVIDERS.has(id),
    provider: setting.provider ?? null,
    onAnswer: () => {},
    receiptOf: () => Promise.reject(new TenantKeysError('TK_RECEIPT_UNKNOWN')),
    onBaseUrlIgnored: () => {},
  }
  return {
    bind: (client) => bindClient(client, binding),
    sent,
    isOurs: TenantKeysError.isInstance,
  }
}

type Work<C> = (client: C) => PromiseLike<unknown>

const spelled = ({ url, headers }: Sent): string => `${url} ${JSON.stringify([...headers])}`

/** What it sends shows a text. */
export const sends =
  <C extends object>(wire: Wire, make: () => C, ask: Work<C>, text = PLATFORM_CANARY): Attack =>
  async (load) => {
    const { bind, sent } = await rig(load, wire)
    await ask(bind(make()))
    if (sent.length === 0) throw new Error('nothing was sent')
    return sent.some((one) => spelled(one).includes(text))
  }

/** It is bound, though it should be refused. */
export const binds =
  (make: () => object, setting: Setting = {}): Attack =>
  async (load) => {
    const { bind } = await rig(load, openaiChat, setting)
    try {
      bind(make())
      return true
    } catch {
      return false
    }
  }

const busy = (count: number, wire: Wire): Response =>
  count === 1
    ? Response.json({ error: 'busy' }, { status: 500, headers: { 'retry-after-ms': '1' } })
    : Response.json(wire.json(MODEL, 'hello'))

/** The two attempts of one call have two ids. */
export const splits =
  <C extends object>(wire: Wire, make: () => C, ask: Work<C>): Attack =>
  async (load) => {
    const { bind, sent } = await rig(load, wire, { answer: (count) => busy(count, wire) })
    await ask(bind(make()))
    if (sent.length !== 2) throw new Error(`sent ${sent.length} times`)
    return sent[0]!.callId !== sent[1]!.callId
  }

/** A refused call ends up as something that is so. */
export const denied =
  <C extends object>(
    make: () => C,
    ask: Work<C>,
    so: (seen: { isOurs: boolean; attempts: number }) => boolean,
  ): Attack =>
  async (load) => {
    const { bind, sent, isOurs } = await rig(load, openaiChat, { denies: true })
    const error = await ask(bind(make())).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    return so({ isOurs: isOurs(error), attempts: sent.length })
  }

/** A stream whose loop was left goes on. */
export const goesOn =
  <C extends object>(
    wire: Wire,
    make: () => C,
    open: (client: C) => Promise<AsyncIterable<unknown>>,
  ): Attack =>
  async (load) => {
    const encoder = new TextEncoder()
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      for (const piece of [...wire.head(MODEL), wire.word(MODEL, 'one ')])
        controller.enqueue(typeof piece === 'string' ? encoder.encode(piece) : piece)
    }
    const headers = { 'content-type': wire.streamType }
    const answer = (): Response => new Response(new ReadableStream({ start }), { headers })
    const { bind, sent } = await rig(load, wire, { answer })
    for await (const _ of await open(bind(make()))) break
    return sent[0]!.signal?.aborted !== true
  }
