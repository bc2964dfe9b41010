import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verifyWebhook, webhookSink } from '../../src/adapters/sinks/index.ts'
import { Secret } from '../../src/kernel/secret.ts'
import type { OutboxRecord } from '../../src/storage/records.ts'
import { type WebhookReceiver, webhookReceiver } from '../support/webhook-receiver.ts'

const secretOf = (fill: number): string => `whsec_${Buffer.alloc(32, fill).toString('base64')}`
const [OLD, NEW, FOREIGN] = [secretOf(1), secretOf(2), secretOf(3)]

const event = (id: string): OutboxRecord => ({
  id,
  kind: 'sample',
  tenantId: 'acme',
  atMs: 1_768_435_200_000,
  payload: '{"amount":"12"}',
  attempts: 1,
})

let receiver: WebhookReceiver
beforeEach(async () => {
  receiver = await webhookReceiver([OLD, NEW])
})
afterEach(() => receiver.close())

const sink = (options: Partial<Parameters<typeof webhookSink>[0]> = {}) =>
  webhookSink({ url: receiver.url, secrets: [NEW], ...options })

describe('the sender', () => {
  test('signs as Standard Webhooks says: its own example comes out', async () => {
    // From the specification's reference libraries: secret, id, timestamp, body and signature.
    const headers = new Headers({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
    const given = {
      headers,
      body: '{"test": 2432232314}',
      secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
      nowMs: 1_614_265_330_000,
    }
    // The signature fits; the body is none of ours, which is the same refusal one step later.
    expect(() => verifyWebhook(given)).toThrow(
      expect.objectContaining({ code: 'TK_WEBHOOK_INVALID' }),
    )
    const { signatureHeader } = await import('../../src/adapters/sinks/webhook-signature.ts')
    const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')
    const message = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: '1614265330',
      body: given.body,
    }
    expect(signatureHeader([key], message)).toBe(headers.get('webhook-signature'))
  })

  test('carries one signature for each secret, so that either is enough while they rotate', async () => {
    await sink({ secrets: [FOREIGN, OLD] }).write([event('a')])
    expect(receiver.events.map((e) => e.id)).toEqual(['a'])
    const signatures = String(receiver.requests[0]?.headers['webhook-signature']).split(' ')
    expect(signatures).toHaveLength(2)
  })

  test('gives the same events the same message id, whenever they are sent', async () => {
    await sink().write([event('a'), event('b')])
    await sink({ now: () => Date.now() + 1000 }).write([event('a'), event('b')])
    await sink().write([event('a')])
    const ids = receiver.requests.map((r) => r.headers['webhook-id'])
    expect(ids[0]).toBe(ids[1])
    expect(ids[0]).not.toBe(ids[2])
  })

  test.each([301, 302, 400, 401, 404, 413, 422, 429, 500, 503])(
    'status %i is a failure that names it, and blames no event',
    async (status) => {
      receiver.answer = () => ({ status, headers: { location: `${receiver.url}/other` } })
      const failure = await sink()
        .write([event('a')])
        .catch((error: unknown) => error)
      expect(failure).toMatchObject({ name: 'WebhookError', status, retryAfterMs: 0 })
      expect(receiver.requests).toHaveLength(1)
    },
  )

  test.each([
    ['120', 120_000],
    ['0', 0],
    ['Thu, 15 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 14 Jan 2026 00:00:00 GMT', 0],
    ['soon', 0],
    ['-5', 0],
    ['999999999', 86_400_000],
  ])('Retry-After: %s asks for %i ms', async (value, retryAfterMs) => {
    receiver.answer = () => ({ status: 429, headers: { 'retry-after': value } })
    const now = (): number => Date.UTC(2026, 0, 15)
    await expect(sink({ now }).write([event('a')])).rejects.toMatchObject({ retryAfterMs })
  })

  test('what was taken before a failure is accepted, the rest is not', async () => {
    let taken = 0
    receiver.answer = () => ({ status: taken++ < 2 ? 204 : 500 })
    const events = Array.from({ length: 30 }, (_, n) => event(`event-${n}`))
    const { accepted } = await sink({ maxBodyBytes: 1000 }).write(events)
    expect(accepted.length).toBeGreaterThan(2)
    expect(accepted).toEqual(events.slice(0, accepted.length).map((e) => e.id))
    expect(accepted.length).toBeLessThan(30)
  })

  test('no request is larger than it may be', async () => {
    const events = Array.from({ length: 50 }, (_, n) => event(`event-${n}`))
    await sink({ maxBodyBytes: 1000 }).write(events)
    for (const { body } of receiver.requests)
      expect(Buffer.byteLength(body)).toBeLessThanOrEqual(1000)
    expect(receiver.events).toHaveLength(50)
  })

  test.each([
    ['options.url', { url: 'http://example.com/hook' }],
    ['options.url', { url: 'https://user:secret@example.com/' }],
    ['options.url', { url: 'ftp://example.com' }],
    ['options.url', { url: 'no url' }],
    ['options.secrets', { secrets: [] }],
    ['options.secrets[0]', { secrets: ['whsec_c2hvcnQ='] }],
    ['options.secrets[0]', { secrets: ['not a secret, but 24 bytes and more of text'] }],
    ['options.timeoutMs', { timeoutMs: 0 }],
  ])('%s is refused by name, without its value', (field, wrong) => {
    let failure: unknown
    try {
      webhookSink({ url: 'https://example.com', secrets: [NEW], ...wrong })
    } catch (error) {
      failure = error
    }
    expect(failure).toMatchObject({ code: 'TK_CONFIG_INVALID', details: { field } })
    for (const value of Object.values(wrong).flat()) {
      if (typeof value === 'string') expect(String(failure)).not.toContain(String(value))
    }
  })
})

describe('the receiver', () => {
  const sent = async (): Promise<{ headers: Record<string, string>; body: string }> => {
    await sink().write([event('a')])
    const { headers, body } = receiver.requests.at(-1)!
    return { headers: headers as Record<string, string>, body }
  }
  const refused = expect.objectContaining({ code: 'TK_WEBHOOK_INVALID' })

  test('reads what was signed with any of its secrets', async () => {
    const request = await sent()
    for (const secrets of [[NEW], [OLD, NEW], [new Secret(NEW)]]) {
      expect(verifyWebhook({ ...request, secrets })).toEqual([
        {
          id: 'a',
          kind: 'sample',
          tenantId: 'acme',
          at: '2026-01-15T00:00:00.000Z',
          data: { amount: '12' },
        },
      ])
    }
  })

  test('refuses what is unsigned, signed by others, changed, or of another time', async () => {
    const { headers, body } = await sent()
    const check =
      (over: { headers?: object; body?: string; secrets?: string[]; nowMs?: number }) => () =>
        verifyWebhook({ headers, body, secrets: [NEW], ...over } as never)
    const without = (name: string): object =>
      Object.fromEntries(Object.entries(headers).filter(([own]) => own !== name))
    expect(check({})).not.toThrow()
    for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
      expect(check({ headers: without(name) })).toThrow(refused)
      expect(check({ headers: { ...headers, [name]: '' } })).toThrow(refused)
    }
    expect(check({ secrets: [FOREIGN] })).toThrow(refused)
    expect(check({ body: body.replace('12', '13') })).toThrow(refused)
    expect(check({ body: `${body} ` })).toThrow(refused)
    expect(check({ headers: { ...headers, 'webhook-id': 'msg_other' } })).toThrow(refused)
    const later = String(Number(headers['webhook-timestamp']) + 1)
    expect(check({ headers: { ...headers, 'webhook-timestamp': later } })).toThrow(refused)
    const signature = headers['webhook-signature']!
    for (const wrong of [signature.replace('v1', 'v2'), signature.slice(3), 'v1,', 'v1,AAAA']) {
      expect(check({ headers: { ...headers, 'webhook-signature': wrong } })).toThrow(refused)
    }
  })

  test('refuses a copy after five minutes, and one from the future', async () => {
    const { headers, body } = await sent()
    const sentMs = Number(headers['webhook-timestamp']) * 1000
    const at = (nowMs: number, toleranceSeconds?: number) => () =>
      verifyWebhook({ headers, body, secrets: [NEW], nowMs, toleranceSeconds })
    expect(at(sentMs + 300_000)).not.toThrow()
    expect(at(sentMs + 300_001)).toThrow(refused)
    expect(at(sentMs - 300_001)).toThrow(refused)
    expect(at(sentMs + 11_000, 10)).toThrow(refused)
  })

  test('a malformed secret of its own is its own fault', async () => {
    const request = await sent()
    expect(() => verifyWebhook({ ...request, secrets: ['nope'] })).toThrow(
      expect.objectContaining({ code: 'TK_INPUT_INVALID' }),
    )
  })
})
