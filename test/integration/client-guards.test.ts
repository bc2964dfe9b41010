/**
 * Threats that have to be stopped whatever client the call comes through.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { Logger } from '../../src/kernel/events.ts'
import { parseKey } from '../../src/keys/key-format.ts'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import { dump } from '../support/bad-input/dump.ts'
import { type Canaries, canariesIn } from '../support/canaries.ts'
import {
  type ClientBench,
  MODEL,
  OTHER_MODEL,
  openClientBench,
  PLATFORM_CANARY,
  tenantSecret,
} from '../support/client-bench.ts'
import { CLIENT_CASES } from '../support/client-cases.ts'
import type { ClientCase } from '../support/clients/client-case.ts'
import { json } from '../support/provider-server.ts'
import { testKey } from '../support/test-key.ts'
import { until } from '../support/watched-clock.ts'
import { answering, modelOf, WORDS } from '../support/wire.ts'

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  )
async function all(stream: AsyncIterable<string>): Promise<string> {
  let texts = ''
  for await (const text of stream) texts += text
  return texts
}
const codeOf = (error: unknown): string => TenantKeysError.find(error)?.code ?? String(error)

/** As a log shows it. Getters are not read: zod's, which errors of SDKs lead to, do not bear it. */
const shown = (value: unknown): string =>
  inspect(value, { depth: 9, showHidden: true, maxArrayLength: null, maxStringLength: null }) +
  asJson(value)

function asJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? String(item) : item))
  } catch {
    // Most clients refer to themselves.
    return ''
  }
}

/** By the process. Listened to from the start, as SDKs keep the console that they first saw. */
const printed: string[] = []
beforeAll(() => {
  for (const name of ['debug', 'info', 'log', 'warn', 'error'] as const)
    vi.spyOn(console, name).mockImplementation((...args) => void printed.push(shown(args)))
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((text) => printed.push(shown(text)) > 0)
})
afterAll(() => {
  vi.restoreAllMocks()
})
beforeEach(() => {
  printed.length = 0
})

let bench: ClientBench
afterEach(() => bench[Symbol.asyncDispose]())

describe.each(CLIENT_CASES.map((client) => [client.name, client] as const))('%s', (_, client) => {
  test('T-B8 a request for a billion tokens holds what the model can write, and its sibling is served', async () => {
    const ceiling = 8192n
    const rates = { inputUsdPerMTok: '1', outputUsdPerMTok: '2' }
    const sizes = { contextWindow: 128_000, maxOutputTokens: Number(ceiling) }
    const { provider } = client
    bench = await openClientBench({
      prices: [{ provider, model: MODEL, ...rates, ...sizes }],
      monthlyUsd: '0.06',
    })
    let go = (): void => {}
    const gone = new Promise<void>((resolve) => {
      go = resolve
    })
    bench.server.answer = async (request, response, count) => {
      if (count === 1) await gone
      return answering(client.wire)(request, response)
    }
    const bound = client.bind(bench.tk, bench.context(), { retries: 0 })
    const large = all(bound.stream({ maxOutput: 1_000_000_000 }))
    await until(() => bench.server.requests.length === 1)
    const { held } = await bench.budget()
    expect(held).toBeGreaterThan(0n)
    // 5,000 tokens of input are more than any of these can be.
    expect(held).toBeLessThanOrEqual(ceiling * 2000n + 5000n * 1000n)
    expect(await bound.json()).toBe(WORDS.join(''))
    go()
    expect(await large).toBe(WORDS.join(''))
    expect((await bench.budget()).held).toBe(0n)
  })

  test.each(['unknown', `${MODEL}-latest`, `${MODEL}-2026-01-01`, MODEL.toUpperCase()])(
    'T-B11 a model without a price is refused before the call: %s',
    async (model) => {
      bench = await openClientBench()
      const { key } = await bench.tk.keys.issue({ tenantId: 'acme', name: 't', scopes: ['tools'] })
      const bound = client.bind(bench.tk, bench.context({ key }), { retries: 2 })
      expect(codeOf(await failure(bound.json({ model })))).toBe('TK_PRICE_MISSING')
      expect(codeOf(await failure(all(bound.stream({ model }))))).toBe('TK_PRICE_MISSING')
      expect(bench.server.requests).toEqual([])
      expect(bench.receipts).toEqual([])
      expect(await bench.budget()).toEqual({ used: 0n, held: 0n })
    },
  )

  describe('secrets', () => {
    let told: unknown[]
    beforeEach(async () => {
      // The clients print all that they do.
      for (const name of ['OPENAI_LOG', 'ANTHROPIC_LOG', 'GROQ_LOG']) vi.stubEnv(name, 'debug')
      for (const name of ['MISTRAL_DEBUG', 'OPENROUTER_DEBUG']) vi.stubEnv(name, 'true')
      told = []
      const note = (...args: unknown[]): void => void told.push(args)
      const logger: Logger = { debug: note, info: note, warn: note, error: note }
      bench = await openClientBench({ logger })
    })
    afterEach(() => vi.unstubAllEnvs())

    /** All that a host or an operator sees of calls that end in every way. */
    async function seen(): Promise<Record<string, string>> {
      const values = Object.entries(await used(client))
      const texts = values.map(([name, value]) => [name, shown(value)])
      return { ...Object.fromEntries(texts), printed: printed.join('\n') }
    }

    async function used({ wire, bind }: ClientCase): Promise<Record<string, unknown>> {
      const bound = bind(bench.tk, bench.context(), { retries: 0 })
      const { server } = bench
      server.answer = answering(wire)
      const answers = [await bound.json(), await all(bound.stream())]
      const errors = [await failure(bound.json({ model: OTHER_MODEL }))]
      server.answer = (_request, response) =>
        json(response, { error: { message: 'no such key' } }, 401)
      errors.push(await failure(bound.json()))
      server.answer = (request, response) => {
        response.writeHead(200, { 'content-type': wire.streamType })
        for (const piece of wire.head(modelOf(request))) response.write(piece)
        response.write(wire.word(modelOf(request), 'one '), () => response.destroy())
      }
      errors.push(await failure(all(bound.stream())))
      const abort = new AbortController()
      server.answer = (_request, response) => {
        response.flushHeaders()
        abort.abort()
      }
      errors.push(await failure(bound.json({ signal: abort.signal })))
      const { tk, storage, events, receipts } = bench
      const usage = await tk.usage.query({ by: ['tenant', 'key', 'scope', 'provider', 'model'] })
      const rows = await dump(storage)
      return { client: bound.client, answers, errors, told, events, receipts, usage, rows }
    }

    const canaries = (): Canaries => ({
      'the tenant secret': tenantSecret(client.provider),
      'the secret of the client': PLATFORM_CANARY,
      'the platform key': bench.key,
      'the secret of the key': parseKey(bench.key)!.secret,
      'the KEK': testKey(1),
      'the pepper': testKey(2),
    })

    test('T-L4 T-L5 neither they nor digests of them are printed, logged, reported, thrown or stored', async () => {
      const { rows, ...told } = await seen()
      const text = Object.values(told).join('\n')
      // It did look: what may be shown is there, and these clients did print.
      if (/^(openai|@anthropic|groq)/.test(client.name)) expect(told.printed).toContain(MODEL)
      for (const plain of ['acme', 'TK_MODEL_DENIED', MODEL]) expect(text).toContain(plain)
      const digests = Object.entries(canaries()).flatMap(([name, secret]) =>
        ['sha256', 'sha512', 'sha1', 'md5'].map((algorithm) => {
          // The start of one is a fingerprint, too.
          const digest = createHash(algorithm).update(secret).digest().subarray(0, 8)
          return [`${algorithm} of ${name}`, digest] as const
        }),
      )
      const forbidden = { ...canaries(), ...Object.fromEntries(digests) }
      expect(canariesIn(text + rows, forbidden)).toEqual([])
      // The keyed hash, by which a key is found, stays in its row.
      const { keyId } = parseKey(bench.key)!
      const { hash } = (await bench.storage.keys.get({ tenantId: 'acme', keyId }))!
      expect(canariesIn(text, { 'the stored hash': hash })).toEqual([])
    })
  })
})

test('every provider that a client is bound to has a case here', () => {
  const bound = new Set(CLIENT_CASES.map(({ provider }) => provider))
  for (const provider of bound) expect(PROVIDERS.has(provider)).toBe(true)
})
